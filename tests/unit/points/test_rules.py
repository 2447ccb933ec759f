"""Streaks over months, tokens, and which lot pays."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from domain.points.rules import CheckInRule, Day, Lot, Take, load, soonest, visit
from domain.shared.errors import DomainError

RULE = CheckInRule(points=1, bonus_every=7, bonus_points=5, tokens_a_month=1)
SHIPPED = (Path(__file__).parents[3] / "assets" / "points.toml").read_text("utf-8")


def lived(start: date, came: str) -> list[Day]:
    """A life of days: x came, . missed."""
    days: list[Day] = []
    for n, sign in enumerate(came):
        today = start + timedelta(days=n)
        if sign == "x":
            found = visit(days, today, RULE)
            assert found is not None
            days.append(Day(today, found.streak, found.bridged))
    return days


@pytest.mark.parametrize(("came", "streaks"), [
    ("xxx", [1, 2, 3]), ("xx.x", [1, 2, 3]), ("xx..x", [1, 2, 1]),
    ("x.x.x", [1, 2, 1]), ("x.xxxxx", [1, 2, 3, 4, 5, 6]),
])
def test_a_token_bridges_one_day_a_month(came: str, streaks: list[int]) -> None:
    assert [day.streak for day in lived(date(2026, 11, 2), came)] == streaks


def test_each_month_has_its_own_token() -> None:
    days = lived(date(2026, 11, 28), "x.xx.x")  # 29 November and 2 December are missed
    assert [day.streak for day in days] == [1, 2, 3, 4]
    assert [day.bridged for day in days] == [False, True, False, True]


def test_a_token_is_of_the_month_of_the_missed_day() -> None:
    days = lived(date(2026, 11, 26), "x.xxx.x")  # 27 November, then 1 December
    assert days[-1].bridged
    assert days[-1].streak == 6 - 1


def test_every_seventh_day_pays_more_and_today_counts_once() -> None:
    days = lived(date(2026, 11, 2), "xxxxxx")
    seventh = visit(days, date(2026, 11, 8), RULE)
    assert seventh is not None
    assert (seventh.streak, seventh.points, seventh.bonus) == (7, 6, 5)
    assert visit(days, date(2026, 11, 7), RULE) is None


def lot(n: int, remaining: int, days: int, state: str = "active") -> Lot:
    return Lot(n, 100, remaining, 0, state, datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=days))


def test_what_expires_soonest_pays_first() -> None:
    lots = [lot(1, 10, 9), lot(2, 5, 3), lot(3, 50, 3, "pending"), lot(4, 5, 3)]
    assert soonest(lots, 12) == [Take(2, 5), Take(4, 5), Take(1, 2)]
    assert soonest(lots, 12, first=1) == [Take(1, 10), Take(2, 2)]
    assert soonest(lots, 99) == [Take(2, 5), Take(4, 5), Take(1, 10)]
    assert soonest([], 5) == []


@pytest.mark.parametrize(("old", "new"), [
    ("valid_days = 365", "valid_days = 0"), ("warn_days = 7", "warn_days = 400"),
    ("bonus_every = 7", "bonus_every = 1"),
    ("points = 1 ", "points = -1 "), ("tokens_a_month", "tokens"),
    ("[life]", "[live]"), ("points = 1 ", "points = 1.5 "),
])
def test_faults_are_refused(old: str, new: str) -> None:
    assert old in SHIPPED
    with pytest.raises(DomainError, match="points_invalid"):
        load(SHIPPED.replace(old, new, 1))
