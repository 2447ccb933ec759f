"""A world for journeys on a fresh database, and a whole shop where orders are needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from domain.shared.clock import FixedClock
from tests.fakes.frozen import Frozen
from tests.fakes.shop import Shop
from tests.integration.journeys.world import World


@pytest.fixture
def world(engine: Engine, clock: FixedClock) -> Iterator[World]:
    """Whatever a test did to people inside: who is open or held has one due time, and nobody else has."""
    world = World(engine, clock)
    yield world
    assert world.due() == world.rows("select journey_id, due_at, id from enrolment where state in ('open', 'held')"
                                     " order by journey_id, due_at, id")


@pytest.fixture
def shop(tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with new_shop.shop(tmp_path, clock) as shop:
        yield shop
