"""When a message may become a task of an employee, and what is done with a task that nobody confirms. Pure.

An employee is a person with a day of work: what they are asked to send is gathered, bounded and reminded of once. The
platform asks nobody but the employee, and lets a customer have so many mass messages a month (its page: as many as the
month has days; the shop allows fewer).
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta

from domain.shared.clock import SHANGHAI
from domain.shared.records import record

PREFIX = "mass."
"""Texts of the employees: ``mass.<key of the notice>`` in assets/copy. A notice without one never leaves this way."""

GATHER = timedelta(minutes=10)
"""Those with the same text who fall due within so long are one task."""
LEAST_LIFE = timedelta(hours=2)
"""A message that dies sooner is not worth an employee's tap."""
LONGEST_LIFE = timedelta(days=3)
REMIND_AFTER = timedelta(hours=4)
"""Or at half of a shorter life. Once."""
CHECK_EVERY = timedelta(minutes=2)
DOUBT = timedelta(minutes=5)
"""So long after a call whose answer was lost the list of tasks is believed when it does not show ours."""
MOST_OPEN = 20
"""Tasks that wait for one employee; beyond them nothing is added, or none would be read."""

NOT_FOR_STAFF, STAFF_CAP, STAFF_BUSY, TOO_SHORT = "not_for_staff", "staff_cap", "staff_busy", "too_short"
"""Why this way is closed: nobody wrote an employee's words for it · the month is used up · the employee has too many to
send · it would be over before anybody looks."""
WAITS_FOR_STAFF = "waits_for_staff"
"""Reason of a notice that is in a task."""
DID_NOT_SEND, NOT_FRIEND = "staff_did_not_send", "not_friend"


@record
class StaffWay:
    """The shop's side: ``monthly``: WeCom account -> messages of employees that a person may get in a calendar month,
    accounts that do not use this way are missing; ``keys``: the notices that have an employee's words."""

    monthly: Mapping[str, int] = field(default_factory=dict)
    keys: frozenset[str] = frozenset()


def objection(way: StaffWay, key: str, monthly: int, had: int, expires_at: datetime | None, now: datetime) -> str:
    """Why a notice may not become a task of an employee who has the person; '' when it may."""
    if key not in way.keys:
        return NOT_FOR_STAFF
    if had >= monthly:
        return STAFF_CAP
    if expires_at is not None and expires_at - now < LEAST_LIFE:
        return TOO_SHORT
    return ""


def life(expires_at: datetime | None, now: datetime) -> datetime:
    """Until when an employee may confirm a message that is worth sending until ``expires_at``."""
    longest = now + LONGEST_LIFE
    return longest if expires_at is None else min(expires_at, longest)


def remind_at(asked_at: datetime, expires_at: datetime) -> datetime:
    return asked_at + min(REMIND_AFTER, (expires_at - asked_at) / 2)


def month_begins(now: datetime) -> datetime:
    """The first moment of the calendar month where the shop is: how the platform counts."""
    return now.astimezone(SHANGHAI).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
