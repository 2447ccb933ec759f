"""Real servers for every test that asks: one PostgreSQL and one Valkey a run, a fresh database a test."""

import gc
import itertools
import os
import shutil
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from bot.runtime import embedded
from domain.shared.clock import FixedClock
from tests import engines, order, prepared, scratch, standing

if TYPE_CHECKING:
    from tests.fakes.frozen import Frozen

MORNING = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
"""Ten o'clock in Shanghai, a Friday: outside quiet hours."""

ALONE = ("max_parallel_workers_per_gather=0", "autovacuum=off")
"""Settings of the tests' server: tables that are empty and unknown look large, and four processes started to count them
took ten times as long. The house as a whole (e2e) runs with PostgreSQL's own settings."""

_numbers = itertools.count(1)

# Python would print what finalisers raise, such as the warning of a socket that was left open.
sys.unraisablehook = lambda _: None

# Where nobody configured logging, each logged exception would be painted with all local values, which takes seconds.
structlog.get_config()["processors"][-1].exception_formatter = structlog.dev.plain_traceback


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """While everything is imported nothing becomes garbage: looking for it again and again was a tenth of the work."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """After the shuffle."""
    order.longest_first(items)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the garbage collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


@pytest.fixture(scope="session")
def server_home() -> Iterator[Path]:
    """A directory for embedded servers, open to PostgreSQL's system user, gone afterwards."""
    home = scratch.directory("huitou-test-")
    yield home
    shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(embedded.postgres_socket_dir(home), ignore_errors=True)


@pytest.fixture(scope="session")
def prepared_home() -> Iterator[Path]:
    """See ``tests.prepared``: to be copied before a server is started."""
    with prepared.shared() as home:
        yield home


@pytest.fixture(scope="session")
def postgres(server_home: Path, prepared_home: Path) -> Iterator[embedded.Server]:
    """A running PostgreSQL whose database ``huitou`` is the migrated template of all test databases."""
    prepared.copy(prepared_home, server_home)
    server = embedded.start_postgres(server_home, settings=(*embedded.FAST_BUT_UNSAFE, *ALONE))
    yield server
    standing.drop_all(server)
    server.stop()


@pytest.fixture(scope="session")
def valkey_server(server_home: Path) -> Iterator[embedded.Server]:
    server = embedded.start_valkey(server_home)
    yield server
    server.stop()


@pytest.fixture
def valkey_url(valkey_server: embedded.Server) -> str:
    """An empty Valkey."""
    import redis

    client = redis.Redis.from_url(valkey_server.url)
    client.flushall()
    client.close()
    return valkey_server.url


@pytest.fixture
def database_url(postgres: embedded.Server) -> Iterator[str]:
    """A database as it is when it is new, with the schema at head; put back or dropped afterwards."""
    with standing.lent(postgres, "huitou") as url:
        yield url


@pytest.fixture
def own_database(postgres: embedded.Server) -> Iterator[str]:
    """As ``database_url``, for a test that copies it or closes connections for good: nobody had it, nobody gets it."""
    with fresh_database(postgres) as url:
        yield url


@contextmanager
def fresh_database(postgres: embedded.Server, template: str = "huitou") -> Iterator[str]:
    """What ``own_database`` gives, for tests that need many, or a copy of another one that nobody is using."""
    name = f"t{os.getpid()}_{next(_numbers)}"
    with standing.administrator(postgres) as db:
        db.execute(text(f"create database {name} template {template} strategy file_copy"))
    yield postgres.url.replace("/huitou?", f"/{name}?")
    with standing.administrator(postgres) as db:
        db.execute(text(f"drop database {name} with (force)"))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with engines.lent(database_url) as engine:
        yield engine


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session on a fresh database. The test commits when it wants others to see."""
    with Session(engine, expire_on_commit=False) as session:
        yield session


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(MORNING)


@pytest.fixture(scope="session")
def new_shop(postgres: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Frozen]":
    """A shop that has just been opened, whose workers have found nothing to do."""
    from tests.fakes.frozen import frozen
    from tests.fakes.shop import Shop

    with frozen(postgres, tmp_path_factory.mktemp("opened"), Shop.work) as shop:
        yield shop
