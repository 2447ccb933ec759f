"""Small pictures to look at and show around: the member card, and what a draw has won. Made like certificates."""

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


class CardMaker:
    """Makes member cards and prizes from the layouts in a directory. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Reads ``member.toml`` and ``prize.toml``. Raises StyleError with every fault."""
        self._members = Papers(folder / "member.toml", CARD)
        self._prizes = Papers(folder / "prize.toml", PRIZE)

    def member_card(self, request: MemberCardRequest) -> bytes:
        """A JPEG of 1080 x 680 pixels; a tier without colours of its own has those of the first."""
        tones = self._members.tones()
        return self._members.make(_writing(request, CARD_PLACES, request.tone if request.tone in tones else tones[0]))

    def prize(self, request: PrizeRequest) -> bytes:
        """A JPEG of 900 x 600 pixels."""
        tones = self._prizes.tones()
        return self._prizes.make(_writing(request, PRIZE_PLACES, request.tone if request.tone in tones else tones[0]))


def _writing(request: MemberCardRequest | PrizeRequest, places: frozenset[str], tone: str) -> Writing:
    texts = {place: getattr(request, place) for place in places}
    return Writing(tone, request.shop, texts | {"name": request.name if visible(request.name) else NAMELESS})
