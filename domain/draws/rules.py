"""What a draw promises, and how it is decided so that anybody can check it afterwards. Pure, integers only.

A day's seed is 32 secret bytes; its sha256 is published before the day, the seed after it. Draw ``number`` of the
entrant ``code`` rolls HMAC-SHA256(seed, "<campaign>/<code>/<number>"), read as a number x of 256 bits:
floor(x * 10000 / 2**256). Prizes lie on 0 … 9999 in the order in which they were published, each as wide as its odds.
"""

import hashlib
import hmac
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import field
from datetime import date, datetime
from itertools import pairwise
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from domain.shared.errors import DomainError
from domain.shared.money import BPS
from domain.shared.records import record

PrizeKind = Literal["coupon", "points", "red_packet", "product"]

MOST_WORTH_FEN = 5_000_000
"""No prize of a draw above 50,000 yuan: law against unfair competition (2019), art. 10 (3)."""
MOST_PACKET_FEN = 20_000
MOST_POINTS = 100_000


class Prize(Struct, frozen=True, forbid_unknown_fields=True):
    """``amount``: points, or fen of a red packet; ``stock`` None: as many as are drawn."""

    key: str
    title: str
    kind: PrizeKind
    odds_bps: int
    stock: int | None = None
    worth_fen: int = 0
    amount: int = 0
    offer: str = ""

    @property
    def worth(self) -> int:
        """What it is worth, fen: of a red packet its amount."""
        return self.amount if self.kind == "red_packet" else self.worth_fen


class Campaign(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole campaign. ``points`` for a draw when nothing free is left, 0: free draws only."""

    key: str
    title: str
    opens: datetime
    closes: datetime
    points: int
    daily_free: int
    daily_most: int
    total_most: int
    prize: tuple[Prize, ...]

    @property
    def digest(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


class Campaigns(Struct, frozen=True, forbid_unknown_fields=True):
    """assets/draws.toml."""

    campaign: tuple[Campaign, ...] = ()


@record
class Seeds:
    """Makes the seed of every day out of one secret, so that no seed is stored before it is shown."""

    key: bytes = field(repr=False)

    def of(self, campaign: str, day: date) -> bytes:
        return hmac.digest(self.key, f"{campaign}/{day.isoformat()}".encode(), "sha256")


def commitment(seed: bytes) -> str:
    """What is published before the day."""
    return hashlib.sha256(seed).hexdigest()


def roll(seed: bytes, campaign: str, code: str, number: int) -> int:
    """0 … 9999, decided by the seed and by whose how-manieth draw it is."""
    drawn = hmac.digest(seed, f"{campaign}/{code}/{number}".encode(), "sha256")
    return int.from_bytes(drawn, "big") * BPS >> 256


class Placed(Protocol):
    """Anything that lies on the line with a width."""

    @property
    def odds_bps(self) -> int: ...


def won(prizes: Sequence[Placed], rolled: int) -> int | None:
    """The place of the prize, from 1, on which ``rolled`` falls; None for nothing."""
    edge = 0
    for n, prize in enumerate(prizes, 1):
        edge += prize.odds_bps
        if rolled < edge:
            return n
    return None


@record
class Allowance:
    """What somebody may still do today: draws left, how the next one is paid (None: not at all)."""

    left_today: int
    left: int
    free: int
    tickets: int

    def payment(self, points: int) -> Literal["free", "ticket", "points"] | None:
        """How the next draw would be paid; ``points``: what it costs when nothing free is left, 0: cannot be paid."""
        if min(self.left_today, self.left) <= 0:
            return None
        if self.free:
            return "free"
        return "ticket" if self.tickets else ("points" if points else None)


def load(toml: str, offers: Collection[str]) -> Campaigns:
    """``offers``: the coupon offers there are. Raises DomainError("draws_invalid", faults=[…]) with every fault."""
    try:
        found = msgspec.convert(tomllib.loads(toml), Campaigns, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise DomainError("draws_invalid", faults=[str(fault)]) from fault
    faults = [f"campaign {one.key}: {fault}" for one in found.campaign for fault in _faults(one, offers)]
    keys = [one.key for one in found.campaign]
    if len(set(keys)) != len(keys):
        faults.append("campaign: each key once")
    if not faults:
        in_time = sorted(found.campaign, key=lambda one: one.opens)
        faults += [f"campaign {b.key}: begins before {a.key} ends; one at a time" for a, b in pairwise(in_time)
                   if b.opens < a.closes]
    if faults:
        raise DomainError("draws_invalid", faults=faults)
    return found


def _faults(one: Campaign, offers: Collection[str]) -> Iterator[str]:
    if not (one.key.isidentifier() and one.key.isascii() and one.title):
        yield "key is a plain word, and it needs a title"
    if one.opens.tzinfo is None or one.closes.tzinfo is None:
        yield "opens and closes need an offset, as in 2026-12-01T00:00:00+08:00"
    elif one.opens >= one.closes:
        yield "it closes before it opens"
    if not (0 <= one.points <= MOST_POINTS and 0 <= one.daily_free <= one.daily_most <= one.total_most):
        yield f"points 0 to {MOST_POINTS}; daily_free at most daily_most, daily_most at most total_most"
    if one.daily_most < 1:
        yield "daily_most at least 1"
    keys = [prize.key for prize in one.prize]
    if not keys or len(set(keys)) != len(keys):
        yield "prizes: at least one, each key once"
    if sum(prize.odds_bps for prize in one.prize) > BPS:
        yield f"prizes: the odds are more than {BPS} together"
    for prize in one.prize:
        yield from (f"prize {prize.key}: {fault}" for fault in _prize_faults(prize, offers))


def _prize_faults(prize: Prize, offers: Collection[str]) -> Iterator[str]:
    if not (prize.key and prize.title) or not 1 <= prize.odds_bps <= BPS:
        yield f"needs a key and a title, and odds_bps from 1 to {BPS}"
    if prize.stock is not None and prize.stock < 1:
        yield "stock at least 1, or none for as many as are drawn"
    if not 0 <= prize.worth <= MOST_WORTH_FEN:
        yield f"worth 0 to {MOST_WORTH_FEN} fen: the law allows no prize above 50,000 yuan"
    if (prize.kind == "coupon") != bool(prize.offer) or (prize.offer and prize.offer not in offers):
        yield "a coupon, and nothing else, names an offer of rewards.toml"
    most = {"points": MOST_POINTS, "red_packet": MOST_PACKET_FEN}.get(prize.kind, 0)
    if not (1 if most else 0) <= prize.amount <= most:
        yield f"amount {'1 to ' + str(most) if most else 'is for points and red packets'}"
    if prize.kind == "product" and (prize.worth_fen < 1 or prize.stock is None):
        yield "goods need worth_fen, which is published, and a stock"
    if prize.kind == "red_packet" and (prize.worth_fen or prize.stock is None):
        yield "a red packet is worth its amount, and needs a stock"
