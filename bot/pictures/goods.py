"""A still life of goods without a photo, drawn from what they are called.

It depends on category, title and SKU only; the words that choose it are data
(``goods/motifs.toml`` in the styles directory), so operators can teach it new goods.
What takes long to draw, the stage and the vessel, is kept on the shelf.
"""

import tomllib
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct
from PIL import Image, ImageDraw, ImageFilter

from bot.pictures import paint, patterns, wares
from bot.pictures.keep import Kept
from bot.pictures.shelf import Shelf
from bot.pictures.styles import Product, Solid, StyleError

_ANYTHING: Final = "*"
_FLOOR: Final = 0.86
"""Where things stand, as a part of the frame's height."""


class Motif(Struct, frozen=True, forbid_unknown_fields=True):
    """How goods whose title or category holds one of ``words`` are drawn."""

    words: Annotated[tuple[str, ...], Meta(min_length=1)]
    form: Literal["pouch", "jar", "bottle", "box", "basket", "hero"]
    glyph: str
    beside: Annotated[tuple[str, ...], Meta(min_length=2, max_length=2)]
    tint: Solid
    label: Annotated[str, Meta(min_length=1, max_length=2)]
    weak: bool = False


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    motif: Annotated[tuple[Motif, ...], Meta(min_length=1)]


def load(path: Path) -> tuple[Motif, ...]:
    """The motifs of ``path``. Raises StyleError when the file is missing, malformed or lacks ``"*"``."""
    try:
        motifs = _parse(path.read_bytes())
    except (OSError, ValueError) as error:  # msgspec's and tomllib's errors are ValueErrors
        raise StyleError([f"{path.name}: {error}"]) from error
    if not any(_ANYTHING in motif.words for motif in motifs):
        raise StyleError([f'{path.name}: one motif must have the word "*"'])
    return motifs


@lru_cache(maxsize=4)
def _parse(source: bytes) -> tuple[Motif, ...]:
    return msgspec.convert(tomllib.loads(source.decode("utf-8")), _File).motif


def choose(motifs: tuple[Motif, ...], title: str, category: str) -> Motif:
    """The motif for what ``title`` names, else for ``category``, else the one for everything.

    Titles name the goods first and praise them after a space; within a part the word that stands last is
    the thing (苹果醋 is a vinegar). ``weak`` motifs name a wrapping, and count only when nothing else does.
    """
    for weak in (False, True):
        for part in (*title.split(), category):
            ranked = [
                (part.rfind(word) + len(word), len(word), -place)
                for place, motif in enumerate(motifs)
                for word in motif.words
                if motif.weak == weak and word in part and word != _ANYTHING  # which titles mean as 乘: 500g*2
            ]
            if ranked:
                return motifs[-max(ranked)[2]]
    return next(motif for motif in motifs if _ANYTHING in motif.words)


class Props:
    """Stages and vessels: all on the shelf, a few in memory."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._stages: Kept[Image.Image] = Kept(1 if shelf.keeps else 5)
        self._wares: Kept[Image.Image] = Kept(8)

    def stage(self, layer: Product) -> Image.Image:
        """What the goods stand on, in the size of ``layer``. Not to be drawn on."""
        facts = _stage_facts(layer)
        return self._stages.get(facts, lambda: self._shelf.get(facts, lambda: stage(layer.stage, *layer.box[2:])))

    def ware(self, layer: Product, motif: Motif) -> Image.Image:
        """The goods in their vessel, as large as they stand on the stage of ``layer``. Not to be drawn on."""
        facts = _ware_facts(layer, motif)
        return self._wares.get(facts, lambda: self._shelf.get(facts, lambda: wares.draw(*facts[1:]), packed=True))

    def prepare(self, layer: Product, motifs: tuple[Motif, ...]) -> Iterator[None]:
        """Draws what the shelf lacks for ``layer``, one thing a step."""
        if not self._shelf.is_sound(_stage_facts(layer)):
            self.stage(layer)
            yield
        for motif in motifs:
            if not self._shelf.is_sound(_ware_facts(layer, motif)):
                self.ware(layer, motif)
                yield


def _stage_facts(layer: Product) -> tuple[str, tuple[str, ...], int, int]:
    return "stage", layer.stage, *layer.box[2:]


def _ware_facts(layer: Product, motif: Motif) -> tuple[str, wares.Ware, int]:
    ware = wares.Ware(motif.form, motif.glyph, motif.label, motif.tint, layer.ink)
    return "ware", ware, round(min(layer.box[2:]) * 0.7)


def still_life(layer: Product, motif: Motif, sku: str, props: Props) -> Image.Image:
    """The drawn picture of the goods on the stage of ``layer``, in its size; ``sku`` varies the arrangement."""
    width, height = layer.box[2:]
    picture = props.stage(layer).copy()
    turn = zlib.crc32(sku.encode("utf-8", "replace"))
    unit = min(width, height)
    ware = props.ware(layer, motif)
    floor = round(height * _FLOOR) - round(unit * 0.055)
    shift = round(unit * 0.03) * (1 if turn % 2 else -1)
    _stand(picture, ware, width // 2 + shift, floor)
    reach, small = (0.27, round(unit * 0.17)) if layer.form == "ellipse" else (0.325, round(unit * 0.2))
    for i, emoji in enumerate(motif.beside if turn % 2 else motif.beside[::-1]):
        place = width // 2 + round(unit * (-reach if i == 0 else reach))
        drawn = wares.glyph(emoji, round(small * (1.0 if i == 0 else 0.86)), layer.ink)
        _stand(picture, drawn, place, floor + round(unit * 0.04))
    return picture


def stage(colours: tuple[str, str, str, str], width: int, height: int) -> Image.Image:
    """Backdrop, halo, window light with the shadow of a branch, and a round podium."""
    top, bottom, halo, podium = colours
    unit = min(width, height)
    picture = paint.gradient(width, height, (top, bottom)).convert("RGB")
    glow = round(unit * 1.25)
    middle = round(height * 0.5)
    soft = paint.gradient(glow, glow, (halo + "ff", halo + "80", halo + "00"), "radial")
    paint.lay(picture, ((width - glow) // 2, middle - glow // 2), soft)
    disc = round(unit * 0.76)
    at = ((width - disc) // 2, middle - disc // 2 - round(unit * 0.03))
    paint.fill(picture, at, paint.mask("ellipse", disc, disc), (halo + "c0", halo + "20"))
    _branch_shadows(picture, unit)
    _podium(picture, unit, podium)
    return picture


def _branch_shadows(picture: Image.Image, unit: int) -> None:
    """What a plant before the window throws on the wall: blurred, so faint that it is felt, not seen."""
    width, height = picture.size
    small = Image.new("L", (width // 4, height // 4))
    pen, k = ImageDraw.Draw(small), unit / 4
    patterns.branch(pen, width / 4 + k * 0.02, -k * 0.02, k * 0.7, 2.35, 255, 5)
    patterns.branch(pen, -k * 0.06, height / 4 - k * 0.42, k * 0.5, -1.0, 200, 5)
    cover = small.filter(ImageFilter.GaussianBlur(unit / 360)).resize((width, height), Image.Resampling.BICUBIC)
    paint.fill(picture, (0, 0), cover, ("#00000012",))


def _podium(picture: Image.Image, unit: int, colour: str) -> None:
    width, height = picture.size
    wide, deep, tall = round(unit * 0.86), round(unit * 0.15), round(unit * 0.5)
    left, top = (width - wide) // 2, round(height * _FLOOR) - round(unit * 0.12)
    body = paint.mask("rectangle", wide, tall, deep // 2)
    paint.shadow(picture, (left, top + deep // 2), body, "#00000030", 60, 10)
    side = paint.gradient(
        wide, tall, (wares.mix(colour, "#000000", 0.16), colour, wares.mix(colour, "#000000", 0.24)), angle=270
    )
    paint.lay(picture, (left, top + deep // 2), side)
    lid = (wares.mix(colour, "#ffffff", 0.5), wares.mix(colour, "#ffffff", 0.18))
    paint.fill(picture, (left, top), paint.mask("ellipse", wide, deep), lid)


def _stand(picture: Image.Image, drawn: Image.Image, x: int, floor: int) -> None:
    """Puts ``drawn`` on the floor with its middle at ``x`` and a shadow where it touches."""
    left, _, right, bottom = drawn.getchannel("A").getbbox() or (0, 0, *drawn.size)
    wide = max(8, round((right - left) * 0.96))
    pool = paint.mask("ellipse", wide, max(4, wide // 9))
    paint.shadow(picture, (x - wide // 2, floor - wide // 14), pool, "#00000078", max(10, wide // 12), 2)
    paint.lay(picture, (x - (left + right) // 2, floor - bottom), drawn)
