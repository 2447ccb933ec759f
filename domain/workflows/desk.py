"""The working state of one batch: orders and deals as they were read, and as they will be written.

New rows are written as typed arrays, what changes of known ones as JSON, with times as they are (msgspec writes them).
"""

from datetime import datetime
from typing import Any

import msgspec

from domain.commissions.rules import DealLine
from domain.orders.events import subject_of
from domain.orders.rules import Folded, Line, OrderState
from domain.shared.rows import NULL, Shape, json, maybe

Json = dict[str, Any]

ORDERS = Shape(
    "id channel order_no source buyer_id paid_fen shipping_fen refunded_fen region share_code digest"
    " paid_at shipped_at carrier tracking_no received_at closed_at receive_due_at completed_at seller_id leader_id"
    " signals")
LINES = Shape("order_id n line_id sku title category quantity paid_fen refunded_fen refunded_quantity")
DEALS = Shape(
    "order_id n beneficiary_id level kind base_fen rate_bps rule plan_version uncut_fen amount_fen clawed_fen"
    " accrued_at release_at rule_bps phase phase_bps boost_bps")
FACTS = Shape("kind key person_id")
VERDICTS = Shape("id state reason")
"""The types new_order, new_line, new_deal, new_fact and new_verdict of the database."""


class Deal(DealLine, gc=False, kw_only=True):
    """A commission line while a batch works on it. ``id`` is 0 until it is stored. While ``held_at`` is set its money
    is frozen."""

    plan_version: int
    accrued_at: datetime
    kind: str = "base"
    clawed_fen: int = 0
    release_at: datetime | None = None
    released_at: datetime | None = None
    held_at: datetime | None = None
    id: int = 0
    touched: bool = False

    @property
    def left_fen(self) -> int:
        return self.amount_fen - self.clawed_fen


class Work(msgspec.Struct, gc=False):
    """One order of the batch: what the facts made of it, its deals, and how it stood before."""

    folded: Folded
    order: OrderState
    deals: list[Deal] = []
    was_completed: bool = False
    was_returned: bool = False
    was_shipped: bool = False

    @property
    def subject(self) -> str:
        return subject_of(self.order.channel, self.order.order_no)

    @property
    def label(self) -> str:
        return f"{self.order.channel}/{self.order.order_no}"


def order_from(row: Json) -> tuple[OrderState, list[Deal]]:
    """An order and its deals from the JSON of ``intake_load``."""
    lines = [Line(**{name: line[name] for name in Line.__struct_fields__}) for line in row["lines"]]
    plain = ("id", "channel", "order_no", "source", "digest", "paid_fen", "shipping_fen", "buyer_id", "region",
             "share_code", "refunded_fen", "refunds", "carrier", "tracking_no")
    times: Json = {name: _time(row[name]) for name in
                   ("shipped_at", "received_at", "closed_at", "completed_at", "receive_due_at")}
    order = OrderState(
        lines=lines, paid_at=datetime.fromisoformat(row["paid_at"]),
        **{name: row[name] for name in plain}, **times,
    )
    return order, [deal_from(deal) for deal in row["commissions"]]


def deal_from(row: Json) -> Deal:
    plain = ("id", "n", "beneficiary_id", "level", "kind", "base_fen", "rate_bps", "rule", "plan_version",
             "uncut_fen", "amount_fen", "clawed_fen", "rule_bps", "phase", "phase_bps", "boost_bps")
    return Deal(
        accrued_at=datetime.fromisoformat(row["accrued_at"]), release_at=_time(row["release_at"]),
        released_at=_time(row["released_at"]), held_at=_time(row["held_at"]), **{name: row[name] for name in plain},
    )


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def order_row(order: OrderState) -> tuple[object, ...]:
    """A new order, of the shape ORDERS."""
    return (
        order.id, order.channel, order.order_no, order.source, order.buyer_id, order.paid_fen, order.shipping_fen,
        order.refunded_fen, order.region, order.share_code, order.digest, order.paid_at,
        order.shipped_at or NULL, order.carrier, order.tracking_no, order.received_at or NULL, order.closed_at or NULL,
        order.receive_due_at or NULL, order.completed_at or NULL, maybe(order.seller_id), maybe(order.leader_id),
        json(order.signals),
    )


def changed_row(order: OrderState) -> Json:
    """What may change of an order after it was booked."""
    return {
        "id": order.id, "refunded_fen": order.refunded_fen, "shipped_at": order.shipped_at,
        "carrier": order.carrier, "tracking_no": order.tracking_no, "received_at": order.received_at,
        "closed_at": order.closed_at, "receive_due_at": order.receive_due_at,
        "completed_at": order.completed_at,
    }


def line_row(order_id: int, line: Line) -> tuple[object, ...]:
    """A line of a new order, of the shape LINES."""
    return (order_id, line.n, line.line_id, line.sku, line.title, line.category, line.quantity, line.paid_fen,
            line.refunded_fen, line.refunded_quantity)


def deal_row(order_id: int, deal: Deal) -> tuple[object, ...]:
    """A new commission, of the shape DEALS."""
    return (
        order_id, deal.n, deal.beneficiary_id, deal.level, deal.kind, deal.base_fen, deal.rate_bps, deal.rule,
        deal.plan_version, deal.uncut_fen, deal.amount_fen, deal.clawed_fen, deal.accrued_at, deal.release_at or NULL,
        deal.rule_bps, deal.phase, deal.phase_bps, deal.boost_bps,
    )


def deal_change(deal: Deal) -> Json:
    return {"id": deal.id, "clawed_fen": deal.clawed_fen, "release_at": deal.release_at,
            "released_at": deal.released_at}
