"""Papers: pictures of a layout in TOML that exist in several tones: certificates, member cards, prizes.

The layers are listed once; a colour ``@name`` is looked up in ``[palette.<tone>]``, so a tone is a row of colours and
nothing else. Everything is judged for every tone when it is read. What is the same for everybody of a tone is drawn
once.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, get_args

from msgspec import Meta
from PIL import Image, ImageChops

from bot.pictures import jpeg, labels, ornaments, paint, qr, styles
from bot.pictures.keep import Kept
from bot.pictures.styles import Colour, Gradient, Layer, Shape, Solid, StyleError, Text


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
class Frame:
    """The size of a paper, the places that its texts may name, those that differ from person to person, and whether it
    carries a QR."""

    width: int
    height: int
    places: frozenset[str]
    personal: frozenset[str]
    coded: bool = False


@dataclass(frozen=True, slots=True)
class Writing:
    """What is written on one paper: a text for each place; ``url`` is what its QR says."""

    tone: str
    shop: str
    texts: Mapping[str, str]
    url: str = ""


class Papers:
    """Makes papers of one layout. Safe to share between threads."""

    def __init__(self, layout: Path, frame: Frame) -> None:
        """Raises StyleError with every fault of every tone."""
        self._frame = frame
        self._tones = load(layout, frame)
        self._backs: Kept[Image.Image] = Kept(8)

    def tones(self) -> list[str]:
        return list(self._tones)

    def make(self, writing: Writing) -> bytes:
        """A JPEG; a QR on it has been read back from these very bytes.

        Raises KeyError for an unknown tone, ValueError for an address that fits no QR, PosterUnreadable if the
        finished picture cannot be scanned.
        """
        parts = self._tones[writing.tone]
        picture = self._backs.get((writing.tone, writing.shop), lambda: self._back(parts, writing)).copy()
        for part in parts:
            if self._personal(part):
                _DRAW[type(part)](picture, part, writing)
        made = jpeg.encode(picture)
        if self._frame.coded:
            qr.verify(made, writing.url)
        return made

    def _personal(self, part: Part) -> bool:
        """Whether it differs between papers of one tone and shop."""
        return isinstance(part, Code) or (
            isinstance(part, Text) and bool(self._frame.personal & set(styles.places(part.text))))

    def _back(self, parts: tuple[Part, ...], writing: Writing) -> Image.Image:
        """Everything that is the same for everybody of this tone."""
        picture = Image.new("RGB", (self._frame.width, self._frame.height), "#ffffff")
        for part in parts:
            if not self._personal(part):
                _DRAW[type(part)](picture, part, writing)
        return picture


def load(path: Path, frame: Frame) -> dict[str, tuple[Part, ...]]:
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
        parts, wrong = _tone(tables, palette if isinstance(palette, dict) else {}, frame)
        faults += [f"{path.name}: {tone}: {fault}" for fault in wrong]
        tones[tone] = tuple(parts)
    if faults:
        raise StyleError(faults)
    return tones


def _tone(tables: list[Any], palette: Mapping[str, Any], frame: Frame) -> tuple[list[Part], list[str]]:
    faults = [fault for name, colour in palette.items() for fault in styles.judge(colour, Colour, name)]
    parts: list[Part] = []
    for number, table in enumerate(tables, 1):
        try:
            part, wrong = styles.layer_of(_coloured(table, palette), PARTS)
        except KeyError as unknown:
            wrong, part = [f"there is no colour {unknown.args[0]!r} in the palette"], None
        faults += [f"layer {number}: {fault}" for fault in wrong]
        if part is not None:
            faults += [f"layer {number}: {fault}" for fault in _place(part, frame)]
            parts.append(part)
    if not faults and sum(isinstance(part, Code) for part in parts) != frame.coded:
        faults.append(f"exactly {int(frame.coded)} layer of kind 'code' is needed")
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


def _place(part: Part, frame: Frame) -> Iterator[str]:
    left, top, width, height = part.box
    if width <= 0 or height <= 0 or left + width > frame.width or top + height > frame.height or left < 0 or top < 0:
        yield f"the box {list(part.box)} is empty or leaves the picture of {frame.width} x {frame.height}"
    if isinstance(part, Text):
        try:
            unknown = sorted(set(styles.places(part.text)) - frame.places)
        except ValueError as fault:
            yield f"the text {part.text!r} has wrong braces: {fault}"
            return
        yield from (f"unknown place {{{name}}} in the text" for name in unknown)


def _gradient(picture: Image.Image, part: Gradient, _writing: Writing) -> None:
    left, top, width, height = part.box
    paint.lay(picture, (left, top), paint.gradient(width, height, part.stops, part.form, part.angle))


def _shape(picture: Image.Image, part: Shape, _writing: Writing) -> None:
    left, top, width, height = part.box
    if part.shadow:
        cover = paint.mask(part.form, width, height, part.radius)
        paint.shadow(picture, (left, top), cover, part.shadow.colour, part.shadow.blur, part.shadow.dy)
    if part.fill:
        paint.fill(picture, (left, top), paint.mask(part.form, width, height, part.radius), part.fill)
    if part.outline:
        paint.outline(picture, part.box, part.form, part.radius, part.line, part.outline)


def _text(picture: Image.Image, part: Text, writing: Writing) -> None:
    labels.words(picture, part, dict(writing.texts))


def _code(picture: Image.Image, part: Code, writing: Writing) -> None:
    left, top, width, height = part.box
    code = qr.draw(writing.url, width)
    at = (left + (width - code.width) // 2, top + (height - code.height) // 2)
    paint.fill(picture, at, ImageChops.invert(code), (part.colour,))


def _border(picture: Image.Image, part: Border, _writing: Writing) -> None:
    paint.fill(picture, part.box[:2], ornaments.border(part.box[2], part.box[3], part.band), (part.colour,))


def _rosette(picture: Image.Image, part: Rosette, _writing: Writing) -> None:
    paint.fill(picture, part.box[:2], ornaments.rosette(part.box[2], part.petals, part.rings), (part.colour,))


def _medal(picture: Image.Image, part: Medal, _writing: Writing) -> None:
    made = ornaments.medal(part.box[2], part.rim, part.face, part.star, part.points)
    paint.shadow(picture, part.box[:2], made.getchannel("A"), "#00000040", 24, 8)
    paint.lay(picture, part.box[:2], made)


def _laurels(picture: Image.Image, part: Laurels, _writing: Writing) -> None:
    paint.fill(picture, part.box[:2], ornaments.laurels(part.box[2], part.box[3]), (part.colour,))


def _flourish(picture: Image.Image, part: Flourish, _writing: Writing) -> None:
    paint.fill(picture, part.box[:2], ornaments.flourish(part.box[2], part.box[3]), (part.colour,))


def _seal(picture: Image.Image, part: Seal, writing: Writing) -> None:
    paint.fill(picture, part.box[:2], ornaments.seal(writing.shop, part.box[2], part.turn), (part.colour,))


_DRAW: Final[dict[type[Any], Callable[[Image.Image, Any, Writing], None]]] = {
    Gradient: _gradient, Shape: _shape, Text: _text, Code: _code, Border: _border, Rosette: _rosette, Medal: _medal,
    Laurels: _laurels, Flourish: _flourish, Seal: _seal,
}
