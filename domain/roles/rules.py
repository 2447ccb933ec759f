"""The four roles, their order, and their titles. Pure."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

Role = Literal["member", "promoter", "gold", "partner"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Lowest first."""


def highest(roles: Iterable[str]) -> Role:
    """The role that counts of those granted; member when there is none."""
    return max((cast(Role, role) for role in roles), key=ROLES.index, default="member")


@dataclass(frozen=True, slots=True)
class Titles:
    """What the shop calls its roles."""

    by_role: Mapping[str, str]

    def of(self, role: str) -> str:
        """The title of a role. Raises KeyError."""
        return self.by_role[role]

    @classmethod
    def load(cls, toml: str) -> Self:
        """From the text of assets/roles.toml. Raises ValueError unless every role has a title, and no other name."""
        titles = tomllib.loads(toml).get("title", {})
        if set(titles) != set(ROLES) or not all(isinstance(t, str) and t for t in titles.values()):
            raise ValueError(f"roles.toml needs a title for each of {', '.join(ROLES)}")
        return cls(titles)
