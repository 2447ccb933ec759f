"""The four roles, their order, and their titles. Pure."""

import tomllib
from collections.abc import Iterable, Mapping
from typing import Literal, cast, get_args

Role = Literal["member", "promoter", "gold", "partner"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Lowest first."""


def highest(roles: Iterable[str]) -> Role:
    """The role that counts of those granted; member when there is none."""
    return max((cast(Role, role) for role in roles), key=ROLES.index, default="member")


def load_titles(toml: str) -> Mapping[Role, str]:
    """Titles by role from the text of assets/roles.toml. Raises ValueError unless every role has one, and no other."""
    titles = tomllib.loads(toml).get("title", {})
    if set(titles) != set(ROLES) or not all(isinstance(t, str) and t for t in titles.values()):
        raise ValueError(f"roles.toml needs a title for each of {', '.join(ROLES)}")
    return cast(Mapping[Role, str], titles)
