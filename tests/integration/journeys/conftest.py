"""A world for journeys on a fresh database."""

import pytest
from sqlalchemy import Engine

from domain.shared.clock import FixedClock
from tests.integration.journeys.world import World


@pytest.fixture
def world(engine: Engine, clock: FixedClock) -> World:
    return World(engine, clock)
