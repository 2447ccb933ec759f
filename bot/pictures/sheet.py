"""The contact sheet: small numbered posters side by side, to choose a style by its number."""

import io
from dataclasses import dataclass
from typing import Final

from PIL import Image

from bot.pictures import paint, text
from bot.pictures.graphemes import clusters

_WIDTH: Final = 1080
_COLUMNS: Final = 3
_THUMB: Final = (304, 540)
_GAP: Final = 36
_HEAD: Final = 190
_ROW: Final = 668
_BADGE: Final = 60
_HEADLINE: Final = "换个风格"
_HINT: Final = "回复数字，就用那一款"


@dataclass(frozen=True, slots=True)
class Thumb:
    """A poster as JPEG bytes, the ``name`` of its style and the colour of its number."""

    name: str
    accent: str
    poster: bytes


def draw(thumbs: list[Thumb], shop: str) -> Image.Image:
    """The sheet as an RGB picture 1080 pixels wide; a last row that is not full stands in the middle."""
    rows = -(-len(thumbs) // _COLUMNS)
    sheet = paint.gradient(_WIDTH, _HEAD + rows * _ROW + 16, ("#fbf8f2", "#efe9de")).convert("RGB")
    _centred(sheet, f"{_HEADLINE}", 46, 56, 800, "#2a2622")
    _centred(sheet, _HINT + (f" · {shop}" if clusters(shop) else ""), 112, 30, 400, "#6b6257")
    for i, thumb in enumerate(thumbs):
        row, column = divmod(i, _COLUMNS)
        in_row = min(_COLUMNS, len(thumbs) - row * _COLUMNS)
        start = (_WIDTH - in_row * _THUMB[0] - (in_row - 1) * _GAP) // 2
        _thumb(sheet, thumb, i + 1, (start + column * (_THUMB[0] + _GAP), _HEAD + row * _ROW))
    return sheet


def _thumb(sheet: Image.Image, thumb: Thumb, number: int, at: tuple[int, int]) -> None:
    poster = Image.open(io.BytesIO(thumb.poster))
    poster.draft("RGB", (_THUMB[0], _THUMB[1]))
    small = poster.convert("RGB").resize(_THUMB, Image.Resampling.LANCZOS)
    cover = paint.mask("rectangle", *_THUMB, 24)
    paint.shadow(sheet, at, cover, "#3a2a1838", 36, 14)
    sheet.paste(small, at, cover)
    kind = text.Type(36, 600)
    name = text.fit(clusters(thumb.name), kind, _THUMB[0] - _BADGE - 16)
    left = at[0] + (_THUMB[0] - _BADGE - 16 - text.width(name, kind)) / 2
    badge = (round(left), at[1] + _THUMB[1] + 24)
    text.draw(sheet, (left + _BADGE + 16, text.baseline(badge[1], _BADGE, kind)), name, kind, "#2a2622")
    disc = paint.mask("ellipse", _BADGE, _BADGE)
    paint.shadow(sheet, badge, disc, "#00000050", 16, 4)
    paint.fill(sheet, badge, disc, (thumb.accent,))
    kind, figure = text.Type(36, 800), clusters(str(number))
    middle = badge[0] + (_BADGE - text.width(figure, kind)) / 2
    text.draw(sheet, (middle, text.baseline(badge[1], _BADGE, kind)), figure, kind, "#ffffff")


def _centred(sheet: Image.Image, words: str, top: int, size: int, weight: int, colour: str) -> None:
    kind = text.Type(size, weight)
    line = text.fit(clusters(words), kind, _WIDTH - 2 * _GAP)
    left = (_WIDTH - text.width(line, kind)) / 2
    text.draw(sheet, (left, text.baseline(top, size, kind)), line, kind, colour)
