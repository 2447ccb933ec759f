"""Poster styles: the layers of a picture as data, read from TOML and judged all at once.

A style is one file in the styles directory; its stem is the key (``10-fresh.toml`` sorts first and is
``fresh``). Layers are drawn in the order of the file. Layers that show the person (avatar, QR, texts with
``{sharer}`` or ``{valid_until}``) are drawn last and must lie below the seam, see ``jpeg``.
Decoration that comes before the first layer with content is painted once per style, later one once per product.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from bot.pictures import jpeg, qr

WIDTH: Final = 1080
HEIGHT: Final = 1920

Colour = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?$")]
Solid = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}$")]
Box = tuple[int, int, int, int]
"""Left, top, width, height in pixels."""
Size = Annotated[int, Meta(ge=16, le=260)]
Weight = Annotated[int, Meta(ge=100, le=900)]
Small = Annotated[int, Meta(ge=0, le=400)]
Align = Literal["left", "center", "right"]


class Shadow(Struct, frozen=True, forbid_unknown_fields=True):
    """A soft shadow: ``dy`` pixels below, ``blur`` pixels wide."""

    colour: Colour
    blur: Annotated[int, Meta(ge=1, le=160)] = 40
    dy: Annotated[int, Meta(ge=-100, le=100)] = 16


class Layer(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    box: Box


class Gradient(Layer, frozen=True, forbid_unknown_fields=True, tag="gradient"):
    """Colours from top to bottom (``linear``, turned by ``angle``) or from the middle outwards."""

    stops: Annotated[tuple[Colour, ...], Meta(min_length=2, max_length=5)]
    form: Literal["linear", "radial"] = "linear"
    angle: Annotated[int, Meta(ge=0, le=359)] = 0


class Shape(Layer, frozen=True, forbid_unknown_fields=True, tag="shape"):
    """A card, a disc, a rule or a wavy edge, filled with one or two colours (top to bottom), with an outline."""

    fill: Annotated[tuple[Colour, ...], Meta(max_length=2)] = ()
    form: Literal["rectangle", "ellipse", "arch", "cove", "ticket"] = "rectangle"
    radius: Small = 0
    outline: Colour | None = None
    line: Annotated[int, Meta(ge=1, le=40)] = 2
    shadow: Shadow | None = None


class Pattern(Layer, frozen=True, forbid_unknown_fields=True, tag="pattern"):
    """An ornament that fills the box: ``size`` is the pitch in pixels, ``count`` how many of the loose ones."""

    name: Literal["scales", "rays", "dots", "leaves", "sparks", "rings"]
    colour: Colour
    size: Annotated[int, Meta(ge=8, le=400)] = 60
    count: Annotated[int, Meta(ge=1, le=200)] = 16
    seed: int = 1


class Product(Layer, frozen=True, forbid_unknown_fields=True, tag="product"):
    """Where the goods stand: a photo cut to the box, or a drawn picture on the stage of these colours."""

    stage: tuple[Solid, Solid, Solid, Solid]
    """Backdrop top, backdrop bottom, halo, podium."""
    ink: Solid
    """Outlines of the drawn goods."""
    radius: Small = 0
    form: Literal["rectangle", "ellipse", "arch", "cove"] = "rectangle"
    shadow: Shadow | None = None


class Text(Layer, frozen=True, forbid_unknown_fields=True, tag="text"):
    """One text with places such as {title}; not drawn when all its places are empty. ``least``: the size to which it
    shrinks before it is shortened; without it, it is shortened at once."""

    text: str
    size: Size
    colour: Solid
    weight: Weight = 500
    align: Align = "left"
    lines: Annotated[int, Meta(ge=1, le=2)] = 1
    spacing: Annotated[int, Meta(ge=0, le=40)] = 0
    leading: Annotated[float, Meta(ge=1.0, le=2.0)] = 1.3
    valign: Literal["top", "middle"] = "middle"
    serif: bool = False
    least: Size | None = None


class Price(Layer, frozen=True, forbid_unknown_fields=True, tag="price"):
    """The price, large, with a small ¥, and the list price struck through if there is one."""

    size: Size
    colour: Solid
    struck: Solid
    weight: Weight = 800
    align: Align = "left"
    label: str = ""


class Points(Layer, frozen=True, forbid_unknown_fields=True, tag="points"):
    """Up to three selling points: filled chips in a row, or ticked lines one below the other."""

    size: Size
    colour: Solid
    fill: Colour | None = None
    mark: Solid | None = None
    weight: Weight = 500
    flow: Literal["row", "column"] = "row"
    align: Align = "left"


class Avatar(Layer, frozen=True, forbid_unknown_fields=True, tag="avatar"):
    """The sharer's face in a circle with a ring around it."""

    ring: Solid
    ring_width: Annotated[int, Meta(ge=0, le=20)] = 6


class Qr(Layer, frozen=True, forbid_unknown_fields=True, tag="qr"):
    """The QR with its quiet zone, always black on a white plate that fills the box."""

    radius: Small = 0


AnyLayer = Gradient | Shape | Pattern | Product | Text | Price | Points | Avatar | Qr
LAYERS: Final[dict[str, type[Any]]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(AnyLayer)
}

PLACES: Final = frozenset(("title", "shop", "category", "sku", "sharer", "valid_until", "credit", "words"))
PERSONAL: Final = frozenset(("sharer", "valid_until"))
ONCE: Final = (Product, Price, Avatar, Qr)


@dataclass(frozen=True, slots=True)
class Style:
    """``key`` is what requests name, ``name`` what people read, ``accent`` the colour for its number."""

    key: str
    name: str
    accent: str
    layers: tuple[AnyLayer, ...]

    @property
    def behind(self) -> tuple[AnyLayer, ...]:
        """The leading layers that are the same for every product."""
        return tuple(takewhile(lambda layer: isinstance(layer, Gradient | Shape | Pattern), self._fixed))

    @property
    def fixed(self) -> tuple[AnyLayer, ...]:
        """The layers on them that are the same for everybody who shares this product."""
        return self._fixed[len(self.behind):]

    @property
    def product(self) -> Product:
        """Where the goods stand."""
        return next(layer for layer in self.layers if isinstance(layer, Product))

    @property
    def _fixed(self) -> tuple[AnyLayer, ...]:
        return tuple(layer for layer in self.layers if not personal(layer))

    @property
    def person(self) -> tuple[AnyLayer, ...]:
        """Layers that show the sharer; all of them lie below the seam."""
        return tuple(layer for layer in self.layers if personal(layer))

    @property
    def band(self) -> tuple[int, int]:
        """The pixel rows that ``person`` may touch, first and last exclusive, as whole rows of blocks. Letters with
        marks on top of each other leave their box by less than their size."""
        spills = [(layer.box[1], layer.box[1] + layer.box[3], layer.size if isinstance(layer, Text) else 0)
                  for layer in self.person]
        top = min(top - spill for top, _, spill in spills) // jpeg.ROW * jpeg.ROW
        bottom = -(-max(bottom + spill for _, bottom, spill in spills) // jpeg.ROW) * jpeg.ROW
        return max(top, jpeg.SEAM), min(bottom, HEIGHT)


class StyleError(Exception):
    """One or more style files are wrong; ``faults`` has one line per fault, each naming its file."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


def personal(layer: AnyLayer) -> bool:
    """Whether ``layer`` differs from sharer to sharer."""
    return isinstance(layer, Avatar | Qr) or (
        isinstance(layer, Text) and bool(PERSONAL & set(places(layer.text)))
    )


def places(text: str) -> list[str]:
    """Names between braces in ``text``. Raises ValueError on unbalanced braces."""
    return [name for _, name, _, _ in Formatter().parse(text) if name is not None]


def load(directory: Path) -> dict[str, Style]:
    """All styles of ``directory`` by key, in the order of the file names.

    Raises StyleError with every fault of every file, or when there is no style at all.
    """
    styles: dict[str, Style] = {}
    faults: list[str] = []
    for path in sorted(directory.glob("*.toml")):
        key = re.sub(r"^\d+-", "", path.stem)
        if key in styles:
            faults.append(f"{path.name}: another file already has the key {key!r}")
        style, wrong = parse(key, path.read_bytes())
        faults += [f"{path.name}: {fault}" for fault in wrong]
        if style:
            styles[key] = style
    if not styles and not faults:
        faults.append(f"{directory}: no style files (*.toml)")
    if faults:
        raise StyleError(faults)
    return styles


@lru_cache(maxsize=32)
def parse(key: str, source: bytes) -> tuple[Style | None, list[str]]:
    """The style of one file, or None and every fault found in it. Children by fork find it read already."""
    try:
        raw = tomllib.loads(source.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return None, [f"not readable as TOML: {error}"]
    faults = [f"unknown entry {entry!r}" for entry in sorted(raw.keys() - {"name", "accent", "layer"})]
    for entry, kind in (("name", Annotated[str, Meta(min_length=1, max_length=12)]), ("accent", Solid)):
        faults += judge(raw.get(entry), kind, entry)
    layers: list[AnyLayer] = []
    tables = raw.get("layer")
    if not isinstance(tables, list) or not tables:
        return None, [*faults, "at least one [[layer]] is needed"]
    for number, table in enumerate(tables, 1):
        layer, wrong = layer_of(table, LAYERS)
        faults += [f"layer {number}: {fault}" for fault in wrong]
        if layer is not None:
            faults += [f"layer {number} ({table['kind']}): {fault}" for fault in _place(layer)]
            layers.append(layer)
    if not faults:
        faults += _whole(layers)
    return (None, faults) if faults else (Style(key, raw["name"], raw["accent"], tuple(layers)), [])


def layer_of(table: Any, kinds: Mapping[str, type[Any]]) -> tuple[Any, list[str]]:
    """One table as a layer: every field judged by itself, so that one fault does not hide the next."""
    kind = table.get("kind") if isinstance(table, dict) else None
    made = kinds.get(kind) if isinstance(kind, str) else None
    if made is None:
        return None, [f"'kind' must be one of {', '.join(sorted(kinds))}, not {kind!r}"]
    fields = {field.encode_name: field for field in msgspec.structs.fields(made)}
    unknown = sorted(table.keys() - fields.keys() - {"kind"})
    faults = [f"({kind}) unknown entry {name!r}" for name in unknown]
    for name, field in fields.items():
        if name in table:
            faults += [f"({kind}) {fault}" for fault in judge(table[name], field.type, name)]
        elif field.required:
            faults.append(f"({kind}) {name!r} is missing")
    return (None, faults) if faults else (msgspec.convert(table, made), [])


def judge(value: Any, kind: Any, name: str) -> list[str]:
    """What is wrong with one entry, in words; [] when nothing is."""
    if value is None:
        return [f"{name!r} is missing"]
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return [f"{name!r} is {value!r}: {error}"]
    return []


def _place(layer: AnyLayer) -> Iterator[str]:
    """Faults of one well-formed layer: outside the picture, above the seam, unknown places, too small."""
    left, top, width, height = layer.box
    if width <= 0 or height <= 0:
        yield f"the box {list(layer.box)} is empty"
    spills = isinstance(layer, Gradient | Shape | Pattern)
    if not spills and (left < 0 or top < 0 or left + width > WIDTH or top + height > HEIGHT):
        yield f"the box {list(layer.box)} leaves the picture of {WIDTH} x {HEIGHT}"
    if isinstance(layer, Text):
        try:
            unknown = sorted(set(places(layer.text)) - PLACES)
        except ValueError as error:
            yield f"the text {layer.text!r} has wrong braces: {error}"
            return
        yield from (f"unknown place {{{name}}} in the text" for name in unknown)
        if height < layer.lines * layer.size:
            yield f"{layer.lines} lines of {layer.size} pixels do not fit in a height of {height}"
    if personal(layer) and top < jpeg.SEAM:
        yield f"shows the sharer, so it must lie at or below row {jpeg.SEAM}, not {top}"
    if isinstance(layer, Qr) and (width != height or width < qr.SMALLEST + 40):
        yield f"the box must be a square of at least {qr.SMALLEST + 40} pixels"


def _whole(layers: list[AnyLayer]) -> Iterator[str]:
    """Faults that only the whole picture has: missing parts, words on the QR."""
    for kind in ONCE:
        count = sum(isinstance(layer, kind) for layer in layers)
        if count != 1:
            yield f"exactly one layer of kind {kind.__struct_config__.tag!r} is needed, there are {count}"
    named = {name for layer in layers if isinstance(layer, Text) for name in places(layer.text)}
    yield from (f"no text shows {{{name}}}" for name in ("title", "sharer") if name not in named)
    code = next((layer for layer in layers if isinstance(layer, Qr)), None)
    for number, layer in enumerate(layers, 1):
        if code and isinstance(layer, Text | Price | Points | Avatar) and _touch(layer.box, code.box):
            yield f"layer {number} overlaps the QR and its quiet zone"


def _touch(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
