"""What makes paper look like a document: guilloche lines and borders, a medal, laurels, and the shop's seal.

Everything is drawn as coverage at a multiple of the size and reduced, from its arguments alone.
"""

import math
import random
from collections.abc import Iterator
from typing import Final

from PIL import Image, ImageDraw

from bot.pictures import paint, patterns, text
from bot.pictures.graphemes import clusters

_FINE: Final = 3
Pen = ImageDraw.ImageDraw


def rosette(side: int, petals: int, rings: int, line: int = 1) -> Image.Image:
    """Coverage of a guilloche rosette: ``rings`` waving closed lines of ``petals`` waves each, woven into one."""
    fine = side * 2
    drawn = Image.new("L", (fine, fine))
    pen = ImageDraw.Draw(drawn)
    middle = fine / 2
    for ring in range(rings):
        shift = 2 * math.pi * ring / rings
        for reach, swing in ((0.74, 0.25), (0.42, 0.2)):
            points = []
            for step in range(1_441):
                turn = math.tau * step / 1_440
                radius = middle * (reach + swing * math.sin(petals * turn + shift) * math.cos(shift / 2))
                points.append((middle + radius * math.cos(turn), middle + radius * math.sin(turn)))
            pen.line(points, fill=255, width=line * 2, joint="curve")
    return drawn.reduce(2)


def border(width: int, height: int, band: int) -> Image.Image:
    """Coverage of a woven border: waves around all four sides between two lines, with a knot at each corner."""
    fine = 2
    drawn = Image.new("L", (width * fine, height * fine))
    pen = ImageDraw.Draw(drawn)
    thick = band * fine
    for phase in range(6):
        for along in _around(width * fine, height * fine, thick, phase * math.tau / 6):
            pen.line(along, fill=205, width=fine, joint="curve")
    edge = 3 * fine
    pen.rectangle((0, 0, drawn.width - 1, drawn.height - 1), outline=255, width=edge)
    pen.rectangle((thick, thick, drawn.width - 1 - thick, drawn.height - 1 - thick), outline=255, width=fine * 2)
    inset = thick + 7 * fine
    pen.rectangle((inset, inset, drawn.width - 1 - inset, drawn.height - 1 - inset), outline=170, width=fine)
    for x in (0, 1):
        for y in (0, 1):
            _knot(drawn, x * (drawn.width - thick), y * (drawn.height - thick), thick)
    return drawn.reduce(fine)


def _around(width: int, height: int, band: int, phase: float) -> Iterator[list[tuple[float, float]]]:
    """A wave along each side, a whole number of times, so that neighbouring corners match."""
    middle, swing = band / 2, band * 0.36
    for length, place in ((width, "top"), (width, "bottom"), (height, "left"), (height, "right")):
        run = length - 2 * band
        waves = max(1, round(run / (band * 1.5)))
        points = []
        for step in range(run // 3 + 1):
            along = band + step * 3
            off = middle + swing * math.sin(math.tau * waves * step * 3 / run + phase)
            points.append({"top": (along, off), "bottom": (along, height - 1 - off), "left": (off, along),
                           "right": (width - 1 - off, along)}[place])
        yield [(float(x), float(y)) for x, y in points]


def _knot(drawn: Image.Image, left: int, top: int, side: int) -> None:
    pen = ImageDraw.Draw(drawn)
    pen.rectangle((left, top, left + side, top + side), fill=255)
    hollow = rosette(side // 2, 8, 3, 1).resize((round(side * 0.86),) * 2, Image.Resampling.LANCZOS)
    inset = round(side * 0.07)
    drawn.paste(Image.new("L", hollow.size, 0), (left + inset, top + inset), hollow)


def medal(side: int, rim: tuple[str, str], face: tuple[str, str], star: str, points: int) -> Image.Image:
    """A round medal as RGBA: a scalloped rim, a ring of dots, and a star of ``points`` rays in the middle."""
    fine = side * _FINE
    middle = fine / 2
    outer = _scalloped(fine, 28, 0.96, 0.035)
    picture = Image.new("RGBA", (fine, fine))
    _layer(picture, outer, rim)
    _layer(picture, _disc(fine, 0.80), (rim[1], rim[0]))
    _layer(picture, _disc(fine, 0.765), face)
    pen = ImageDraw.Draw(picture)
    for i in range(48):
        turn = math.tau * i / 48
        x, y, dot = middle + middle * 0.70 * math.cos(turn), middle + middle * 0.70 * math.sin(turn), fine / 170
        pen.ellipse((x - dot, y - dot, x + dot, y + dot), fill=rim[0])
    ring = middle * 0.625
    pen.ellipse((middle - ring, middle - ring, middle + ring, middle + ring), outline=rim[0], width=fine // 110)
    for i in range(points):
        _ray(pen, middle, math.tau * i / points - math.pi / 2, points, star, rim[1])
    return picture.reduce(_FINE)


def _ray(pen: Pen, middle: float, turn: float, points: int, light: str, dark: str) -> None:
    """One point of a star, cut in a light and a dark half as if it were metal."""
    tip = (middle + middle * 0.52 * math.cos(turn), middle + middle * 0.52 * math.sin(turn))
    for side, ink in ((-1, light), (1, dark)):
        flank = turn + side * math.pi / points
        waist = (middle + middle * 0.215 * math.cos(flank), middle + middle * 0.215 * math.sin(flank))
        pen.polygon([(middle, middle), tip, waist], fill=ink)


def _scalloped(fine: int, waves: int, reach: float, swing: float) -> Image.Image:
    drawn = Image.new("L", (fine, fine))
    middle = fine / 2
    edge = [
        (middle + middle * (reach + swing * math.cos(waves * turn)) * math.cos(turn),
         middle + middle * (reach + swing * math.cos(waves * turn)) * math.sin(turn))
        for turn in (math.tau * i / 1_440 for i in range(1_440))
    ]
    ImageDraw.Draw(drawn).polygon(edge, fill=255)
    return drawn


def _disc(fine: int, reach: float) -> Image.Image:
    drawn = Image.new("L", (fine, fine))
    inset = fine / 2 * (1 - reach)
    ImageDraw.Draw(drawn).ellipse((inset, inset, fine - inset, fine - inset), fill=255)
    return drawn


def _layer(picture: Image.Image, cover: Image.Image, stops: tuple[str, str]) -> None:
    shade = paint.gradient(*picture.size, stops, angle=20)
    picture.paste(shade, (0, 0), cover)


def laurels(width: int, height: int) -> Image.Image:
    """Coverage of two branches that embrace the middle, open above."""
    drawn = Image.new("L", (width * _FINE, height * _FINE))
    pen = ImageDraw.Draw(drawn)
    middle, reach = drawn.width / 2, drawn.height * 0.47
    foot = drawn.height * 0.94
    for side in (-1, 1):
        centre = foot - reach
        for i in range(11):
            turn = math.pi / 2 - side * (0.16 + i * 0.175)
            x, y = middle + reach * math.cos(turn) * 1.0, centre + reach * math.sin(turn)
            along = turn - side * math.pi / 2
            size = drawn.height * (0.165 - 0.006 * i)
            for lean in (-0.62, 0.5):
                patterns.leaf(pen, x, y, size, along + lean, 255, 0.19)
        arc = [(middle + reach * math.cos(math.pi / 2 - side * t), centre + reach * math.sin(math.pi / 2 - side * t))
               for t in (0.06 + 0.02 * n for n in range(96))]
        pen.line(arc, fill=255, width=max(2, drawn.height // 110), joint="curve")
    return drawn.reduce(_FINE)


def flourish(width: int, height: int) -> Image.Image:
    """Coverage of a dividing line that swells to a diamond in the middle."""
    drawn = Image.new("L", (width * _FINE, height * _FINE))
    pen = ImageDraw.Draw(drawn)
    middle, y, half = drawn.width / 2, drawn.height / 2, drawn.height / 2
    for side in (-1, 1):
        gap = half * 2.6
        pen.polygon([(middle + side * gap, y - half * 0.16), (middle + side * gap, y + half * 0.16),
                     (middle + side * middle, y)], fill=255)
        x = middle + side * half * 1.75
        pen.ellipse((x - half * 0.24, y - half * 0.24, x + half * 0.24, y + half * 0.24), fill=255)
    pen.polygon([(middle, y - half), (middle + half, y), (middle, y + half), (middle - half, y)], fill=255)
    inner = half * 0.52
    pen.polygon([(middle, y - inner), (middle + inner, y), (middle, y + inner), (middle - inner, y)], fill=0)
    return drawn.reduce(_FINE)


def seal(name: str, side: int, turn: float = -4.0) -> Image.Image:
    """Coverage of a carved square seal with up to nine characters of ``name``, in columns from the right, as printed.

    The print is uneven, the same for the same name.
    """
    fine = side * 2
    drawn = Image.new("L", (fine, fine))
    pen = ImageDraw.Draw(drawn)
    pen.rounded_rectangle((0, 0, fine - 1, fine - 1), fine // 14, fill=255)
    rim = fine // 26
    pen.rounded_rectangle((rim, rim, fine - 1 - rim, fine - 1 - rim), fine // 18, outline=0, width=fine // 70)
    signs = [cluster for cluster in clusters(name) if cluster.text.strip()][:9]
    across = 1 if len(signs) <= 1 else 2 if len(signs) <= 4 else 3
    down = max(1, -(-len(signs) // across))
    room, inset = fine - 4 * rim, 2 * rim
    wide, high = room / across, room / down
    for i, sign in enumerate(signs):
        column, row = divmod(i, down)
        size = round(min(wide, high) * 0.86)
        kind = text.Type(size, 700, serif=True)
        cell = Image.new("RGB", (round(wide), round(high)), "#000000")
        left = (wide - text.width((sign,), kind)) / 2
        text.draw(cell, (left, text.baseline(0, high, kind)), (sign,), kind, "#ffffff")
        at = (round(inset + room - (column + 1) * wide), round(inset + row * high))
        drawn.paste(0, at, cell.convert("L"))
    worn = _worn(drawn, sum(map(ord, name)))
    return worn.rotate(turn, Image.Resampling.BICUBIC, expand=True).reduce(2)


def _worn(drawn: Image.Image, seed: int) -> Image.Image:
    """Ink that did not take everywhere: soft clouds and a few pinholes."""
    import numpy as np  # as in paint.py: only where something is painted

    dice = np.random.default_rng(seed)
    coarse = Image.fromarray(dice.integers(206, 256, (40, 40)).astype(np.uint8)).resize(
        drawn.size, Image.Resampling.BICUBIC)
    grain = dice.random((drawn.height, drawn.width)) < 0.02
    cover = np.asarray(drawn, np.float32) * np.asarray(coarse, np.float32) / 255
    cover[grain] *= 0.45
    made = Image.fromarray(cover.astype(np.uint8))
    chips = ImageDraw.Draw(made)
    chance = random.Random(seed)
    for _ in range(14):
        along, far, side = chance.random(), chance.choice((0.0, 1.0)), drawn.width
        x, y = (along * side, far * side) if chance.random() < 0.5 else (far * side, along * side)
        size = side * chance.uniform(0.006, 0.016)
        chips.ellipse((x - size, y - size, x + size, y + size), fill=0)
    return made
