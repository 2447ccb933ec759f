"""Runs of characters as glyphs in their places, and as pixels. HarfBuzz does both (docs/adr/0082).

Sizes are pixels of the em, weights 100 to 900 (``EMOJI`` and ``SERIF`` have one). Everything stands on a baseline that
begins at (0, 0), and goes from left to right; letters that do not are put in their order.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import uharfbuzz as hb
from PIL import Image

from bot.pictures import fonts

_UNITS: Final = 64
"""Of a pixel: places are whole numbers of it."""
_EMOJI_SCALE: Final = 0.92
"""OpenMoji draws its pictures larger than the em; this makes one as tall as a Chinese character."""


@lru_cache(maxsize=128)
def _font(face: int, size: int, weight: int) -> hb.Font:
    """A size and a weight of a face: some hundred bytes, the file is the face's."""
    font = hb.Font(fonts.opened(face))
    pixels = max(1, round(size * _EMOJI_SCALE)) if face == fonts.EMOJI else size
    font.scale = pixels * _UNITS, pixels * _UNITS
    if face not in (fonts.EMOJI, fonts.SERIF):
        font.set_variations({"wght": weight})
    return font


def _shaped(run: str, face: int, font: hb.Font) -> hb.Buffer:
    buffer = hb.Buffer()
    buffer.add_str(run)
    buffer.guess_segment_properties()
    # Guessed, they would depend on the machine.
    buffer.direction, buffer.language = "rtl" if face == fonts.ARABIC else "ltr", "zh-Hans"
    hb.shape(font, buffer)
    return buffer


def _placed(buffer: hb.Buffer, start: float = 0) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Glyphs, and how each is moved to where it stands."""
    for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
        yield info.codepoint, (1, 0, 0, 1, start + place.x_offset, place.y_offset)
        start += place.x_advance


@lru_cache(maxsize=8192)
def advance(run: str, face: int, size: int, weight: int) -> float:
    """How many pixels the next run begins further right."""
    places = _shaped(run, face, _font(face, size, weight)).glyph_positions
    return float(sum(place.x_advance for place in places)) / _UNITS


@lru_cache(maxsize=512)
def letters(run: str, face: int, size: int, weight: int) -> tuple[Image.Image, tuple[int, int]]:
    """Coverage of a run of letters (``L``), and where its upper left corner lies.

    Kept because a poster repeats most of its words (来自@, 的推荐, dates).
    """
    font = _font(face, size, weight)
    pen = hb.RasterDraw()
    pen.scale_factor = _UNITS, _UNITS
    for glyph, pen.transform in _placed(_shaped(run, face, font)):
        pen.draw_glyph(font, glyph)
    made = pen.render()
    size_of = made.extents
    if not size_of.width or not size_of.height:  # nothing but spaces
        return Image.new("L", (1, 1)), (0, 0)
    cover = Image.frombytes("L", (size_of.width, size_of.height), made.buffer, "raw", "L", size_of.stride, -1)
    return cover, (size_of.x_origin, -size_of.y_origin - size_of.height)


def emoji(run: str, size: int, ground: tuple[int, int], at: tuple[float, float]) -> Image.Image:
    """A run of emoji in their own colours on a clear ground (``RGBA``) of so many pixels; the baseline begins at ``at``
    of it."""
    font = _font(fonts.EMOJI, size, 400)
    width, height = ground
    brush = hb.RasterPaint()
    brush.scale_factor = _UNITS, _UNITS
    below = height - math.floor(at[1])
    brush.extents = hb.RasterExtents(0, -below, width, height, 0)
    down = (at[1] - math.floor(at[1])) * _UNITS
    for glyph, (*turn, x, y) in _placed(_shaped(run, fonts.EMOJI, font), at[0] * _UNITS):
        brush.transform = (*turn, x, y - down)
        brush.paint_glyph(font, glyph)
    made = brush.render()
    return Image.frombytes("RGBA", ground, made.buffer, "raw", "BGRa", made.extents.stride, -1)


def middle(size: int) -> float:
    """How far above the baseline the middle of an emoji lies."""
    extents = _font(fonts.EMOJI, size, 400).get_font_extents("ltr")
    return float(extents.ascender + extents.descender) / 2 / _UNITS
