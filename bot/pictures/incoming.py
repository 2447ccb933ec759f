"""Pictures that come from outside, opened with suspicion: known formats, bounded pixels, no metadata kept."""

import io
from typing import Final

from PIL import Image, ImageOps

FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
"""Media types that are taken, and what Pillow calls them."""
MOST_PIXELS: Final = 40_000_000
"""A picture above this is taken for a decompression bomb; it is refused before anything is unpacked."""

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
    return picture if picture.width * picture.height <= MOST_PIXELS else None


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    flat = Image.new("RGBA", picture.size, "#ffffff")
    flat.alpha_composite(picture.convert("RGBA"))
    return flat.convert("RGB")
