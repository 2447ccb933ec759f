"""QR codes: drawing one from an address, and proving that a finished picture can be scanned.

The two libraries are loaded when the first code is drawn: most processes never draw one.
"""

import io
from typing import Final

from PIL import Image

from bot.pictures import codes

SMALLEST: Final = 240
"""Pixels: a code below this is hard to scan from another phone's screen."""
_LEAST_MODULE: Final = 5
"""Pixels of one module: below this a module is less than two pixels when the poster is shown 360 px wide."""
_PHONE_WIDTH: Final = 360
_PHONE_QUALITY: Final = 70


class PosterUnreadable(Exception):
    """The QR of a finished picture could not be read back; the picture must not be sent."""


def draw(url: str, room: int) -> Image.Image:
    """A square greyscale QR of ``url`` (level M) with its quiet zone, at most ``room`` pixels wide.

    Modules are whole pixels. Raises ValueError when the address is empty, or too long for modules that
    a phone can tell apart in ``room``.
    """
    code, pixels = _code(url, room)
    return code.convert("L").resize((code.width * pixels, code.width * pixels), Image.Resampling.NEAREST)


def bare(url: str, room: int) -> Image.Image:
    """As ``draw``, without the quiet zone: for the middle of a light plate ``room`` pixels wide that is the quiet zone
    and keeps its round corners."""
    code, pixels = _code(url, room)
    side = code.width - 2 * codes.QUIET
    core = code.convert("L").crop((codes.QUIET, codes.QUIET, codes.QUIET + side, codes.QUIET + side))
    return core.resize((side * pixels, side * pixels), Image.Resampling.NEAREST)


def _code(url: str, room: int) -> tuple[Image.Image, int]:
    """One pixel a module with the quiet zone, and how many pixels a module may have in ``room``. Raises ValueError."""
    if not url:
        raise ValueError("a QR needs an address")
    code = codes.modules(url)
    pixels = room // code.width
    if pixels < _LEAST_MODULE or pixels * (code.width - 2 * codes.QUIET) < SMALLEST:
        raise ValueError(f"an address of {len(url)} characters does not fit a QR of {room} pixels")
    return code, pixels


def verify(jpeg: bytes, url: str) -> None:
    """Reads the QR back from the final bytes, as they are and as a small phone would show them.

    The second reading is of the picture scaled to 360 px width and saved again at quality 70.
    Raises PosterUnreadable if either reading is not exactly ``url``.
    """
    full = _grey(jpeg)
    if not _reads(full, url):
        raise PosterUnreadable("the QR cannot be read at full size")
    height = round(full.height * _PHONE_WIDTH / full.width)
    small = full.resize((_PHONE_WIDTH, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    again = io.BytesIO()
    small.save(again, "JPEG", quality=_PHONE_QUALITY)
    if not _reads(_grey(again.getvalue()), url):
        raise PosterUnreadable("the QR cannot be read at 360 px and quality 70")


def holds_code(jpeg: bytes) -> bool:
    """Whether a picture of somebody else's has a QR in it: next to ours, the phone would ask which one is meant."""
    import zxingcpp

    return bool(zxingcpp.read_barcodes(_grey(jpeg), formats=zxingcpp.BarcodeFormat.QRCode))


def _grey(jpeg: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(jpeg))
    picture.draft("L", None)  # the decoder skips the colour planes
    picture.load()
    return picture


def _reads(picture: Image.Image, url: str) -> bool:
    import zxingcpp

    found = zxingcpp.read_barcodes(
        picture, formats=zxingcpp.BarcodeFormat.QRCode, try_rotate=False, try_downscale=False, try_invert=False
    )
    return [code.text for code in found] == [url]
