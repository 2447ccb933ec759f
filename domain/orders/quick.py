"""The express way for batches of payments: decoded, checked and written down again in compiled code.

Most of what comes through the event door are plain payments, a hundred a request. ``events.parse_event`` looks at each
field with words for every fault; that is 45 µs an event. Here the decoder itself knows types and bounds, and the same
objects are encoded again as the stored content: 8 µs. What it does not take as plain (a fault, another type, an unknown
field, a null, an emoji with joiners) is left to ``parse_event``, which says what is wrong or takes it; what it takes is
byte for byte what ``parse_event`` would have made of it (tests/unit/money/test_quick.py).
"""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from domain.orders.events import LAST, MAX_FEN, MAX_LINES, MAX_SIGNAL, SIGNALS, earliest, subject_of
from domain.people.rules import IdentityRef
from domain.shared.errors import DomainError
from domain.shared.seal import Seal

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Note = Annotated[str, Meta(max_length=64)]
Fen = Annotated[int, Meta(ge=0, le=MAX_FEN)]
Signal = Annotated[str, Meta(max_length=MAX_SIGNAL)]


class Row(Struct, gc=False):
    """An event as the inbox takes it; ``payload`` is canonical JSON."""

    event_id: str
    digest: str
    type: str
    subject: str
    payload: msgspec.Raw
    occurred_at: str


# The fields stand in the order of their names: encoding these objects gives canonical JSON.
class _Line(Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    category: Name
    line_id: Name
    paid_fen: Fen
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)]
    sku: Name
    title: Annotated[str, Meta(min_length=1, max_length=200)]


class _Buyer(Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    app_id: Name | UnsetType = UNSET
    external_userid: Name | UnsetType = UNSET
    mall_user_id: Name | UnsetType = UNSET
    openid: Name | UnsetType = UNSET
    phone: Name | UnsetType = UNSET
    unionid: Name | UnsetType = UNSET


class _Risk(Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    address: Signal | UnsetType = UNSET
    device: Signal | UnsetType = UNSET
    payer: Signal | UnsetType = UNSET


class _Data(Struct, kw_only=True, forbid_unknown_fields=True):
    buyer: _Buyer
    channel: Name
    currency: Literal["CNY"] | UnsetType
    lines: Annotated[list[_Line], Meta(min_length=1, max_length=MAX_LINES)]
    order_id: Name
    paid_at: str
    paid_fen: Fen
    region: Note = ""
    risk: _Risk | UnsetType = UNSET
    share_code: Note = ""
    shipping_fen: Fen = 0


class _Paid(Struct, kw_only=True, forbid_unknown_fields=True):
    data: _Data
    id: Name
    occurred_at: str
    type: Literal["order.paid"]


class _Batch(Struct, forbid_unknown_fields=True):
    events: list[_Paid]


_decode = msgspec.json.Decoder(_Batch).decode
_encode = msgspec.json.Encoder().encode


class _NotPlain(Exception):
    """Left to ``parse_event``."""


def plain_payments(body: bytes, seal: Seal, most: int, latest: datetime = LAST) -> list[Row] | None:
    """The rows of ``{"events": […]}`` when it holds 1 to ``most`` plain payments and nothing else; None otherwise.

    No time of theirs is after ``latest``, or long before it. A name that stands twice at the top of ``body`` is the
    caller's to find.
    """
    try:
        batch, first = _decode(body).events, earliest(latest)
        return [_row(event, seal, first, latest) for event in batch] if 1 <= len(batch) <= most else None
    except (_NotPlain, DomainError, msgspec.DecodeError, UnicodeError, ValueError, OverflowError, RecursionError):
        return None


def _row(event: _Paid, seal: Seal, first: datetime, latest: datetime) -> Row:
    data = event.data
    _check(event, data)
    occurred = _utc(event.occurred_at, first, latest)
    data.paid_at = occurred if data.paid_at == event.occurred_at else _utc(data.paid_at, first, latest)
    data.currency = UNSET
    if data.risk is not UNSET:
        data.risk = _sealed(data.risk, seal)
    content = _encode(data)
    digest = sha256(f"order.paid\n{occurred}\n".encode() + content).hexdigest()
    return Row(event.id, digest, "order.paid", subject_of(data.channel, data.order_id), msgspec.Raw(content), occurred)


def _check(event: _Paid, data: _Data) -> None:
    """What bounds do not say. Texts are looked at together; '|' keeps them apart, a space beside it is at an edge."""
    lines, buyer = data.lines, data.buyer
    texts = [event.id, data.channel, data.order_id, data.region, data.share_code]
    total = 0
    for line in lines:
        total += line.paid_fen
        texts += (line.category, line.line_id, line.sku, line.title)
    if total != data.paid_fen or "/" in data.channel:
        raise _NotPlain
    if len(lines) > 1 and len({line.line_id for line in lines}) < len(lines):
        raise _NotPlain
    _identify(buyer, texts)
    if data.risk is not UNSET:
        texts += (value for name in SIGNALS if (value := getattr(data.risk, name)) is not UNSET)
    together = f"|{'|'.join(texts)}|"
    if not together.isprintable() or " |" in together or "| " in together:
        raise _NotPlain


def _identify(buyer: _Buyer, texts: list[str]) -> None:
    """At least one identity, each of which people's rules would take; an app only with its openid."""
    names = ""
    for one in (buyer.openid, buyer.unionid, buyer.external_userid):
        if one is not UNSET:
            names += one
    if not names.isascii() or " " in names or not (names or buyer.mall_user_id or buyer.phone):
        raise _NotPlain
    if buyer.openid is UNSET:
        buyer.app_id = UNSET
    elif buyer.app_id is UNSET:
        raise _NotPlain
    else:
        texts.append(buyer.app_id)
    if buyer.mall_user_id is not UNSET:
        texts.append(buyer.mall_user_id)
    if buyer.phone is not UNSET:
        IdentityRef("phone", buyer.phone)
        texts.append(buyer.phone)
    texts.append(names)


def _sealed(risk: _Risk, seal: Seal) -> _Risk | UnsetType:
    """Hashes in place of what was told; nothing at all when nothing was."""
    told = {name: seal(name, value) for name in SIGNALS if (value := getattr(risk, name))}
    return _Risk(**told) if told else UNSET


def _utc(written: str, first: datetime, latest: datetime) -> str:
    at = datetime.fromisoformat(written)
    if at.tzinfo is None or not 2000 < at.year < LAST.year or not first <= at <= latest:
        raise _NotPlain
    return at.astimezone(UTC).isoformat()
