"""Brushes: gradients, soft-edged forms and shadows. They know pixels and colours, not posters.

Colours are ``#rrggbb`` or ``#rrggbbaa``. Everything is computed from its arguments alone, so the same call
gives the same pixels in every process.
"""

import math
from functools import lru_cache
from typing import Final

from PIL import Image, ImageChops, ImageColor, ImageFilter

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
    import numpy as np  # 20 MB and a thread for each core: only where something is painted

    # open grids: a gradient along one axis stays one row or one column until the grain is added
    u = (np.arange(width, dtype=np.float32)[None, :] + 0.5) / width - 0.5
    v = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height - 0.5
    if form == "radial":
        way = np.hypot(u, v) * 2
    else:
        sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
        across = abs(sine) + abs(cosine)
        way = np.full((1, 1), 0.5, np.float32)
        way = way + v * (cosine / across) if abs(cosine) > 1e-6 else way
        way = way - u * (sine / across) if abs(sine) > 1e-6 else way
    way = np.clip(way, 0, 1)
    at = np.linspace(0, 1, len(stops))
    colours = np.array([rgba(stop) for stop in stops], np.float32)
    side = len(_TILE)
    high, wide = (side if length == 1 else full for length, full in zip(way.shape, (height, width), strict=True))
    grain = np.tile(np.array(_TILE, np.float32) / 16, (high // side + 1, wide // side + 1))[:high, :wide]
    out = np.empty((high, wide, 4), np.uint8)
    for i in range(4):  # a value and its grain stay below 256, and the cast cuts the fraction off
        run = colours[:, i]  # mostly the opacity is the same all the way
        out[..., i] = (np.interp(way, at, run).astype(np.float32) if run.min() < run.max() else run[0]) + grain
    # along an axis that the gradient does not run, every tile is like the first
    out = np.tile(out, (-(-height // high), -(-width // wide), 1))[:height, :width]
    return Image.fromarray(np.ascontiguousarray(out), "RGBA")


@lru_cache(maxsize=16)
def mask(form: str, width: int, height: int, radius: int = 0) -> Image.Image:
    """The form's coverage (0 to 255, soft edges one pixel wide) in a box of ``width`` x ``height``.

    ``rectangle`` and ``ticket`` have round corners, ``arch`` a half circle on top, ``cove`` a
    bottom edge hollowed by ``radius`` pixels, ``ellipse`` fills the box. Callers must not draw on the returned picture.
    """
    import numpy as np

    # every form is its own mirror image from left to right, most also from top to bottom: a part of it is computed
    mirrored = form not in ("arch", "cove")
    y = np.arange((height + 1) // 2 if mirrored else height, dtype=np.float32)[:, None] + np.float32(0.5)
    x = np.arange((width + 1) // 2, dtype=np.float32)[None, :] + np.float32(0.5)
    half_w, half_h = width / 2, height / 2
    u, v = x - half_w, y - half_h
    if form == "ellipse":
        way = np.hypot(u / half_w, v / half_h)
        slope = np.hypot(u / half_w**2, v / half_h**2) / np.maximum(way, 1e-6)
        inside = (1 - way) / np.maximum(slope, 1e-6)
    elif form == "cove":
        inside = height - min(radius, height) * (1 - (u / half_w) ** 2) - y
    else:
        corner = np.full_like(y, min(radius, half_w, half_h))
        if form == "arch":
            corner = np.where(y < half_w, np.float32(min(half_w, half_h)), corner)
        right, down = np.abs(u) - half_w + corner, np.abs(v) - half_h + corner
        outside = np.hypot(np.maximum(right, 0), np.maximum(down, 0))
        inside = corner - outside - np.minimum(np.maximum(right, down), 0)
        if form == "ticket":
            notch = np.hypot(np.abs(u) - half_w, v) - height * 0.13
            inside = np.minimum(inside, notch)
    part = (np.clip(inside + 0.5, 0, 1) * 255).astype(np.uint8)
    if mirrored:
        part = np.concatenate((part, part[::-1][height % 2:]))
    return Image.fromarray(np.concatenate((part, part[:, ::-1][:, width % 2:]), axis=1))


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
