"""Ornaments that fill a box: scales, rays, dots, leaves, sparks and rings.

Each one is drawn as a coverage picture at twice the size and reduced, so edges are soft.
"""

import math
import random
from collections.abc import Callable
from typing import Final

from PIL import Image, ImageDraw

Pen = ImageDraw.ImageDraw
_FINE: Final = 2


def cover(name: str, width: int, height: int, size: int, count: int, seed: int) -> Image.Image:
    """Coverage (0 to 255) of the ornament ``name``; ``size`` is its pitch in pixels, ``count`` how many loose
    ones, ``seed`` where they fall."""
    drawn = Image.new("L", (width * _FINE, height * _FINE))
    _PATTERNS[name](ImageDraw.Draw(drawn), drawn.width, drawn.height, size * _FINE, count, seed)
    return drawn.reduce(_FINE)


def leaf(pen: Pen, x: float, y: float, length: float, turn: float, ink: int, plump: float = 0.26) -> None:
    """One pointed leaf from (x, y), ``length`` long, in direction ``turn`` (radians)."""
    sides = []
    for side in (1, -1):
        for i in range(13):
            t = i / 12 if side == 1 else 1 - i / 12
            swell = math.sin(math.pi * t**0.8) * plump * side
            sides.append(
                (
                    x + length * (t * math.cos(turn) - swell * math.sin(turn)),
                    y + length * (t * math.sin(turn) + swell * math.cos(turn)),
                )
            )
    pen.polygon(sides, fill=ink)


def branch(pen: Pen, x: float, y: float, length: float, turn: float, ink: int, leaves: int = 6) -> None:
    """A bending twig from (x, y) with leaves in pairs and one at its tip."""
    step, bend = length / leaves, 0.09
    for i in range(leaves):
        nx, ny = x + step * math.cos(turn), y + step * math.sin(turn)
        pen.line((x, y, nx, ny), fill=ink, width=max(2, int(length / 70)))
        size = length * (0.36 - 0.03 * i)
        leaf(pen, nx, ny, size, turn - 0.75, ink, 0.15)
        leaf(pen, nx, ny, size, turn + 0.75, ink, 0.15)
        x, y, turn = nx, ny, turn + bend
    leaf(pen, x, y, length * 0.26, turn, ink, 0.15)


def spark(pen: Pen, x: float, y: float, size: float, ink: int) -> None:
    """A four-pointed star."""
    points = []
    for i in range(8):
        reach = size if i % 2 == 0 else size * 0.22
        points.append((x + reach * math.sin(i * math.pi / 4), y - reach * math.cos(i * math.pi / 4)))
    pen.polygon(points, fill=ink)


def _scales(pen: Pen, width: int, height: int, size: int, _count: int, _seed: int) -> None:
    half, line = size // 2, max(2, size // 22)
    for row in range(height // (half // 2) + 3):
        y, shift = row * half // 2, half * (row % 2)
        for column in range(-1, width // size + 2):
            x = column * size + shift
            for ring, radius in enumerate((half, half * 2 // 3, half // 3)):
                box = (x - radius, y - radius, x + radius, y + radius)
                pen.ellipse(box, fill=0 if ring == 0 else None, outline=255, width=line)


def _rays(pen: Pen, width: int, height: int, _size: int, count: int, _seed: int) -> None:
    x, y, reach = width / 2, height * 0.5, math.hypot(width, height)
    for i in range(count):
        one, two = (2 * math.pi * (i + part) / count for part in (0.0, 0.5))
        ends = [(x + reach * math.cos(turn), y + reach * math.sin(turn)) for turn in (one, two)]
        pen.polygon([(x, y), *ends], fill=255)


def _dots(pen: Pen, width: int, height: int, size: int, _count: int, _seed: int) -> None:
    radius = max(2, size // 10)
    for row in range(height // size + 2):
        for column in range(-1, width // size + 2):
            x, y = column * size + (row % 2) * size // 2, row * size
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)


def _leaves(pen: Pen, width: int, height: int, size: int, count: int, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(count):
        x, y, turn = dice.uniform(0, width), dice.uniform(0, height), dice.uniform(0, math.tau)
        leaf(pen, x, y, size * dice.uniform(0.6, 1.2), turn, dice.choice((140, 200, 255)))


def _sparks(pen: Pen, width: int, height: int, size: int, count: int, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(count):
        x, y = dice.uniform(0, width), dice.uniform(0, height)
        spark(pen, x, y, size * dice.uniform(0.25, 1.0), dice.choice((120, 190, 255)))


def _rings(pen: Pen, width: int, height: int, size: int, count: int, _seed: int) -> None:
    x, y = width // 2, height // 2
    for i in range(count):
        radius = (i + 1) * size
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=255 - i * 200 // count, width=3)


_PATTERNS: Final[dict[str, Callable[[Pen, int, int, int, int, int], None]]] = {
    "scales": _scales,
    "rays": _rays,
    "dots": _dots,
    "leaves": _leaves,
    "sparks": _sparks,
    "rings": _rings,
}
