"""The commission plan: a typed, versioned document. Every number an owner may want to change lives in one.

A plan is written in TOML (assets/plans), read by plans.py, checked by plan_checks.py, and stored as JSON. Rates and
factors are basis points (100 = 1 %, 10 000 = x1), money is fen, days are business days. Every part after ``release``
may be left out: then it is off, or says what a shop would expect.
"""

import json
from dataclasses import field
from datetime import date, timedelta
from hashlib import sha256
from typing import Any, Literal

import msgspec

from domain.referrals.rules import BindingPolicy
from domain.shared.money import BPS
from domain.shared.records import record

MAX_LEVELS = 3
"""The hard limit of the house; the database has it too."""

EARNERS = ("promoter", "gold", "partner")
"""Roles that earn when ``earners`` is "promoters"."""


@record
class Rule:
    """A rate for one level, for a product (``sku``), a category, a role, or all of them when none is named."""

    level: int
    rate_bps: int
    sku: str = ""
    category: str = ""
    role: str = ""

    @property
    def key(self) -> str:
        """What an explanation names: ``default``, ``category:fmcg``, ``category+role:fmcg+gold``, …"""
        parts = [(name, value) for name, value in
                 (("product", self.sku), ("category", self.category), ("role", self.role)) if value]
        names, values = "+".join(name for name, _ in parts), "+".join(value for _, value in parts)
        return f"{names}:{values}" if parts else "default"


@record
class Release:
    """When pending money becomes available, and when an unconfirmed order counts as received."""

    hold_days: int = 7
    received_after_shipping_days: int = 15
    received_after_payment_days: int = 20

    @property
    def hold(self) -> timedelta:
        return timedelta(days=self.hold_days)


@record
class Step:
    """From ``from_fen`` of the month's own direct, net volume on (inclusive), ``rate_bps``."""

    from_fen: int
    rate_bps: int


@record
class Ladder:
    """What own direct sales of a month bring on top. Steps ascend; the first usually starts at 0.

    ``marginal``: each fen at its bracket's rate. ``whole``: the whole volume at the rate of the step it reached.
    """

    steps: tuple[Step, ...]
    mode: Literal["marginal", "whole"] = "marginal"

    @property
    def top_bps(self) -> int:
        return max((step.rate_bps for step in self.steps), default=0)


@record
class Team:
    """A share of the direct downline's net volume of the month, for people with one of ``roles``."""

    rate_bps: int
    roles: tuple[str, ...] = ("partner",)


@record
class Phase:
    """Part of a campaign: from the business day ``starts_on`` until before ``ends_before``, for good when that is
    None. Base commissions of orders paid in it are multiplied by ``factor_bps``."""

    name: str
    starts_on: date
    ends_before: date | None = None
    factor_bps: int = BPS

    def holds(self, day: date) -> bool:
        return self.starts_on <= day and (self.ends_before is None or day < self.ends_before)


@record
class Boosts:
    """Limits of what multiplies a rate. ``max_bps``: the most a personal boost may be (12 000 = x1.2, 10 000 = none).

    ``top_rate_bps``: no single rate grows beyond this by phase and boost together; a rate that is above it without
    them stays what it is.
    """

    max_bps: int = BPS
    top_rate_bps: int = BPS


@record
class Milestones:
    """Fixed sums for sales, 0 = off: a promoter's first sale; selling on ``streak_days`` days running; having
    ``team_size`` direct referees with a paid, unreturned order. Never for heads."""

    first_sale_fen: int = 0
    streak_days: int = 7
    streak_fen: int = 0
    team_size: int = 10
    team_fen: int = 0


@record
class ServiceItem:
    """Service worth paying a leader for: ``fen`` each time, at most ``per_month`` times a month and person."""

    key: str
    title: str
    fen: int
    per_month: int = 1


@record
class Withdrawal:
    """Taking money out. A sum above ``id_number_above_fen`` needs an ID number, above ``second_person_above_fen`` the
    consent of a second person. Bills of WeChat Pay: smallest, largest, per person and day; ``name_from_fen``: a bill
    from here on carries the real name. Unconfirmed after ``confirm_hours``: the money comes back."""

    min_fen: int = 10_000
    id_number_above_fen: int = 80_000
    second_person_above_fen: int = 100_000
    bill_min_fen: int = 10
    bill_max_fen: int = 20_000
    per_day_fen: int = 200_000
    name_from_fen: int = 200_000
    confirm_hours: int = 24


@record
class Tax:
    """How income tax is withheld: ``per_month`` (ordinary payer), ``cumulative`` (platform enterprise) or ``none``
    (a licensed provider withholds it)."""

    method: Literal["per_month", "cumulative", "none"] = "per_month"


@record
class Plan:
    """One document. ``version`` is 0 until the plan is stored."""

    name: str
    levels: int
    rules: tuple[Rule, ...]
    earners: Literal["everyone", "promoters"] = "everyone"
    cap_bps: int = 5_000
    binding: BindingPolicy = field(default_factory=BindingPolicy)
    release: Release = field(default_factory=Release)
    ladder: Ladder | None = None
    team: Team | None = None
    phases: tuple[Phase, ...] = ()
    boosts: Boosts = field(default_factory=Boosts)
    milestones: Milestones | None = None
    service: tuple[ServiceItem, ...] = ()
    withdrawal: Withdrawal = field(default_factory=Withdrawal)
    tax: Tax = field(default_factory=Tax)
    version: int = 0

    def __hash__(self) -> int:
        """Plans are looked up for every line that is sold; all they say would take longer to add up than to strike."""
        return hash((self.name, self.version))

    def document(self) -> dict[str, Any]:
        """The plan as JSON (dates as text), without its version and without the parts that are off."""
        content: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        del content["version"]
        return {name: value for name, value in content.items() if name == "rules" or value not in (None, [])}

    def digest(self) -> str:
        """SHA-256 of what the plan says, whatever its version: equal plans have equal digests."""
        return sha256(json.dumps(self.document(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def phase_on(self, day: date) -> Phase | None:
        """The phase of a business day; the later one of two that overlap."""
        now = [phase for phase in self.phases if phase.holds(day)]
        return max(now, key=lambda phase: phase.starts_on) if now else None

    def rate_with(self, rate_bps: int, phase_bps: int = BPS, boost_bps: int = BPS) -> int:
        """What a rule's rate is in a phase and with a personal boost: whole basis points, halves up.

        The boost counts up to ``boosts.max_bps``; together they lift a rate to at most ``boosts.top_rate_bps`` and
        100 %.
        """
        boost = min(boost_bps, max(self.boosts.max_bps, BPS))
        lifted = (2 * rate_bps * phase_bps * boost + BPS * BPS) // (2 * BPS * BPS)
        return min(lifted, max(self.boosts.top_rate_bps, rate_bps), BPS)
