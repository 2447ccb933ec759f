"""The express way for batches of payments: decoded, checked and written down again in compiled code.

Most of what comes through the event door are plain payments, a hundred a request. ``events.parse_event`` looks at each
field with words for every fault; that is 45 µs an event. Here the decoder itself knows types and bounds, and the same
objects are encoded again as the stored content: 4 µs. What it does not take as plain (a fault, another type, an unknown
field, a null, an emoji with joiners) is left to ``parse_event``, which says what is wrong or takes it; what it takes is
byte for byte what ``parse_event`` would have made of it (tests/unit/money/test_quick.py).
"""

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from domain.orders.events import LAST, MAX_FEN, MAX_LINES, MAX_SIGNAL, SIGNALS, earliest, iso, subject_of
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
    payload: bytes
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


class _Data(Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
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


class _Paid(Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    data: _Data
    id: Name
    occurred_at: str
    type: Literal["order.paid"]


class _Batch(Struct, forbid_unknown_fields=True, gc=False):
    events: list[_Paid]


_OPENINGS = (b'{"events":[', b'{"events": [')
_decode = msgspec.json.Decoder(_Batch).decode
_decode_list = msgspec.json.Decoder(list[_Paid]).decode
_encode_lines = msgspec.json.Encoder().encode_lines
_CLOCKS = frozenset(f":{minute:02}:{second:02}" for minute in range(60) for second in range(60))


class _NotPlain(Exception):
    """Left to ``parse_event``."""


def plain_payments(body: bytes, seal: Seal, most: int, latest: datetime = LAST) -> list[Row] | None:
    """The rows of ``{"events": […]}`` when it holds 1 to ``most`` plain payments and nothing else; None otherwise.

    No time of theirs is after ``latest``, or long before it. A name that stands twice at the top of ``body`` is the
    caller's to find, unless it ``is_one_list``.
    """
    try:
        if is_one_list(body):
            events = _decode_list(memoryview(body)[body.index(b"["):-1])
        else:
            events = _decode(body).events
        if not 1 <= len(events) <= most:
            return None
        _check(events)
        return _rows(events, seal, iso(earliest(latest)), iso(latest))
    except (_NotPlain, DomainError, msgspec.DecodeError, UnicodeError, ValueError, OverflowError, RecursionError):
        return None


def is_one_list(body: bytes) -> bool:
    """Whether ``body`` begins and ends as most senders write ``{"events":[…]}``. Where it is taken, what is between is
    one list, so that the object has one name."""
    return body.startswith(_OPENINGS) and body.endswith(b"]}")


def _rows(events: list[_Paid], seal: Seal, first: str, latest: str) -> list[Row]:
    times = []
    for event in events:
        data, at = event.data, event.occurred_at
        occurred = _utc(at, first, latest)
        times.append(occurred)
        data.paid_at = occurred if data.paid_at == at else _utc(data.paid_at, first, latest)
        data.currency = UNSET
        if data.risk is not UNSET:
            data.risk = _sealed(data.risk, seal)
    # One text a line: JSON has no line feed inside.
    contents = _encode_lines([event.data for event in events]).split(b"\n")
    return [
        Row(event.id, sha256(f"order.paid\n{at}\n".encode() + content).hexdigest(), "order.paid",
            subject_of(event.data.channel, event.data.order_id), content, at)
        for event, at, content in zip(events, times, contents, strict=False)
    ]


def _check(events: list[_Paid]) -> None:
    """What bounds do not say. Texts are looked at together; '|' keeps them apart, a space beside it is at an edge."""
    texts: list[str] = []
    names: list[str] = []
    for event in events:
        data = event.data
        lines, channel = data.lines, data.channel
        total = 0
        for line in lines:
            total += line.paid_fen
            texts += (line.category, line.line_id, line.sku, line.title)
        if total != data.paid_fen or "/" in channel:
            raise _NotPlain
        if len(lines) > 1 and len({line.line_id for line in lines}) < len(lines):
            raise _NotPlain
        texts += (event.id, channel, data.order_id, data.region, data.share_code)
        _identify(data.buyer, texts, names)
        if data.risk is not UNSET:
            texts += (value for name in SIGNALS if (value := getattr(data.risk, name)) is not UNSET)
    if not (together := "".join(names)).isascii() or " " in together:
        raise _NotPlain
    together = f"|{'|'.join(texts)}|{'|'.join(names)}|"
    if not together.isprintable() or " |" in together or "| " in together:
        raise _NotPlain


def _identify(buyer: _Buyer, texts: list[str], names: list[str]) -> None:
    """At least one identity, each of which people's rules would take; an app only with its openid. ``names`` are those
    that are ASCII without spaces."""
    known = 0
    if buyer.openid is UNSET:
        buyer.app_id = UNSET
    elif buyer.app_id is UNSET:
        raise _NotPlain
    else:
        names.append(buyer.openid)
        texts.append(buyer.app_id)
        known = 1
    for one in (buyer.unionid, buyer.external_userid):
        if one is not UNSET:
            names.append(one)
            known = 1
    if buyer.mall_user_id is not UNSET:
        texts.append(buyer.mall_user_id)
        known = 1
    if buyer.phone is not UNSET:
        IdentityRef("phone", buyer.phone)
        texts.append(buyer.phone)
        known = 1
    if not known:
        raise _NotPlain


def _sealed(risk: _Risk, seal: Seal) -> _Risk | UnsetType:
    """Hashes in place of what was told; nothing at all when nothing was."""
    told = {name: seal(name, value) for name in SIGNALS if (value := getattr(risk, name))}
    return _Risk(**told) if told else UNSET


def _utc(written: str, first: str, latest: str) -> str:
    """The same time in UTC, as ``iso`` writes it: minutes and seconds stay where an offset is of whole hours. Times
    written like that come in the order of their texts."""
    clock, offset = written[13:19], written[19:]
    hour = _hour(written[:13], offset) if clock in _CLOCKS and len(offset) <= len("+08:00") else None
    found = f"{hour}{clock}+00:00" if hour else _slowly(written)
    if not first <= found <= latest:
        raise _NotPlain
    return found


@lru_cache(maxsize=1024)
def _hour(hour: str, offset: str) -> str | None:
    """The hour in UTC (``2026-11-22T10``) of one with an offset; None where it takes more than that."""
    at = datetime.fromisoformat(f"{hour}:59:59{offset}")
    if at.tzinfo is None or not 2000 < at.year < LAST.year:
        raise _NotPlain
    there, end = at.astimezone(UTC).isoformat(), ":59:59+00:00"
    return there.removesuffix(end) if there.endswith(end) else None


def _slowly(written: str) -> str:
    at = datetime.fromisoformat(written)
    if at.tzinfo is None or not 2000 < at.year < LAST.year:
        raise _NotPlain
    return iso(at)
