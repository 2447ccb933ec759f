"""Publishing plans and finding the one that counts; granting personal boosts.

Deals are struck by rules.py and stored by the workflows.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import SYSTEM
from domain.commissions import plans
from domain.commissions.limits import allowed_levels, limits, refuse_beyond
from domain.commissions.models import CommissionBoost, CommissionPlan
from domain.commissions.plans import Plan
from domain.shared.errors import DomainError
from domain.shared.money import BPS
from domain.shared.records import record

__all__ = [
    "PlanBook", "allowed_levels", "boosts_at", "end_boost", "ensure_plan", "grant_boost", "limits", "live_plan",
    "lock_versions", "move", "newest", "plan_book", "plan_count", "plans_told", "publish",
]

_PARSED: dict[tuple[str, int], Plan] = {}
"""Plans never change, so a process parses each once: by digest and version."""

_TOLD: dict[bytes, "PlanBook"] = {}
"""The last book that ``plans_told`` made, by what was told."""


@record
class PlanBook:
    """The published versions, oldest first, with the moment each went live."""

    versions: tuple[tuple[datetime, Plan], ...]

    def at(self, moment: datetime) -> Plan:
        """The plan live at ``moment``; before the first went live, the first. Raises DomainError("no_plan")."""
        if not self.versions:
            raise DomainError("no_plan")
        for since, plan in reversed(self.versions):
            if since <= moment:
                return plan
        return self.versions[0][1]

    def of(self, version: int) -> Plan:
        """A published plan by version."""
        return next(plan for _, plan in self.versions if plan.version == version)


def ensure_plan(session: Session, document: Mapping[str, Any] | Plan, now: datetime, actor: str = "") -> Plan:
    """What a shop starts with: publish a plan as the next version, live from ``now``, unless it is what the newest
    version says already. Later versions go through drafts and a second person (workflows/publishing.py).

    Raises DomainError("plan_invalid", faults=[…]) for a plan that is malformed or whose worst case breaks its cap,
    DomainError("levels_not_allowed" | "team_not_allowed") for one that pays further down than the shop allows.
    """
    checked = plans.parse(document.document() if isinstance(document, Plan) else dict(document))
    last = lock_versions(session)
    if last is not None and last.digest == checked.digest():
        return replace(checked, version=last.version)
    plan = publish(session, checked, now, now, actor)
    if last is not None:
        audit.record(session, SYSTEM, "plan.ensure", f"plan:{plan.version}", {"digest": plan.digest()}, now)
    return plan


def lock_versions(session: Session) -> CommissionPlan | None:
    """The newest version, while nobody else publishes until the end of the transaction."""
    session.execute(text("select pg_advisory_xact_lock(hashtext('commission_plan'))"))
    return newest(session)


def newest(session: Session) -> CommissionPlan | None:
    """The version that was published last, live already or not."""
    return session.scalars(select(CommissionPlan).order_by(CommissionPlan.version.desc()).limit(1)).first()


def publish(
    session: Session, plan: Plan, live_from: datetime, now: datetime, actor: str, *, approval_id: int | None = None,
    reverts: int | None = None
) -> Plan:
    """Store a checked plan as the next version, live from ``live_from`` (not before ``now``); call it while holding
    ``lock_versions``. Raises DomainError("levels_not_allowed" | "team_not_allowed")."""
    refuse_beyond(session, plan)
    version = (session.scalar(select(func.max(CommissionPlan.version))) or 0) + 1
    session.add(CommissionPlan(
        version=version, name=plan.name, document=plan.document(), digest=plan.digest(), live_from=live_from,
        actor=actor, published_at=now, approval_id=approval_id, reverts=reverts,
    ))
    session.flush()
    return replace(plan, version=version)


def live_plan(session: Session, at: datetime) -> Plan:
    """The plan that counted at ``at``. Raises DomainError("no_plan") when none was ever published."""
    known = session.execute(
        select(CommissionPlan.version, CommissionPlan.live_from, CommissionPlan.digest).order_by(CommissionPlan.version)
    )
    return plan_book(session, [(version, since, digest) for version, since, digest in known]).at(at)


def plan_book(session: Session, known: Sequence[tuple[int, datetime, str]]) -> PlanBook:
    """The plans named by (version, live_from, digest); documents are read only when this process has not seen them."""
    missing = [version for version, _, digest in known if (digest, version) not in _PARSED]
    if missing:
        for version, digest, document in _documents(session, missing):
            _PARSED[(digest, version)] = plans.stored(document, version)
    return PlanBook(tuple([(since, _PARSED[digest, version]) for version, since, digest in known]))


class _Named(msgspec.Struct):
    version: int
    live_from: datetime
    digest: str


_named = msgspec.json.Decoder(list[_Named]).decode


def plans_told(session: Session, told: bytes) -> PlanBook:
    """As ``plan_book``, of what the database tells as JSON ([{version, live_from, digest}]): the same for weeks."""
    book = _TOLD.get(told)
    if book is None:
        book = plan_book(session, [(one.version, one.live_from, one.digest) for one in _named(told)])
        _TOLD.clear()
        _TOLD[told] = book
    return book


def _documents(session: Session, versions: Sequence[int]) -> list[tuple[int, str, dict[str, Any]]]:
    wanted = select(CommissionPlan.version, CommissionPlan.digest, CommissionPlan.document)
    rows = session.execute(wanted.where(CommissionPlan.version.in_(versions)))
    return [(version, digest, document) for version, digest, document in rows]


def plan_count(session: Session) -> int:
    """How many versions were ever published."""
    return session.execute(select(func.count()).select_from(CommissionPlan)).scalar_one()


def grant_boost(
    session: Session, person_id: int, bps: int, starts_at: datetime, ends_at: datetime, cause: str, now: datetime
) -> bool:
    """Multiply a person's rates by ``bps`` (12 000 = x1.2) for orders paid from ``starts_at`` until before ``ends_at``.

    Once for each ``cause`` (``seed:2026-11``): False when it was granted before, whatever it said then. Several boosts
    do not add up, the highest counts; the plan limits what counts at all. Deals that are struck already stay.
    Raises DomainError("boost_invalid") unless 10 000 < bps <= 100 000, the times ascend and there is a cause.
    """
    if not BPS < bps <= 10 * BPS or ends_at <= starts_at or not cause:
        raise DomainError("boost_invalid", bps=bps, cause=cause)
    row = insert(CommissionBoost).values(
        person_id=person_id, bps=bps, starts_at=starts_at, ends_at=ends_at, cause=cause, granted_at=now
    ).on_conflict_do_nothing().returning(CommissionBoost.id)
    return session.execute(row).first() is not None


def end_boost(session: Session, person_id: int, cause: str, at: datetime) -> bool:
    """End a boost at ``at``, before its time; whether it was still running then."""
    done = session.execute(
        update(CommissionBoost)
        .where(CommissionBoost.person_id == person_id, CommissionBoost.cause == cause, CommissionBoost.ends_at > at)
        .values(ends_at=func.greatest(CommissionBoost.starts_at, at)).returning(CommissionBoost.id)
    )
    return done.first() is not None


def boosts_at(session: Session, person_ids: Collection[int], at: datetime) -> dict[int, int]:
    """What the rates of these people are multiplied by at ``at`` (x bps); who has no boost is not in it."""
    rows = session.execute(
        select(CommissionBoost.person_id, func.max(CommissionBoost.bps))
        .where(CommissionBoost.person_id.in_(person_ids), CommissionBoost.starts_at <= at, CommissionBoost.ends_at > at)
        .group_by(CommissionBoost.person_id)
    )
    return {row.person_id: row[1] for row in rows}


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part: what ``gone`` earned, and their boosts, are ``kept``'s from now on. The deals themselves stay as
    they were struck."""
    session.execute(text("""
        update commission_boost g set person_id = :kept where g.person_id = :gone and not exists (
            select from commission_boost k where k.person_id = :kept and k.cause = g.cause)
    """), {"kept": kept_id, "gone": gone_id})
    moved = session.execute(
        text("update commission_line set beneficiary_id = :kept where beneficiary_id = :gone returning id"),
        {"kept": kept_id, "gone": gone_id},
    ).all()
    return {"commission_line": len(moved)}
