"""The studio: posters and the sheet of styles to choose from. The only door of this room.

A poster is made in three steps, each kept for the next request: the backdrop of a style; the template of a
style with one product (its rows above the seam already encoded, see ``jpeg``); and, new every time, the
person's face, name and QR below the seam. The same request gives the same bytes in every process.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from PIL import Image

from bot.pictures import goods, jpeg, qr, render, sheet, styles
from bot.pictures.keep import Kept, fingerprint
from bot.pictures.qr import PosterUnreadable
from bot.pictures.request import PosterRequest
from bot.pictures.styles import Style, StyleError

__all__ = ["PosterRequest", "PosterUnreadable", "Studio", "StyleError", "StyleInfo", "UnknownStyle"]

MOST_BYTES: Final = 1_500_000
"""WeChat shows larger pictures only after a tap, and slowly."""
_TEMPLATES: Final = 16
_BACKDROPS: Final = 5
# A template is about 2 MB (its lower part as pixels, its upper part as JPEG), a backdrop 6 MB.


class UnknownStyle(LookupError):
    """The request names a style that has no file."""


@dataclass(frozen=True, slots=True)
class StyleInfo:
    """One style as people choose it: ``key`` for requests, ``name`` to read."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class _Template:
    upper: jpeg.Upper
    lower: Image.Image
    person: tuple[styles.AnyLayer, ...]


class Studio:
    """Makes pictures from the styles in a directory. Safe to share between threads."""

    def __init__(self, styles_dir: Path) -> None:
        """Reads ``*.toml`` and ``goods/motifs.toml``. Raises StyleError with every fault of every file."""
        self._styles = styles.load(styles_dir)
        self._motifs = goods.load(styles_dir / "goods" / "motifs.toml")
        self._backdrops: Kept[tuple[Image.Image, tuple[styles.AnyLayer, ...]]] = Kept(_BACKDROPS)
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

    def compose(self, request: PosterRequest) -> bytes:
        """The poster before its QR is checked: for previews and measurements, never to be sent."""
        template = self._template(self._style(request.style), request)
        lower = template.lower.copy()
        render.person(lower, template.person, request)
        made = jpeg.join(template.upper, lower)
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

    def _style(self, key: str) -> Style:
        if key not in self._styles:
            raise UnknownStyle(f"no style {key!r}; there are {', '.join(self._styles)}")
        return self._styles[key]

    def _template(self, style: Style, request: PosterRequest) -> _Template:
        return self._templates.get(_product_key(request), lambda: self._new_template(style, request))

    def _new_template(self, style: Style, request: PosterRequest) -> _Template:
        backdrop, layers = self._backdrops.get(style.key, lambda: render.backdrop(style.fixed))
        picture = backdrop.copy()
        render.fixed(picture, layers, request, self._motifs)
        render.mounts(picture, style.person)
        lower = picture.crop((0, jpeg.SEAM, picture.width, picture.height))
        return _Template(jpeg.upper(picture), lower, render.shifted(style.person, jpeg.SEAM))


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
