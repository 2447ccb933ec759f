"""ID numbers are starred wherever they stand, and nothing else is touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.runtime.discretion import hide_numbers

NUMBER, STARRED = "11010519491231002X", "1101**********002X"


@pytest.mark.parametrize("before", range(70))
def test_an_id_number_is_starred_wherever_it_stands(before: int) -> None:
    around = "他" * before
    assert hide_numbers(f"{around}{NUMBER}") == f"{around}{STARRED}"
    assert hide_numbers(f"{around}{NUMBER}，谢谢") == f"{around}{STARRED}，谢谢"
    assert hide_numbers(f"{around}{NUMBER[:-1]}3 {NUMBER}") == f"{around}1101**********0023 {STARRED}"


@given(st.text(alphabet="1X0x9 ¥.佣", max_size=60))
def test_it_is_starred_in_any_company(around: str) -> None:
    assert STARRED in hide_numbers(f"{around} {NUMBER} {around}")


@pytest.mark.parametrize("text", [
    "", "7", "¥7.92", "1" * 17, "1" * 19, f"a{NUMBER}", f"{NUMBER}0", "01010519491231002X", "1101051949123100２X",
    "20261122 163018 20261122 163018", "💰 我的佣金\n可提现 ¥0.00\n待结算 ¥7.92",
])
def test_what_is_no_id_number_stays(text: str) -> None:
    assert hide_numbers(text) == text
