"""Pictures that come from outside, opened with suspicion: known formats, bounded pixels, no metadata kept."""

import io
from dataclasses import dataclass, field
from typing import Final

from PIL import Image, ImageOps

FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
"""Media types that are taken, and what Pillow calls them."""
MOST_PIXELS: Final = 40_000_000
"""A picture above this is taken for a decompression bomb; it is refused before anything is unpacked."""

LEAST_SIDE: Final = 16
"""A picture narrower than this shows nothing: a counting pixel, a ruler."""

LONGEST_SIDE, SHORTEST_SIDE, MOST_LONG = 1_600, 320, 3
"""Pixels of a picture that is kept, and of one that is worth keeping; and how much longer than wide it may be."""
KEPT_BYTES: Final = 900_000
_TRIES: Final = ((LONGEST_SIDE, 86), (LONGEST_SIDE, 72), (1_200, 70), (900, 55))
"""Longest side and quality, until it is small enough: noise, which hardly shrinks, fits at the last."""

_TROUBLE: Final = (
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def fitted(data: bytes, width: int, height: int) -> Image.Image | None:
    """The picture upright, on white, scaled and cut to exactly ``width`` x ``height`` RGB; None if unusable."""
    try:
        picture = _checked(data, tuple(FORMATS.values()))
        if picture is None:
            return None
        picture.draft("RGB", (width, height))
        flat = _on_white(ImageOps.exif_transpose(picture))
        return ImageOps.fit(flat, (width, height), Image.Resampling.BICUBIC)
    except _TROUBLE:
        return None


@dataclass(frozen=True, slots=True)
class Taken:
    """A picture as the house keeps it: a JPEG of our own making, upright, without metadata."""

    jpeg: bytes = field(repr=False)
    width: int
    height: int


class Unfit(Exception):
    """``reason``: not_a_picture (or broken), moving, too_large, too_small or too_long."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def taken(data: bytes) -> Taken:
    """What somebody sent, unpacked and encoded anew, so that nothing of the file itself is kept: no place where it was
    taken, no comment, nothing hidden behind the pixels. Raises Unfit."""
    try:
        picture = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "GIF"))
        _judge(picture)
        picture.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
        flat = _on_white(ImageOps.exif_transpose(picture))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unfit("too_large") from None
    except _TROUBLE:
        raise Unfit("not_a_picture") from None
    for side, quality in _TRIES:
        flat.thumbnail((side, side), Image.Resampling.LANCZOS)
        # A fresh picture: what Pillow remembers of the file (its comment) would be written again.
        clean = Image.new("RGB", flat.size)
        clean.paste(flat)
        out = io.BytesIO()
        clean.save(out, "JPEG", quality=quality, optimize=True)
        if out.tell() <= KEPT_BYTES:
            return Taken(out.getvalue(), *clean.size)
    raise Unfit("too_large")


def _judge(picture: Image.Image) -> None:
    """By what its header says, before anything is unpacked. Raises Unfit."""
    long, short = max(picture.size), min(picture.size)
    if long * short > MOST_PIXELS:
        raise Unfit("too_large")
    if picture.format == "GIF" or (picture.format in ("PNG", "WEBP") and getattr(picture, "is_animated", False)):
        raise Unfit("moving")
    if short < SHORTEST_SIDE:
        raise Unfit("too_small")
    if long > MOST_LONG * short:
        raise Unfit("too_long")


def sound(data: bytes, media_type: str) -> bool:
    """Whether ``data`` really is a whole picture of ``media_type``."""
    try:
        picture = _checked(data, (FORMATS[media_type],))
        if picture is None:
            return False
        picture.load()
    except _TROUBLE:
        return False
    return True


def _checked(data: bytes, formats: tuple[str, ...]) -> Image.Image | None:
    picture: Image.Image = Image.open(io.BytesIO(data), formats=formats)
    return picture if min(picture.size) >= LEAST_SIDE and picture.width * picture.height <= MOST_PIXELS else None


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith("I"):  # 16 bits of grey, of which Pillow would cut everything above 255 to white
        picture = picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    flat = Image.new("RGBA", picture.size, "#ffffff")
    flat.alpha_composite(picture.convert("RGBA"))
    return flat.convert("RGB")
