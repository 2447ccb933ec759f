"""Small pictures to look at and show around: the member card, what a draw has won, and how often somebody came back.
Made like certificates."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot.pictures.graphemes import visible
from bot.pictures.papers import Frame, Papers, Writing
from bot.pictures.request import NAMELESS

CARD_PLACES: Final = frozenset(("shop", "name", "heading", "title", "number", "until", "saved", "benefits"))
CARD: Final = Frame(1080, 680, CARD_PLACES, CARD_PLACES - {"shop", "heading"})
"""The shape of a bank card."""
PRIZE_PLACES: Final = frozenset(("shop", "name", "heading", "prize", "number", "at", "hint"))
PRIZE: Final = Frame(900, 600, PRIZE_PLACES, PRIZE_PLACES - {"shop", "heading", "hint"})
SHARE_PLACES: Final = frozenset(("shop", "name", "heading", "deed", "reward", "words", "hint"))
SHARE: Final = Frame(1080, 1440, SHARE_PLACES, SHARE_PLACES - {"shop", "heading", "hint"}, coded=True)
"""Three to four, as pictures in a timeline are."""


@dataclass(frozen=True, slots=True)
class MemberCardRequest:
    """The texts of a member card; ``tone`` picks the colours."""

    tone: str
    shop: str
    name: str
    heading: str
    title: str
    number: str
    until: str
    saved: str
    benefits: str


@dataclass(frozen=True, slots=True)
class PrizeRequest:
    """The texts of a prize; ``number`` is what anybody can check it by."""

    tone: str
    shop: str
    name: str
    heading: str
    prize: str
    number: str
    at: str
    hint: str


@dataclass(frozen=True, slots=True)
class ShareRequest:
    """The texts of a picture about coming back; ``url`` is the person's own link, in its QR."""

    tone: str
    shop: str
    name: str
    heading: str
    deed: str
    reward: str
    words: str
    hint: str
    url: str


class CardMaker:
    """Makes these pictures from the layouts in a directory. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Reads ``member.toml``, ``prize.toml`` and ``share.toml``. Raises StyleError with every fault."""
        self._members = Papers(folder / "member.toml", CARD)
        self._prizes = Papers(folder / "prize.toml", PRIZE)
        self._shares = Papers(folder / "share.toml", SHARE)

    def member_card(self, request: MemberCardRequest) -> bytes:
        """A JPEG of 1080 x 680 pixels; a tier without colours of its own has those of the first."""
        tones = self._members.tones()
        return self._members.make(_writing(request, CARD_PLACES, request.tone if request.tone in tones else tones[0]))

    def prize(self, request: PrizeRequest) -> bytes:
        """A JPEG of 900 x 600 pixels."""
        tones = self._prizes.tones()
        return self._prizes.make(_writing(request, PRIZE_PLACES, request.tone if request.tone in tones else tones[0]))

    def share_tones(self) -> list[str]:
        return self._shares.tones()

    def share(self, request: ShareRequest) -> bytes:
        """A JPEG of 1080 x 1440 pixels whose QR has been read back. Raises ValueError for an address that fits none,
        PosterUnreadable if the finished picture cannot be scanned."""
        tones = self._shares.tones()
        tone = request.tone if request.tone in tones else tones[0]
        return self._shares.make(_writing(request, SHARE_PLACES, tone, request.url))


def _writing(request: MemberCardRequest | PrizeRequest | ShareRequest, places: frozenset[str], tone: str,
             url: str = "") -> Writing:
    texts = {place: getattr(request, place) for place in places}
    return Writing(tone, request.shop, texts | {"name": request.name if visible(request.name) else NAMELESS}, url)
