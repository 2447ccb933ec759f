"""How much feedback is taken in: one typed document, assets/feedback.toml. Pure."""

import tomllib

import msgspec
from msgspec import Struct

from domain.shared.errors import DomainError

LONGEST = 2_000
"""Characters; the database keeps no more."""


class FeedbackRules(Struct, frozen=True, forbid_unknown_fields=True):
    """``per_day``: from one person in 24 hours. ``longest``: characters kept. ``photos``: to one feedback.
    ``second_thoughts_minutes``: so long an adoption can be taken back before its author hears of it."""

    per_day: int = 5
    longest: int = 1_000
    photos: int = 3
    second_thoughts_minutes: int = 10

    def cut(self, words: str) -> str:
        """``words`` in at most ``longest`` characters, ended with '…' when more was said."""
        said = words.replace("\0", "").strip()
        return said if len(said) <= self.longest else said[: self.longest - 1].rstrip() + "…"


def load(toml: str) -> FeedbackRules:
    """Raises DomainError("feedback_rules", faults=[…])."""
    try:
        found = msgspec.convert(tomllib.loads(toml), FeedbackRules, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise DomainError("feedback_rules", faults=[str(fault)]) from fault
    bounds = {"per_day": (1, 100), "longest": (20, LONGEST), "photos": (0, 9), "second_thoughts_minutes": (0, 1_440)}
    faults = [f"{name}: {least} to {most}" for name, (least, most) in bounds.items()
              if not least <= getattr(found, name) <= most]
    if faults:
        raise DomainError("feedback_rules", faults=faults)
    return found
