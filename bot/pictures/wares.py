"""Still-life vessels: a pouch, a jar, a bottle, a box, a basket of fruit, or the thing itself, large.

Each is drawn on a transparent square in units of a thousandth of its side, at twice the size, and reduced.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from PIL import Image, ImageChops, ImageDraw

from bot.pictures import fonts, glyphs, paint, text
from bot.pictures.graphemes import clusters

_FINE: Final = 2
_PAPER: Final = "#fffaf0"

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Ware:
    """What to draw: the vessel's ``form`` and ``tint``, the ``glyph`` and ``label`` on it, the ``ink`` of lines."""

    form: str
    glyph: str
    label: str
    tint: str
    ink: str


def draw(ware: Ware, side: int) -> Image.Image:
    """``ware`` as RGBA, drawn in a square of ``side`` pixels and cut to what is painted of it."""
    bench = _Bench(side * _FINE)
    FORMS[ware.form](bench, ware)
    return bench.picture.reduce(_FINE, bench.picture.getbbox())


@lru_cache(maxsize=24)
def glyph(emoji: str, side: int, ink: str) -> Image.Image:
    """``emoji`` as an RGBA square of ``side`` pixels, its black outlines turned to ``ink``."""
    size = round(side * 0.84)
    left = (side - glyphs.advance(emoji, fonts.EMOJI, size, 400)) / 2
    square = glyphs.emoji(emoji, size, (side, side), (left, side / 2 + glyphs.middle(size)))
    soft = ImageChops.lighter(square.convert("RGB"), Image.new("RGB", square.size, ink))
    soft.putalpha(square.getchannel("A"))
    return soft


def mix(one: str, other: str, part: float) -> str:
    """The colour ``part`` (0 to 1) of the way from ``one`` to ``other``."""
    pairs = zip(paint.rgba(one)[:3], paint.rgba(other)[:3], strict=True)
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in pairs)


@dataclass(frozen=True, slots=True)
class _Part:
    """Coverage of one drawn part and the pixel where its top left corner lies."""

    cover: Image.Image
    at: tuple[int, int]


class _Bench:
    """A transparent square with brushes that take thousandths of its side.

    Every part is painted within its own bounds: on the whole square it would cost ten times as much.
    """

    def __init__(self, side: int) -> None:
        self.picture = Image.new("RGBA", (side, side))
        self.unit = side / 1000

    def form(self, points: Points, stops: tuple[str, ...], angle: int = 0) -> _Part:
        """Fills the polygon."""
        spots = [(x * self.unit, y * self.unit) for x, y in points]
        left, top = int(min(x for x, _ in spots)), int(min(y for _, y in spots))
        right, bottom = (int(max(side)) + 1 for side in zip(*spots, strict=True))
        cover = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(cover).polygon([(x - left, y - top) for x, y in spots], fill=255)
        return self._fill(_Part(cover, (left, top)), stops, angle)

    def block(
        self, x: float, y: float, w: float, h: float, r: float, stops: tuple[str, ...], angle: int = 0
    ) -> _Part:
        """Fills a rectangle with round corners."""
        k = self.unit
        cover = _block(max(1, round(w * k)), max(1, round(h * k)), r * k)
        return self._fill(_Part(cover, (round(x * k), round(y * k))), stops, angle)

    def oval(self, x: float, y: float, side: float, stops: tuple[str, ...]) -> None:
        """Fills a disc."""
        self.block(x, y, side, side, side / 2, stops)

    def light(self, part: _Part) -> None:
        """Roundness: a bright band on the left third and shade towards the right edge of ``part``."""
        stops = ("#00000030", "#ffffff50", "#ffffff18", "#00000008", "#00000048")
        strip = paint.gradient(part.cover.width, 1, stops, "linear", 270)
        veil = strip.getchannel("A").resize(part.cover.size, Image.Resampling.NEAREST)
        strip.putalpha(255)
        sheen = strip.resize(part.cover.size, Image.Resampling.NEAREST)
        self.picture.paste(sheen, part.at, ImageChops.multiply(veil, part.cover))

    def shade(self, part: _Part, colour: str) -> None:
        """One colour over ``part``."""
        self._fill(part, (colour,), 0)

    def stamp(self, emoji: str, x: float, y: float, side: float, ink: str) -> None:
        """``emoji`` centred on (x, y)."""
        drawn = glyph(emoji, round(side * self.unit), ink)
        at = (round((x - side / 2) * self.unit), round((y - side / 2) * self.unit))
        self.picture.alpha_composite(drawn, at)

    def word(self, label: str, x: float, y: float, size: float, colour: str) -> None:
        """``label`` centred on (x, y)."""
        kind = text.Type(round(size * self.unit), 700, round(size * self.unit * 0.12))
        line = clusters(label)
        left = x * self.unit - text.width(line, kind) / 2
        foot = text.baseline(y * self.unit - kind.size / 2, kind.size, kind)
        text.draw(self.picture, (left, foot), line, kind, colour)

    def rule(self, x: float, y: float, w: float, thick: float, colour: str) -> None:
        """A line with round ends."""
        self.block(x, y, w, thick, thick / 2, (colour,))

    def _fill(self, part: _Part, stops: tuple[str, ...], angle: int) -> _Part:
        """Opaque colours are pasted through the coverage, translucent ones blended (three times as slow)."""
        size = part.cover.size
        if len(stops) == 1 and len(stops[0]) == 7:
            self.picture.paste(stops[0], part.at, part.cover)
            return part
        if len(stops) == 1:
            top = Image.new("RGBA", size, stops[0])
        elif angle == 0:
            top = paint.gradient(1, size[1], stops).resize(size, Image.Resampling.NEAREST)
        else:
            top = paint.gradient(*size, stops, "linear", angle)
        if all(len(stop) == 7 for stop in stops):
            self.picture.paste(top, part.at, part.cover)
        else:
            top.putalpha(ImageChops.multiply(top.getchannel("A"), part.cover))
            self.picture.alpha_composite(top, part.at)
        return part


@lru_cache(maxsize=16)
def _block(width: int, height: int, radius: float) -> Image.Image:
    """Coverage of a rectangle with round corners: a vessel repeats its smallest ones. Callers must not draw on it."""
    cover = Image.new("L", (width, height))
    edge = (0, 0, width - 1, height - 1)
    ImageDraw.Draw(cover).rounded_rectangle(edge, min(radius, min(cover.size) / 2), fill=255)
    return cover


def _curve(a: tuple[float, float], bend: tuple[float, float], b: tuple[float, float]) -> Points:
    """A quadratic curve from ``a`` to ``b`` as 17 points."""
    out = []
    for i in range(17):
        t = i / 16
        p, q, r = (1 - t) ** 2, 2 * t * (1 - t), t * t
        out.append((p * a[0] + q * bend[0] + r * b[0], p * a[1] + q * bend[1] + r * b[1]))
    return out


def _pouch(bench: _Bench, ware: Ware) -> None:
    dark, pale = mix(ware.tint, ware.ink, 0.45), mix(ware.tint, "#ffffff", 0.35)
    sides = [
        *_curve((215, 60), (150, 520), (190, 930)),
        *_curve((190, 930), (500, 985), (810, 930)),
        *_curve((810, 930), (850, 520), (785, 60)),
    ]
    body = bench.form(sides, (pale, ware.tint))
    bench.block(213, 60, 574, 74, 8, (mix(ware.tint, "#ffffff", 0.1), mix(ware.tint, ware.ink, 0.2)))
    for x in range(228, 780, 18):
        bench.rule(x, 68, 5, 58, mix(ware.tint, "#ffffff", 0.45))
    bench.rule(255, 176, 490, 6, dark)
    bench.block(268, 240, 464, 560, 232, (_PAPER, "#fff3dc"))
    bench.block(284, 256, 432, 528, 216, (dark,))
    bench.block(289, 261, 422, 518, 211, (_PAPER, "#fff3dc"))
    bench.stamp(ware.glyph, 500, 450, 330, mix(ware.ink, "#000000", 0.2))
    bench.word(ware.label, 500, 672, 92, dark)
    bench.rule(300, 858, 400, 6, dark)
    bench.light(body)


def _jar(bench: _Bench, ware: Ware) -> None:
    dark = mix(ware.tint, ware.ink, 0.5)
    glass = bench.block(190, 190, 620, 770, 120, ("#ffffffb0", "#f4f7f6c8"))
    bench.block(214, 300, 572, 638, 100, (mix(ware.tint, "#ffffff", 0.3), ware.tint))
    neck = bench.block(270, 150, 460, 70, 20, ("#f2f2ee", "#dcdcd4"))
    lid = bench.block(240, 50, 520, 128, 30, (mix(dark, "#ffffff", 0.2), dark))
    for y in (88, 112, 136):
        bench.rule(240, y, 520, 5, mix(dark, "#ffffff", 0.28))
    bench.block(190, 420, 620, 400, 6, (_PAPER, "#fff1d8"))
    bench.rule(190, 440, 620, 5, dark)
    bench.rule(190, 795, 620, 5, dark)
    bench.stamp(ware.glyph, 500, 560, 240, mix(ware.ink, "#000000", 0.2))
    bench.word(ware.label, 500, 728, 84, dark)
    for cover in (glass, neck, lid):
        bench.light(cover)


def _bottle(bench: _Bench, ware: Ware) -> None:
    dark, pale = mix(ware.tint, ware.ink, 0.5), mix(ware.tint, "#ffffff", 0.35)
    sides = [
        *_curve((425, 150), (425, 270), (350, 340)),
        *_curve((350, 340), (290, 400), (290, 500)),
        *_curve((290, 900), (290, 960), (350, 960)),
        *_curve((650, 960), (710, 960), (710, 900)),
        *_curve((710, 500), (710, 400), (650, 340)),
        *_curve((650, 340), (575, 270), (575, 150)),
    ]
    body = bench.form(sides, (pale, ware.tint))
    cap = bench.block(405, 40, 190, 140, 22, (mix(dark, "#ffffff", 0.18), dark))
    bench.block(290, 500, 420, 370, 0, (_PAPER, "#fff1d8"))
    bench.rule(290, 518, 420, 5, dark)
    bench.rule(290, 848, 420, 5, dark)
    bench.stamp(ware.glyph, 500, 632, 220, mix(ware.ink, "#000000", 0.2))
    bench.word(ware.label, 500, 788, 76, dark)
    bench.light(body)
    bench.light(cap)


def _box(bench: _Bench, ware: Ware) -> None:
    dark, pale = mix(ware.tint, ware.ink, 0.4), mix(ware.tint, "#ffffff", 0.16)
    gold, soft = "#e9c983", "#f7e6bd"
    front = bench.block(150, 300, 700, 660, 14, (pale, ware.tint))
    bench.block(470, 300, 60, 660, 0, (soft, gold), 270)
    lid = bench.block(122, 190, 756, 158, 16, (mix(ware.tint, "#ffffff", 0.28), pale))
    bench.block(470, 190, 60, 158, 0, (soft, gold), 270)
    bench.block(150, 348, 700, 16, 0, ("#00000038", "#00000000"))
    bench.oval(290, 430, 420, (gold,))
    bench.oval(300, 440, 400, (_PAPER, "#fff1d8"))
    bench.oval(322, 462, 356, (mix(gold, "#ffffff", 0.2),))
    bench.oval(327, 467, 346, (_PAPER, "#fff1d8"))
    bench.stamp(ware.glyph, 500, 590, 210, mix(ware.ink, "#000000", 0.2))
    bench.word(ware.label, 500, 742, 72, dark)
    for x, turn in ((395, -1), (605, 1)):
        bow = [*_curve((500, 195), (x + 40 * turn, 20), (x + 30 * turn, 130))]
        bow += [*_curve((x + 30 * turn, 130), (x, 225), (500, 195))]
        bench.form(bow, (soft, gold))
    bench.oval(468, 160, 64, (gold,))
    bench.light(front)
    bench.light(lid)


def _basket(bench: _Bench, ware: Ware) -> None:
    line = mix(ware.ink, "#000000", 0.15)
    for x, y in ((380, 330), (620, 330), (500, 215)):
        bench.stamp(ware.glyph, x, y, 330, line)
    for x, y in ((255, 480), (745, 480), (500, 450)):
        bench.stamp(ware.glyph, x, y, 350, line)
    for x, y in ((375, 560), (625, 560)):
        bench.stamp(ware.glyph, x, y, 350, line)
    dark, pale = mix(ware.tint, ware.ink, 0.5), mix(ware.tint, "#ffffff", 0.35)
    sides = [(110, 620), (890, 620), *_curve((890, 640), (850, 900), (770, 958))]
    sides += [(230, 958), *_curve((230, 958), (150, 900), (110, 640))]
    body = bench.form(sides, (pale, ware.tint))
    weave = Image.new("L", body.cover.size)
    pen, k, (left, top) = ImageDraw.Draw(weave), bench.unit, body.at
    for row, y in enumerate(range(680, 960, 46)):
        for x in range(90 + 42 * (row % 2), 900, 84):
            knot = (x * k - left, y * k - top, (x + 66) * k - left, (y + 30) * k - top)
            pen.rounded_rectangle(knot, 14 * k, fill=95)
    bench.shade(_Part(ImageChops.multiply(weave, body.cover), body.at), dark)
    bench.light(body)
    bench.light(bench.block(84, 596, 832, 62, 31, (mix(ware.tint, "#ffffff", 0.45), ware.tint)))


def _hero(bench: _Bench, ware: Ware) -> None:
    bench.stamp(ware.glyph, 500, 500, 1000, mix(ware.ink, "#000000", 0.1))


FORMS: Final[dict[str, Callable[[_Bench, Ware], None]]] = {
    "pouch": _pouch,
    "jar": _jar,
    "bottle": _bottle,
    "box": _box,
    "basket": _basket,
    "hero": _hero,
}
