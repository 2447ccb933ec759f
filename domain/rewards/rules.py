"""Coupon offers as data. Pure."""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Self

from domain.shared.records import record

NEWCOMER = "newcomer"
FIRST_ORDER_SHARE = "first_order_share"
REQUIRED = (NEWCOMER, FIRST_ORDER_SHARE)
CODE_LENGTH = 10
WHOLE = 10_000
"""The whole price in basis points."""


@record
class CouponOffer:
    """What a coupon is worth from ``min_spend_fen`` on, for ``valid_days``; ``once``: one a person.

    Either ``off_fen`` off, or ``pay_bps`` of the price to be paid (9500: 95 %), at most ``max_off_fen`` off
    (0: no limit).
    """

    kind: str
    title: str
    off_fen: int
    min_spend_fen: int
    valid_days: int
    once: bool
    pay_bps: int = WHOLE
    max_off_fen: int = 0

    def __post_init__(self) -> None:
        numbers = (self.off_fen, self.min_spend_fen, self.valid_days, self.pay_bps, self.max_off_fen)
        if any(type(n) is not int for n in numbers) or min(numbers) < 0 or not self.valid_days:
            raise ValueError(f"offer {self.kind}: numbers must be integers of at least 0, valid_days at least 1")
        if not 0 < self.pay_bps <= WHOLE or (self.off_fen > 0) == (self.pay_bps < WHOLE):
            raise ValueError(f"offer {self.kind}: needs either off_fen, or pay_bps between 1 and {WHOLE - 1}")
        if self.max_off_fen and self.pay_bps == WHOLE:
            raise ValueError(f"offer {self.kind}: max_off_fen is for pay_bps only")
        if not isinstance(self.title, str) or not self.title or type(self.once) is not bool:
            raise ValueError(f"offer {self.kind}: title must be a text and once true or false")


@record
class Offers:
    """All offers of the shop by kind; the REQUIRED ones are always there."""

    by_kind: Mapping[str, CouponOffer]

    def of(self, kind: str) -> CouponOffer:
        """The offer of a kind. Raises KeyError."""
        return self.by_kind[kind]

    @classmethod
    def load(cls, toml: str) -> Self:
        """From the text of assets/rewards.toml. Raises ValueError naming what is wrong."""
        known = {field.name for field in fields(CouponOffer)} - {"kind"}
        needed = {field.name for field in fields(CouponOffer) if field.default is MISSING} - {"kind", "off_fen"}
        offers = {}
        for kind, facts in tomllib.loads(toml).get("offer", {}).items():
            if not needed <= set(facts) <= known:
                raise ValueError(f"offer {kind}: needs {', '.join(sorted(needed))}; may have "
                                 f"{', '.join(sorted(known - needed))}")
            offers[kind] = CouponOffer(kind, **({"off_fen": 0} | facts))
        if missing := [kind for kind in REQUIRED if kind not in offers]:
            raise ValueError(f"rewards.toml lacks the offers {', '.join(missing)}")
        return cls(offers)
