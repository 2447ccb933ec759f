"""Points given by mistake: what an operator took back of a lot, one row for each approval. Never commits."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.points import queries, service
from domain.points.queries import LotView
from domain.points.service import Back
from domain.shared.errors import NotFound

_KEEP = text("insert into point_taking (approval_id, lot_id, points, owed, at)"
             " values (:approval, :lot, :points, :owed, :now)")


def lot(session: Session, lot_id: int) -> LotView:
    """Raises NotFound("points_lot_unknown")."""
    found = queries.lot(session, lot_id)
    if found is None:
        raise NotFound("points_lot_unknown", id=lot_id)
    return found


def take(session: Session, lot_id: int, target: int, approval_id: int, now: datetime) -> Back:
    """Take back of a lot until ``target`` of it are taken in all, by returns or by hand: what a return took meanwhile
    is not taken twice, what ran out unused is not taken at all. Points that were spent are taken from the person's
    other points, the rest is a debt that later points repay."""
    service.hold(session, lot(session, lot_id).person_id, now)
    held = lot(session, lot_id)
    most = held.back + max(held.takeable, 0)
    done = service.take_back(session, held.cause, min(target, most), f"points.taking:{approval_id}", now, "take")
    if done.points:
        session.execute(_KEEP, {"approval": approval_id, "lot": lot_id, "points": done.points, "owed": done.owed,
                                "now": now})
    return done
