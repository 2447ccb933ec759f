"""Text made safe to draw: cleaned, cut into clusters a reader takes for one character, and given faces.

Nothing here knows pixels. A nickname may hold anything; what comes out is only what the fonts can draw.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from bot.pictures import fonts

NEUTRAL: Final = "·"
"""Stands for a run of characters that no font has: a quiet dot, never a box."""

ZWJ: Final = "\u200d"
_TEXT_STYLE, _EMOJI_STYLE, _KEYCAP = "\ufe0e", "\ufe0f", "\u20e3"
_BLANKS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0\u180e")
"""Letters by category, invisible by design; people use them for empty names."""
_MARKS_KEPT: Final = 1
"""Combining marks kept on one character: more of them climb over the neighbouring lines."""
_SHAPED_MARKS_KEPT: Final = 3
"""As many as one letter of a script has that writes vowels and tones as marks."""

_MARKS: Final = ("Mn", "Me", "Mc")

_UNSAFE: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))
"""Categories that are never drawn: controls, direction and format marks, surrogates, private, unassigned."""

# Characters below U+1F000 that Unicode shows as a colour picture when no style is asked for
# (property Emoji_Presentation of emoji-data.txt).
_PICTURES: Final = frozenset(
    map(
        ord,
        "\u231a\u231b\u23e9\u23ea\u23eb\u23ec\u23f0\u23f3\u25fd\u25fe\u2614\u2615\u2648\u2649\u264a\u264b"
        "\u264c\u264d\u264e\u264f\u2650\u2651\u2652\u2653\u267f\u2693\u26a1\u26aa\u26ab\u26bd\u26be\u26c4"
        "\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a\u270b\u2728\u274c\u274e\u2753"
        "\u2754\u2755\u2757\u2795\u2796\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55",
    )
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a reader sees as one character, and the face that draws it: ``fonts.EMOJI``, ``fonts.TEXT`` or one of those
    that ``fonts.shaped`` tells."""

    text: str
    face: int


@lru_cache(maxsize=4096)
def clusters(raw: str) -> tuple[Cluster, ...]:
    """``raw`` cleaned and cut; every returned cluster can be drawn by its face without a missing glyph."""
    out: list[Cluster] = []
    for piece in _cut(_clean(raw)):
        for made in _dressed(piece):
            if made.text == NEUTRAL and out and out[-1].text == NEUTRAL:
                continue
            if made.text == " " and (not out or out[-1].text == " "):
                continue
            out.append(made)
    while out and out[-1].text == " ":
        out.pop()
    for at in range(1, len(out) - 1):
        if out[at].text == " " and fonts.joins(face := out[at - 1].face) and face == out[at + 1].face:
            out[at] = Cluster(" ", face)  # words of one script are put in their order together
    return tuple(out)


def visible(raw: str) -> bool:
    """Whether anything of ``raw`` can be drawn apart from spaces and the neutral dot."""
    return any(c.text.strip() and c.text != NEUTRAL for c in clusters(raw))


def _clean(raw: str) -> str:
    """Composed form without controls, direction marks, surrogates and invisible fillers."""
    kept = []
    for char in unicodedata.normalize("NFC", raw):
        kind = unicodedata.category(char)
        if char.isspace() or char in _BLANKS:
            kept.append(" ")
        elif char == ZWJ or _is_tag(char) or kind not in _UNSAFE:
            kept.append(char)
    return "".join(kept)


def _cut(text: str) -> Iterator[str]:
    start, size = 0, len(text)
    while start < size:
        end = start + 1
        if _is_flag(text[start]) and end < size and _is_flag(text[end]):
            end += 1
        while end < size and _joins(text, start, end):
            end += 1
        yield text[start:end]
        start = end


def _joins(text: str, start: int, at: int) -> bool:
    """Whether ``text[at]`` belongs to the cluster that began at ``start``."""
    char, before = text[at], text[at - 1]
    if before == ZWJ:
        return _is_picture(char) and _is_picture(text[start])
    return (
        char in (ZWJ, _KEYCAP, _EMOJI_STYLE, _TEXT_STYLE)
        or _is_tag(char)
        or 0x1F3FB <= ord(char) <= 0x1F3FF
        or unicodedata.category(char) in _MARKS
    )


def _dressed(piece: str) -> Iterator[Cluster]:
    """The cluster with a face; taken apart, simplified or replaced when no font has it whole."""
    if _wants_colour(piece):
        whole = piece.rstrip(ZWJ)
        if all(ord(c) in fonts.covered(fonts.EMOJI) for c in whole if c not in (_TEXT_STYLE, _EMOJI_STYLE)):
            yield Cluster(whole, fonts.EMOJI)
            return
    base, marks = piece[0], [c for c in piece[1:] if unicodedata.category(c) == "Mn"]
    if base in (ZWJ, _EMOJI_STYLE, _TEXT_STYLE, _KEYCAP) or _is_tag(base):
        return
    shaped = fonts.shaped(base)
    if shaped is not None and ord(base) in fonts.covered(shaped):
        if unicodedata.category(base) not in _MARKS:  # a mark without a letter would get a circle
            own = [c for c in piece[1:] if unicodedata.category(c) in _MARKS and ord(c) in fonts.covered(shaped)]
            yield Cluster(base + "".join(own[:_SHAPED_MARKS_KEPT]), shaped)
        return
    if _has_letter(base):
        drawable = [c for c in marks if _has_letter(c) and c not in (_EMOJI_STYLE, _TEXT_STYLE)]
        yield Cluster(base + "".join(drawable[:_MARKS_KEPT]), fonts.TEXT)
    elif unicodedata.combining(base):
        return
    elif ord(base) in fonts.covered(fonts.EMOJI):
        yield Cluster(base, fonts.EMOJI)
    else:
        yield from _plainer(base)


def _plainer(char: str) -> Iterator[Cluster]:
    """Fancy letters (𝓛, ⓛ) as plain ones; what stays unknown becomes the neutral dot."""
    plain = [c for c in unicodedata.normalize("NFKC", char) if _has_letter(c)]
    yield from [Cluster(c, fonts.TEXT) for c in plain or NEUTRAL]


def _has_letter(char: str) -> bool:
    return ord(char) in fonts.covered(fonts.TEXT)


def _wants_colour(piece: str) -> bool:
    if _TEXT_STYLE in piece:
        return False
    return _is_picture(piece[0]) or _EMOJI_STYLE in piece or _KEYCAP in piece


def _is_picture(char: str) -> bool:
    code = ord(char)
    return code in _PICTURES or (code >= 0x1F000 and code in fonts.covered(fonts.EMOJI)) or code in _JOINABLE


_JOINABLE: Final = frozenset((0x2640, 0x2642, 0x2695, 0x2696, 0x2708, 0x2764, 0x27A1, 0x2B1B, 0x26A7))
"""Signs that stand at the end of joined sequences (a nurse, a pilot, a heart between two people)."""


def _is_flag(char: str) -> bool:
    return 0x1F1E6 <= ord(char) <= 0x1F1FF


def _is_tag(char: str) -> bool:
    return 0xE0020 <= ord(char) <= 0xE007F
