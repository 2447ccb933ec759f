"""Electronic certificates: one layout in several tones, read from TOML, drawn whole, and scanned before it leaves.

``assets/certificates/layout.toml`` holds the layers; a colour ``@name`` is looked up in ``[palette.<tone>]``, so a tone
is a row of colours and nothing else. Everything is judged for every tone when it is read.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, get_args

from msgspec import Meta
from PIL import Image, ImageChops

from bot.pictures import jpeg, labels, ornaments, paint, qr, styles
from bot.pictures.graphemes import visible
from bot.pictures.keep import Kept
from bot.pictures.request import NAMELESS
from bot.pictures.styles import Colour, Gradient, Layer, Shape, Solid, StyleError, Text

WIDTH: Final = 1080
HEIGHT: Final = 1528
"""As A4 paper stands, so that it can be printed and framed."""
MOST_BYTES: Final = 1_500_000
PLACES: Final = frozenset(("shop", "name", "heading", "preamble", "title", "citation", "number", "issued", "hint"))
_PERSONAL: Final = PLACES - {"shop"}


class Border(Layer, frozen=True, forbid_unknown_fields=True, tag="border"):
    """A woven border ``band`` pixels wide along the box."""

    colour: Colour
    band: Annotated[int, Meta(ge=12, le=120)] = 44


class Rosette(Layer, frozen=True, forbid_unknown_fields=True, tag="rosette"):
    """Guilloche lines that fill the square box; faint, as a watermark."""

    colour: Colour
    petals: Annotated[int, Meta(ge=3, le=60)] = 18
    rings: Annotated[int, Meta(ge=1, le=40)] = 14


class Medal(Layer, frozen=True, forbid_unknown_fields=True, tag="medal"):
    """A round medal with a star."""

    rim: tuple[Solid, Solid]
    face: tuple[Solid, Solid]
    star: Solid
    points: Annotated[int, Meta(ge=4, le=12)] = 5


class Laurels(Layer, frozen=True, forbid_unknown_fields=True, tag="laurels"):
    """Two branches around the middle of the box."""

    colour: Colour


class Flourish(Layer, frozen=True, forbid_unknown_fields=True, tag="flourish"):
    """A dividing line with a diamond."""

    colour: Colour


class Seal(Layer, frozen=True, forbid_unknown_fields=True, tag="seal"):
    """The shop's square seal, printed a little askew."""

    colour: Colour
    turn: Annotated[float, Meta(ge=-15, le=15)] = -4.0


class Code(Layer, frozen=True, forbid_unknown_fields=True, tag="code"):
    """The QR, printed on the paper in this dark colour; its quiet zone is the paper."""

    colour: Solid


Part = Gradient | Shape | Text | Code | Border | Rosette | Medal | Laurels | Flourish | Seal
PARTS: Final[dict[str, type[Any]]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Part)}


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """The texts of a certificate; ``url`` is what its QR says. ``tone`` picks the colours."""

    tone: str
    shop: str
    name: str
    heading: str
    preamble: str
    title: str
    citation: str
    number: str
    issued: str
    hint: str
    url: str

    def values(self) -> dict[str, str]:
        """The texts that the places of the layout stand for."""
        texts = {place: getattr(self, place) for place in PLACES}
        return texts | {"name": self.name if visible(self.name) else NAMELESS}


class Certificates:
    """Makes certificates from the layout in a directory. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Reads ``layout.toml``. Raises StyleError with every fault of every tone."""
        self._tones = load(folder / "layout.toml")
        self._backs: Kept[Image.Image] = Kept(8)

    def tones(self) -> list[str]:
        return list(self._tones)

    def draw(self, request: CertificateRequest) -> bytes:
        """A JPEG of 1080 x 1528 pixels whose QR has been read back from these very bytes.

        Raises KeyError for an unknown tone, ValueError for an address that fits no QR, PosterUnreadable if the
        finished picture cannot be scanned.
        """
        parts = self._tones[request.tone]
        picture = self._backs.get((request.tone, request.shop), lambda: _back(parts, request)).copy()
        for part in parts:
            if _personal(part):
                _DRAW[type(part)](picture, part, request)
        made = jpeg.encode(picture)
        if len(made) > MOST_BYTES:
            raise ValueError(f"the certificate has {len(made)} bytes, {MOST_BYTES} are allowed")
        qr.verify(made, request.url)
        return made


_DIGITS: Final = "〇一二三四五六七八九"


def written(day: date) -> str:
    """A date as documents write it: 二〇二六年十一月二十日."""
    year = "".join(_DIGITS[int(digit)] for digit in str(day.year))
    return f"{year}年{_spoken(day.month)}月{_spoken(day.day)}日"


def _spoken(number: int) -> str:
    """1 to 99 in words."""
    tens, ones = divmod(number, 10)
    head = "" if not tens else "十" if tens == 1 else f"{_DIGITS[tens]}十"
    return head + (_DIGITS[ones] if ones else "")


def load(path: Path) -> dict[str, tuple[Part, ...]]:
    """The layers of each tone. Raises StyleError with every fault."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise StyleError([f"{path.name}: {fault}"]) from None
    palettes, tables = raw.get("palette"), raw.get("layer")
    if not isinstance(palettes, dict) or not isinstance(tables, list) or not palettes or not tables:
        raise StyleError([f"{path.name}: needs [palette.<tone>] tables and [[layer]] tables"])
    faults: list[str] = []
    tones: dict[str, tuple[Part, ...]] = {}
    for tone, palette in palettes.items():
        parts, wrong = _tone(tables, palette if isinstance(palette, dict) else {})
        faults += [f"{path.name}: {tone}: {fault}" for fault in wrong]
        tones[tone] = tuple(parts)
    if faults:
        raise StyleError(faults)
    return tones


def _tone(tables: list[Any], palette: Mapping[str, Any]) -> tuple[list[Part], list[str]]:
    faults = [fault for name, colour in palette.items() for fault in styles.judge(colour, Colour, name)]
    parts: list[Part] = []
    for number, table in enumerate(tables, 1):
        try:
            part, wrong = styles.layer_of(_coloured(table, palette), PARTS)
        except KeyError as unknown:
            wrong, part = [f"there is no colour {unknown.args[0]!r} in the palette"], None
        faults += [f"layer {number}: {fault}" for fault in wrong]
        if part is not None:
            faults += [f"layer {number}: {fault}" for fault in _place(part)]
            parts.append(part)
    if not faults and sum(isinstance(part, Code) for part in parts) != 1:
        faults.append("exactly one layer of kind 'code' is needed")
    return parts, faults


def _coloured(value: Any, palette: Mapping[str, Any]) -> Any:
    """The same with ``@name`` replaced. Raises KeyError for a colour that the palette lacks."""
    if isinstance(value, str) and value.startswith("@"):
        return palette[value[1:]]
    if isinstance(value, list):
        return [_coloured(one, palette) for one in value]
    if isinstance(value, dict):
        return {name: _coloured(one, palette) for name, one in value.items()}
    return value


def _place(part: Part) -> Iterator[str]:
    left, top, width, height = part.box
    if width <= 0 or height <= 0 or left + width > WIDTH or top + height > HEIGHT or left < 0 or top < 0:
        yield f"the box {list(part.box)} is empty or leaves the picture of {WIDTH} x {HEIGHT}"
    if isinstance(part, Text):
        try:
            unknown = sorted(set(styles.places(part.text)) - PLACES)
        except ValueError as fault:
            yield f"the text {part.text!r} has wrong braces: {fault}"
            return
        yield from (f"unknown place {{{name}}} in the text" for name in unknown)


def _personal(part: Part) -> bool:
    """Whether it differs between certificates of one tone and shop."""
    return isinstance(part, Code) or (isinstance(part, Text) and bool(_PERSONAL & set(styles.places(part.text))))


def _back(parts: tuple[Part, ...], request: CertificateRequest) -> Image.Image:
    """Everything that is the same for everybody of this tone."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), "#ffffff")
    for part in parts:
        if not _personal(part):
            _DRAW[type(part)](picture, part, request)
    return picture


def _gradient(picture: Image.Image, part: Gradient, _request: CertificateRequest) -> None:
    left, top, width, height = part.box
    paint.lay(picture, (left, top), paint.gradient(width, height, part.stops, part.form, part.angle))


def _shape(picture: Image.Image, part: Shape, _request: CertificateRequest) -> None:
    left, top, width, height = part.box
    if part.shadow:
        cover = paint.mask(part.form, width, height, part.radius)
        paint.shadow(picture, (left, top), cover, part.shadow.colour, part.shadow.blur, part.shadow.dy)
    if part.fill:
        paint.fill(picture, (left, top), paint.mask(part.form, width, height, part.radius), part.fill)
    if part.outline:
        paint.outline(picture, part.box, part.form, part.radius, part.line, part.outline)


def _text(picture: Image.Image, part: Text, request: CertificateRequest) -> None:
    labels.words(picture, part, request.values())


def _code(picture: Image.Image, part: Code, request: CertificateRequest) -> None:
    left, top, width, height = part.box
    code = qr.draw(request.url, width)
    at = (left + (width - code.width) // 2, top + (height - code.height) // 2)
    paint.fill(picture, at, ImageChops.invert(code), (part.colour,))


def _border(picture: Image.Image, part: Border, _request: CertificateRequest) -> None:
    paint.fill(picture, part.box[:2], ornaments.border(part.box[2], part.box[3], part.band), (part.colour,))


def _rosette(picture: Image.Image, part: Rosette, _request: CertificateRequest) -> None:
    paint.fill(picture, part.box[:2], ornaments.rosette(part.box[2], part.petals, part.rings), (part.colour,))


def _medal(picture: Image.Image, part: Medal, _request: CertificateRequest) -> None:
    made = ornaments.medal(part.box[2], part.rim, part.face, part.star, part.points)
    paint.shadow(picture, part.box[:2], made.getchannel("A"), "#00000040", 24, 8)
    paint.lay(picture, part.box[:2], made)


def _laurels(picture: Image.Image, part: Laurels, _request: CertificateRequest) -> None:
    paint.fill(picture, part.box[:2], ornaments.laurels(part.box[2], part.box[3]), (part.colour,))


def _flourish(picture: Image.Image, part: Flourish, _request: CertificateRequest) -> None:
    paint.fill(picture, part.box[:2], ornaments.flourish(part.box[2], part.box[3]), (part.colour,))


def _seal(picture: Image.Image, part: Seal, request: CertificateRequest) -> None:
    paint.fill(picture, part.box[:2], ornaments.seal(request.shop, part.box[2], part.turn), (part.colour,))


_DRAW: Final[dict[type[Any], Callable[[Image.Image, Any, CertificateRequest], None]]] = {
    Gradient: _gradient, Shape: _shape, Text: _text, Code: _code, Border: _border, Rosette: _rosette, Medal: _medal,
    Laurels: _laurels, Flourish: _flourish, Seal: _seal,
}
