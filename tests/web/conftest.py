"""A mall on a fresh database for tests that write, and one on a shared database for those that must not."""

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text

from bot.runtime import embedded
from domain.shared.clock import FixedClock
from tests.conftest import MORNING
from tests.web.mall import Mall


@pytest.fixture
def mall(engine: Engine, clock: FixedClock) -> Mall:
    return Mall.open(engine, clock)


@pytest.fixture(scope="session")
def untouched(postgres: embedded.Server) -> Iterator[Engine]:
    """One database for every test that stores nothing: making one each would take most of the time."""
    name = f"web{os.getpid()}"
    admin = create_engine(postgres.url.replace("/huitou?", "/postgres?"), isolation_level="AUTOCOMMIT")
    with admin.connect() as db:
        db.execute(text(f"create database {name} template huitou strategy file_copy"))
    engine = create_engine(postgres.url.replace("/huitou?", f"/{name}?"))
    yield engine
    engine.dispose()
    with admin.connect() as db:
        db.execute(text(f"drop database {name} with (force)"))
    admin.dispose()


@pytest.fixture
def closed(untouched: Engine) -> Iterator[Mall]:
    """A mall whose event door must not take anything in this test."""
    mall = Mall.open(untouched, FixedClock(MORNING))
    yield mall
    assert mall.rows() == 0 and mall.rings == []
