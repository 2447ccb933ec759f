"""A shop under watch: as for money, and its risk rules are looked after."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from bot.runtime import embedded
from domain.shared.clock import FixedClock
from tests import standing
from tests.integration.money.founded import Founded, founding, template
from tests.integration.risk.world import Watched


@pytest.fixture(scope="session")
def founded(postgres: embedded.Server) -> Iterator[Founded]:
    with founding(postgres) as founded:
        yield founded


@pytest.fixture
def database_url(request: pytest.FixtureRequest, postgres: embedded.Server) -> Iterator[str]:
    """As everywhere, but for a test of ``shop``: with the shop in it."""
    with standing.lent(postgres, template(request)) as url:
        yield url


@pytest.fixture
def shop(founded: Founded, engine: Engine, clock: FixedClock) -> Iterator[Watched]:
    """李姐 invited 小王, 小王 invited 新客. Whatever a test does, the books balance afterwards."""
    shop = Watched(engine, clock, plan="", people=dict(founded.people))
    yield shop
    shop.check()
