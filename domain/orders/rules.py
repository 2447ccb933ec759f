"""How facts make an order: a pure fold whose end does not depend on the order in which facts arrive.

Payment makes the order; the earliest shipping, receipt and closing count; refunds add up. What cannot be true (another
payment of the same order, more back than was paid, a line nobody bought) becomes a conflict and changes nothing.
Between facts that contradict each other the one that was booked first stands. An order closed after payment counts as
cancelled: whatever it earned is taken back, whether or not the shop also reports the refund.

What is made for every order is a struct: a frozen dataclass takes ten times as long to make. A struct copies its
defaults.
"""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal

import msgspec

from domain.orders.events import digest_of

Json = dict[str, Any]


class Fact(msgspec.Struct, frozen=True, gc=False, rename={"row_id": "id", "data": "payload"}):
    """One event of an order as it lies in the inbox. ``data`` is the clean payload of ``parse_event``."""

    row_id: int
    source: str
    type: str
    occurred_at: datetime
    data: Json


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What became of a fact; ``reason`` says why when it is not simply done."""

    row_id: int
    state: Literal["done", "parked", "conflict"]
    reason: str = ""


CARD = "membership"
"""The category of the paid membership card. Nobody comes back by buying one: its money is in no volume and no count of
orders, it is nobody's first order, and it brings commission only by a plan that says so (docs/adr/0037)."""


class Line(msgspec.Struct, gc=False):
    n: int
    line_id: str
    sku: str
    title: str
    category: str
    quantity: int
    paid_fen: int
    refunded_fen: int = 0
    refunded_quantity: int = 0


class Return(msgspec.Struct, frozen=True):
    """A refund, checked against the order: fen and pieces back, per line number."""

    refund_no: str
    digest: str
    refunded_at: datetime
    fen: dict[int, int]
    pieces: dict[int, int]


class OrderState(msgspec.Struct, gc=False):
    """An order while a batch works on it. Times are aware; ``id`` is 0 and ``buyer_id`` is 0 until they are known.

    ``seller_id`` and ``leader_id`` are set when a new order is struck, and not read back.
    """

    channel: str
    order_no: str
    source: str
    digest: str
    paid_at: datetime
    paid_fen: int
    shipping_fen: int
    lines: list[Line]
    id: int = 0
    buyer_id: int = 0
    buyer: Json = {}
    region: str = ""
    share_code: str = ""
    signals: Json | None = None
    refunded_fen: int = 0
    refunds: dict[str, str] = {}
    shipped_at: datetime | None = None
    carrier: str = ""
    tracking_no: str = ""
    received_at: datetime | None = None
    closed_at: datetime | None = None
    completed_at: datetime | None = None
    receive_due_at: datetime | None = None
    seller_id: int | None = None
    leader_id: int | None = None

    @property
    def returned(self) -> bool:
        """Nothing of it is left: closed, or every fen of a paid order went back."""
        return self.closed_at is not None or (self.paid_fen > 0 and self.refunded_fen == self.paid_fen)

    @property
    def goods(self) -> list[Line]:
        """What is left of it beside membership cards."""
        return [line for line in self.lines
                if line.category != CARD and (not line.paid_fen or line.refunded_fen < line.paid_fen)]


class Folded(msgspec.Struct, gc=False):
    """The order after its facts (None: still unknown), what each fact became, and what is new."""

    order: OrderState | None
    verdicts: list[Verdict] = []
    returns: list[Return] = []
    is_new: bool = False
    closed_now: bool = False


def fold(known: OrderState | None, facts: Sequence[Fact]) -> Folded:
    """Apply ``facts`` (any order, duplicates welcome) to what is known of one order. Pure except for ``known``."""
    result = Folded(known)
    facts = sorted(facts, key=attrgetter("row_id"))
    for fact in facts:
        if fact.type == "order.paid":
            result.verdicts.append(_pay(result, fact))
    if result.order is None:
        result.verdicts = [Verdict(fact.row_id, "parked", "the order is not known yet") for fact in facts]
        return result
    for fact in facts:
        if fact.type in _STEPS:
            _STEPS[fact.type](result.order, fact)
            result.verdicts.append(Verdict(fact.row_id, "done"))
    refunds = [fact for fact in facts if fact.type == "order.refunded"]
    for fact in sorted(refunds, key=lambda f: (f.data["refunded_at"], f.data["refund_id"], f.row_id)):
        result.verdicts.append(_refund(result, fact))
    for fact in facts:
        if fact.type == "order.closed":
            result.closed_now |= result.order.closed_at is None
            result.order.closed_at = _earliest(result.order.closed_at, fact.occurred_at)
            result.verdicts.append(Verdict(fact.row_id, "done"))
    return result


def _pay(result: Folded, fact: Fact) -> Verdict:
    data = fact.data
    digest = payment_digest(data)
    if result.order is not None:
        if digest == result.order.digest:
            return Verdict(fact.row_id, "done", "this payment was already counted")
        return Verdict(fact.row_id, "conflict", "another payment is booked under this order number")
    lines = [Line(n, **line) for n, line in enumerate(data["lines"], 1)]
    result.is_new = True
    result.order = OrderState(
        channel=data["channel"], order_no=data["order_id"], source=fact.source, digest=digest,
        paid_at=datetime.fromisoformat(data["paid_at"]), paid_fen=data["paid_fen"],
        shipping_fen=data["shipping_fen"], lines=lines, buyer=data["buyer"], region=data["region"],
        share_code=data["share_code"], signals=data.get("risk"),
    )
    return Verdict(fact.row_id, "done")


def payment_digest(data: Json) -> str:
    """The business content of a payment: what two reports of the same order must agree on."""
    lines = sorted([[line["line_id"], line["sku"], line["category"], line["quantity"], line["paid_fen"]]
                    for line in data["lines"]])
    return digest_of([data["paid_fen"], lines])


def _ship(order: OrderState, fact: Fact) -> None:
    first = order.shipped_at is None or fact.occurred_at < order.shipped_at
    if first or not order.tracking_no:
        order.carrier = fact.data["carrier"] or order.carrier
        order.tracking_no = fact.data["tracking_no"] or order.tracking_no
    order.shipped_at = _earliest(order.shipped_at, fact.occurred_at)


def _receive(order: OrderState, fact: Fact) -> None:
    order.received_at = _earliest(order.received_at, datetime.fromisoformat(fact.data["received_at"]))


_STEPS = {"order.shipped": _ship, "order.received": _receive}


def _earliest(a: datetime | None, b: datetime) -> datetime:
    return b if a is None else min(a, b)


def _refund(result: Folded, fact: Fact) -> Verdict:
    order = result.order
    assert order is not None
    data = fact.data
    refund_no = data["refund_id"]
    digest = digest_of(sorted([line["line_id"], line["refund_fen"], line["quantity"]] for line in data["lines"]))
    if refund_no in order.refunds:
        if order.refunds[refund_no] == digest:
            return Verdict(fact.row_id, "done", "this refund was already counted")
        return Verdict(fact.row_id, "conflict", "another refund is booked under this refund number")
    by_id = {line.line_id: line for line in order.lines}
    fen: dict[int, int] = {}
    pieces: dict[int, int] = {}
    for part in data["lines"]:
        line = by_id.get(part["line_id"])
        if line is None:
            return Verdict(fact.row_id, "conflict", f"line {part['line_id']} was never bought")
        if line.refunded_fen + part["refund_fen"] > line.paid_fen:
            return Verdict(fact.row_id, "conflict", f"line {part['line_id']}: more would go back than was paid")
        fen[line.n], pieces[line.n] = part["refund_fen"], part["quantity"]
    for line in order.lines:
        line.refunded_fen += fen.get(line.n, 0)
        # Shops repeat the whole quantity with every part of a refund; money is the truth, pieces only a hint.
        line.refunded_quantity = min(line.quantity, line.refunded_quantity + pieces.get(line.n, 0))
    order.refunded_fen += sum(fen.values())
    order.refunds[refund_no] = digest
    result.returns.append(Return(refund_no, digest, datetime.fromisoformat(data["refunded_at"]), fen, pieces))
    return Verdict(fact.row_id, "done")
