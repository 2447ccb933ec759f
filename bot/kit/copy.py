"""The voice: texts by key. Handlers name a key and its facts; assets/copy holds the sentence."""

from collections.abc import Mapping
from typing import Protocol


class CopyError(Exception):
    """A key is missing, or the facts given are not the placeholders of its text."""


class Copy(Protocol):
    def render(self, key: str, /, **facts: object) -> str:
        """The text of ``key`` with its placeholders filled. Raises CopyError."""
        ...

    def has(self, key: str) -> bool:
        """Whether there is a text of that key."""
        ...

    def parts(self, prefix: str, facts: Mapping[str, object]) -> dict[str, str]:
        """The texts right below ``prefix`` (``card.money.earned``) by their last name, each filled with those of
        ``facts`` that it names; {} when there are none. Raises CopyError when a fact is missing."""
        ...

    def part(self, key: str, facts: Mapping[str, object]) -> str:
        """The text of ``key``, filled with those of ``facts`` that it names. Raises CopyError."""
        ...

    def explain(self, code: str, facts: Mapping[str, object]) -> str:
        """What an operator reads when a rule refused: the text ``error.<code>`` with those of ``facts`` that it names,
        or a general one with the code."""
        ...
