"""Commission that waits because something looks wrong: hold, lift, confiscate. Lines only; the money is the caller's.

Call these with the orders leased (``orders.service.lease``): booking works on what it has read.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from domain.shared.records import record

_GIVEN = "returning c.id, c.order_id, c.beneficiary_id, c.level, c.amount_fen - c.clawed_fen as fen, c.hold_no"

_HOLD = text(f"""
    with held as (
        update commission_line c set held_at = :now, hold_no = c.hold_no + 1
         where c.id = any (:ids) and c.held_at is null and c.released_at is null and c.amount_fen > c.clawed_fen
        {_GIVEN}
    ) select h.*, o.channel || '/' || o.order_no as label from held h join customer_order o on o.id = h.order_id
     order by h.id
""")  # noqa: S608 - a constant

_LIFT = text(f"""
    with lifted as (
        update commission_line c set held_at = null where c.id = any (:ids) and c.held_at is not null {_GIVEN}
    ) select l.*, o.channel || '/' || o.order_no as label from lifted l join customer_order o on o.id = l.order_id
     order by l.id
""")  # noqa: S608 - a constant

_LEFT = text("""
    select c.id, c.order_id, c.beneficiary_id, c.level, c.amount_fen - c.clawed_fen as fen, c.hold_no,
           o.channel || '/' || o.order_no as label, c.held_at is not null as held, c.released_at is not null as released
      from commission_line c join customer_order o on o.id = c.order_id
     where c.id = any (:ids) and c.confiscated_at is null and c.amount_fen > c.clawed_fen
     order by c.id for no key update of c
""")

_CONFISCATE = text("""
    update commission_line set clawed_fen = amount_fen, held_at = null, release_at = null, confiscated_at = :now
     where id = any (:ids)
""")

_MARK = """
    update commission_line c set held_at = m.at
      from unnest(%(orders)s::bigint[], %(people)s::bigint[], %(ats)s::timestamptz[]) as m (order_id, person_id, at)
     where c.order_id = m.order_id and c.beneficiary_id = m.person_id
"""


@record
class Line:
    """A line and what is left of it, in fen. ``hold_no``: how often it was held. ``held`` and ``released`` say where
    its money was before."""

    id: int
    order_id: int
    label: str
    beneficiary_id: int
    level: int
    fen: int
    hold_no: int
    held: bool = False
    released: bool = False


def mark_held(session: Session, new: Sequence[tuple[int, int, datetime]]) -> None:
    """The lines of new orders that are frozen from the start: (order, beneficiary, since)."""
    if new:
        given = {"orders": [o for o, _, _ in new], "people": [p for _, p, _ in new], "ats": [at for _, _, at in new]}
        session.connection().exec_driver_sql(_MARK, given)


def hold(session: Session, line_ids: Sequence[int], now: datetime) -> list[Line]:
    """Hold what is not held, let go or taken back; returns those lines. Their dates stay."""
    return [_line(row) for row in session.execute(_HOLD, {"ids": list(line_ids), "now": now})]


def lift(session: Session, line_ids: Sequence[int]) -> list[Line]:
    """End the hold of what is held; returns those lines. They are let go at their own time, or at once if that is over.
    """
    return [_line(row) for row in session.execute(_LIFT, {"ids": list(line_ids)})]


def left(session: Session, line_ids: Sequence[int]) -> list[Line]:
    """What could still be confiscated of some lines, locked."""
    return [_line(row, row.held, row.released) for row in session.execute(_LEFT, {"ids": list(line_ids)})]


def confiscate(session: Session, line_ids: Sequence[int], now: datetime) -> None:
    """Nothing is left of these lines, for good."""
    session.execute(_CONFISCATE, {"ids": list(line_ids), "now": now})


def _line(row: Row[Any], held: bool = False, released: bool = False) -> Line:
    return Line(row.id, row.order_id, row.label, row.beneficiary_id, row.level, row.fen, row.hold_no, held, released)
