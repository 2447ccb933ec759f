"""What points buy: one typed document, assets/mall.toml. Pure."""

import tomllib
from collections.abc import Collection, Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from domain.shared.errors import DomainError

MOST = 1_000_000


class Item(Struct, frozen=True, forbid_unknown_fields=True):
    """Something for ``points``. A coupon names an ``offer``, a ticket a ``campaign`` (``amount`` free draws); goods
    have a worth, fen."""

    key: str
    title: str
    points: int
    kind: Literal["coupon", "product", "ticket"]
    offer: str = ""
    campaign: str = ""
    amount: int = 1
    worth_fen: int = 0
    stock: int | None = None
    most: int | None = None

    @property
    def detail(self) -> str:
        return self.offer or self.campaign


class Mall(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole document."""

    item: tuple[Item, ...] = ()


def load(toml: str, offers: Collection[str], campaigns: Collection[str]) -> Mall:
    """``offers``, ``campaigns``: what there is. Raises DomainError("mall_invalid", faults=[…]) with every fault."""
    try:
        found = msgspec.convert(tomllib.loads(toml), Mall, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise DomainError("mall_invalid", faults=[str(fault)]) from fault
    faults = [f"item {one.key}: {fault}" for one in found.item for fault in _faults(one, offers, campaigns)]
    keys = [one.key for one in found.item]
    if len(set(keys)) != len(keys):
        faults.append("item: each key once")
    if faults:
        raise DomainError("mall_invalid", faults=faults)
    return found


def _faults(one: Item, offers: Collection[str], campaigns: Collection[str]) -> Iterator[str]:
    if not (one.key.isidentifier() and one.title):
        yield "key is a plain word, and it needs a title"
    if not 1 <= one.points <= MOST or not 1 <= one.amount <= 100:
        yield f"points 1 to {MOST}, amount 1 to 100"
    if any(number is not None and not 1 <= number <= MOST for number in (one.stock, one.most)):
        yield f"stock and most: 1 to {MOST}, or left out"
    if (one.kind == "coupon") != bool(one.offer) or (one.offer and one.offer not in offers):
        yield "a coupon, and nothing else, names an offer of rewards.toml"
    if (one.kind == "ticket") != bool(one.campaign) or (one.campaign and one.campaign not in campaigns):
        yield "a ticket, and nothing else, names a campaign of draws.toml"
    if one.kind == "product" and (one.stock is None or one.worth_fen < 1):
        yield "goods need a stock and worth_fen"
    if one.kind != "ticket" and one.amount != 1:
        yield "amount is for tickets"
    if not 0 <= one.worth_fen <= 100 * MOST:
        yield "worth_fen: not below 0"
