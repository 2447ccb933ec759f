"""Engines that outlive a test: a quarter of a dialogue test went into compiling statements that the one before had
compiled already. An engine is lent to one test at a time, and leads to that test's database. Connections to a database
that stands longer than a test (``tests.standing``) are kept for whoever connects there next."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import ConnStatus, TransactionStatus
from sqlalchemy import Engine, create_engine, event, make_url

from bot.runtime import bootstrap

STATEMENTS = 4_000
"""Compiled statements that an engine keeps: more than the house has."""

CONNECTIONS = 8
"""That are kept at one database: a server has 120 for everybody."""

_Kind = Callable[[str], Engine]
_free: dict[_Kind, list[Engine]] = {}
_kept: dict[str, list["Kept"]] = {}
"""By database that stands: connections to it that nobody uses, the latest last."""


class Kept(psycopg.Connection[Any]):
    """A connection that ``close`` only lays aside where the database stands: what it has prepared, and what its server
    process knows of tables and functions, serves the next test."""

    kind: _Kind | None = None

    def close(self) -> None:
        kept = _kept.get(self.info.dbname) if self.pgconn.status == ConnStatus.OK else None
        if kept is not None and self in kept:
            return
        if kept is None or len(kept) >= CONNECTIONS or not self._as_new():
            self.end()
        else:
            kept.append(self)

    def end(self) -> None:
        """It is closed for good."""
        kept = _kept.get(self.info.dbname, []) if not self.closed else []
        if self in kept:
            kept.remove(self)
        super().close()

    def _as_new(self) -> bool:
        try:
            if self.pgconn.transaction_status != TransactionStatus.IDLE:
                self.rollback()
            self.autocommit = True
            self.execute("reset all")
            self.autocommit = False
        except psycopg.Error:
            return False
        return True


def plain(url: str) -> Engine:
    """As SQLAlchemy makes them, with connections enough for a crowd of threads."""
    return create_engine(url, pool_size=20, max_overflow=40, query_cache_size=STATEMENTS)


def house(url: str) -> Engine:
    """As the house connects, timeouts and all."""
    return bootstrap.connect(url, pool_size=20, query_cache_size=STATEMENTS)


def administrator(url: str) -> Engine:
    """Each statement for itself, as making a database asks for."""
    return create_engine(url, isolation_level="AUTOCOMMIT")


def lend(url: str, kind: _Kind) -> Engine:
    """An engine of this kind on the database of ``url``, without connections. Give it back with ``take_back``."""
    if free := _free.get(kind):
        engine = free.pop()
        engine.url = make_url(url)
        return engine
    engine = kind(url)

    @event.listens_for(engine, "do_connect")
    def to_where_it_is_lent(_dialect: Any, _record: Any, _args: Any, parameters: dict[str, Any]) -> Kept:
        database = str(engine.url.database)
        if database not in _kept:
            parameters["dbname"] = database
            return None
        for place in reversed(range(len(kept := _kept[database]))):
            if kept[place].kind is kind:
                return kept.pop(place)
        options = f"{parameters.get('options', '')} -c plan_cache_mode=force_generic_plan"
        made = Kept.connect(**parameters | {"dbname": database, "options": options})
        made.kind, made.prepare_threshold, made.prepared_max = kind, 1, None
        return made

    engine._has_events = False  # that one is ours
    return engine


def take_back(engine: Engine, kind: _Kind) -> None:
    """Its connections are closed. An engine that a test listens to is not lent again; the house's own listeners, which
    only ask when it ends, go with the house that it was lent to."""
    engine.dispose()
    if any(getattr(engine.dispatch, name) for name in engine.dispatch._event_names if name != "engine_disposed"):
        return
    if engine.dispatch.engine_disposed:
        engine.dispatch.engine_disposed.clear()
    engine._has_events = False
    free = _free.setdefault(kind, [])
    if engine not in free:
        free.append(engine)


def keep_at(database: str) -> None:
    """From now on connections to this database are kept."""
    _kept.setdefault(database, [])


def kept_at(database: str) -> set[int]:
    """The server processes of the connections that are kept."""
    return {connection.info.backend_pid for connection in _kept.get(database, [])}


def forget(database: str) -> None:
    """The connections to this database are closed."""
    for connection in _kept.pop(database, []):
        connection.end()


@contextmanager
def lent(url: str, kind: _Kind = plain) -> Iterator[Engine]:
    """``lend`` and ``take_back`` around a block."""
    engine = lend(url, kind)
    try:
        yield engine
    finally:
        take_back(engine, kind)
