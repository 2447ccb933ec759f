"""QR codes: drawing one from an address, and proving that a finished picture can be scanned.

The two libraries are loaded when the first code is drawn: most processes never draw one.
"""

import io
from typing import Final

from PIL import Image

QUIET: Final = 4
"""Light modules that the standard asks for on each side."""
SMALLEST: Final = 240
"""Pixels: a code below this is hard to scan from another phone's screen."""
_LEAST_MODULE: Final = 5
"""Pixels of one module: below this a module is less than two pixels when the poster is shown 360 px wide."""
_MASK: Final = 2
# Trying all eight masks and scoring them in Python takes 8.2 ms of 9.7; any mask is a valid code, and every
# picture is decoded before it leaves, so the choice costs nothing but evenness. Measured: 1.5 ms with it fixed.
_SHADES: Final = bytes((255, 0)) + bytes(254)
"""What a light and a dark module become in grey."""
_PHONE_WIDTH: Final = 360
_PHONE_QUALITY: Final = 70


class PosterUnreadable(Exception):
    """The QR of a finished picture could not be read back; the picture must not be sent."""


def draw(url: str, room: int) -> Image.Image:
    """A square greyscale QR of ``url`` (level M) with its quiet zone, at most ``room`` pixels wide.

    Modules are whole pixels. Raises ValueError when the address is empty, or too long for modules that
    a phone can tell apart in ``room``.
    """
    if not url:
        raise ValueError("a QR needs an address")
    dark = _modules(url)
    pixels = room // (len(dark) + 2 * QUIET)
    if pixels < _LEAST_MODULE or pixels * len(dark) < SMALLEST:
        raise ValueError(f"an address of {len(url)} characters does not fit a QR of {room} pixels")
    wide = len(dark) + 2 * QUIET
    framed = Image.new("L", (wide, wide), 255)
    framed.paste(Image.frombytes("L", (len(dark), len(dark)), b"".join(dark).translate(_SHADES)), (QUIET, QUIET))
    return framed.resize((wide * pixels, wide * pixels), Image.Resampling.NEAREST)


def _modules(url: str) -> list[bytes]:
    """The smallest code of level M that holds ``url``: its rows, 1 for a dark module, without a quiet zone."""
    import qrcode
    from qrcode.constants import ERROR_CORRECT_M
    from qrcode.util import MODE_8BIT_BYTE, QRData

    code = qrcode.QRCode(_version(url), ERROR_CORRECT_M, border=0, mask_pattern=_MASK)
    code.add_data(QRData(url.encode(), mode=MODE_8BIT_BYTE))
    code.make(fit=False)
    return [bytes(map(bool, row)) for row in code.modules]


def _version(url: str) -> int:
    """The smallest version of level M for ``url`` as bytes. Raises ValueError when there is none."""
    from qrcode.constants import ERROR_CORRECT_M
    from qrcode.util import BIT_LIMIT_TABLE

    size = len(url.encode())
    for version in range(1, 41):
        head = 4 + (8 if version < 10 else 16)
        if head + 8 * size <= BIT_LIMIT_TABLE[ERROR_CORRECT_M][version]:
            return version
    raise ValueError(f"an address of {size} bytes does not fit any QR")


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
