"""How Chinese text sounds: one pinyin syllable a character, tones dropped, from pypinyin's table."""

import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import msgspec

# Pairs that many speakers, and their input methods, do not tell apart. Longest first.
_INITIALS = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"))
_FINALS = (("ang", "an"), ("eng", "en"), ("ing", "in"))


_FIRST, _LAST = 0x4E00, 0x9FFF
"""The basic CJK block."""


@cache
def _table() -> tuple[str, ...]:
    """The first reading without tone ('lü' as 'lv') of every character of the basic CJK block, '' where there is none.

    pypinyin's package loads a phrase table of some 50 MB when it is imported, and its module of characters makes two
    dictionaries of all of them; we need only the file that it reads.
    """
    package = find_spec("pypinyin")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("pypinyin is not installed")
    known = msgspec.json.decode(Path(package.origin).with_name("pinyin_dict.json").read_bytes(), type=dict[int, str])
    return tuple(_without_tone(known.get(code, "").split(",", 1)[0]) for code in range(_FIRST, _LAST + 1))


@cache  # some 1,500 syllables for 21,000 characters
def _without_tone(syllable: str) -> str:
    decomposed = unicodedata.normalize("NFD", syllable.replace("ü", "v"))
    # "ǘ" decomposes to u, diaeresis, accent: the diaeresis is the letter, the accent the tone.
    decomposed = decomposed.replace("u\u0308", "v")
    return "".join(char for char in decomposed if char.isascii())


class Sound:
    """Spells text in syllables. ``readings`` settles characters that are read in several ways."""

    def __init__(self, readings: Mapping[str, str]) -> None:
        self._table, self._readings = _table(), readings
        self._folded = {syllable: _fold(syllable) for syllable in {*self._table, *readings.values()} if syllable}

    def syllables(self, text: str) -> list[str]:
        """One entry a character: its syllable, or the character itself if it has none."""
        return [self._syllable(char) or char for char in text]

    def letters(self, text: str) -> str:
        """``text`` as pinyin letters run together; spaces and apostrophes between syllables drop out."""
        return "".join(self.syllables(text)).replace(" ", "").replace("'", "").replace("ü", "v")

    def folded(self, text: str) -> str:
        """As ``letters``, with sounds that are commonly confused made equal (zh z, n l, ing in)."""
        return "".join(self._folded.get(self._syllable(char), char) for char in text)

    def _syllable(self, char: str) -> str:
        """'' for a character that has none."""
        if char in self._readings:
            return self._readings[char]
        code = ord(char)
        return self._table[code - _FIRST] if _FIRST <= code <= _LAST else ""


def _fold(syllable: str) -> str:
    for wide, narrow in _INITIALS:
        if syllable.startswith(wide):
            syllable = narrow + syllable[len(wide) :]
            break
    for wide, narrow in _FINALS:
        if syllable.endswith(wide):
            return syllable[: -len(wide)] + narrow
    return syllable
