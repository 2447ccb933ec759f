"""Reads commission plans: TOML files of assets/plans and stored JSON become a typed document that is safe to use."""

import tomllib
from collections.abc import Mapping
from datetime import date, datetime
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
from domain.commissions.findings import Finding, error, shape_faults
from domain.commissions.plan_checks import errors_of
from domain.commissions.plan_warnings import warnings_of, wording_of
from domain.shared.errors import DomainError
from domain.shared.wording import Wording

__all__ = [
    "EARNERS", "MAX_LEVELS", "Boosts", "Finding", "Ladder", "Milestones", "Phase", "Plan", "Release", "Rule",
    "ServiceItem", "Step", "Tax", "Team", "Withdrawal", "check", "load", "parse", "read", "stored",
]


def load(path: Path) -> Plan:
    """Read and check a TOML file. Raises DomainError("plan_invalid", faults=[…])."""
    return parse(read(path.read_text("utf-8")))


def read(toml: str) -> dict[str, Any]:
    """The document of a TOML text, unchecked, ready for JSON. Raises DomainError("plan_unreadable", detail=…)."""
    try:
        return {name: _plain(value) for name, value in tomllib.loads(toml).items()}
    except tomllib.TOMLDecodeError as fault:
        raise DomainError("plan_unreadable", detail=str(fault)) from fault


def parse(document: Mapping[str, Any], version: int = 0) -> Plan:
    """Check a document: unknown fields, wrong types and unsafe numbers are refused, all named at once.

    Raises DomainError("plan_invalid", faults=[Finding, …]).
    """
    plan, findings = _checked(document)
    if findings or plan is None:
        raise DomainError("plan_invalid", faults=findings)
    return stored(document, version)


def check(document: Mapping[str, Any], wording: Wording | None = None) -> list[Finding]:
    """Everything there is to say about a document, errors first. With ``wording`` its texts are read as well."""
    plan, findings = _checked(document)
    if wording is not None:
        findings += wording_of(document, wording)
    if plan is not None:
        findings += warnings_of(plan)
    return sorted(findings, key=lambda one: one.severity != "error")


def stored(document: Mapping[str, Any], version: int) -> Plan:
    """A plan that was checked when it was published: later, stricter checks never keep a shop from reading it, and
    what an older plan did not say is off."""
    return msgspec.convert({**document, "version": version}, Plan, strict=True)


def _checked(document: Mapping[str, Any]) -> tuple[Plan | None, list[Finding]]:
    faults = list(shape_faults(document, Plan))
    if not faults:
        try:
            plan = stored(document, 0)
        except msgspec.ValidationError as fault:
            return None, [error("type", expected=str(fault), got="")]
        return plan, errors_of(plan)
    return None, faults


def _plain(value: Any) -> Any:
    """TOML values as JSON has them: days become text."""
    if isinstance(value, datetime) or not isinstance(value, date | Mapping | list):
        return value.isoformat() if isinstance(value, datetime) else value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value]
