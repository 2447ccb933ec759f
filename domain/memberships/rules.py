"""What a paid membership card is, and where somebody's cards lie in time. Pure, integers only."""

import tomllib
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from domain.shared.errors import DomainError
from domain.shared.money import BPS, share
from domain.shared.records import record

DISCOUNT = "discount:"
MOST_DAYS = 3_660


class Card(Struct, frozen=True, forbid_unknown_fields=True):
    """A card that is sold as the product ``sku``: ``days`` of ``benefits`` (the codes of the programme's tiers)."""

    key: str
    sku: str
    title: str
    tier: str
    days: int
    benefits: tuple[str, ...]


class Cards(Struct, frozen=True, forbid_unknown_fields=True):
    """assets/membership.toml. ``shipping_fen``: what an order's shipping costs without a card."""

    card: tuple[Card, ...]
    shipping_fen: int = 0

    def of(self, key: str) -> Card:
        """Raises DomainError("card_unknown")."""
        found = next((one for one in self.card if one.key == key), None)
        if found is None:
            raise DomainError("card_unknown", key=key)
        return found

    def sold_as(self, sku: str) -> Card | None:
        return next((one for one in self.card if one.sku == sku), None)

    @property
    def skus(self) -> list[str]:
        return [one.sku for one in self.card]


def load(toml: str, benefits: Collection[str]) -> Cards:
    """``benefits``: the codes there are beside discounts. Raises DomainError("membership_invalid", faults=[…])."""
    try:
        found = msgspec.convert(tomllib.loads(toml), Cards, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise DomainError("membership_invalid", faults=[str(fault)]) from fault
    faults = list(_faults(found, benefits))
    if faults:
        raise DomainError("membership_invalid", faults=faults)
    return found


def _faults(found: Cards, benefits: Collection[str]) -> Iterator[str]:
    if found.shipping_fen < 0:
        yield "shipping_fen: at least 0"
    for name in ("key", "sku"):
        values = [getattr(one, name) for one in found.card]
        if len(set(values)) != len(values):
            yield f"card: each {name} once"
    for one in found.card:
        if not (one.key.isidentifier() and one.tier.isidentifier() and one.sku and one.title):
            yield f"card {one.key}: key and tier are plain words; it needs a sku and a title"
        if not 1 <= one.days <= MOST_DAYS:
            yield f"card {one.key}: days 1 to {MOST_DAYS}"
        for code in one.benefits:
            price = code.removeprefix(DISCOUNT)
            fine = price.isdecimal() and 1 <= int(price) < BPS if code.startswith(DISCOUNT) else code in benefits
            if not fine:
                yield f"card {one.key}: benefit {code!r} is not known"


@record
class Piece:
    """A card of somebody as bought: ``order`` is where it stands among those bought in the same moment."""

    cause: str
    bought_at: datetime
    order: tuple[int, int]
    kept_days: int
    cut_at: datetime | None = None


@record
class Span:
    """From ``starts_at`` until ``ends_at``; both the same when nothing is left."""

    starts_at: datetime
    ends_at: datetime


def lay(pieces: Sequence[Piece]) -> dict[str, Span]:
    """Where each card lies: from its payment, or after the one that still runs then. A function of the set of cards,
    so late and doubled facts need no care; one that was refunded leaves its place to the next."""
    spans = {}
    end: datetime | None = None
    for one in sorted(pieces, key=lambda piece: (piece.bought_at, piece.order)):
        start = one.bought_at if end is None or end < one.bought_at else end
        finish = start + timedelta(days=one.kept_days)
        if one.cut_at is not None and one.cut_at < finish:
            finish = max(start, one.cut_at)
        spans[one.cause] = Span(start, finish)
        if finish > start:
            end = finish
    return spans


def kept(days: int, paid_fen: int, refunded_fen: int, *, closed: bool) -> int:
    """Days that a refund leaves: in proportion to the money that stayed, whole days, none for a closed order."""
    if closed:
        return 0
    return days if not paid_fen else days * (paid_fen - refunded_fen) // paid_fen


def price_bps(benefits: Collection[str]) -> int:
    """The part of the price that a member pays, in basis points: the best of the discounts."""
    return min((int(code.removeprefix(DISCOUNT)) for code in benefits if code.startswith(DISCOUNT)), default=BPS)


def saved(list_fen: int, paid_fen: int, bps: int) -> int:
    """What a member's price saved on a line: what the card takes off, as far as less than the list price was paid."""
    return max(0, min(list_fen - paid_fen, share(list_fen, BPS - bps)))


def fold(code: str) -> str:
    """A discount as shops say it, in tenths of the price: 9200 → 92 (折), 9000 → 9, 9250 → 92.5; '' for other benefits.
    """
    if not code.startswith(DISCOUNT):
        return ""
    bps = int(code.removeprefix(DISCOUNT))
    if bps % 1_000 == 0:
        return str(bps // 1_000)
    return f"{bps // 100}.{bps % 100:02d}".rstrip("0").rstrip(".")
