"""The studio: posters and the sheet of styles to choose from. The only door of this room.

A poster is made in three steps: the backdrop of a style, kept on the shelf for every process to come; the template
of a style with one product (encoded already but for one band of rows, see ``jpeg``), kept in memory; and, new every
time, the person's face, name and QR in that band. The same request gives the same bytes in every process, whatever
is kept.
"""

import zlib
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from PIL import Image

from bot.pictures import goods, jpeg, qr, render, sheet, styles
from bot.pictures.keep import Kept, fingerprint
from bot.pictures.qr import PosterUnreadable
from bot.pictures.request import PosterRequest
from bot.pictures.shelf import Shelf
from bot.pictures.styles import Style, StyleError

__all__ = ["PosterRequest", "PosterUnreadable", "Studio", "StyleError", "StyleInfo", "UnknownStyle"]

USAGE: Final = "usage"
"""The directory of the styles for customers' own pictures: not numbered, not to be chosen."""
MOST_BYTES: Final = 1_500_000
"""WeChat shows larger pictures only after a tap, and slowly."""
_TEMPLATES: Final = 16
# A template is about 2 MB (its band as pixels, the rest as JPEG), a backdrop 8 MB.


class UnknownStyle(LookupError):
    """The request names a style that has no file."""


@dataclass(frozen=True, slots=True)
class StyleInfo:
    """One style as people choose it: ``key`` for requests, ``name`` to read."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class _Template:
    frame: jpeg.Frame
    band: Image.Image
    person: tuple[styles.AnyLayer, ...]


class Studio:
    """Makes pictures from the styles in a directory. Safe to share between threads."""

    def __init__(self, styles_dir: Path, shelf: Shelf | None = None) -> None:
        """Reads ``*.toml``, ``usage/*.toml`` and ``goods/motifs.toml``. Raises StyleError with every fault.

        What ``shelf`` keeps need not be drawn in this process.
        """
        self._shelf = shelf or Shelf(None)
        self._styles = styles.load(styles_dir)
        self._usage = styles.load(styles_dir / USAGE) if (styles_dir / USAGE).is_dir() else {}
        self._motifs = goods.load(styles_dir / "goods" / "motifs.toml")
        self._props = goods.Props(self._shelf)
        self._backdrops: Kept[Image.Image] = Kept(
            1 if self._shelf.keeps else len(self._styles) + len(self._usage))
        self._templates: Kept[_Template] = Kept(_TEMPLATES)

    def styles(self) -> list[StyleInfo]:
        """All styles, in the order in which they are numbered on the contact sheet."""
        return [StyleInfo(style.key, style.name) for style in self._styles.values()]

    def poster(self, request: PosterRequest) -> bytes:
        """A JPEG of 1080 x 1920 pixels, at most 1.5 MB, whose QR has been read back from these very bytes.

        Raises UnknownStyle; ValueError if the address is empty or too long for a QR; PosterUnreadable if
        the finished picture cannot be scanned.
        """
        made = self.compose(request)
        qr.verify(made, request.qr_url)
        return made

    def usage(self, request: PosterRequest) -> bytes:
        """A poster with a customer's own picture (``product_image``), ``credit`` and ``words``; ``style`` is ignored, a
        product has always the same one. Nothing of the picture is kept: whoever takes theirs back must find it nowhere.

        Returns and raises as ``poster`` does; UnknownStyle when there is no style for it.
        """
        if not self._usage:
            raise UnknownStyle("no styles for customers' pictures")
        chosen = list(self._usage.values())[zlib.crc32(request.sku.encode("utf-8", "replace")) % len(self._usage)]
        made = self._finish(self._new_template(chosen, request), request)
        qr.verify(made, request.qr_url)
        return made

    def compose(self, request: PosterRequest) -> bytes:
        """The poster before its QR is checked: for previews and measurements, never to be sent."""
        return self._finish(self._template(self._style(request.style), request), request)

    @staticmethod
    def _finish(template: _Template, request: PosterRequest) -> bytes:
        band = template.band.copy()
        render.person(band, template.person, request)
        made = jpeg.join(template.frame, band)
        if len(made) > MOST_BYTES:
            raise ValueError(f"the poster has {len(made)} bytes, {MOST_BYTES} are allowed")
        return made

    def contact_sheet(self, request: PosterRequest) -> bytes:
        """One JPEG with the request's poster in every style, numbered from 1 as in ``styles()``.

        ``request.style`` is ignored. Raises ValueError as ``poster`` does.
        """
        thumbs = [
            sheet.Thumb(style.name, style.accent, self.compose(replace(request, style=style.key)))
            for style in self._styles.values()
        ]
        return jpeg.encode(sheet.draw(thumbs, request.shop_name))

    def prepare(self) -> Iterator[None]:
        """Draws what the shelf lacks, one part (up to a third of a second) at each step; ends at once when it has all
        or cannot keep any."""
        for style in self._styles.values():
            if not self._shelf.keeps:
                return
            if not self._shelf.is_sound(_backdrop_facts(style)):
                self._backdrop(style)
                yield
            yield from self._props.prepare(style.product, self._motifs)

    def rehearse(self) -> None:
        """Writes what a poster says in the first style on a scrap of paper: afterwards what draws letters is loaded,
        and fixed words and plates are at hand. No picture is kept by it."""
        style = next(iter(self._styles.values()))
        scrap = Image.new("RGB", (styles.WIDTH, styles.HEIGHT))
        written = tuple(layer for layer in style.fixed if not isinstance(layer, styles.Product))
        render.fixed(scrap, written, _SAMPLE, self._motifs, self._props)
        render.mounts(scrap, style.person)
        render.person(scrap, style.person, _SAMPLE)

    def _backdrop(self, style: Style) -> Image.Image:
        """All that is the same for every product. Not to be drawn on."""
        facts = _backdrop_facts(style)
        return self._backdrops.get(facts, lambda: self._shelf.get(facts, lambda: render.backdrop(style.behind)))

    def _style(self, key: str) -> Style:
        if key not in self._styles:
            raise UnknownStyle(f"no style {key!r}; there are {', '.join(self._styles)}")
        return self._styles[key]

    def _template(self, style: Style, request: PosterRequest) -> _Template:
        return self._templates.get(_product_key(request), lambda: self._new_template(style, request))

    def _new_template(self, style: Style, request: PosterRequest) -> _Template:
        picture = self._backdrop(style).copy()
        render.fixed(picture, style.fixed, request, self._motifs, self._props)
        render.mounts(picture, style.person)
        top, bottom = style.band
        band = picture.crop((0, top, picture.width, bottom))
        return _Template(jpeg.frame(picture, top, bottom), band, render.shifted(style.person, top))


_SAMPLE: Final = PosterRequest("", "店", "好物", 1_250, 1_500, ("好",), "", "", None, "🌸", None, "http://weixin.qq.com",
                               "2026-12-22")
"""A little of everything that is written on posters."""


def _backdrop_facts(style: Style) -> tuple[str, tuple[styles.AnyLayer, ...]]:
    return "backdrop", style.behind


def _product_key(request: PosterRequest) -> Hashable:
    """Everything of a request that the template shows."""
    return (
        request.style,
        request.shop_name,
        request.title,
        request.price_fen,
        request.list_price_fen,
        request.points,
        request.category,
        request.sku,
        fingerprint(request.product_image),
    )
