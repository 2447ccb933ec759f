"""When the shop's people answer: one typed document, assets/helpdesk.toml. Pure."""

import tomllib
from datetime import datetime, time, timedelta

import msgspec
from msgspec import Struct

from domain.shared.clock import SHANGHAI
from domain.shared.errors import DomainError
from domain.shared.records import record


class HelpdeskRules(Struct, frozen=True, forbid_unknown_fields=True):
    """``days``: Monday is 1. ``opens`` is before ``closes``, both in Shanghai. ``by_wechat``: people are handed over to
    the platform's own customer service instead (from the accounts file)."""

    opens: time = time(9)
    closes: time = time(21)
    days: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    answers_within_minutes: int = 30
    closes_after_hours: int = 48
    by_wechat: bool = False


@record
class Attendance:
    """Whether somebody is there, and from when on otherwise. ``opens``, ``closes`` as 09:00; ``daily``: every day."""

    there: bool
    next: datetime
    opens: str
    closes: str
    daily: bool
    minutes: int


def load(toml: str) -> HelpdeskRules:
    """Raises DomainError("helpdesk_rules", faults=[…])."""
    try:
        found = msgspec.convert(tomllib.loads(toml), HelpdeskRules, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise DomainError("helpdesk_rules", faults=[str(fault)]) from fault
    faults = []
    if found.opens >= found.closes:
        faults.append("opens before closes, on the same day")
    if not found.days or set(found.days) - set(range(1, 8)):
        faults.append("days: 1 (Monday) to 7, at least one")
    if not all(0 < number <= 720 for number in (found.answers_within_minutes, found.closes_after_hours)):
        faults.append("answers_within_minutes, closes_after_hours: 1 to 720")
    if faults:
        raise DomainError("helpdesk_rules", faults=faults)
    return found


def attendance(rules: HelpdeskRules, now: datetime) -> Attendance:
    """Whether somebody answers now, or when next."""
    local = now.astimezone(SHANGHAI)
    there = local.isoweekday() in rules.days and rules.opens <= local.time() < rules.closes
    days = (local.date() + timedelta(days=n) for n in range(8))
    starts = (datetime.combine(day, rules.opens, SHANGHAI) for day in days if day.isoweekday() in rules.days)
    opening = now if there else next(start for start in starts if start > local)
    return Attendance(there, opening, f"{rules.opens:%H:%M}", f"{rules.closes:%H:%M}", len(set(rules.days)) == 7,
                      rules.answers_within_minutes)
