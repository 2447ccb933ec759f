"""Dialogue tests: a shop with people in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.shared.clock import FixedClock
from tests.fakes.frozen import Frozen
from tests.fakes.shop import Shop


@pytest.fixture
def shop(tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with new_shop.shop(tmp_path, clock) as shop:
        yield shop
