"""The voice: texts by key. Handlers name a key and its facts; assets/copy holds the sentence."""

from typing import Protocol


class CopyError(Exception):
    """A key is missing, or the facts given are not the placeholders of its text."""


class Copy(Protocol):
    def render(self, key: str, **facts: object) -> str:
        """The text of ``key`` with its placeholders filled. Raises CopyError."""
        ...

    def has(self, key: str) -> bool:
        """Whether there is a text of that key."""
        ...
