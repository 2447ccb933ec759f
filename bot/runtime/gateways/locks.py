"""One at a time, over all threads and processes: who refreshes the token, who uploads these bytes."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

WAIT_SECONDS = 45
"""Longer than three tries of a call with their pauses."""


class LockTimeout(Exception):
    """Somebody else has had the lock for ``WAIT_SECONDS``."""


class Locks:
    """Named mutexes: a thread lock within the process, a session advisory lock of PostgreSQL between processes.

    The database connection of a lock is opened for it alone. Were it taken from the shared pool, callers that
    hold a lock and need a second connection could drain the pool and wait for each other. It is in autocommit,
    so no transaction stays open during a call to the platform; a killed process lets go at once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = create_engine(engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._guard = threading.Lock()
        self._waiting: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Enter when nobody else is inside ``name``. Raises LockTimeout."""
        lock = self._enlist(name)
        try:
            if not lock.acquire(timeout=WAIT_SECONDS):
                raise LockTimeout(name)
            try:
                with self._engine.connect() as connection:
                    _advisory_lock(connection, name)
                    yield
            finally:
                lock.release()
        finally:
            self._delist(name)

    def _enlist(self, name: str) -> threading.Lock:
        with self._guard:
            lock, users = self._waiting.get(name, (threading.Lock(), 0))
            self._waiting[name] = (lock, users + 1)
            return lock

    def _delist(self, name: str) -> None:
        with self._guard:
            lock, users = self._waiting[name]
            if users == 1:
                del self._waiting[name]
            else:
                self._waiting[name] = (lock, users - 1)


def _advisory_lock(connection: Connection, name: str) -> None:
    """Taken for the life of the connection: closing it is the release."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    connection.execute(text(f"set lock_timeout = '{WAIT_SECONDS}s'"))
    connection.execute(text("set statement_timeout = 0"))
    timed_out = False
    try:
        connection.execute(text("select pg_advisory_lock(:number)"), {"number": number})
    except OperationalError as fault:
        if getattr(fault.orig, "sqlstate", "") != "55P03":
            raise
        timed_out = True
    if timed_out:
        raise LockTimeout(name)
