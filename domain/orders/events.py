"""The language of commerce events: seven types, parsed strictly, every fault named with a JSON pointer.

``parse_event`` takes what ``json.loads`` gave and answers a typed event or the whole list of faults. Unknown fields
are ignored; a float, a boolean, a missing offset, a second line with the same id are not. Money is integer fen.
"""

import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from domain.people.rules import IdentityRef, Kind
from domain.shared import addresses
from domain.shared.errors import DomainError
from domain.shared.records import record
from domain.shared.seal import Seal

MAX_FEN = 10**13
"""A hundred billion yuan: far above any order, far below where sums leave 64 bits."""
MAX_LINES = 200
LAST = datetime(2200, 1, 1, tzinfo=UTC)
"""No time of an event is later, whenever it is read."""
AHEAD = timedelta(days=31)
"""How far after now a time may lie at the door: a clock may be wrong, a year may not. What is told of the far future
would win over everything told before it (a product, a name), and find a buyer whom nobody brings any more."""
BEHIND = timedelta(days=3653)
"""How long before now a time may lie at the door: ten years, as long as books must be kept (docs/adr/0027), so that a
shop's whole history can be told. What is older is a wrong year, and the close would begin with its month."""
SIGNALS = ("payer", "device", "address")
"""What ``risk`` of a payment may tell, each up to MAX_SIGNAL characters."""
MAX_SIGNAL = 200
IDENTITY_KINDS: tuple[Kind, ...] = ("openid", "unionid", "external_userid", "phone", "mall_user_id")

Json = dict[str, Any]

_canonical = msgspec.json.Encoder(order="sorted").encode
"""One content, one text: names sorted, no spaces, UTF-8."""


@record
class Fault:
    """What is wrong where: ``pointer`` is an RFC 6901 JSON pointer into the event."""

    pointer: str
    message: str


@record
class CommerceEvent:
    """One valid event. ``data`` holds only the known fields, normalised; times are ISO strings in UTC.

    ``subject`` names what it is about (``order:<channel>/<order_no>``); ``digest`` is of type, time and data.
    """

    id: str
    type: str
    occurred_at: datetime
    subject: str
    data: Json

    def canonical(self) -> bytes:
        """``data`` as canonical JSON: what is stored and, with type and time, digested."""
        return _canonical(self.data)

    @property
    def digest(self) -> str:
        return self.digest_with(self.canonical())

    def digest_with(self, canonical: bytes) -> str:
        """The digest, given ``canonical()``: whoever stores the event writes its data down only once."""
        return sha256(f"{self.type}\n{iso(self.occurred_at)}\n".encode() + canonical).hexdigest()


def earliest(latest: datetime) -> datetime:
    """The earliest time that is no fault where ``latest`` is the latest one; everything where that is LAST."""
    return latest - AHEAD - BEHIND if latest < LAST else datetime(2001, 1, 1, tzinfo=UTC)


class Reader:
    """Walks one JSON object, collects faults, and gives back harmless values in their place."""

    def __init__(self, raw: Any, pointer: str, faults: list[Fault], latest: datetime = LAST) -> None:
        self.pointer = pointer
        self.faults = faults
        self.latest, self.earliest = latest, earliest(latest)
        self.raw: Json = raw if isinstance(raw, dict) else {}
        if not isinstance(raw, dict):
            self.fault("", "must be an object")

    def fault(self, name: str, message: str) -> None:
        self.faults.append(Fault(f"{self.pointer}/{name}" if name else self.pointer, message))

    def text(self, name: str, *, most: int = 64, least: int = 1, default: str | None = None, wide: bool = False) -> str:
        """A string of ``least``..``most`` printable characters; ``default`` makes the field optional.

        ``wide`` is for what people write: it lets joiners and marks of emoji through. Spaces around it and control
        characters mean nothing there and are left out: nobody's name stops a batch.
        """
        value = self.raw.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            self.fault(name, "must be a string" if name in self.raw else "is missing")
            return ""
        if wide and not (value.isprintable() and value == value.strip()):
            value = "".join(" " if unicodedata.category(c) == "Cc" else c for c in value).strip()
        clean = value.isprintable() or (wide and not any(unicodedata.category(c) == "Cs" for c in value))
        if not least <= len(value) <= most or not clean or value != value.strip():
            self.fault(name, f"must be {least} to {most} printable characters without spaces around them")
            return ""
        return value

    def integer(self, name: str, *, least: int = 0, most: int = MAX_FEN, default: int | None = None) -> int:
        value = self.raw.get(name)
        if value is None and default is not None and name not in self.raw:
            return default
        if type(value) is not int:
            self.fault(name, "must be an integer" if name in self.raw else "is missing")
            return least
        if not least <= value <= most:
            self.fault(name, f"must be between {least} and {most}")
            return least
        return value

    def optional_integer(self, name: str, *, least: int, most: int) -> int | None:
        return self.integer(name, least=least, most=most) if self.raw.get(name) is not None else None

    def time(self, name: str) -> datetime:
        value = self.raw.get(name)
        try:
            at = datetime.fromisoformat(value) if isinstance(value, str) else None
            if at is not None and at.tzinfo is not None and 2000 < at.year < LAST.year:
                if at > self.latest:
                    self.fault(name, f"is after {iso(self.latest)}, {AHEAD.days} days from now")
                if at < self.earliest:
                    self.fault(name, f"is before {iso(self.earliest)}, ten years ago")
                return at.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        self.fault(name, "must be an ISO 8601 time with an offset" if name in self.raw else "is missing")
        return datetime(2000, 1, 1, tzinfo=UTC)

    def items(self, name: str, most: int = MAX_LINES) -> list["Reader"]:
        value = self.raw.get(name)
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            self.fault(name, f"must be a list of 1 to {most}" if name in self.raw else "is missing")
            return []
        return [Reader(item, f"{self.pointer}/{name}/{i}", self.faults, self.latest) for i, item in enumerate(value)]

    def child(self, name: str) -> "Reader":
        if name not in self.raw:
            self.fault(name, "is missing")
            return Reader({}, f"{self.pointer}/{name}", [])
        return Reader(self.raw[name], f"{self.pointer}/{name}", self.faults, self.latest)

    def unique(self, items: list["Reader"], name: str) -> None:
        """Two items of a list may not carry the same ``name``."""
        seen: set[str] = set()
        for item in items:
            value = item.raw.get(name)
            if isinstance(value, str):
                if value in seen:
                    item.fault(name, "is used twice")
                seen.add(value)


def parse_event(raw: Any, seal: Seal | None = None, latest: datetime = LAST) -> CommerceEvent | list[Fault]:
    """The typed event, or every fault in it; a time after ``latest``, or long before it, is one. Never raises on any
    JSON value.

    What tells of the payer, the device and the address leaves only as hashes of ``seal``; without one it is dropped.
    """
    faults: list[Fault] = []
    envelope = Reader(raw, "", faults, latest)
    event_id = envelope.text("id")
    kind = envelope.text("type")
    occurred_at = envelope.time("occurred_at")
    data = envelope.child("data")
    parser = PARSERS.get(kind)
    if parser is None:
        if kind:
            envelope.fault("type", f"is none of {', '.join(PARSERS)}")
        return faults
    subject, clean = parser(data)
    if not faults and clean.get("birthday", "") > f"{occurred_at:%Y-%m-%d}":
        data.fault("birthday", "must not be after occurred_at")
    signals = clean.pop("risk", None)
    if signals and seal is not None:
        clean["risk"] = {name: seal(name, value) for name, value in signals.items()}
    return faults or CommerceEvent(event_id, kind, occurred_at, subject, clean)


def digest_of(content: Any) -> str:
    """SHA-256 of the canonical JSON of ``content``, hex."""
    return sha256(_canonical(content)).hexdigest()


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def subject_of(channel: str, order_no: str) -> str:
    return f"order:{channel}/{order_no}"


def _order_key(data: Reader) -> tuple[str, Json]:
    clean: Json = {"order_id": data.text("order_id"), "channel": data.text("channel")}
    if "/" in clean["channel"]:
        data.fault("channel", "must not contain a slash")
    return subject_of(clean["channel"], clean["order_id"]), clean


def _identities(reader: Reader) -> Json:
    """The known identities of a person; at least one, an openid only with its app."""
    found: Json = {kind: reader.text(kind) for kind in IDENTITY_KINDS if reader.raw.get(kind) is not None}
    if not found:
        reader.fault("", f"needs at least one of {', '.join(IDENTITY_KINDS)}")
    if "openid" in found:
        found["app_id"] = reader.text("app_id")
    for kind in IDENTITY_KINDS:
        try:
            if found.get(kind):
                IdentityRef(kind, found[kind], found.get("app_id", "") if kind == "openid" else "")
        except DomainError:
            reader.fault(kind, f"is no {kind}")
    return found


def refs_of(identities: Json) -> list[IdentityRef]:
    """The identities of a clean payload, as the people room takes them."""
    return [
        IdentityRef(kind, identities[kind], identities["app_id"] if kind == "openid" else "")
        for kind in IDENTITY_KINDS if kind in identities
    ]


def _paid(data: Reader) -> tuple[str, Json]:
    subject, clean = _order_key(data)
    lines = data.items("lines")
    data.unique(lines, "line_id")
    if data.text("currency") not in ("", "CNY"):
        data.fault("currency", "must be CNY")
    clean |= {
        "paid_at": iso(data.time("paid_at")),
        "buyer": _identities(data.child("buyer")),
        "share_code": data.text("share_code", least=0, default=""),
        "region": data.text("region", least=0, default=""),
        "paid_fen": data.integer("paid_fen"),
        "shipping_fen": data.integer("shipping_fen", default=0),
        "lines": [
            {
                "line_id": line.text("line_id"), "sku": line.text("sku"),
                "title": line.text("title", most=200, wide=True),
                "category": line.text("category"), "quantity": line.integer("quantity", least=1, most=1_000_000),
                "paid_fen": line.integer("paid_fen"),
            }
            for line in lines
        ],
    }
    if data.raw.get("risk") is not None:
        clean["risk"] = _signals(data.child("risk"))
    if not data.faults:
        goods = sum(line["paid_fen"] for line in clean["lines"])
        # Malls total an order with its shipping or without it: both mean the same goods.
        if clean["paid_fen"] not in (goods, goods + clean["shipping_fen"]):
            data.fault("paid_fen", "must be the sum of the lines' paid_fen, with shipping_fen or without it")
        clean["paid_fen"] = goods
    return subject, clean


def _signals(reader: Reader) -> dict[str, str]:
    told = {name: reader.text(name, most=MAX_SIGNAL, least=0, default="") for name in SIGNALS}
    return {name: value for name, value in told.items() if value}


def _shipped(data: Reader) -> tuple[str, Json]:
    subject, clean = _order_key(data)
    for name in ("carrier", "tracking_no"):
        clean[name] = data.text(name, least=0, default="")
    return subject, clean


def _received(data: Reader) -> tuple[str, Json]:
    subject, clean = _order_key(data)
    return subject, clean | {"received_at": iso(data.time("received_at"))}


def _refunded(data: Reader) -> tuple[str, Json]:
    subject, clean = _order_key(data)
    lines = data.items("lines")
    data.unique(lines, "line_id")
    return subject, clean | {
        "refund_id": data.text("refund_id"),
        "refunded_at": iso(data.time("refunded_at")),
        "lines": [
            {
                "line_id": line.text("line_id"), "refund_fen": line.integer("refund_fen"),
                "quantity": line.integer("quantity", most=1_000_000),
            }
            for line in lines
        ],
    }


def _closed(data: Reader) -> tuple[str, Json]:
    return _order_key(data)


def _product(data: Reader) -> tuple[str, Json]:
    clean: Json = {
        "sku": data.text("sku"), "title": data.text("title", most=200, wide=True), "category": data.text("category"),
        "price_fen": data.integer("price_fen"),
        "image_url": data.text("image_url", most=500, least=0, default=""),
        "margin_bps": data.optional_integer("margin_bps", least=-10_000, most=10_000),
        "consumption_days": data.optional_integer("consumption_days", least=1, most=3_650),
    }
    if clean["image_url"] and not clean["image_url"].startswith(("https://", "http://", "/")):
        data.fault("image_url", "must be an http address")
    # Only when told: an event of before there were addresses keeps its digest.
    for name in ("url", "video_url"):
        if data.raw.get(name) is not None:
            clean[name] = _address(data, name)
    return f"product:{clean['sku']}", clean


def _address(data: Reader, name: str) -> str:
    """A page, or '' for none any more."""
    value = data.raw[name]
    if not isinstance(value, str):
        data.fault(name, "must be a string")
        return ""
    if value and (fault := addresses.fault_of(value)):
        data.fault(name, fault)
        return ""
    return value


def _customer(data: Reader) -> tuple[str, Json]:
    identities = _identities(data.child("identities"))
    clean: Json = {"identities": identities}
    if data.raw.get("nickname") is not None:
        clean["nickname"] = data.text("nickname", least=0, wide=True)
    if data.raw.get("avatar_url") is not None:
        clean["avatar_url"] = data.text("avatar_url", most=500, least=0)
    if data.raw.get("birthday") is not None:
        try:
            clean["birthday"] = date.fromisoformat(data.text("birthday") or "-").isoformat()
        except ValueError:
            data.fault("birthday", "must be a date, YYYY-MM-DD")
        else:
            if clean["birthday"] < "1900":
                data.fault("birthday", "must be after 1900")
    if data.raw.get("phone_verified") is not None:
        if not isinstance(data.raw["phone_verified"], bool):
            data.fault("phone_verified", "must be true or false")
        clean["phone_verified"] = data.raw["phone_verified"] is True
    name = sorted(f"{kind}={value}" for kind, value in identities.items())
    return f"customer:{digest_of(name)[:32]}", clean


PARSERS: dict[str, Callable[[Reader], tuple[str, Json]]] = {
    "order.paid": _paid,
    "order.shipped": _shipped,
    "order.received": _received,
    "order.refunded": _refunded,
    "order.closed": _closed,
    "product.upserted": _product,
    "customer.upserted": _customer,
}
