"""Nothing pays for heads, follows, shares or joining (the law against pyramid selling, art. 7): no rule may even take
such a number. Whoever is counted has a paid, unreturned order."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

ROOMS = ("commissions", "roles", "rewards", "settlements", "journeys", "referrals")
"""Whose plans, rules and documents decide about money, roles and gifts."""

HEADS = re.compile(
    r"(?:^|_)(?:recruit\w*|heads?|headcount|invit(?:es?|ed|ees?|ations?)|referees?|referrals?|refers|follow(?:s|ers?)?|fans?"
    r"|subscribers?|joins?|joiners?|signups?|sign_ups?|registrations?|registered|downlines?|team_size|team_members"
    r"|members?|people|persons?|friends?|shares?|forwards?|scans?)(?:_(?:count|number|size|total|num|n|min|max|least))?$")
"""Names of numbers of people, or of what people do without buying."""

COUNTED = {
    "team_size": "members with a paid, unreturned order: domain/settlements counts buyers, never followers",
}
"""Numbers of people that a rule may take, each with how they are counted."""


def numbers_of(source: str) -> Iterator[str]:
    """Names of the fields that hold a number, and the literals that name facts, in a module's classes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
                        and re.search(r"\bint\b", ast.unparse(field.annotation))):
                    yield field.target.id


def keys_of(value: Any) -> Iterator[str]:
    """Names under which a document holds a number."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, int) and not isinstance(inner, bool):
                yield name
            yield from keys_of(inner)
    if isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


def rule_files() -> list[Path]:
    """Rules and documents of the rooms; tables and views of what happened are not rules."""
    return [path for room in ROOMS for path in sorted((ROOT / "domain" / room).glob("*.py"))
            if path.name not in ("models.py", "queries.py", "service.py")]


def refused(names: Iterator[str]) -> set[str]:
    return {name for name in names if HEADS.search(name) and name not in COUNTED}


def test_no_rule_takes_a_number_of_heads() -> None:
    files = rule_files()
    assert len(files) >= 8
    found = {path.relative_to(ROOT).as_posix(): refused(numbers_of(path.read_text("utf-8"))) for path in files}
    assert {name: names for name, names in found.items() if names} == {}


def test_no_shipped_document_names_a_number_of_heads() -> None:
    files = [*(ROOT / "assets").glob("*.toml"), *(ROOT / "assets" / "plans").glob("*.toml"),
             *(ROOT / "assets" / "journeys").rglob("*.toml")]
    assert len(files) >= 6
    found = {path.name: refused(keys_of(tomllib.loads(path.read_text("utf-8")))) for path in files}
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.parametrize("name", ["recruits", "head_count", "heads", "invited_count", "invitees", "followers",
                                  "min_followers", "referrals_min", "downline_count", "new_members", "signups",
                                  "friends_least", "shares", "team_members", "people"])
def test_the_net_catches(name: str) -> None:
    assert refused(numbers_of(f"class Rule:\n    {name}: int = 0\n")) == {name}
    assert refused(keys_of({"rule": [{name: 3}]})) == {name}


@pytest.mark.parametrize("name", ["level", "rate_bps", "team_fen", "streak_days", "person_id", "repurchases",
                                  "hold_days", "share_fen", "members_fen", "joined_at"])
def test_the_net_lets_through(name: str) -> None:
    assert refused(numbers_of(f"class Rule:\n    {name}: int = 0\n")) == set()


def test_a_plan_cannot_smuggle_one_in() -> None:
    """A document's unknown fields are refused, wherever they stand."""
    from bot.runtime.bootstrap import ASSETS
    from domain.commissions import plans

    document = plans.load(ASSETS / "plans" / "first-shop.toml").document()
    for smuggled in ({**document, "recruits_fen": 100}, {**document, "rules": [{**document["rules"][0], "heads": 3}]},
                     {**document, "milestones": {"first_sale_fen": 1, "followers": 10}}):
        assert [one for one in plans.check(smuggled) if one.severity == "error"]
