"""A connection of SQLAlchemy's pool without the proxy around it.

For each use the pool makes a proxy with a finalizer, and rolls back when it is given back, whatever was done before: a
seventh of what one order costs the worker. Whoever gives back what is idle needs none of it. The proxy is made when
something is asked that only it can do (a session, a rollback, a connection that broke), and then everything goes its
usual way.

It speaks to the pool as SQLAlchemy itself does, by names that are not meant for others: what they must do is held by
``tests/integration/test_late.py``.
"""

import weakref
from typing import Any, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import Pool, PoolProxiedConnection
from sqlalchemy.pool.base import _ConnectionFairy, _ConnectionRecord

_IDLE = TransactionStatus.IDLE


class Lent:
    """``driver`` is the connection. It is given back once, by ``back`` or by closing what ``proxied`` gave."""

    __slots__ = ("_pool", "_proxy", "_record", "driver")

    def __init__(self, pool: Pool, record: _ConnectionRecord | None, driver: psycopg.Connection[Any]) -> None:
        self._pool = pool
        self._record = record
        self._proxy: PoolProxiedConnection | None = None
        self.driver = driver

    @classmethod
    def of(cls, engine: Engine) -> "Lent":
        """A connection of the engine's pool, which is told of it as always. Raises OperationalError for a database that
        is away, and TimeoutError when all of its connections are in use for long."""
        try:
            return cls._bare(engine.pool) or cls._proxied(engine)
        except psycopg.Error as fault:
            Connection._handle_dbapi_exception_noconnection(fault, engine.dialect, engine)
            raise

    @classmethod
    def _bare(cls, pool: Pool) -> "Lent | None":
        """None if it broke while it rested: the pool knows what that means for the others."""
        record = cast(_ConnectionRecord, pool._do_get())
        try:
            driver = record.get_connection()
            if pool.dispatch.checkout:
                pool.dispatch.checkout(driver, record, None)
        except BaseException as fault:
            record._checkin_failed(fault, _fairy_was_created=False)
            if isinstance(fault, DisconnectionError):
                return None
            raise
        return cls(pool, record, cast("psycopg.Connection[Any]", driver))

    @classmethod
    def _proxied(cls, engine: Engine) -> "Lent":
        proxy = engine.raw_connection()
        assert isinstance(proxy.driver_connection, psycopg.Connection)
        lent = cls(engine.pool, None, proxy.driver_connection)
        lent._proxy = proxy
        return lent

    @property
    def is_idle(self) -> bool:
        """Whether it lives, and no transaction is open on it."""
        return self.driver.pgconn.transaction_status == _IDLE and (self._proxy is None or self._proxy.is_valid)

    def answers(self, engine: Engine) -> bool:
        """Whether it lives still, asked; if it does not, the pool has room for another one in its place."""
        try:
            engine.dialect.do_ping(cast(DBAPIConnection, self.driver))
        except psycopg.Error as fault:
            self.proxied().invalidate(fault)
            return False
        return True

    def commit(self, engine: Engine) -> None:
        """Raises DBAPIError."""
        try:
            self.driver.commit()
        except psycopg.Error as fault:
            Connection._handle_dbapi_exception_noconnection(fault, engine.dialect, engine)

    def proxied(self) -> PoolProxiedConnection:
        """SQLAlchemy's proxy, which gives the connection back when it is closed."""
        if self._proxy is None:
            pool, record = self._pool, self._record
            assert record is not None
            driver = cast(DBAPIConnection, self.driver)
            self._proxy = fairy = _ConnectionFairy(pool, driver, record, pool._should_log_debug())
            record.fairy_ref = weakref.ref(fairy, lambda _: None)
            fairy._counter += 1  # it is held once; closed before, it would go back when it is garbage, and not before
        return self._proxy

    def back(self) -> None:
        """Give back what is idle."""
        if self._proxy is not None:
            self._proxy.close()
        else:
            assert self._record is not None
            self._record.checkin(_fairy_was_created=False)
