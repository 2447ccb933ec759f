"""Freeze, release, confiscate: one operator asks, another approves, and it happens with the approval or not at all."""

from datetime import datetime

from sqlalchemy.orm import Session

from domain.audit import approvals
from domain.audit.approvals import Approval
from domain.audit.rules import Actor
from domain.ledger import queries as ledger
from domain.people.queries import survivors
from domain.risk import service as risk
from domain.risk.service import Outcome
from domain.shared.errors import Conflict, NotFound

ACT: dict[Outcome, str] = {"released": "person.release", "confiscated": "person.confiscate"}


def ask_freeze(session: Session, person_id: int, reason: str, actor: Actor, now: datetime) -> Approval:
    """Ask for somebody to be frozen. Raises NotFound("person_unknown"), Conflict("already_frozen"), and what
    ``approvals.ask`` raises."""
    alive = survivors(session, [person_id]).get(person_id)
    if alive is None:
        raise NotFound("person_unknown", id=person_id)
    if ledger.frozen(session, alive):
        raise Conflict("already_frozen", person_id=alive)
    return approvals.ask(session, "person.freeze", f"person:{alive}", {"person_id": alive}, reason, actor, now)


def ask_decision(
    session: Session, case_id: int, outcome: Outcome, reason: str, actor: Actor, now: datetime
) -> Approval:
    """Ask for a case to be released or confiscated. Raises NotFound("case_unknown"), Conflict("case_decided"), and what
    ``approvals.ask`` raises."""
    case = risk.check_open(session, case_id)
    payload = {"case_id": case_id, "person_id": case.person_id, "rule": case.rule}
    return approvals.ask(session, ACT[outcome], f"case:{case_id}", payload, reason, actor, now)


def freeze(session: Session, approval: Approval, actor: Actor, now: datetime) -> None:
    """What an approval of ``person.freeze`` does."""
    risk.freeze(session, approval.payload["person_id"], actor.name, approval.reason, now)


def release(session: Session, approval: Approval, actor: Actor, now: datetime) -> None:
    """What an approval of ``person.release`` does."""
    risk.decide(session, approval.payload["case_id"], "released", actor.name, approval.reason, now)


def confiscate(session: Session, approval: Approval, actor: Actor, now: datetime) -> None:
    """What an approval of ``person.confiscate`` does."""
    risk.decide(session, approval.payload["case_id"], "confiscated", actor.name, approval.reason, now)
