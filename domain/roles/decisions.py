"""The record of what was decided about roles: warnings that stand, and what no longer counts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from domain.roles.models import RoleDecision
from domain.roles.rules import Role, Warned
from domain.shared.clock import business_date

What = Literal["promoted", "warned", "calmed", "demoted", "granted", "revoked"]
ASSESSMENT = "assessment"

_WARNED = text("""
    select distinct on (person_id, role) person_id, role, what, at, month from role_decision
     where person_id = any (:ids) order by person_id, role, id desc
""")


@dataclass(frozen=True, slots=True)
class Decision:
    """One to be recorded. ``month`` for those of the assessment only."""

    person_id: int
    role: Role
    what: What
    at: datetime
    reason: str
    month: date | None = None
    actor: str = ASSESSMENT
    afresh: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)


def record(session: Session, made: Sequence[Decision]) -> None:
    """Write decisions. The database refuses a demotion without an earlier warning, and the same one twice."""
    if made:
        rows = [{name: getattr(one, name) for name in Decision.__slots__} | {"evidence": dict(one.evidence)}
                for one in made]
        session.execute(insert(RoleDecision), rows)


def warnings(session: Session, person_ids: Collection[int]) -> dict[int, dict[Role, Warned]]:
    """The warnings that stand, by person and role: the latest word about a role is a warning."""
    found: dict[int, dict[Role, Warned]] = {}
    for person_id, role, what, at, month in session.execute(_WARNED, {"ids": sorted(person_ids)}):
        if what == "warned":
            found.setdefault(person_id, {})[role] = Warned(at, month)
    return found


def counts_after(session: Session, person_ids: Collection[int], role: Role) -> dict[int, date]:
    """The business day after which facts count again, for people whose role was taken by an operator."""
    rows = session.execute(
        select(RoleDecision.person_id, RoleDecision.at)
        .where(RoleDecision.person_id.in_(person_ids), RoleDecision.role == role, RoleDecision.afresh)
        .order_by(RoleDecision.id))
    return {person_id: business_date(at) for person_id, at in rows}


def history(session: Session, person_id: int, limit: int = 50) -> list[RoleDecision]:
    """A person's decisions, newest first."""
    return list(session.scalars(select(RoleDecision).where(RoleDecision.person_id == person_id)
                                .order_by(RoleDecision.id.desc()).limit(limit)))


