"""Reads commission plans: TOML files of assets/plans and stored JSON become a typed document that is safe to use."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from domain.commissions.document import (
    EARNERS,
    MAX_LEVELS,
    Boosts,
    Ladder,
    Milestones,
    Phase,
    Plan,
    Release,
    Rule,
    ServiceItem,
    Step,
    Tax,
    Team,
    Withdrawal,
)
from domain.commissions.plan_checks import faults_of, unknown_fields
from domain.shared.errors import DomainError

__all__ = [
    "EARNERS", "MAX_LEVELS", "Boosts", "Ladder", "Milestones", "Phase", "Plan", "Release", "Rule", "ServiceItem",
    "Step", "Tax", "Team", "Withdrawal", "load", "parse",
]


def load(path: Path) -> Plan:
    """Read and check a TOML file. Raises DomainError("plan_invalid", faults=[…])."""
    return parse(tomllib.loads(path.read_text("utf-8")))


def parse(document: dict[str, Any], version: int = 0) -> Plan:
    """Check a document; unknown fields, wrong types and unsafe numbers are refused, all named at once."""
    try:
        plan = msgspec.convert({**document, "version": version}, Plan, strict=True)
    except msgspec.ValidationError as fault:
        raise DomainError("plan_invalid", faults=[str(fault)]) from fault
    faults = [f"unknown field {name}" for name in unknown_fields(document)] + faults_of(plan)
    if faults:
        raise DomainError("plan_invalid", faults=faults)
    return plan
