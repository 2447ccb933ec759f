"""Why somebody hears something or not: the policy's answer now, the ways that are open, and what became of notices."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from domain.journeys.ways import Platform
from domain.notices import queries, service
from domain.notices.departures import Leaving
from domain.notices.rules import Policy, Purpose, judge
from domain.people import queries as people
from domain.platform import service as platform
from domain.subscriptions import queries as subscriptions
from domain.subscriptions.rules import Catalogue

UNASKED: tuple[Purpose, ...] = ("money", "service", "marketing")
"""Purposes of notices that nobody waits for."""


@dataclass(frozen=True, slots=True)
class Now:
    """What a notice without an expiry would be told now, with the facts behind it; ``at``: until when it is held."""

    what: Literal["send", "hold", "refuse"]
    reason: str
    at: datetime | None
    because: str


@dataclass(frozen=True, slots=True)
class Ways:
    """By one account that the person follows: customer messages left in open windows, notices they allowed (by name of
    the template), and templates that need no permission."""

    window: int
    allowed: dict[str, int]
    templates: list[str]


@dataclass(frozen=True, slots=True)
class Explained:
    """``now`` by purpose, ``ways`` by account, the newest notices first, every word on consent."""

    now: dict[str, Now]
    ways: dict[str, Ways]
    notices: list[queries.Told]
    consent: list[dict[str, Any]]


def explain(session: Session, person_id: int, policy: Policy, outside: Platform, now: datetime,
            limit: int) -> Explained:
    """Everything about one person; ``limit``: so many of their notices."""
    openids = {name: openid for name, app_id in outside.app_ids.items()
               if (openid := people.openid_of(session, person_id, app_id))}
    answers: dict[str, Now] = {}
    for purpose in UNASKED:
        facts = service.facts(session, Leaving(0, person_id, purpose, None, bool(openids)), policy, now)
        verdict = judge(facts, policy)
        answers[purpose] = Now(verdict.what, verdict.reason, verdict.at, service.because(facts, policy))
    ways = {name: _ways(session, name, openid, outside.catalogue, now) for name, openid in openids.items()}
    return Explained(answers, ways, queries.told(session, person_id, limit), queries.words(session, person_id))


def _ways(session: Session, account: str, openid: str, catalogue: Catalogue, now: datetime) -> Ways:
    names = {one: name for name, one in catalogue.known(account, "subscription").items()}
    banked = subscriptions.banked(session, account, openid)
    return Ways(platform.left(session, account, openid, now).total,
                {names.get(one, one): number for one, number in banked.items()},
                sorted(catalogue.known(account, "template")))
