"""The picture of a QR code, one pixel a module: what the library draws, and what follows from codes drawn before.

Over bits, all that stands between an address and its code (header, padding, Reed-Solomon, a mask that is fixed) only
moves and adds: for addresses a, b and c of one length, code(a ^ b ^ c) = code(a) ^ code(b) ^ code(c). So every code
that the library draws is remembered as an equation, and an address that is a sum of known ones needs the library no
more. The library takes 0.65 ms, a quarter of a poster in steady state; a sum 0.02 ms.
"""

from functools import lru_cache
from typing import Final

from PIL import Image

QUIET: Final = 4
"""Light modules that the standard asks for on each side."""
_MASK: Final = 2
# Trying all eight masks and scoring them in Python takes 8.2 ms of 9.7; any mask is a valid code, and every
# picture is decoded before it leaves, so the choice costs nothing but evenness. It is also what makes sums possible.

_Known = dict[int, tuple[int, int]]
"""By the number of its highest bit: a sum of addresses, and the same sum of their codes. At most one for each bit that
addresses of this length differ in, and one more: up to 200 KB for a length."""


def modules(url: str) -> Image.Image:
    """The smallest code of level M for ``url`` in its quiet zone: mode "1", a pixel for a module, white is light.

    Raises ValueError when the address is too long for any code. Safe between threads: whichever equation of two is
    remembered, it is true.
    """
    raw = url.encode()
    wide = 17 + 4 * _version(len(raw)) + 2 * QUIET
    known, sum_ = _known(len(raw)), 0
    rest = int.from_bytes(b"\1" + raw)  # the leading one counts the addresses of a sum: an odd number is an address
    while rest and (equation := known.get(rest.bit_length())):
        rest ^= equation[0]
        sum_ ^= equation[1]
    if rest:
        drawn = int.from_bytes(_drawn(raw).tobytes())
        known[rest.bit_length()] = rest, sum_ ^ drawn
        sum_ = drawn
    return Image.frombytes("1", (wide, wide), sum_.to_bytes(wide * -(-wide // 8)))


@lru_cache(maxsize=8)
def _known(size: int) -> _Known:
    """What is known of addresses of ``size`` bytes."""
    return {}


def _drawn(raw: bytes) -> Image.Image:
    """What ``modules`` gives, by the library alone."""
    import qrcode
    from qrcode.constants import ERROR_CORRECT_M
    from qrcode.util import MODE_8BIT_BYTE, QRData

    code = qrcode.QRCode(_version(len(raw)), ERROR_CORRECT_M, border=0, mask_pattern=_MASK)
    code.add_data(QRData(raw, mode=MODE_8BIT_BYTE))
    code.make(fit=False)
    side = code.modules_count
    dark = Image.frombytes("L", (side, side), b"".join(bytes(map(bool, row)) for row in code.modules))
    framed = Image.new("1", (side + 2 * QUIET, side + 2 * QUIET), 1)
    framed.paste(0, (QUIET, QUIET), dark.point([0] + [255] * 255))
    return framed


def _version(size: int) -> int:
    """The smallest version of level M for ``size`` bytes. Raises ValueError when there is none."""
    from qrcode.constants import ERROR_CORRECT_M
    from qrcode.util import BIT_LIMIT_TABLE

    for version in range(1, 41):
        head = 4 + (8 if version < 10 else 16)
        if head + 8 * size <= BIT_LIMIT_TABLE[ERROR_CORRECT_M][version]:
            return version
    raise ValueError(f"an address of {size} bytes does not fit any QR")
