"""The worded parts of a poster: texts with places, the price, the selling points. One function each."""

from functools import lru_cache

from PIL import Image, ImageDraw

from bot.pictures import paint, styles, text
from bot.pictures.graphemes import clusters

_FINE = 4
_CHIP_PAD = 0.75
_GAP = 0.6
"""Of the text size: inside a chip on both sides, and between two points."""


def words(picture: Image.Image, layer: styles.Text, values: dict[str, str]) -> None:
    """Draws the layer's text; nothing when it has places and all of them are empty."""
    named = styles.places(layer.text)
    if named and not any(clusters(values[name]) for name in named):
        return
    left, top, width, height = layer.box
    kind, lines = _set(layer, values)
    step = kind.size * layer.leading
    start = top if layer.valign == "top" else top + (height - step * len(lines)) / 2
    for i, line in enumerate(lines):
        blank = text.hang(line, kind)
        x = left - blank + _indent(layer.align, width, text.width(line, kind) - blank)
        text.draw(picture, (x, text.baseline(start + i * step, step, kind)), line, kind, layer.colour)


def _set(layer: styles.Text, values: dict[str, str]) -> tuple[text.Type, list[text.Line]]:
    """The lines of a text, shortened only if they do not fit in its smallest size either, and the type they fit in."""
    whole = layer.text.format_map(values)
    serif = layer.serif and text.all_serif(clusters(whole))
    for size in (*range(layer.size, layer.least or layer.size, -2), layer.least or layer.size):
        kind = text.Type(size, layer.weight, layer.spacing, serif)
        if layer.lines == 1:
            lines = [_one_line(layer.text, values, kind, layer.box[2])]
        else:
            lines = text.balanced(whole, kind, layer.box[2], layer.lines)
        if sum(map(_letters, lines)) == _letters(clusters(whole)):
            break
    return kind, lines


def _letters(line: text.Line) -> int:
    """How many clusters are not spaces, which may go where a line is broken."""
    return sum(cluster.text != " " for cluster in line)


def _one_line(template: str, values: dict[str, str], kind: text.Type, limit: int) -> text.Line:
    """One line; when too long, the longest value is shortened, so that the words around it stay."""
    whole = clusters(template.format_map(values))
    if text.width(whole, kind) <= limit or not styles.places(template):
        return text.fit(whole, kind, limit)
    longest = max(styles.places(template), key=lambda name: len(clusters(values[name])))
    value = clusters(values[longest])
    cut = [c.text for c in value]
    low, high = 0, len(cut) - 1
    while low < high:
        middle = (low + high + 1) // 2
        short = template.format_map({**values, longest: "".join(cut[:middle]).rstrip() + "…"})
        low, high = (middle, high) if text.width(clusters(short), kind) <= limit else (low, middle - 1)
    short = template.format_map({**values, longest: "".join(cut[: text.cut(value, low)]) + "…"})
    return text.fit(clusters(short), kind, limit)


def price(picture: Image.Image, layer: styles.Price, fen: int, list_fen: int | None) -> None:
    """Draws the price with a small ¥ and small cents, and a higher list price struck through beside it."""
    left, top, width, height = layer.box
    size = layer.size
    while (pieces := _price_pieces(layer, size, fen, list_fen))[-1][0] > width and size > 24:
        size -= 2
    x = left + _indent(layer.align, width, pieces[-1][0])
    foot = text.baseline(top, height, text.Type(size))
    for offset, shown, kind, colour, struck in pieces[:-1]:
        line = clusters(shown)
        text.draw(picture, (x + offset, foot), line, kind, colour)
        if struck:
            y, end = foot - kind.size * 0.36, x + offset + text.width(line, kind)
            ImageDraw.Draw(picture).line((x + offset - 2, y, end + 2, y), fill=colour, width=3)


def _price_pieces(
    layer: styles.Price, size: int, fen: int, list_fen: int | None
) -> list[tuple[float, str, text.Type, str, bool]]:
    """Offset, text, type, colour, struck of each piece; the last one holds the whole width."""
    yuan, cents = divmod(max(0, fen), 100)
    parts = [(layer.label, 0.34, 600, layer.colour, False, 0.18)] if layer.label else []
    parts += [("¥", 0.56, layer.weight, layer.colour, False, 0.04)]
    parts += [(f"{yuan}", 1.0, layer.weight, layer.colour, False, 0.0)]
    if cents:
        parts += [(f".{cents:02d}", 0.56, layer.weight, layer.colour, False, 0.0)]
    if list_fen is not None and list_fen > fen:
        listed = f"¥{list_fen // 100}" + (f".{list_fen % 100:02d}" if list_fen % 100 else "")
        parts += [(listed, 0.36, 400, layer.struck, True, 0.0)]
    pieces, x = list[tuple[float, str, text.Type, str, bool]](), 0.0
    for shown, scale, weight, colour, struck, gap in parts:
        kind = text.Type(max(16, round(size * scale)), weight)
        x += size * 0.24 if struck else 0
        pieces.append((x, shown, kind, colour, struck))
        x += text.width(clusters(shown), kind) + size * gap
    return [*pieces, (x, "", text.Type(size), layer.colour, False)]


def points(picture: Image.Image, layer: styles.Points, shown: tuple[str, ...]) -> None:
    """Draws up to three points; a column has one line each, a row shortens what does not fit."""
    lines = [line for line in (clusters(point) for point in shown) if line][:3]
    if not lines:
        return
    kind = text.Type(layer.size, layer.weight)
    if layer.flow == "row":
        _row(picture, layer, lines, kind)
        return
    left, top, width, height = layer.box
    step = min(height / len(lines), kind.size * 1.75)
    for i, line in enumerate(lines):
        inner = width - _mark_room(layer)
        fitted = text.fit(line, kind, inner)
        x = left + _indent(layer.align, width, text.width(fitted, kind) + _mark_room(layer))
        _point(picture, layer, fitted, kind, x, top + i * step, step)


def _row(picture: Image.Image, layer: styles.Points, lines: list[text.Line], kind: text.Type) -> None:
    left, top, width, height = layer.box
    pad = kind.size * _CHIP_PAD if layer.fill else 0
    gap = kind.size * (_GAP if layer.fill else 1.4)
    frame = 2 * pad + _mark_room(layer)
    room = (width - gap * (len(lines) - 1)) / len(lines) - frame
    if sum(text.width(line, kind) + frame for line in lines) + gap * (len(lines) - 1) > width:
        lines = [text.fit(line, kind, room) for line in lines]
    widths = [text.width(line, kind) + frame for line in lines]
    x = left + _indent(layer.align, width, sum(widths) + gap * (len(lines) - 1))
    for line, wide in zip(lines, widths, strict=True):
        if layer.fill:
            chip = paint.mask("rectangle", round(wide), height, height // 2)
            paint.fill(picture, (round(x), top), chip, (layer.fill,))
        _point(picture, layer, line, kind, x + pad, top, height)
        x += wide + gap


def _point(
    picture: Image.Image,
    layer: styles.Points,
    line: text.Line,
    kind: text.Type,
    x: float,
    top: float,
    height: float,
) -> None:
    if layer.mark:
        disc = tick(kind.size, layer.mark)
        paint.lay(picture, (round(x), round(top + (height - kind.size) / 2)), disc)
    text.draw(
        picture, (x + _mark_room(layer), text.baseline(top, height, kind)), line, kind, layer.colour
    )


def _mark_room(layer: styles.Points) -> float:
    return layer.size * 1.36 if layer.mark else 0.0


@lru_cache(maxsize=16)
def tick(side: int, disc: str) -> Image.Image:
    """A disc with a tick in it, white or dark as the disc's colour asks. Not to be drawn on."""
    fine = side * _FINE
    white = paint.contrast(paint.rgba(disc)[:3], (255, 255, 255)) >= 3
    picture = Image.new("RGBA", (fine, fine), disc + "00")
    pen = ImageDraw.Draw(picture)
    pen.ellipse((0, 0, fine - 1, fine - 1), fill=disc)
    hook = [(0.28, 0.52), (0.44, 0.68), (0.74, 0.35)]
    stroke = [(x * fine, y * fine) for x, y in hook]
    pen.line(stroke, fill="#ffffff" if white else "#1a1a1a", width=round(fine * 0.11), joint="curve")
    return picture.reduce(_FINE)


def _indent(align: str, room: float, wide: float) -> float:
    return {"left": 0.0, "center": (room - wide) / 2, "right": room - wide}[align]
