"""Finding words by their sound: equal pinyin, and nearly equal pinyin."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bot.runtime.understanding import normalise
from bot.runtime.understanding.lexicon import Intent, Lexicon

_SURE_TYPED, _LIKELY_TYPED = 82.0, 74.0
"""Ratios of letters (0–100) from which one intent is taken, or offered, when pinyin was typed."""
_SURE_SPOKEN, _LIKELY_SPOKEN = 90.0, 83.0
"""The same for characters: an input method spells well, so another syllable is mostly another word."""
_LEAD = 4.0
"""The best must lead the best of another intent by this much, else both are offered."""
_LONGEST_HEAD = 24
"""Letters or characters of a head compared; our longest word has six characters."""
_WINDOW = (2, 4)
_TOKENS = 5

ArgumentOf = Callable[[Intent, str], str | None]


@dataclass(frozen=True)
class Verdict:
    """Intents that sound nearly so, best first; ``sure`` if the first may be taken."""

    names: tuple[str, ...] = ()
    sure: bool = False
    argument: str = ""


class Similar:
    """Looks a lexicon's words up by sound."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._intents = lexicon.intents
        self._typed = lexicon.typed
        self._spoken = lexicon.spoken
        self._folded = lexicon.folded
        self._sound = lexicon.sound
        self._typed_keys = list(lexicon.typed)
        self._spoken_keys = list(lexicon.spoken)

    def same(self, form: str, argument_of: ArgumentOf) -> Iterator[tuple[Intent, str]]:
        """Intents whose word sounds as ``form``, or as its head with an argument behind."""
        for head, rest in _heads(form):
            known = self._typed if head.isascii() else self._spoken
            name = known.get(self._sound.letters(normalise.lower(head)))
            if name:
                intent = self._intents[name]
                argument = argument_of(intent, rest) if rest else ""
                if argument is not None:
                    yield intent, argument

    def inside(self, text: str) -> Iterator[tuple[int, int, Intent]]:
        """Spans of Chinese characters inside a sentence that sound as a word."""
        syllables = self._sound.syllables(text[:64])
        for start in range(len(syllables)):
            for length in range(_WINDOW[1], _WINDOW[0] - 1, -1):
                end = start + length
                if end > len(syllables) or text[start:end].isascii():
                    continue
                name = self._spoken.get("".join(syllables[start:end]))
                if name:
                    yield start, end, self._intents[name]
                    break

    def near(self, form: str, argument_of: ArgumentOf) -> Verdict:
        """Intents whose word sounds nearly as ``form``, or as its head with an argument behind."""
        likely: tuple[str, ...] = ()
        for head, rest in _heads(form):
            verdict = self._near_head(normalise.lower(head))
            if not rest:
                if verdict.sure:
                    return verdict
                likely = verdict.names
            elif verdict.sure:
                argument = argument_of(self._intents[verdict.names[0]], rest)
                if argument is not None:
                    return Verdict(verdict.names, True, argument)
        return Verdict(likely)

    def _near_head(self, head: str) -> Verdict:
        letters = self._sound.letters(head)
        if not 3 <= len(letters) <= _LONGEST_HEAD:
            return Verdict()
        if head.isascii():
            return self._rank(letters, self._typed_keys, _LIKELY_TYPED, _SURE_TYPED)
        alike = self._folded.get(self._sound.folded(head))
        if alike:
            return Verdict((alike,), True)
        return self._rank(letters, self._spoken_keys, _LIKELY_SPOKEN, _SURE_SPOKEN)

    def _rank(self, letters: str, keys: list[str], likely: float, enough: float) -> Verdict:
        from rapidfuzz import fuzz, process  # 2 MB that only a process needs to which people talk

        scores: dict[str, float] = {}
        for key, score, _ in process.extract(letters, keys, scorer=fuzz.ratio, score_cutoff=likely, limit=8):
            scores.setdefault(self._typed[key], score)
        best = list(scores.values())
        sure = bool(best) and best[0] >= enough and (len(best) == 1 or best[0] - best[1] >= _LEAD)
        return Verdict(tuple(scores), sure)


def _heads(form: str) -> Iterator[tuple[str, str]]:
    """Where a word may end and its argument begin: the whole, each space, the first number. (head, rest)"""
    if len(form) <= _LONGEST_HEAD:
        yield form, ""
    cuts = []
    for at, char in enumerate(form[: _LONGEST_HEAD + 1]):
        if at and (char in normalise.SEPARATORS or char in "0123456789¥$"):
            cuts.append(at)
            if char in "0123456789¥$" or len(cuts) == _TOKENS:
                break
    for at in reversed(cuts):
        yield form[:at], form[at:]
