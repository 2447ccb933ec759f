"""Tags and segments as rules over a closed set of facts. Pure."""

import tomllib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import msgspec

from domain.shared.errors import DomainError
from domain.shared.records import record

FACTS = ("orders", "orders_30d", "orders_month", "repurchases", "days_since", "spent_fen", "average_fen",
         "referred_buyers", "r", "f", "m")
"""What a rule may name. Nobody is counted for coming, joining or following: only for orders that were kept."""
SCORES = 5


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one person. ``days_since`` is None without an order; such a fact passes no bound.

    ``window_orders`` and ``window_fen``: frequency and money of the RFM window.
    """

    orders: int = 0
    orders_30d: int = 0
    orders_month: int = 0
    days_since: int | None = None
    spent_fen: int = 0
    referred_buyers: int = 0
    window_orders: int = 0
    window_fen: int = 0


@record
class Bound:
    """Inclusive limits; None is no limit."""

    min: int | None = None
    max: int | None = None

    def holds(self, value: int | None) -> bool:
        if value is None:
            return False
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


@record
class Named:
    """A tag or a segment: who is meant (``when``), how it is called, and what it is good for."""

    key: str
    title: str
    about: str
    when: dict[str, Bound]

    def fits(self, facts: Mapping[str, int | None]) -> bool:
        return all(bound.holds(facts[name]) for name, bound in self.when.items())


@record
class Rfm:
    """Four ascending limits of each score."""

    window_days: int
    recency_days: tuple[int, ...]
    frequency: tuple[int, ...]
    money_fen: tuple[int, ...]


@record
class Segmentation:
    """The whole document."""

    tags: tuple[Named, ...]
    rfm: Rfm
    segments: tuple[Named, ...]

    def titles(self) -> dict[str, str]:
        """Title by key, of tags and segments."""
        return {one.key: one.title for one in (*self.tags, *self.segments)}


@record
class Judged:
    """What the rules make of somebody. ``segment`` is '' when none fits."""

    tags: tuple[str, ...]
    segment: str
    r: int
    f: int
    m: int


def load(toml: str) -> Segmentation:
    """From the text of assets/segments.toml. Raises DomainError("segments_invalid", faults=[…]) with all faults."""
    try:
        raw = tomllib.loads(toml)
        unknown = sorted(set(raw) - {field.name for field in fields(Segmentation)})
        found = msgspec.convert(raw, Segmentation, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise DomainError("segments_invalid", faults=[str(fault)]) from fault
    faults = [f"unknown table {name}" for name in unknown] + _faults(found, raw)
    if faults:
        raise DomainError("segments_invalid", faults=faults)
    return found


def _faults(one: Segmentation, raw: Mapping[str, Any]) -> list[str]:
    faults = []
    keys = [named.key for named in (*one.tags, *one.segments)]
    faults += [f"{key}: stands twice" for key in sorted({key for key in keys if keys.count(key) > 1})]
    for named in (*one.tags, *one.segments):
        if not (named.key.isascii() and named.key.replace("_", "").isalnum() and named.title):
            faults.append(f"{named.key or '?'}: key needs a-z, 0-9 and _, title a text")
        for name, bound in named.when.items():
            if name not in FACTS:
                faults.append(f"{named.key}: there is no fact {name}; there are {', '.join(FACTS)}")
            if bound.min is None and bound.max is None:
                faults.append(f"{named.key}: {name} needs min or max")
            elif bound.min is not None and bound.max is not None and bound.min > bound.max:
                faults.append(f"{named.key}: {name} can never hold: min is above max")
        if not named.when:
            faults.append(f"{named.key}: a rule without facts is everybody's")
    faults += _strange_bounds(raw)
    for name in ("recency_days", "frequency", "money_fen"):
        limits = getattr(one.rfm, name)
        if len(limits) != SCORES - 1 or list(limits) != sorted(set(limits)) or min(limits, default=0) < 0:
            faults.append(f"rfm.{name}: four ascending numbers")
    if not 1 <= one.rfm.window_days <= 3_650:
        faults.append("rfm.window_days: 1 to 3650")
    return faults


def _strange_bounds(raw: Mapping[str, Any]) -> list[str]:
    return [
        f"{named.get('key')}: {name} knows only min and max, not {word}"
        for named in (*raw.get("tags", []), *raw.get("segments", []))
        for name, bound in named.get("when", {}).items() for word in bound if word not in ("min", "max")
    ]


def judge(facts: Facts, rules: Segmentation) -> Judged:
    """The tags, scores and segment of somebody."""
    r, f, m = _scores(facts, rules.rfm)
    known: dict[str, int | None] = {
        "orders": facts.orders, "orders_30d": facts.orders_30d, "orders_month": facts.orders_month,
        "repurchases": max(0, facts.orders - 1), "days_since": facts.days_since, "spent_fen": facts.spent_fen,
        "average_fen": facts.spent_fen // facts.orders if facts.orders else 0,
        "referred_buyers": facts.referred_buyers, "r": r, "f": f, "m": m,
    }
    tags = tuple(tag.key for tag in rules.tags if tag.fits(known))
    segment = next((one.key for one in rules.segments if one.fits(known)), "")
    return Judged(tags, segment, r, f, m)


def _scores(facts: Facts, rfm: Rfm) -> tuple[int, int, int]:
    """1 to 5 each; 1 is also what somebody without an order has."""
    r = 1 if facts.days_since is None else SCORES - bisect_left(rfm.recency_days, facts.days_since)
    return r, _rank(facts.window_orders, rfm.frequency), _rank(facts.window_fen, rfm.money_fen)


def _rank(value: int, limits: Sequence[int]) -> int:
    return 1 + bisect_right(limits, value)
