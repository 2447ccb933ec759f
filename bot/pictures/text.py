"""Lines of text in pixels: measuring, fitting, wrapping, and drawing on a picture.

A line is drawn run by run, one font per run, on one baseline. Widths are pixels, positions are of the
baseline's left end. Runs stand from left to right, whatever the direction of their letters: marks that turn it are
stripped before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Final

from PIL import Image, ImageChops, ImageColor

from bot.pictures import fonts, glyphs
from bot.pictures.graphemes import Cluster, clusters

ELLIPSIS: Final = Cluster("…", fonts.TEXT)
_NOT_FIRST: Final = frozenset("，。、；：？！）】》」』”’…·,.;:?!)]}%％~～")
"""Punctuation that never begins a line."""
_OPENING: Final = frozenset("（【《「『“‘([{〔〈")
"""Punctuation that opens what follows."""
_NOT_LAST: Final = _OPENING | frozenset(" ，、；：,;:·-–—/&+")
"""What is left out when it would stand before an ellipsis."""
_BEARING: Final = 0.06
"""Of the em: what is left free before most characters."""
_ASCENT: Final = 0.88
_DESCENT: Final = 0.12
"""Of the em: where Chinese characters sit around the baseline."""


@dataclass(frozen=True, slots=True)
class Type:
    """How text is set: ``size`` in pixels (the em), ``weight`` 100 to 900, ``spacing`` extra pixels after
    each character. ``serif``: in the serif face, which has one weight, as far as it has the characters."""

    size: int
    weight: int = 500
    spacing: int = 0
    serif: bool = False


Line = tuple[Cluster, ...]


def width(line: Sequence[Cluster], kind: Type) -> float:
    """Pixels from the left end of ``line`` to its right end."""
    runs = _runs(line, kind)
    spaced = kind.spacing * max(0, len(runs) - 1) if kind.spacing else 0
    return sum(glyphs.advance(t, f, kind.size, kind.weight) for t, f in runs) + spaced


def fit(line: Line, kind: Type, limit: float) -> Line:
    """``line`` itself if it is at most ``limit`` wide, else its longest beginning that fits with an ellipsis.

    A word or a number is left out whole rather than cut (50… of 500g would be another number), unless that would
    take more than half of what fits.
    """
    if width(line, kind) <= limit:
        return line
    low, high = 0, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        if width((*line[:middle], ELLIPSIS), kind) <= limit:
            low = middle
        else:
            high = middle - 1
    return (*line[: cut(line, low)], ELLIPSIS)


def cut(line: Line, most: int) -> int:
    """Where to cut ``line`` so that an ellipsis can follow: after at most ``most`` clusters, and how ``fit`` says."""
    end = most
    while 0 < end < len(line) and _in_word(line[end - 1].text) and _in_word(line[end].text):
        end -= 1
    end = end if 2 * end >= most else most
    while end and line[end - 1].text in _NOT_LAST:
        end -= 1
    return end


def hang(line: Line, kind: Type) -> float:
    """How many pixels further left than other lines ``line`` may begin, because 【 fills only the right half of its
    square and looks indented; 0 unless it begins with an opening mark."""
    if not line or line[0].text not in _OPENING:
        return 0.0
    cover, (left, _) = glyphs.letters(line[0].text, _face(line[0], kind), kind.size, kind.weight)
    ink = cover.getbbox()
    return max(0.0, left + ink[0] - kind.size * _BEARING) if ink else 0.0


def wrap(text: str, kind: Type, limit: float, most: int) -> list[Line]:
    """``text`` in at most ``most`` lines of at most ``limit`` pixels; the last one may end in an ellipsis."""
    rest, lines = clusters(text), list[Line]()
    while rest and len(lines) < most - 1:
        end = _break(rest, kind, limit)
        lines.append(_stripped(rest[:end]))
        rest = _stripped(rest[end:])
    if rest:
        lines.append(fit(rest, kind, limit))
    return lines


def balanced(text: str, kind: Type, limit: float, most: int) -> list[Line]:
    """As ``wrap``, but broken at a space if one allows it, else with lines of about equal length, so that
    no line holds a lone last character."""
    whole = clusters(text)
    if most == 2 and width(whole, kind) > limit:
        spaces = [i for i, c in enumerate(whole) if c.text == " "]
        halves = [[_stripped(whole[:i]), _stripped(whole[i:])] for i in spaces]
        fair = [pair for pair in halves if max(width(half, kind) for half in pair) <= limit]
        if fair:
            return min(fair, key=lambda pair: abs(width(pair[0], kind) - width(pair[1], kind)))
    lines = wrap(text, kind, limit, most)
    if len(lines) < 2 or ELLIPSIS in lines[-1]:
        return lines
    even = max(width(line, kind) for line in lines)
    step = kind.size / 2
    while even - step > limit / 2:
        tried = wrap(text, kind, even - step, most)
        if len(tried) > len(lines) or ELLIPSIS in tried[-1]:
            break
        lines, even = tried, even - step
    return lines


def draw(
    picture: Image.Image, at: tuple[float, float], line: Sequence[Cluster], kind: Type, colour: str
) -> None:
    """Draws ``line`` with the left end of its baseline at ``at``; emoji keep their own colours."""
    x, y = at
    for run, face in _runs(line, kind):
        if face == fonts.EMOJI:
            tile = _emoji(run, kind.size, _emoji_ink(colour))
            corner = (round(x), round(y - kind.size * 1.1))
            picture.paste(tile.convert("RGB"), corner, tile.getchannel("A"))
        else:
            cover, (dx, dy) = glyphs.letters(run, face, kind.size, kind.weight)
            picture.paste(colour, (round(x) + dx, round(y) + dy), cover)
        x += glyphs.advance(run, face, kind.size, kind.weight) + kind.spacing


@lru_cache(maxsize=512)
def _emoji(run: str, size: int, ink: str) -> Image.Image:
    """A run of emoji as RGBA, its baseline ``size`` * 1.1 below the top, black outlines turned to ``ink``."""
    ground = round(glyphs.advance(run, fonts.EMOJI, size, 400)) + size // 4, round(size * 1.5)
    tile = glyphs.emoji(run, size, ground, (0, size * 1.12))
    soft = ImageChops.lighter(tile.convert("RGB"), Image.new("RGB", tile.size, ink))
    soft.putalpha(tile.getchannel("A"))
    return soft


def _emoji_ink(colour: str) -> str:
    """Outlines as dark as the text on a light ground, a middle grey where the text is light."""
    red, green, blue, *_ = ImageColor.getrgb(colour)
    return "#77757d" if red * 3 + green * 6 + blue > 1400 else "#26221f"


def baseline(top: float, height: float, kind: Type) -> float:
    """The baseline that centres a line of ``kind`` in a band of ``height`` pixels from ``top``."""
    return top + (height + kind.size * (_ASCENT - _DESCENT)) / 2


def _runs(line: Sequence[Cluster], kind: Type) -> list[tuple[str, int]]:
    """Neighbours of one face drawn together; with spacing every cluster is a run of its own, but for letters that join.
    """
    if not kind.spacing:
        return [("".join(c.text for c in run), face) for face, run in groupby(line, key=lambda c: _face(c, kind))]

    def place(numbered: tuple[int, Cluster]) -> tuple[int, int]:
        face = _face(numbered[1], kind)
        return face, 0 if fonts.joins(face) else numbered[0]

    return [("".join(c.text for _, c in run), face) for (face, _), run in groupby(enumerate(line), key=place)]


def _face(cluster: Cluster, kind: Type) -> int:
    """The face that a cluster is drawn in."""
    return fonts.SERIF if kind.serif and cluster.face == fonts.TEXT and _serif(cluster.text) else cluster.face


def all_serif(line: Sequence[Cluster]) -> bool:
    """Whether the serif face has every letter: a name with one letter of another face looks like a mistake."""
    return all(cluster.face != fonts.TEXT or _serif(cluster.text) for cluster in line)


def _serif(letters: str) -> bool:
    return all(ord(letter) in fonts.covered(fonts.SERIF) for letter in letters)


def _break(line: Line, kind: Type, limit: float) -> int:
    """Where to end the first line: the last place that fits and splits no word; at least one cluster."""
    end = len(line)
    if width(line, kind) <= limit:
        return end
    end = len(fit(line, kind, limit + glyphs.advance("…", ELLIPSIS.face, kind.size, kind.weight))) - 1
    end = max(1, end)
    while end < len(line) and width(line[: end + 1], kind) <= limit:
        end += 1
    if end == len(line):  # one cluster, however wide: there is no place to break
        return end
    for place in range(end, max(0, end // 2), -1):
        if _may_break(line[place - 1].text, line[place].text):
            return place
    return end


def _may_break(before: str, after: str) -> bool:
    if after in _NOT_FIRST or before in _OPENING or (before.isdigit() and after not in _OPENING and after != " "):
        return False  # a number stays with what it counts
    return not (_in_word(before) and _in_word(after))


def _in_word(text: str) -> bool:
    return not text.isspace() and (text.isascii() or fonts.shaped(text[0]) is not None)


def _stripped(line: Line) -> Line:
    start, end = 0, len(line)
    while start < end and line[start].text == " ":
        start += 1
    while end > start and line[end - 1].text == " ":
        end -= 1
    return line[start:end]
