"""What a poster shows: the one thing callers hand in."""

from dataclasses import dataclass
from typing import Final

from bot.pictures.graphemes import visible

NAMELESS: Final = "好友"
"""Shown for a sharer whose name is empty or holds nothing that can be drawn."""


@dataclass(frozen=True, slots=True)
class PosterRequest:
    """Prices in fen; ``points`` are selling points (three are shown); ``valid_until`` is a text, a date.

    ``product_image`` and ``avatar`` are the bytes of pictures, or None for a drawn one. ``credit`` and ``words`` belong
    to a customer's own picture: whose it is, and what they say.
    """

    style: str
    shop_name: str
    title: str
    price_fen: int
    list_price_fen: int | None
    points: tuple[str, ...]
    category: str
    sku: str
    product_image: bytes | None
    sharer_name: str
    avatar: bytes | None
    qr_url: str
    valid_until: str
    credit: str = ""
    words: str = ""

    def values(self) -> dict[str, str]:
        """The texts that the places of a style stand for."""
        return {
            "title": self.title,
            "shop": self.shop_name,
            "category": self.category,
            "sku": self.sku,
            "sharer": self.sharer_name if visible(self.sharer_name) else NAMELESS,
            "valid_until": self.valid_until,
            "credit": self.credit,
            "words": self.words,
        }
