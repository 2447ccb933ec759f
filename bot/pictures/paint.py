"""Brushes: gradients, soft-edged forms and shadows. They know pixels and colours, not posters.

Colours are ``#rrggbb`` or ``#rrggbbaa``. Everything is computed from its arguments alone, so the same call
gives the same pixels in every process.
"""

import math
from functools import lru_cache
from itertools import pairwise
from typing import Final

from PIL import Image, ImageChops, ImageColor, ImageFilter

from bot.pictures import forms

Place = tuple[int, int, int, int]

# Ordered thresholds of a 4 x 4 tile: added before rounding, they turn the steps of a slow gradient (visible
# as bands on a phone, worst in the dark) into a fine even grain that costs JPEG next to nothing. Sixteenths.
_TILE: Final = ((0, 8, 2, 10), (12, 4, 14, 6), (3, 11, 1, 9), (15, 7, 13, 5))
_SHADOW_STEP: Final = 8


def rgba(colour: str) -> tuple[int, int, int, int]:
    """Red, green, blue and opacity of ``colour``, 0 to 255 each."""
    red, green, blue, *rest = ImageColor.getrgb(colour)
    return red, green, blue, rest[0] if rest else 255


def gradient(
    width: int, height: int, stops: tuple[str, ...], form: str = "linear", angle: int = 0
) -> Image.Image:
    """An RGBA picture running through ``stops`` at equal distances.

    ``linear`` runs from top to bottom, turned clockwise by ``angle`` degrees; ``radial`` from the middle to
    the nearest sides of the box's ellipse.
    """
    if form == "linear" and angle % 90 == 0:
        return _straight(width, height, stops, angle % 360)
    import numpy as np  # 20 MB and a thread for each core: only for what runs aslant or round

    u = (np.arange(width, dtype=np.float32)[None, :] + 0.5) / width - 0.5
    v = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height - 0.5
    if form == "radial":
        way = np.hypot(u, v) * 2
    else:
        sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
        way = (v * cosine - u * sine) / (abs(sine) + abs(cosine)) + 0.5
    way = np.clip(way, 0, 1)
    at = np.linspace(0, 1, len(stops))
    colours = np.array([rgba(stop) for stop in stops], np.float32)
    side = len(_TILE)
    grain = np.tile(np.array(_TILE, np.float32) / 16, (height // side + 1, width // side + 1))[:height, :width]
    out = np.empty((height, width, 4), np.uint8)
    for i in range(4):  # a value and its grain stay below 256, and the cast cuts the fraction off
        run = colours[:, i]  # mostly the opacity is the same all the way
        out[..., i] = (np.interp(way, at, run).astype(np.float32) if run.min() < run.max() else run[0]) + grain
    return Image.fromarray(out, "RGBA")


def _straight(width: int, height: int, stops: tuple[str, ...], angle: int) -> Image.Image:
    """A gradient along an axis: one tile wide, then repeated."""
    upright, side = angle % 180 == 0, len(_TILE)
    tile = _TILE if upright else tuple(zip(*_TILE, strict=True))
    planes = []
    for run in zip(*map(rgba, stops), strict=True):
        if min(run) == max(run):  # mostly the opacity is the same all the way
            planes.append(Image.new("L", (side, height if upright else width), run[0]))
            continue
        ramp = _sixteenths(run[::-1] if angle in (90, 180) else run, height if upright else width)
        plane = bytearray(side * len(ramp))
        for row, grains in enumerate(tile):
            for column, grain in enumerate(grains):
                plane[side * row + column :: side * side] = bytes([value + grain >> 4 for value in ramp[row::side]])
        planes.append(Image.frombytes("L", (side, len(ramp)), plane))
    strip = Image.merge("RGBA", planes)
    if upright:
        wide, pixels = 4 * side, strip.tobytes()
        rows = [(pixels[at : at + wide] * -(-width // side))[: 4 * width] for at in range(0, len(pixels), wide)]
        return Image.frombytes("RGBA", (width, height), b"".join(rows))
    tiles = strip.transpose(Image.Transpose.TRANSPOSE).tobytes() * -(-height // side)
    return Image.frombytes("RGBA", (width, height), tiles[: 4 * width * height])


def _sixteenths(run: tuple[int, ...], length: int) -> list[int]:
    """The values of one channel at the middles of ``length`` pixels, in sixteenths."""
    spans, whole = len(run) - 1, 2 * length  # the middle of pixel i lies at (2i + 1) * spans / whole, in spans
    out: list[int] = []
    for place, (here, there) in enumerate(pairwise(run)):
        until = ((place + 1) * whole // spans + 1) // 2
        begin = here * whole + (there - here) * ((2 * len(out) + 1) * spans - place * whole)
        step = (there - here) * 2 * spans
        out += [16 * (begin + i * step) // whole for i in range(until - len(out))]
    return out


@lru_cache(maxsize=16)
def mask(form: str, width: int, height: int, radius: int = 0) -> Image.Image:
    """The form's coverage (0 to 255, soft edges one pixel wide) in a box of ``width`` x ``height``.

    ``rectangle`` and ``ticket`` have round corners, ``arch`` a half circle on top, ``cove`` a
    bottom edge hollowed by ``radius`` pixels, ``ellipse`` fills the box. Callers must not draw on the returned picture.
    """
    return forms.cover(form, width, height, radius)


def fill(picture: Image.Image, at: tuple[int, int], cover: Image.Image, stops: tuple[str, ...]) -> None:
    """Lays one colour, or a gradient from top to bottom, on ``picture`` through ``cover`` at ``at``."""
    if len(stops) == 1:
        red, green, blue, opacity = rgba(stops[0])
        faded = cover if opacity == 255 else cover.point([i * opacity // 255 for i in range(256)])
        picture.paste((red, green, blue), at, faded)
        return
    lay(picture, at, gradient(*cover.size, stops), cover)


def lay(picture: Image.Image, at: tuple[int, int], top: Image.Image, cover: Image.Image | None = None) -> None:
    """Lays the RGBA picture ``top`` on the RGB ``picture``, through ``cover`` when given."""
    alpha = top.getchannel("A")
    if cover is not None:
        alpha = _times(alpha, cover)
    picture.paste(top.convert("RGB"), at, alpha)


def shadow(
    picture: Image.Image, at: tuple[int, int], cover: Image.Image, colour: str, blur: int, dy: int
) -> None:
    """A soft shadow of ``cover`` on ``picture``, ``dy`` pixels below it.

    Blurred at an eighth of the size: a shadow has no detail, and the full-size blur costs 50 times as much.
    """
    pad = blur * 2
    step = _SHADOW_STEP
    wide, high = cover.width + 2 * pad, cover.height + 2 * pad
    small = Image.new("L", (-(-wide // step), -(-high // step)))
    core = cover.resize((max(1, cover.width // step), max(1, cover.height // step)), Image.Resampling.BOX)
    small.paste(core, (pad // step, pad // step))
    soft = small.filter(ImageFilter.GaussianBlur(blur / 2 / step))
    full = soft.resize((small.width * step, small.height * step), Image.Resampling.BICUBIC)
    fill(picture, (at[0] - pad, at[1] - pad + dy), full, (colour,))


def outline(
    picture: Image.Image, box: Place, form: str, radius: int, line: int, colour: str
) -> None:
    """A line of ``line`` pixels along the inside of the form's edge."""
    left, top, width, height = box
    ring = mask(form, width, height, radius).copy()
    if width > 2 * line and height > 2 * line:
        inner = mask(form, width - 2 * line, height - 2 * line, max(0, radius - line))
        ring.paste(0, (line, line), inner)
    fill(picture, (left, top), ring, (colour,))


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """The contrast ratio of two colours as WCAG 2 defines it, 1 to 21."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: tuple[int, int, int]) -> float:
    parts = [c / 255 for c in colour]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _times(one: Image.Image, other: Image.Image) -> Image.Image:
    if one.getextrema() == (255, 255):
        return other
    return ImageChops.multiply(one, other)
