"""Dialogue tests: a shop with people in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.shared.clock import FixedClock
from tests.fakes.frozen import Frozen
from tests.fakes.shop import Shop


@pytest.fixture
def drawn() -> None:
    """Asked for by tests that look at pictures: the shop draws them in full."""


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with new_shop.shop(tmp_path, clock, drawn="drawn" in request.fixturenames) as shop:
        yield shop
