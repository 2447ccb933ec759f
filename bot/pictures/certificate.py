"""Electronic certificates: one layout in several tones (assets/certificates/layout.toml), scanned before they leave."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from bot.pictures.graphemes import visible
from bot.pictures.papers import Frame, Papers, Writing
from bot.pictures.request import NAMELESS

MOST_BYTES: Final = 1_500_000
PLACES: Final = frozenset(("shop", "name", "heading", "preamble", "title", "citation", "number", "issued", "hint"))
FRAME: Final = Frame(1080, 1528, PLACES, PLACES - {"shop"}, coded=True)
"""As A4 paper stands, so that it can be printed and framed."""


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """The texts of a certificate; ``url`` is what its QR says. ``tone`` picks the colours."""

    tone: str
    shop: str
    name: str
    heading: str
    preamble: str
    title: str
    citation: str
    number: str
    issued: str
    hint: str
    url: str

    def values(self) -> dict[str, str]:
        """The texts that the places of the layout stand for."""
        texts = {place: getattr(self, place) for place in PLACES}
        return texts | {"name": self.name if visible(self.name) else NAMELESS}


class Certificates:
    """Makes certificates from the layout in a directory. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Reads ``layout.toml``. Raises StyleError with every fault of every tone."""
        self._papers = Papers(folder / "layout.toml", FRAME)

    def tones(self) -> list[str]:
        return self._papers.tones()

    def draw(self, request: CertificateRequest) -> bytes:
        """A JPEG of 1080 x 1528 pixels whose QR has been read back from these very bytes.

        Raises KeyError for an unknown tone, ValueError for an address that fits no QR, PosterUnreadable if the
        finished picture cannot be scanned.
        """
        made = self._papers.make(Writing(request.tone, request.shop, request.values(), request.url))
        if len(made) > MOST_BYTES:
            raise ValueError(f"the certificate has {len(made)} bytes, {MOST_BYTES} are allowed")
        return made


_DIGITS: Final = "〇一二三四五六七八九"


def written(day: date) -> str:
    """A date as documents write it: 二〇二六年十一月二十日."""
    year = "".join(_DIGITS[int(digit)] for digit in str(day.year))
    return f"{year}年{_spoken(day.month)}月{_spoken(day.day)}日"


def _spoken(number: int) -> str:
    """1 to 99 in words."""
    tens, ones = divmod(number, 10)
    head = "" if not tens else "十" if tens == 1 else f"{_DIGITS[tens]}十"
    return head + (_DIGITS[ones] if ones else "")
