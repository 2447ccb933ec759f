"""Dialogue tests: a shop with people in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.shared.clock import FixedClock
from tests.fakes.corp import Corp
from tests.fakes.frozen import Frozen
from tests.fakes.shop import Shop
from tests.fakes.wecom_api import WeComApi


@pytest.fixture
def drawn() -> None:
    """Asked for by tests that look at pictures: the shop draws them in full."""


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with new_shop.shop(tmp_path, clock, drawn="drawn" in request.fixturenames) as shop:
        yield shop


@pytest.fixture
def corp(tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Corp]:
    """A shop whose employees are in WeCom."""
    with WeComApi("wwde300000000000d1", "", ["seller01", "seller02"]) as api, \
            new_shop.shop(tmp_path, clock, wecom=api.base) as shop:
        api.secret = shop.runtime.settings.wecom["main"].secret.reveal()
        yield Corp(shop, api)
