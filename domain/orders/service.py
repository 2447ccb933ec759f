"""The inbox of commerce events: taking them in, settling what needs a human. Never commits.

Applying them is the workflows' business; orders themselves are stored by ``money_apply``.
"""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter

import msgspec
from sqlalchemy import delete, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from domain.orders.events import CommerceEvent, iso
from domain.orders.models import OpenEvent
from domain.orders.quick import Row
from domain.shared import trips
from domain.shared.errors import NotFound
from domain.shared.records import record
from domain.shared.rows import Written

TAKE_IN = ("select events_take_in(%(source)s, %(now)s, %(ids)s, %(digests)s, %(types)s, %(subjects)s, %(payloads)s,"
           " %(times)s)")
BETWEEN = "\x01"
"""Parts the texts of one column. No text of an event holds it: all of them are printable, or JSON."""
KNOWN_OTHERWISE = "HT409"
_DISMISSED = text("""
    update commerce_event set reason = :reason, payload = case when type like 'order.%'
           then payload - 'buyer' - 'risk' - 'region' - 'carrier' - 'tracking_no'
           else payload #- '{identities,phone}' end
     where id = :id""")

@record
class Received:
    """How a batch came in. ``conflicts``: event ids that are known with other content; nothing of those is stored."""

    accepted: int
    duplicates: int
    conflicts: tuple[str, ...] = ()


def receive(session: Session, source: str, events: Sequence[CommerceEvent], now: datetime) -> Received:
    """Store the events that are new. The caller refuses the batch (409) and rolls back when there are conflicts."""
    return receive_rows(session, source, [row_of(event) for event in events], now)


def row_of(event: CommerceEvent) -> Row:
    """An event, written down."""
    payload = event.canonical()
    return Row(event.id, event.digest_with(payload), event.type, event.subject, payload, iso(event.occurred_at))


def receive_rows(
    session: Session, source: str, rows: Sequence[Row], now: datetime, *, commit: bool = False
) -> Received:
    """As ``receive``, of events that are written down already. With ``commit`` the transaction ends here, with what was
    taken: COMMIT travels along, and is not run when there are conflicts."""
    if not rows:
        return Received(0, 0)
    # Everybody in one order: two batches with the same events never wait for each other.
    rows = sorted(rows, key=attrgetter("event_id"))
    asked = {
        "source": source, "now": now,
        "ids": BETWEEN.join([row.event_id for row in rows]), "digests": BETWEEN.join([row.digest for row in rows]),
        "types": BETWEEN.join([row.type for row in rows]), "subjects": BETWEEN.join([row.subject for row in rows]),
        "payloads": Written(BETWEEN.encode().join([row.payload for row in rows])),
        "times": BETWEEN.join([row.occurred_at for row in rows]),
    }
    try:
        (taken,), = (trips.ending if commit else trips.rows)(session, TAKE_IN, asked)
    except DBAPIError as fault:
        if getattr(fault.orig, "sqlstate", None) != KNOWN_OTHERWISE:
            raise
        return Received(0, 0, tuple(sorted(msgspec.json.decode(fault.orig.diag.message_detail))))  # type: ignore[union-attr]
    return Received(taken, len(rows) - taken)


def dismiss(session: Session, event_row_id: int, note: str, now: datetime) -> None:
    """A human has looked at a parked, conflicting or dead event and decided that nothing is to be booked.

    Ends the hold that an open refund puts on the release. Like every settled event it keeps no phone; one of an order
    keeps nothing of who bought it, since no erasure would find it there. Raises NotFound if no such event is open.
    """
    done = session.execute(
        delete(OpenEvent).where(OpenEvent.id == event_row_id, OpenEvent.state.in_(("parked", "conflict", "dead")))
        .returning(OpenEvent.id)
    ).first()
    if done is None:
        raise NotFound("commerce_event.unknown")
    session.execute(_DISMISSED, {"id": event_row_id, "reason": f"dismissed: {note}"})


def retry(session: Session, event_row_id: int, now: datetime) -> None:
    """Try a conflicting or dead event again from the start. Raises NotFound if no such event is there."""
    done = session.execute(
        update(OpenEvent).where(OpenEvent.id == event_row_id, OpenEvent.state.in_(("conflict", "dead")))
        .values(state="new", reason="", attempts=0, due_at=now).returning(OpenEvent.id)
    ).first()
    if done is None:
        raise NotFound("commerce_event.unknown")


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part: the orders and sales of ``gone`` are ``kept``'s from now on. Returns {'customer_order': n}."""
    ends = {"kept": kept_id, "gone": gone_id}
    moved = session.execute(
        text("update customer_order set buyer_id = :kept where buyer_id = :gone returning id"), ends
    ).all()
    session.execute(text("update customer_order set seller_id = :kept where seller_id = :gone"), ends)
    session.execute(text("update customer_order set leader_id = :kept where leader_id = :gone"), ends)
    return {"customer_order": len(moved)}


def spread_news(session: Session, most: int = 5_000) -> int:
    """Hand ``most`` new orders, or a few more, on to everybody who looks at them later (risk, insight, programme,
    milestones); how many. Each of those calls it before it looks at its own list."""
    return int(session.execute(text("select order_news_spread(:most)"), {"most": most}).scalar_one())


def lease(session: Session, order_ids: Sequence[int]) -> None:
    """Hold some orders until the transaction ends, so that no worker books or lets go anything of them meanwhile.

    Waits for whoever has one; in one order, so that two who take several cannot wait for each other. Take it before any
    balance is locked.
    """
    session.execute(text("""
        select pg_advisory_xact_lock(hashtextextended(subject, 0))
          from (select 'order:' || channel || '/' || order_no as subject from customer_order
                 where id = any (:orders) order by 1) mine
    """), {"orders": list(order_ids)}).all()
