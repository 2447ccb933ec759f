"""Shares of a whole as people say them."""

import pytest

from domain.shared.amounts import find_fen, share


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


@pytest.mark.parametrize(("said", "fen"), [
    ("百分之150", None), ("百分之", None), ("百分之150块", None), ("五百分之一", None), ("百分之一百五十", None),
    ("百分之五的佣金，卖5000赚多少", 500_000), ("卖三百块，十分之一是多少", 30_000),
])
def test_the_numbers_of_a_share_are_no_amount(said: str, fen: int | None) -> None:
    assert find_fen(said) == fen
