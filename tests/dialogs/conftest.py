"""Dialogue tests: a shop with people in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.shared.clock import FixedClock
from tests.fakes.shop import Shop


@pytest.fixture
def shop(tmp_path: Path, database_url: str, clock: FixedClock) -> Iterator[Shop]:
    shop = Shop.open(tmp_path, database_url, clock)
    yield shop
    shop.close()
