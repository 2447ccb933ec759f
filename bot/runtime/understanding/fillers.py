"""Takes words without meaning off the ends of a text."""

from collections.abc import Iterable

from bot.runtime.understanding import normalise
from bot.runtime.understanding.lexicon import WordsByFirst

_MOST = 16
"""Fillers taken off one end; nobody means more, and it bounds the work."""


class Trimmer:
    """Strips listed words from the front and the end, and the dress that then shows.

    ``protected`` are names that begin like a filler (有机 like 有) and stop the stripping.
    """

    def __init__(self, before: Iterable[str], after: Iterable[str], protected: Iterable[str] = ()) -> None:
        self._before = WordsByFirst(before)
        self._protected = WordsByFirst(protected)
        self._after = WordsByFirst(word[::-1] for word in after)

    def trim(self, text: str) -> str:
        """What is left between the fillers; may be ''."""
        return self.trim_end(self.trim_start(text))

    def trim_start(self, text: str) -> str:
        return text[_reach(self._before, text, self._protected) :]

    def trim_end(self, text: str) -> str:
        return text[: len(text) - _reach(self._after, text[::-1], _NOTHING)]


_NOTHING = WordsByFirst(())


def _reach(words: WordsByFirst, text: str, protected: WordsByFirst) -> int:
    """How far words and dress in turn reach into ``text``."""
    at = 0
    for _ in range(_MOST):
        while at < len(text) and normalise.is_dress(text[at]):
            at += 1
        word = words.longest(text, at)
        if not word or protected.longest(text, at):
            break
        at += len(word)
    return at
