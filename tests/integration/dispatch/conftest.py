"""A dispatcher on a real database, fed with neutral messages."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.kit.messages import Incoming
from domain.shared.clock import FixedClock
from tests.fakes.frozen import Frozen
from tests.fakes.shop import ACCOUNT, Shop


@pytest.fixture
def shop(tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with new_shop.shop(tmp_path, clock) as shop:
        yield shop


@pytest.fixture
def message(clock: FixedClock) -> Callable[..., Incoming]:
    numbers = itertools.count(1)

    def make(text: str = "佣金", sender: str = "oLi", key: str = "") -> Incoming:
        return Incoming("wechat", ACCOUNT, sender, "text", key or f"msg:{next(numbers)}", clock.now(), text)

    return make
