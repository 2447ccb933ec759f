"""Coupon offers as data. Pure."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

NEWCOMER = "newcomer"
FIRST_ORDER_SHARE = "first_order_share"
REQUIRED = (NEWCOMER, FIRST_ORDER_SHARE)
CODE_LENGTH = 10


@dataclass(frozen=True, slots=True)
class CouponOffer:
    """What a coupon is worth: ``off_fen`` off from ``min_spend_fen`` on, for ``valid_days``; ``once``: one a person."""

    kind: str
    title: str
    off_fen: int
    min_spend_fen: int
    valid_days: int
    once: bool

    def __post_init__(self) -> None:
        numbers = (self.off_fen, self.min_spend_fen, self.valid_days)
        if any(type(n) is not int for n in numbers) or min(self.off_fen, self.valid_days, self.min_spend_fen + 1) <= 0:
            raise ValueError(f"offer {self.kind}: off_fen and valid_days must be positive integers, min_spend_fen >= 0")
        if not isinstance(self.title, str) or not self.title or type(self.once) is not bool:
            raise ValueError(f"offer {self.kind}: title must be a text and once true or false")


@dataclass(frozen=True, slots=True)
class Offers:
    """All offers of the shop by kind; the REQUIRED ones are always there."""

    by_kind: Mapping[str, CouponOffer]

    def of(self, kind: str) -> CouponOffer:
        """The offer of a kind. Raises KeyError."""
        return self.by_kind[kind]

    @classmethod
    def load(cls, toml: str) -> Self:
        """From the text of assets/rewards.toml. Raises ValueError naming what is wrong."""
        wanted = {field.name for field in fields(CouponOffer)} - {"kind"}
        offers = {}
        for kind, facts in tomllib.loads(toml).get("offer", {}).items():
            if set(facts) != wanted:
                raise ValueError(f"offer {kind}: needs exactly {', '.join(sorted(wanted))}")
            offers[kind] = CouponOffer(kind, **facts)
        if missing := [kind for kind in REQUIRED if kind not in offers]:
            raise ValueError(f"rewards.toml lacks the offers {', '.join(missing)}")
        return cls(offers)
