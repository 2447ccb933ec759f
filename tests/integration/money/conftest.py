"""A shop on a fresh database: 李姐 invited 小王, 小王 invited 新客."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from domain.shared.clock import FixedClock
from tests.integration.money.world import Shop


@pytest.fixture
def shop(engine: Engine, clock: FixedClock) -> Iterator[Shop]:
    """Whatever a test does, the books balance afterwards."""
    shop = Shop(engine, clock)
    shop.person("李姐")
    shop.person("小王", invited_by="李姐")
    shop.person("新客", invited_by="小王")
    yield shop
    shop.check()
