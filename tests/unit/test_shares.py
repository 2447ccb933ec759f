"""Shares of a whole as people say them."""

import pytest

from domain.shared.amounts import share


@pytest.mark.parametrize(("said", "part"), [
    ("一半", (1, 2)), ("一半吧", (1, 2)), ("半", (1, 2)), ("二分之一", (1, 2)), ("三分之二", (2, 3)),
    ("十分之三", (3, 10)), ("百分之五十", (50, 100)), ("百分之五", (5, 100)), ("百分之80", (80, 100)),
    ("百分之百", (100, 100)), ("百分之二十五", (25, 100)),
])
def test_a_share_is_read(said: str, part: tuple[int, int]) -> None:
    assert share(said) == part


@pytest.mark.parametrize("said", [
    "", "一", "100", "50%", "半斤", "一半路", "三分之四", "百分之0", "百分之二百", "三分之一的人", "分之一",
])
def test_what_is_no_share_is_none(said: str) -> None:
    assert share(said) is None
