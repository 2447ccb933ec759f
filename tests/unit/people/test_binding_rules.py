"""What a touch does to whom somebody belongs: every mode, every moment, every order of arrival."""

from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.referrals.rules import BindingPolicy, Edge, End, Mode, Touch, break_cycle, decide, renewed
from tests.conftest import MORNING

NEW, LI, WANG = 1, 2, 3


def day(n: float) -> datetime:
    return MORNING + timedelta(days=n)


def touch(sharer: int, at: float) -> Touch:
    return Touch(NEW, day(at), "scan", sharer_id=sharer)


def edge(referrer: int, at: float, until: float | None, ended: float | None = None, reason: str = "") -> Edge:
    return Edge(NEW, referrer, "scan", day(at), None if until is None else day(until), day(at + 15),
                None if ended is None else day(ended), reason, id=7)


@pytest.mark.parametrize(("mode", "at", "kind", "ends"), [
    ("first_touch", 0, "kept", []), ("first_touch", 14.9, "kept", []), ("first_touch", 29.999, "kept", []),
    ("first_touch", 30, "bound", [("expired", 30)]), ("first_touch", 99, "bound", [("expired", 30)]),
    ("last_touch", 14.999, "kept", []), ("last_touch", 15, "taken_over", [("taken_over", 15)]),
    ("last_touch", 30, "bound", [("expired", 30)]),
    ("permanent", 29, "kept", []), ("permanent", 31, "bound", [("expired", 30)]),
])
def test_another_sharer(mode: Mode, at: float, kind: str, ends: list[tuple[str, float]]) -> None:
    decision = decide(touch(WANG, at), [edge(LI, 0, 30)], BindingPolicy(mode))
    assert decision.outcome.kind == kind
    assert decision.ends == tuple(End(7, day(when), reason) for reason, when in ends)
    assert decision.outcome.referrer_id == (LI if kind == "kept" else WANG)


def test_permanent_never_ends() -> None:
    policy = BindingPolicy("permanent")
    first = decide(touch(LI, 0), [], policy)
    assert first.start is not None and first.start.valid_until is None
    assert decide(touch(WANG, 9999), [edge(LI, 0, None)], policy).outcome.kind == "kept"
    later = decide(touch(WANG, 9999), [edge(LI, 0, None)], BindingPolicy("last_touch"))
    assert later.outcome.kind == "kept", "a binding that was promised for ever stays so when the shop changes its mode"


def test_own_code_and_repeated_touches_bind_nobody() -> None:
    policy = BindingPolicy("last_touch")
    assert decide(touch(NEW, 0), [], policy).outcome.kind == "self"
    again = decide(touch(LI, 20), [edge(LI, 0, 30)], policy)
    assert (again.outcome.kind, again.start, again.ends) == ("kept", None, ())


def test_a_late_touch_fills_only_the_time_before_the_newer_binding() -> None:
    decision = decide(touch(WANG, 5), [edge(LI, 10, 40)], BindingPolicy())
    assert decision.start is not None and decision.ends == ()
    assert (decision.outcome.kind, decision.start.ended_at, decision.outcome.until) == ("late", day(10), day(10))
    inside_history = decide(touch(WANG, 5), [edge(LI, 0, 30, 30, "expired"), edge(NEW + 9, 30, 60)], BindingPolicy())
    assert (inside_history.outcome.kind, inside_history.outcome.referrer_id) == ("kept", LI)


def test_a_cycle_is_broken_only_where_bindings_have_expired() -> None:
    start = Edge(1, 3, "scan", day(40), day(70), day(55))

    def up(lower: int, upper: int, until: float, row: int) -> Edge:
        return Edge(lower, upper, "scan", day(0), day(until), day(15), id=row)

    assert break_cycle(start, {3: up(3, 2, 90, 32), 2: up(2, 1, 90, 21)}) is None
    assert break_cycle(start, {3: up(3, 2, 90, 32), 2: up(2, 1, 30, 21)}) == (End(21, day(30), "expired"),)
    assert break_cycle(start, {3: up(3, 2, 90, 32), 2: up(2, 9, 90, 29)}) == ()
    assert break_cycle(start, {}) == ()


@given(st.lists(st.integers(0, 120), max_size=8))
def test_purchases_renew_the_same_whatever_order_they_become_known(days: list[int]) -> None:
    policy, first = BindingPolicy(), day(30)
    whole = renewed(first, [day(d) for d in days], policy)
    by_hand = 30
    for d in sorted(days):
        if d < by_hand:
            by_hand = max(by_hand, d + 30)
    assert whole == day(by_hand)
    for order in list(permutations(days[:4]))[:6]:
        assert renewed(first, [day(d) for d in [*order, *days[4:]]], policy) == whole
