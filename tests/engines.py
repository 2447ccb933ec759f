"""Engines that outlive a test: a quarter of a dialogue test went into compiling statements that the one before had
compiled already. An engine is lent to one test at a time, and leads to that test's database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url

from bot.runtime import bootstrap

STATEMENTS = 4_000
"""Compiled statements that an engine keeps: more than the house has."""

_free: dict[Callable[[str], Engine], list[Engine]] = {}


def plain(url: str) -> Engine:
    """As SQLAlchemy makes them, with connections enough for a crowd of threads."""
    return create_engine(url, pool_size=20, max_overflow=40, query_cache_size=STATEMENTS)


def house(url: str) -> Engine:
    """As the house connects, timeouts and all."""
    return bootstrap.connect(url, pool_size=20, query_cache_size=STATEMENTS)


def administrator(url: str) -> Engine:
    """Each statement for itself, as making a database asks for."""
    return create_engine(url, isolation_level="AUTOCOMMIT")


def lend(url: str, kind: Callable[[str], Engine]) -> Engine:
    """An engine of this kind on the database of ``url``, without connections. Give it back with ``take_back``."""
    if kept := _free.get(kind):
        engine = kept.pop()
        engine.url = make_url(url)
        return engine
    engine = kind(url)

    @event.listens_for(engine, "do_connect")
    def to_where_it_is_lent(_dialect: Any, _record: Any, _args: Any, parameters: dict[str, Any]) -> None:
        parameters["dbname"] = engine.url.database

    return engine


def take_back(engine: Engine, kind: Callable[[str], Engine]) -> None:
    """Its connections are closed; an engine that a test listens to is not lent again."""
    engine.dispose()
    kept = _free.setdefault(kind, [])
    if not engine._has_events and engine not in kept:
        kept.append(engine)


@contextmanager
def lent(url: str, kind: Callable[[str], Engine] = plain) -> Iterator[Engine]:
    """``lend`` and ``take_back`` around a block."""
    engine = lend(url, kind)
    try:
        yield engine
    finally:
        take_back(engine, kind)
