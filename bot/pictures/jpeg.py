"""JPEG of a poster, and the one trick of this room: only the rows that show the person are encoded for each.

Face, name and code lie in one band below ``SEAM``; the rest of the picture is the same for everybody. A baseline JPEG
with a restart marker after every row of blocks codes each row by itself, so the finished file is the header, the kept
rows above, the freshly encoded band and the kept rows below it, the markers numbered through: byte for byte what
encoding the whole picture gives (tests compare them). Why: encoding the whole 1080 x 1920 picture is the largest part
of a poster; a band of a fifth of the rows costs a fifth.
Conditions: fixed quality, standard Huffman tables (no ``optimize``), and a band of whole rows of blocks, which are 16
pixels high at 4:2:0.
"""

import io
import struct
from dataclasses import dataclass
from typing import Final

from PIL import Image

QUALITY: Final = 88
SEAM: Final = 1408
"""The first pixel row that may differ from person to person."""
ROW: Final = 16
"""Pixel rows of one row of blocks: a band begins and ends at a multiple of it."""
_START_OF_FRAME: Final = 0xC0
_START_OF_SCAN: Final = 0xDA
_END: Final = b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture encoded but for a band: everything ``before`` it, everything ``after`` it, and the number of the
    band's first row of blocks."""

    before: bytes
    after: bytes
    first: int


def encode(picture: Image.Image) -> bytes:
    """``picture`` (RGB) as baseline JPEG, 4:2:0, no metadata, a restart marker after each row of blocks."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, subsampling="4:2:0", restart_marker_rows=1)
    return out.getvalue()


def frame(picture: Image.Image, top: int, bottom: int) -> Frame:
    """Encodes ``picture`` but for the rows from ``top`` up to ``bottom`` (multiples of 16), which ``join`` will add."""
    head, above, height_at = _parts(encode(picture.crop((0, 0, picture.width, top))))
    head = head[:height_at] + struct.pack(">H", picture.height) + head[height_at + 2 :]
    first, last = top // ROW, bottom // ROW
    after = _END
    if bottom < picture.height:
        _, below, _ = _parts(encode(picture.crop((0, bottom, picture.width, picture.height))))
        after = _marker(last - 1) + _renumbered(below, last) + _END
    return Frame(head + above + _marker(first - 1), after, first)


def join(around: Frame, band: Image.Image) -> bytes:
    """The JPEG of the whole picture whose rows between those of ``around`` are ``band`` (same width)."""
    _, scan, _ = _parts(encode(band))
    return b"".join((around.before, _renumbered(scan, around.first), around.after))


def _marker(row: int) -> bytes:
    """What stands after a row of blocks: markers are numbered modulo 8."""
    return bytes((0xFF, 0xD0 + row % 8))


def _renumbered(scan: bytes, first: int) -> bytes:
    """``scan``, whose markers count from its own first row, as part of a picture where that is row ``first``."""
    out, row, at = bytearray(scan), 0, 0
    while at := scan.find(_marker(row), at) + 1:  # nothing else in a scan looks like a marker: the encoder sees to it
        out[at] = _marker(first + row)[1]
        row += 1
    return bytes(out)


def _parts(data: bytes) -> tuple[bytes, bytes, int]:
    """Header including the scan's own, scan data without the end marker, offset of the height field."""
    at, height_at = 2, 0
    while True:
        kind, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if kind == _START_OF_FRAME:
            height_at = at + 5
        at += 2 + length
        if kind == _START_OF_SCAN:
            return data[:at], data[at : -len(_END)], height_at
