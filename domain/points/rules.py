"""How points are spent, taken back and earned by coming every day. Pure, integers only."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec

from domain.shared.errors import DomainError
from domain.shared.records import record


@dataclass(frozen=True, slots=True)
class Life:
    valid_days: int = 365
    warn_days: int = 7
    return_days: int = 14
    warn_from: int = 50
    """Fewer points than these, within ``warn_days``, are not worth a message."""


@dataclass(frozen=True, slots=True)
class CheckInRule:
    points: int = 1
    bonus_every: int = 7
    bonus_points: int = 5
    tokens_a_month: int = 1


@record
class PointRules:
    """assets/points.toml."""

    life: Life
    check_in: CheckInRule


def load(toml: str) -> PointRules:
    """Raises DomainError("points_invalid", faults=[…]) with every fault."""
    try:
        raw = tomllib.loads(toml)
        found = msgspec.convert(raw, PointRules, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise DomainError("points_invalid", faults=[str(fault)]) from fault
    known = {"life": set(Life.__slots__), "check_in": set(CheckInRule.__slots__)}
    faults = [f"unknown table {name}" for name in sorted(set(raw) - set(known))]
    faults += [f"{table}: unknown field {name}" for table, names in known.items()
               for name in sorted(set(raw.get(table, {})) - names)]
    life, rule = found.life, found.check_in
    if not 1 <= life.valid_days <= 3_650 or not 0 <= life.warn_days < life.valid_days or life.return_days < 1 or (
            life.warn_from < 1):
        faults.append("life: valid_days 1 to 3650, warn_days below it, return_days and warn_from at least 1")
    if min(rule.points, rule.bonus_points, rule.tokens_a_month) < 0 or rule.bonus_every < 2:
        faults.append("check_in: no number below 0, bonus_every at least 2")
    if faults:
        raise DomainError("points_invalid", faults=faults)
    return found


@record
class Lot:
    """What is left of points earned together. ``state``: pending or active."""

    id: int
    amount: int
    remaining: int
    reversed: int
    state: str
    expires_at: datetime


@record
class Take:
    """``points`` > 0 out of the lot ``lot_id``."""

    lot_id: int
    points: int


def soonest(lots: Sequence[Lot], points: int, first: int = 0) -> list[Take]:
    """Takes of up to ``points`` from active lots: the one with id ``first`` first, then what expires soonest."""
    takes = []
    for lot in sorted(lots, key=lambda lot: (lot.id != first, lot.expires_at, lot.id)):
        taken = min(points, lot.remaining) if lot.state == "active" else 0
        if taken:
            takes.append(Take(lot.id, taken))
            points -= taken
    return takes


@record
class Day:
    """An earlier check-in."""

    day: date
    streak: int
    bridged: bool


@record
class Visit:
    """Today's check-in: the row it continues or begins, and what it gives. ``bridged``: a token covered yesterday."""

    streak: int
    points: int
    bonus: int
    bridged: bool


def visit(earlier: Sequence[Day], today: date, rule: CheckInRule) -> Visit | None:
    """Today's check-in given those of the last two months, or None if today is done. Local dates.

    A day that was missed is bridged while the calendar month of that day has a token left; two days are not.
    """
    days = {one.day: one for one in earlier}
    if today in days:
        return None
    yesterday, before = today - timedelta(days=1), today - timedelta(days=2)
    streak, bridged = 1, False
    if yesterday in days:
        streak = days[yesterday].streak + 1
    elif before in days and _tokens_used(earlier, yesterday) < rule.tokens_a_month:
        streak, bridged = days[before].streak + 1, True
    bonus = rule.bonus_points if streak % rule.bonus_every == 0 else 0
    return Visit(streak, rule.points + bonus, bonus, bridged)


def _tokens_used(earlier: Sequence[Day], missed: date) -> int:
    """Tokens spent on days of the month of ``missed``; the day that a bridge covered is the one before it."""
    covered = [one.day - timedelta(days=1) for one in earlier if one.bridged]
    return sum((day.year, day.month) == (missed.year, missed.month) for day in covered)
