"""Coverage of simple forms with soft edges, computed where it changes: along an edge, never over the whole box.

Every row of a form's left half runs from outside to inside (a cove's from inside to outside): nothing, a few pixels
of edge, everything. The edge of a row is looked for where that of the row before was. So a large form costs hardly
more than a small one, and no library of numbers is loaded for it.
"""

import math
from collections.abc import Callable, Iterator
from typing import Final

from PIL import Image

Inside = Callable[[float, float], float]
"""How many pixels the middle of a pixel lies inside the edge, negative outside. ``x`` and ``y`` in pixels."""


def cover(form: str, width: int, height: int, radius: int) -> Image.Image:
    """Coverage (0 to 255) of ``form`` in a box of ``width`` x ``height``; see ``paint.mask`` for the forms."""
    inside = _FORMS[form](width, height, radius)
    mirrored = form not in ("arch", "cove")  # from top to bottom; from left to right every form is its own image
    rows = [left + left[::-1][width % 2:]
            for left in _half_rows(inside, (width + 1) // 2, (height + 1) // 2 if mirrored else height)]
    if mirrored:
        rows += rows[::-1][height % 2:]
    return Image.frombytes("L", (width, height), b"".join(rows))


def _half_rows(inside: Inside, length: int, height: int) -> Iterator[bytes]:
    begin = length // 2
    for row in range(height):
        y = row + 0.5
        first, last = _level(inside(0.5, y)), _level(inside(length - 0.5, y))
        if first == last:
            yield bytes((first,)) * length
            continue
        while begin > 1 and _level(inside(begin - 0.5, y)) != first:
            begin -= 1
        while (now := _level(inside(begin + 0.5, y))) == first:
            begin += 1
        edge = [now]
        while edge[-1] != last:
            edge.append(_level(inside(begin + len(edge) + 0.5, y)))
        yield bytes((first,)) * begin + bytes(edge) + bytes((last,)) * (length - begin - len(edge))


def _level(inside: float) -> int:
    return 255 if inside >= 0.5 else 0 if inside <= -0.5 else int((inside + 0.5) * 255)


def _rectangle(width: float, height: float, radius: float) -> Inside:
    half_w, half_h = width / 2, height / 2
    corner = min(radius, half_w, half_h)

    def inside(x: float, y: float) -> float:
        right, down = abs(x - half_w) - half_w + corner, abs(y - half_h) - half_h + corner
        if right > 0 and down > 0:
            return corner - math.hypot(right, down)
        return corner - max(right, down)

    return inside


def _arch(width: float, height: float, radius: float) -> Inside:
    half_w, half_h = width / 2, height / 2
    above, below = _rectangle(width, height, min(half_w, half_h)), _rectangle(width, height, radius)
    return lambda x, y: above(x, y) if y < half_w else below(x, y)


def _ticket(width: float, height: float, radius: float) -> Inside:
    card, half_w, half_h, notch = _rectangle(width, height, radius), width / 2, height / 2, height * 0.13
    return lambda x, y: min(card(x, y), math.hypot(abs(x - half_w) - half_w, y - half_h) - notch)


def _cove(width: float, height: float, radius: float) -> Inside:
    half_w, deep = width / 2, min(radius, height)
    return lambda x, y: height - deep * (1 - ((x - half_w) / half_w) ** 2) - y


def _ellipse(width: float, height: float, _radius: float) -> Inside:
    half_w, half_h = width / 2, height / 2

    def inside(x: float, y: float) -> float:
        u, v = (x - half_w) / half_w, (y - half_h) / half_h
        way = math.hypot(u, v)
        slope = math.hypot(u / half_w, v / half_h) / max(way, 1e-6)
        return (1 - way) / max(slope, 1e-6)

    return inside


_FORMS: Final[dict[str, Callable[[float, float, float], Inside]]] = {
    "rectangle": _rectangle, "arch": _arch, "ticket": _ticket, "cove": _cove, "ellipse": _ellipse,
}
