"""What the shop gives, read from its files: the programme, points, cards, draws, the mall; and the pictures of them."""

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from bot.kit.jobs import JobContext
from bot.pictures.cards import CardMaker
from bot.runtime.settings import Settings
from domain.draws import rules as draws
from domain.draws import service as drawing
from domain.mall import rules as mall
from domain.mall import service as shelf
from domain.memberships import rules as memberships
from domain.payouts import rules as payouts
from domain.points import rules as points
from domain.rewards import programme
from domain.rewards.rules import Offers

ASSETS = Path(__file__).parents[2] / "assets"


def tools(settings: Settings) -> dict[type[Any], Any]:
    """Every document by its type. Raises DomainError or ValueError naming what is wrong in a file."""
    return _documents(settings.own_accounts) | {draws.Seeds: draws.Seeds(settings.key("draw seeds"))}


@cache
def _documents(own_accounts: bool) -> dict[type[Any], Any]:
    """Read once a process. The demo shop has goods of its own to give away; nobody else's shop promises those."""
    promises = "" if own_accounts else "demo/"
    offers = Offers.load(_text("rewards.toml"))
    campaigns = draws.load(_text(f"{promises}draws.toml"), offers.by_kind)
    return {
        Offers: offers,
        payouts.PacketRules: payouts.load_packets(_text("red_packets.toml")),
        programme.Programme: programme.load(_text("ladders.toml"), offers.by_kind),
        points.PointRules: points.load(_text("points.toml")),
        memberships.Cards: memberships.load(_text("membership.toml"), programme.BENEFITS),
        draws.Campaigns: campaigns,
        mall.Mall: mall.load(_text(f"{promises}mall.toml"), offers.by_kind, [one.key for one in campaigns.campaign]),
        CardMaker: card_maker(),
    }


def open_rewards(session: Session, context: JobContext, now: datetime) -> None:
    """Publish draws that are new, and fill the shelf of the mall. Repeating changes nothing."""
    drawing.publish(session, context.tool(draws.Campaigns), context.tool(draws.Seeds), now)
    shelf.offer(session, context.tool(mall.Mall))


@cache
def card_maker() -> CardMaker:
    """One a process: its backs take a while to draw."""
    return CardMaker(ASSETS / "cards")


def _text(name: str) -> str:
    return (ASSETS / name).read_text("utf-8")
