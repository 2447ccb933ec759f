"""Why somebody hears something or not: the policy's answer now, the ways that are open, and what became of notices."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from domain.journeys.ways import Platform
from domain.notices import queries, service
from domain.notices.departures import Leaving
from domain.notices.rules import Policy, Purpose, judge
from domain.people import queries as people
from domain.platform import service as platform
from domain.shared.records import record
from domain.stafftasks import queries as stafftasks
from domain.stafftasks.queries import TaskView
from domain.stafftasks.rules import StaffWay
from domain.subscriptions import queries as subscriptions
from domain.subscriptions.rules import BY_STAFF, Catalogue

UNASKED: tuple[Purpose, ...] = ("money", "service", "marketing")
"""Purposes of notices that nobody waits for."""


@record
class Now:
    """What a notice without an expiry would be told now, with the facts behind it; ``at``: until when it is held."""

    what: Literal["send", "hold", "refuse"]
    reason: str
    at: datetime | None
    because: str


@record
class Ways:
    """By one account that the person follows: customer messages left in open windows, notices they allowed (by name of
    the template), and templates that need no permission."""

    window: int
    allowed: dict[str, int]
    templates: list[str]


@record
class ByStaff:
    """The way through an employee: who has the person, messages of employees they had this month, of how many, and the
    tasks that hold something for them."""

    account: str
    userid: str
    had: int
    monthly: int
    tasks: list[TaskView]


@record
class Explained:
    """``now`` by purpose, ``ways`` by account, the newest notices first, every word on consent. ``staff`` None: no
    employee has the person, or the shop does not use this way."""

    now: dict[str, Now]
    ways: dict[str, Ways]
    notices: list[queries.Told]
    consent: list[dict[str, Any]]
    staff: ByStaff | None = None


def explain(session: Session, person_id: int, policy: Policy, outside: Platform, now: datetime,
            limit: int, staff_way: StaffWay) -> Explained:
    """Everything about one person; ``limit``: so many of their notices."""
    openids = {name: openid for name, app_id in outside.app_ids.items()
               if (openid := people.openid_of(session, person_id, app_id))}
    staff = _staff(session, person_id, staff_way, now)
    answers: dict[str, Now] = {}
    for purpose in UNASKED:
        reachable = bool(openids) or (staff is not None and purpose in BY_STAFF)
        facts = service.facts(session, Leaving(0, person_id, purpose, None, reachable), policy, now)
        verdict = judge(facts, policy)
        answers[purpose] = Now(verdict.what, verdict.reason, verdict.at, service.because(facts, policy))
    ways = {name: _ways(session, name, openid, outside.catalogue, now) for name, openid in openids.items()}
    return Explained(answers, ways, queries.told(session, person_id, limit), queries.words(session, person_id), staff)


def _staff(session: Session, person_id: int, way: StaffWay, now: datetime) -> ByStaff | None:
    employee = stafftasks.employee_of(session, person_id, list(way.monthly)) if way.monthly else None
    if employee is None:
        return None
    return ByStaff(employee.account, employee.userid, stafftasks.had(session, person_id, now),
                   way.monthly[employee.account], stafftasks.of_person(session, person_id))


def _ways(session: Session, account: str, openid: str, catalogue: Catalogue, now: datetime) -> Ways:
    names = {one: name for name, one in catalogue.known(account, "subscription").items()}
    banked = subscriptions.banked(session, account, openid)
    return Ways(platform.left(session, account, openid, now).total,
                {names.get(one, one): number for one, number in banked.items()},
                sorted(catalogue.known(account, "template")))
