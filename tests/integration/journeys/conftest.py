"""A world for journeys on a fresh database, and a whole shop where orders are needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from domain.shared.clock import FixedClock
from tests.fakes.shop import Shop
from tests.integration.journeys.world import World


@pytest.fixture
def world(engine: Engine, clock: FixedClock) -> World:
    return World(engine, clock)


@pytest.fixture
def shop(tmp_path: Path, database_url: str, clock: FixedClock) -> Iterator[Shop]:
    shop = Shop.open(tmp_path, database_url, clock)
    yield shop
    shop.close()
