"""The commission plan: a typed, versioned document. Every number an owner may want to change lives in one.

A plan is written in TOML (assets/plans), checked as a whole with all faults at once, and stored as JSON. Rates are
basis points (100 = 1 %).
"""

import tomllib
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from domain.referrals.rules import BindingPolicy
from domain.shared.errors import DomainError
from domain.shared.money import BPS

MAX_LEVELS = 3
"""The hard limit of the house; the database has it too."""

EARNERS = ("promoter", "gold", "partner")
"""Roles that earn when ``earners`` is "promoters"."""


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Release:
    """When pending money becomes available, and when an unconfirmed order counts as received."""

    hold_days: int = 7
    received_after_shipping_days: int = 15
    received_after_payment_days: int = 20

    @property
    def hold(self) -> timedelta:
        return timedelta(days=self.hold_days)


@dataclass(frozen=True, slots=True)
class Plan:
    """One document. ``version`` is 0 until the plan is stored."""

    name: str
    levels: int
    rules: tuple[Rule, ...]
    earners: Literal["everyone", "promoters"] = "everyone"
    cap_bps: int = 5_000
    binding: BindingPolicy = field(default_factory=BindingPolicy)
    release: Release = field(default_factory=Release)
    version: int = 0

    def document(self) -> dict[str, Any]:
        """The plan as JSON, without its version."""
        content = asdict(self)
        del content["version"]
        content["rules"] = list(content["rules"])
        return content


def load(path: Path) -> Plan:
    """Read and check a TOML file. Raises DomainError("plan_invalid", faults=[…])."""
    return parse(tomllib.loads(path.read_text("utf-8")))


def parse(document: dict[str, Any], version: int = 0) -> Plan:
    """Check a document; unknown fields, wrong types and unsafe numbers are refused, all named at once."""
    try:
        plan = msgspec.convert({**document, "version": version}, Plan, strict=True)
    except msgspec.ValidationError as fault:
        raise DomainError("plan_invalid", faults=[str(fault)]) from fault
    unknown = sorted(set(document) - set(Plan.__dataclass_fields__))
    faults = [f"unknown field {name}" for name in unknown] + _faults(plan)
    if faults:
        raise DomainError("plan_invalid", faults=faults)
    return plan


def _faults(plan: Plan) -> list[str]:
    faults = []
    if not 1 <= plan.levels <= MAX_LEVELS:
        faults.append(f"levels must be 1 to {MAX_LEVELS}")
    if not 0 < plan.cap_bps <= BPS:
        faults.append("cap_bps must be 1 to 10000")
    if min(plan.binding.valid_days, plan.binding.protect_days) < 0 or plan.binding.valid_days > 36_500:
        faults.append("binding days must be 0 to 36500")
    release = plan.release
    days = (release.hold_days, release.received_after_shipping_days, release.received_after_payment_days)
    if min(days) < 0 or max(days) > 365:
        faults.append("release days must be 0 to 365")
    seen = set()
    for rule in plan.rules:
        if not 0 <= rule.rate_bps <= BPS:
            faults.append(f"rule {rule.key}: rate_bps must be 0 to 10000")
        if not 1 <= rule.level <= plan.levels:
            faults.append(f"rule {rule.key}: level must be 1 to {plan.levels}")
        if rule.sku and rule.category:
            faults.append(f"rule {rule.key}: a product has one category already")
        if (rule.level, rule.key) in seen:
            faults.append(f"rule {rule.key} is there twice for level {rule.level}")
        seen.add((rule.level, rule.key))
    worst = worst_case_bps(plan)
    if worst > plan.cap_bps:
        faults.append(f"worst case {worst} bps is above the cap of {plan.cap_bps} bps")
    return faults


def worst_case_bps(plan: Plan) -> int:
    """The most that all levels together could pay for one order line."""
    return sum(
        max((rule.rate_bps for rule in plan.rules if rule.level == level), default=0)
        for level in range(1, plan.levels + 1)
    )
