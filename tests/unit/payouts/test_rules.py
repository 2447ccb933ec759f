"""How a sum becomes bills, and what is called next."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.payouts import rules
from domain.shared.errors import DomainError

MINUTE = timedelta(minutes=1)


@given(st.integers(10, 5_000_000), st.integers(1, 10), st.integers(20, 50_000))
def test_bills_are_the_sum_and_within_limits(net: int, smallest: int, largest: int) -> None:
    bills = rules.split(net, smallest, largest)
    assert sum(bills) == net
    assert all(smallest <= bill <= largest for bill in bills)
    assert len(bills) == -(-net // largest)


def test_too_small_for_a_bill() -> None:
    assert rules.split(20_005, 10, 20_000) == [19_995, 10]
    with pytest.raises(DomainError, match="too_small"):
        rules.split(9, 10, 20_000)


@pytest.mark.parametrize(("state", "age", "cancel", "act", "pause"), [
    ("WAIT_USER_CONFIRM", 0, False, "query", 1), ("WAIT_USER_CONFIRM", 1, False, "query", 2),
    ("WAIT_USER_CONFIRM", 4, False, "query", 6), ("WAIT_USER_CONFIRM", 10, False, "query", 20),
    ("WAIT_USER_CONFIRM", 90, False, "query", 60), ("WAIT_USER_CONFIRM", 24 * 60 + 30, False, "cancel", 0),
    ("WAIT_USER_CONFIRM", 0, True, "cancel", 0), ("TRANSFERING", 0, True, "query", 1),
    ("ACCEPTED", 0, False, "query", 1), ("PROCESSING", 4, False, "transfer", 6),
    ("PROCESSING", 60, False, "transfer", 60),
    ("CANCELING", 3, True, "query", 7),
])
def test_what_is_called_next(state: str, age: int, cancel: bool, act: str, pause: int) -> None:
    assert rules.after(state, age * MINUTE, cancel=cancel, confirm_hours=24) == (act, pause * MINUTE)


@pytest.mark.parametrize(("states", "reasons", "cancelled", "end"), [
    (["SUCCESS", "SUCCESS"], ["", ""], False, "paid"), (["SUCCESS", "FAIL"], ["", "X"], False, "partly_paid"),
    (["SUCCESS", "dropped"], ["", ""], True, "partly_paid"), (["FAIL"], ["X"], False, "failed"),
    (["FAIL", "FAIL"], ["X", "OVERDUE_CLOSE"], False, "expired"), (["CANCELLED"], [""], True, "cancelled"),
    (["SUCCESS", "TRANSFERING"], ["", ""], False, None), (["made"], [""], True, None),
])
def test_what_became_of_it(states: list[str], reasons: list[str], cancelled: bool, end: str | None) -> None:
    assert rules.ended(states, reasons, cancelled) == end
