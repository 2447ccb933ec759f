"""The commerce events as types, for the specification. The judge is ``domain.orders.events.parse_event``; a test
holds the two together, field by field."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from domain.orders.events import AHEAD, MAX_FEN, MAX_LINES, MAX_SIGNAL
from domain.shared.addresses import LONGEST
from handlers.web.api.event_door import MAX_EVENTS

Key = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Fen = Annotated[int, Meta(ge=0, le=MAX_FEN, description="Fen.")]
Quantity = Annotated[int, Meta(ge=1, le=1_000_000)]


class Identities(Struct, omit_defaults=True):
    """Under which names somebody is known; at least one, and app_id with an openid. Never seen before: a new person."""

    openid: Key | None = None
    app_id: Annotated[str, Meta(max_length=64, description="The app of the openid.")] | None = None
    unionid: Key | None = None
    external_userid: Annotated[str, Meta(max_length=64, description="WeCom contact id.")] | None = None
    phone: Annotated[str, Meta(max_length=64, description="Kept as a keyed hash only.")] | None = None
    mall_user_id: Key | None = None


Signal = Annotated[str, Meta(max_length=MAX_SIGNAL, description="Kept as a keyed hash only, to see it again.")]


class RiskSignals(Struct, omit_defaults=True):
    """What helps to recognise orders of one hand: who paid (an openid or a payment account), the device, the address.

    Optional, all of it. Hashed before it is stored; never kept in clear."""

    payer: Signal = ""
    device: Signal = ""
    address: Signal = ""


class PaidLine(Struct):
    """One line of an order."""

    line_id: Annotated[str, Meta(min_length=1, max_length=64, description="Unique within the order.")]
    sku: Key
    title: Text
    category: Key
    quantity: Quantity
    paid_fen: Annotated[int, Meta(ge=0, le=MAX_FEN, description=(
        "What was really paid for these goods: after coupons and points, without shipping. The base of commissions."))]


class PaidData(Struct, omit_defaults=True):
    """An order was paid. ``paid_fen`` is the sum of its lines, with ``shipping_fen`` or without it."""

    order_id: Key
    channel: Annotated[str, Meta(min_length=1, max_length=64, description="Where it was sold; no slash.")]
    currency: Literal["CNY"]
    paid_at: datetime
    buyer: Identities
    lines: Annotated[list[PaidLine], Meta(min_length=1, max_length=MAX_LINES)]
    paid_fen: Fen
    shipping_fen: Fen = 0
    share_code: Annotated[str, Meta(max_length=64, description="Referral code of the link or poster used.")] = ""
    region: Annotated[str, Meta(max_length=64, description="Administrative code, as in 530102.")] = ""
    risk: RiskSignals | None = None


class ShippedData(Struct, omit_defaults=True):
    """An order left."""

    order_id: Key
    channel: Key
    carrier: Annotated[str, Meta(max_length=64)] = ""
    tracking_no: Annotated[str, Meta(max_length=64)] = ""


class ReceivedData(Struct):
    """The buyer has it; the hold on its commissions starts to run."""

    order_id: Key
    channel: Key
    received_at: datetime


class RefundLine(Struct):
    """What went back on one line. ``quantity`` 0: money only."""

    line_id: Key
    refund_fen: Fen
    quantity: Annotated[int, Meta(ge=0, le=1_000_000)]


class RefundedData(Struct):
    """Money went back to the buyer. Several refunds of an order add up."""

    order_id: Key
    channel: Key
    refund_id: Key
    refunded_at: datetime
    lines: Annotated[list[RefundLine], Meta(min_length=1, max_length=MAX_LINES)]


class ClosedData(Struct):
    """An order was cancelled; whatever it earned is taken back."""

    order_id: Key
    channel: Key


class ProductData(Struct, omit_defaults=True):
    """A product is new or changed."""

    sku: Key
    title: Text
    category: Key
    price_fen: Fen
    image_url: Annotated[str, Meta(max_length=500)] = ""
    url: Annotated[str, Meta(max_length=LONGEST, description="Where it is bought, https: the link of reminders.")] = ""
    video_url: Annotated[str, Meta(max_length=LONGEST, description="A video of it, https, for who shares it.")] = ""
    margin_bps: Annotated[int, Meta(ge=-10_000, le=10_000, description="Basis points.")] | None = None
    consumption_days: Annotated[int, Meta(ge=1, le=3_650, description="How long one piece lasts.")] | None = None


class CustomerData(Struct, omit_defaults=True):
    """Somebody is new or changed. Identities of one event are one person."""

    identities: Identities
    nickname: Annotated[str, Meta(max_length=64)] | None = None
    avatar_url: Annotated[str, Meta(max_length=500)] | None = None
    birthday: date | None = None
    phone_verified: bool | None = None


class Envelope(Struct, tag_field="type"):
    """``id`` is yours and unique for your system; sending it again with the same content changes nothing."""

    id: Key
    occurred_at: Annotated[datetime, Meta(
        description=f"No time of an event lies more than {AHEAD.days} days ahead, or ten years back.")]


class OrderPaid(Envelope, tag="order.paid"):
    data: PaidData


class OrderShipped(Envelope, tag="order.shipped"):
    data: ShippedData


class OrderReceived(Envelope, tag="order.received"):
    data: ReceivedData


class OrderRefunded(Envelope, tag="order.refunded"):
    data: RefundedData


class OrderClosed(Envelope, tag="order.closed"):
    data: ClosedData


class ProductUpserted(Envelope, tag="product.upserted"):
    data: ProductData


class CustomerUpserted(Envelope, tag="customer.upserted"):
    data: CustomerData


EVENTS = OrderPaid | OrderShipped | OrderReceived | OrderRefunded | OrderClosed | ProductUpserted | CustomerUpserted


class EventBatch(Struct):
    """Several events; all are taken or none."""

    events: Annotated[list[EVENTS], Meta(min_length=1, max_length=MAX_EVENTS)] = field()


_ORDER = {"order_id": "A1001", "channel": "mall"}
_AT = "2026-11-22T10:00:00+08:00"

EXAMPLES: dict[str, dict[str, Any]] = {
    "order.paid": {
        **_ORDER, "currency": "CNY", "paid_at": _AT,
        "buyer": {"openid": "oABCD", "app_id": "wx0123456789abcdef", "mall_user_id": "u42"},
        "share_code": "k7Qm2xYp", "region": "530102",
        "lines": [{"line_id": "1", "sku": "RICE-5KG", "title": "有机大米 5kg", "category": "fmcg", "quantity": 2,
                   "paid_fen": 9900}],
        "paid_fen": 9900, "shipping_fen": 0,
        "risk": {"payer": "oABCD", "device": "d-7f3a", "address": "昆明市五华区人民中路 1 号 301"},
    },
    "order.shipped": {**_ORDER, "carrier": "SF", "tracking_no": "SF1234567890"},
    "order.received": {**_ORDER, "received_at": _AT},
    "order.refunded": {**_ORDER, "refund_id": "R1", "refunded_at": _AT,
                       "lines": [{"line_id": "1", "refund_fen": 3300, "quantity": 0}]},
    "order.closed": dict(_ORDER),
    "product.upserted": {"sku": "RICE-5KG", "title": "有机大米 5kg", "category": "fmcg", "price_fen": 4950,
                         "image_url": "https://shop.example/rice.jpg", "url": "https://shop.example/rice",
                         "video_url": "https://shop.example/rice/film", "margin_bps": 2500, "consumption_days": 30},
    "customer.upserted": {"identities": {"mall_user_id": "u42", "phone": "13812345678"}, "nickname": "小王",
                          "avatar_url": "https://shop.example/wang.jpg", "birthday": "1990-02-28",
                          "phone_verified": True},
}
"""The ``data`` of each type, complete. The docs page shows them, and a test sends them."""


def example(kind: str, number: int = 1) -> dict[str, Any]:
    """A whole event of ``kind``."""
    return {"id": f"evt_{number}", "type": kind, "occurred_at": _AT, "data": EXAMPLES[kind]}
