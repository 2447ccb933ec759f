"""What was given by mistake, taken back: one operator asks, another approves, and the customer is told once.

Facts for subscribers (queue ``fact``): ``points.taken`` {points, owed}. docs/adr/0067.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from domain.audit import approvals
from domain.audit import service as audit
from domain.audit.approvals import Approval
from domain.audit.rules import Actor
from domain.people.queries import survivors
from domain.points import taking
from domain.shared.errors import Conflict, DomainError
from domain.shared.outbox import Effect, put

POINTS = "points.take_back"


def ask_points(
    session: Session, lot_id: int, points: int | None, reason: str, actor: Actor, now: datetime
) -> Approval:
    """Ask for ``points`` of a lot (None: all that can be) to be taken back.

    Raises NotFound("points_lot_unknown"), Conflict("points_nothing_left"), DomainError("points_too_many"), and what
    ``approvals.ask`` raises.
    """
    lot = taking.lot(session, lot_id)
    if lot.takeable <= 0:
        raise Conflict("points_nothing_left", id=lot_id)
    wanted = lot.takeable if points is None else points
    if not 0 < wanted <= lot.takeable:
        raise DomainError("points_too_many", id=lot_id, most=lot.takeable)
    payload = {"lot_id": lot_id, "person_id": lot.person_id, "cause": lot.cause, "points": wanted,
               "target": lot.back + wanted}
    return approvals.ask(session, POINTS, f"point_lot:{lot_id}", payload, reason, actor, now)


def points_taken(session: Session, approval: Approval, actor: Actor, now: datetime) -> None:
    """What an approval of POINTS does. Raises Conflict("points_nothing_left") when returns took it meanwhile."""
    lot_id = int(approval.payload["lot_id"])
    done = taking.take(session, lot_id, int(approval.payload["target"]), approval.id, now)
    if not done.points:
        raise Conflict("points_nothing_left", id=lot_id)
    person_id = taking.lot(session, lot_id).person_id
    told = {"points": done.points, "owed": done.owed}
    audit.record(session, actor, POINTS, f"point_lot:{lot_id}", told | {
        "person_id": person_id, "cause": approval.payload["cause"], "asked_by": approval.asked_by}, now)
    alive = survivors(session, [person_id]).get(person_id, person_id)
    put(session, [Effect("fact", "points.taken", f"points.taken:{approval.id}", alive, told)], now)
