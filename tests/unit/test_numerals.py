"""Numbers of lists, as people choose them."""

import pytest

from domain.shared.numerals import choice, number


@pytest.mark.parametrize(("said", "meant"), [
    ("2", 2), ("２", 2), ("二", 2), ("两", 2), ("十二", 12), ("二十", 20), ("第二个", 2), ("第2个", 2), ("第 3 款", 3),
    ("2号", 2), ("选三", 3), ("选择 2", 2), ("#4", 4), ("2。", 2), ("第十项！", 10), ("9999", 9999), ("0", 0),
])
def test_a_choice_is_read(said: str, meant: int) -> None:
    assert choice(said) == meant


@pytest.mark.parametrize("said", [
    "", "两个", "三张", "一下", "2个", "12345", "1.5", "-1", "第", "十十", "二三", "第二个人",
    "牛奶", "RICE-5", "第五元素",
])
def test_a_quantity_or_a_name_is_none(said: str) -> None:
    assert choice(said) is None


def test_what_is_no_number() -> None:
    assert [number(said) for said in ("", "十十", "一二", "百", "99999")] == [None] * 5
