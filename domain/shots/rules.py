"""How many pictures are taken in, what their author gets, and when one is no longer shown: assets/shots.toml. Pure."""

import tomllib
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from domain.shared.errors import DomainError
from domain.shared.records import record

Consent = Literal["named", "anonymous"]
Reason = Literal["unclear", "other_goods", "private", "not_ours", "words", "repeated", "other"]
REASONS: tuple[Reason, ...] = get_args(Reason)
"""Why the shop declines: blurred or dark; not about our goods; shows a face, an address, a screen with somebody's data;
taken from elsewhere; its words promise what nobody may promise; there is one like it; something else, said in words."""

LONGEST = 300
"""Characters of an author's words; the database keeps no more."""


class ShotRules(Struct, frozen=True, forbid_unknown_fields=True):
    """``per_day``: from one person in 24 hours, ``kept``: of one person at a time. ``longest``: characters of the words
    with a picture. ``points``: for its author when it is approved, 0 for none. ``draft_hours``: so long an answer is
    waited for. One that was given to ``weak_given`` people, the first of them ``weak_days`` days ago, and brought fewer
    than ``weak_clicks`` people, is retired."""

    per_day: int = 6
    kept: int = 30
    longest: int = 120
    points: int = 30
    draft_hours: int = 24
    weak_given: int = 20
    weak_days: int = 30
    weak_clicks: int = 1

    def cut(self, words: str) -> str:
        """``words`` on one line, in at most ``longest`` characters."""
        said = " ".join(words.replace("\0", " ").split())
        return said if len(said) <= self.longest else said[: self.longest - 1].rstrip() + "…"


@record
class Standing:
    """What became of a picture: how many people were given it, how many others came by it, how many of those bought."""

    given: int
    clicks: int
    orders: int

    def weak(self, days: int, rules: ShotRules) -> bool:
        """``days``: since it was first given."""
        return self.given >= rules.weak_given and days >= rules.weak_days and self.clicks < rules.weak_clicks


_BOUNDS = {"per_day": (1, 50), "kept": (1, 500), "longest": (10, LONGEST), "points": (0, 10_000),
           "draft_hours": (1, 72), "weak_given": (1, 100_000), "weak_days": (1, 3_650), "weak_clicks": (0, 100_000)}


def load(toml: str) -> ShotRules:
    """Raises DomainError("shot_rules", faults=[…])."""
    try:
        found = msgspec.convert(tomllib.loads(toml), ShotRules, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise DomainError("shot_rules", faults=[str(fault)]) from fault
    faults = [f"{name}: {least} to {most}" for name, (least, most) in _BOUNDS.items()
              if not least <= getattr(found, name) <= most]
    if faults:
        raise DomainError("shot_rules", faults=faults)
    return found
