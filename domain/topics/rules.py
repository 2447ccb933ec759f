"""How much is said to a topic, and how it is shown: one typed document, assets/topics.toml. Pure."""

import tomllib
import unicodedata

import msgspec
from msgspec import Struct

from domain.shared.errors import DomainError

LONGEST, MOST_POINTS = 500, 500
"""The database keeps no more."""
MOST_SHOWN = 6
TITLE, INTRO = 60, 120
"""Characters of a topic's title and of its introduction: with the words below them they fit one message."""
_TURNS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Marks that turn the direction of what follows, in other people's chats."""
_BRACKETS = str.maketrans("<>", "＜＞")


class TopicRules(Struct, frozen=True, forbid_unknown_fields=True):
    """``shortest`` and ``longest``: characters of a word. ``changes``: how often somebody may replace it. ``shown``:
    picked words in one answer. ``points``: for a picked word, unless the topic says otherwise."""

    shortest: int = 2
    longest: int = 200
    changes: int = 10
    shown: int = 4
    points: int = 10


def load(toml: str) -> TopicRules:
    """Raises DomainError("topic_rules", faults=[…])."""
    try:
        found = msgspec.convert(tomllib.loads(toml), TopicRules, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise DomainError("topic_rules", faults=[str(fault)]) from fault
    bounds = {"shortest": (1, 20), "longest": (20, LONGEST), "changes": (0, 100), "shown": (1, MOST_SHOWN),
              "points": (0, MOST_POINTS)}
    faults = [f"{name}: {least} to {most}" for name, (least, most) in bounds.items()
              if not least <= getattr(found, name) <= most]
    if faults:
        raise DomainError("topic_rules", faults=faults)
    return found


def clean(words: str) -> str:
    """Words on one line, without what cannot be seen and without what a chat would take for a link's markup."""
    seen = "".join(" " if character.isspace() else character for character in words
                   if character.isspace() or (unicodedata.category(character) not in ("Cc", "Cs")
                                              and unicodedata.bidirectional(character) not in _TURNS))
    return " ".join(seen.split()).translate(_BRACKETS)


def short(words: str, characters: int) -> str:
    """Their beginning."""
    return words if len(words) <= characters else words[: characters - 1].rstrip() + "…"
