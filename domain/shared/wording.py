"""Words that advertising and pyramid-selling law make dangerous: one checker for plans, posters and copy. Pure.

The list is the shop's (assets/sensitive_words.toml). It finds what is written plainly or with spaces, full-width
letters and ornaments in between; it does not read between the lines, so it helps a reviewer and replaces none.
"""

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import msgspec

from domain.shared.records import record

Severity = Literal["error", "warning"]

_FILLING = frozenset("*·.。-_—~|/\\+'\"“”‘’「」【】[]()!,，、:：;；…")
"""Ornaments that people put between the characters of a word to get it past a checker."""


@record
class Group:
    """Words of one kind. ``title`` and ``why`` are for operators; ``patterns``: regular expressions; ``unless``:
    phrases in which a word is harmless."""

    key: str
    title: str
    why: str
    severity: Severity = "error"
    words: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


@record
class Hit:
    """A dangerous word in a text: the word as listed or as found by a pattern, and its group."""

    word: str
    group: Group


@record
class Wording:
    """All groups, ready to search."""

    groups: tuple[tuple[Group, re.Pattern[str], re.Pattern[str] | None], ...]

    @classmethod
    def load(cls, toml: str) -> Self:
        """From the text of assets/sensitive_words.toml. Raises ValueError naming what is wrong."""
        raw = tomllib.loads(toml)
        try:
            groups = msgspec.convert(raw.get("group", []), tuple[Group, ...], strict=True)
            return cls(tuple((group, _either(group.words, group.patterns), _guard(group)) for group in groups))
        except (msgspec.ValidationError, re.error) as fault:
            raise ValueError(f"sensitive_words.toml: {fault}") from fault

    def find(self, text: str) -> list[Hit]:
        """Every dangerous word of ``text``, each once, in the order of the list."""
        plain = squeezed(text)
        hits: dict[tuple[str, str], Hit] = {}
        for group, pattern, guard in self.groups:
            rest = guard.sub("\n", plain) if guard else plain
            for match in pattern.finditer(rest):
                hits.setdefault((group.key, match[0]), Hit(match[0], group))
        return list(hits.values())


def squeezed(text: str) -> str:
    """``text`` as it is compared: NFKC, lower case, without spaces, invisible characters and ornaments."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return "".join(c for c in folded if c not in _FILLING and unicodedata.category(c)[0] not in "ZC")


def _either(words: Sequence[str], patterns: Sequence[str]) -> re.Pattern[str]:
    plain = sorted({squeezed(word) for word in words} - {""}, key=len, reverse=True)
    parts = [re.escape(word) for word in plain] + [f"(?:{one})" for one in patterns]
    if not parts:
        raise ValueError("sensitive_words.toml: a group without words")
    return re.compile("|".join(parts))


def _guard(group: Group) -> re.Pattern[str] | None:
    return _either(group.unless, ()) if group.unless else None


def texts_of(value: Any, where: str = "") -> Mapping[str, str]:
    """Every text inside a JSON value by its place (``phases[0].name``)."""
    if isinstance(value, str):
        return {where: value}
    if isinstance(value, Mapping):
        inner = [(f"{where}.{name}" if where else str(name), one) for name, one in value.items()]
    elif isinstance(value, Sequence):
        inner = [(f"{where}[{n}]", one) for n, one in enumerate(value)]
    else:
        return {}
    return {place: text for name, one in inner for place, text in texts_of(one, name).items()}
