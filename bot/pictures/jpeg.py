"""JPEG of a poster, and the one trick of this room: only the lower part is encoded for each person.

Above ``SEAM`` nothing depends on the person. A baseline JPEG with a restart marker after every row of
blocks codes each row by itself, so the finished file is the header, the kept upper rows, one marker and
the freshly encoded lower rows: byte for byte what encoding the whole picture gives (tests compare them).
Why: encoding the whole 1080 x 1920 picture is the largest part of a poster; the lower 27 % costs 27 %.
Conditions: fixed quality, standard Huffman tables (no ``optimize``), and a seam on a multiple of 128 rows,
because markers are numbered modulo 8 and a row of blocks is 16 pixels high at 4:2:0.
"""

import io
import struct
from dataclasses import dataclass
from typing import Final

from PIL import Image

QUALITY: Final = 88
SEAM: Final = 1408
"""The first pixel row that may differ from person to person."""
_ROW: Final = 16
_START_OF_FRAME: Final = 0xC0
_START_OF_SCAN: Final = 0xDA
_END: Final = b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class Upper:
    """The encoded rows above the seam: ``head`` up to the scan data with its height at ``height_at``."""

    head: bytes
    scan: bytes
    height_at: int


def encode(picture: Image.Image) -> bytes:
    """``picture`` (RGB) as baseline JPEG, 4:2:0, no metadata, a restart marker after each row of blocks."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, subsampling="4:2:0", restart_marker_rows=1)
    return out.getvalue()


def upper(picture: Image.Image) -> Upper:
    """Encodes the rows of ``picture`` above the seam, to be joined to many lower parts."""
    head, scan, height_at = _parts(encode(picture.crop((0, 0, picture.width, SEAM))))
    return Upper(head, scan, height_at)


def join(top: Upper, lower: Image.Image) -> bytes:
    """The JPEG of the whole picture whose rows below the seam are ``lower`` (same width)."""
    _, scan, _ = _parts(encode(lower))
    height = struct.pack(">H", SEAM + lower.height)
    head = top.head[: top.height_at] + height + top.head[top.height_at + 2 :]
    marker = bytes((0xFF, 0xD0 + (SEAM // _ROW - 1) % 8))
    return b"".join((head, top.scan, marker, scan, _END))


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
