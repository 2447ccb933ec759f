"""What journeys hear of orders: one event for each fact, with a key that makes it once ever."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from domain.orders.rules import Line, OrderState
from domain.workflows.desk import Work

Json = dict[str, Any]

_KINDS = frozenset({"order.paid", "line.paid", "order.shipped", "order.received", "order.refunded", "order.closed"})


def told_journeys(works: Sequence[Work], listens: Collection[str] | None = None) -> list[Json]:
    """The events of a batch of orders, for ``journey_hear``; those of the kinds that some journey cares about
    (``listens``, None: unknown) when this transaction began. An order that came and went tells nothing."""
    if listens is not None and _KINDS.isdisjoint(listens):
        return []
    return [event for work in works for event in _of(work) if listens is None or event["kind"] in listens]


def _of(work: Work) -> Iterable[Json]:
    order, folded = work.order, work.folded
    if folded.is_new and order.returned:
        return
    if folded.is_new:
        yield _event("order.paid", order, order.paid_at, lines=len(order.lines))
        seen: set[str] = set()
        for line in order.lines:
            if line.sku not in seen:
                seen.add(line.sku)
                yield _line(order, line)
    if order.shipped_at is not None and not work.was_shipped:
        yield _event("order.shipped", order, order.shipped_at, carrier=order.carrier, tracking_no=order.tracking_no)
    if order.completed_at is not None and not work.was_completed:
        yield _event("order.received", order, order.completed_at)
    for refund in folded.returns:
        yield _event("order.refunded", order, refund.refunded_at, f":{refund.refund_no}", refund_no=refund.refund_no,
                     refund_fen=sum(refund.fen.values()), full=order.returned)
    if folded.closed_now and order.closed_at is not None:
        yield _event("order.closed", order, order.closed_at)


def _event(kind: str, order: OrderState, at: datetime, part: str = "", **facts: object) -> Json:
    data = {"order_id": order.id, "channel": order.channel, "order_no": order.order_no, "title": order.lines[0].title,
            "category": order.lines[0].category, "paid_fen": order.paid_fen, **facts}
    return {"kind": kind, "key": f"{kind}:{order.id}{part}", "person_id": order.buyer_id, "at": at, "data": data}


def _line(order: OrderState, line: Line) -> Json:
    data = {"order_id": order.id, "channel": order.channel, "order_no": order.order_no, "sku": line.sku,
            "title": line.title, "category": line.category, "quantity": line.quantity, "paid_fen": line.paid_fen}
    return {"kind": "line.paid", "key": f"line.paid:{order.id}:{line.n}", "person_id": order.buyer_id,
            "at": order.paid_at, "data": data}
