"""A shop under watch: as for money, and its risk rules are looked after."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from domain.shared.clock import FixedClock
from tests.integration.risk.world import Watched


@pytest.fixture
def shop(engine: Engine, clock: FixedClock) -> Iterator[Watched]:
    """李姐 invited 小王, 小王 invited 新客. Whatever a test does, the books balance afterwards."""
    shop = Watched(engine, clock)
    shop.person("李姐")
    shop.person("小王", invited_by="李姐")
    shop.person("新客", invited_by="小王")
    yield shop
    shop.check()
