"""Follow, scan, unfollow: who arrived, by whose poster, and the newcomer's welcome."""

from dataclasses import replace

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Event
from bot.kit.router import Router
from bot.kit.wecom import WeComs
from domain import welcome
from domain.people.leaving import Memory
from domain.people.rules import IdentityRef
from domain.rewards.rules import Offers
from domain.workflows import contacting, leaving

router = Router(__name__)


@router.on(Event("follow"))
def followed(ctx: Context) -> Answer:
    offers, scanned_at = ctx.tool(Offers), ctx.message.sent_at
    back = leaving.recall(ctx.session, ctx.tool(Memory), _openid(ctx), ctx.now)
    arrival = welcome.followed(ctx.session, _openid(ctx), ctx.message.key, offers, scanned_at, ctx.now)
    # Whoever was erased comes back without what they could have spent: nothing is said to be still there.
    answer = _greet(ctx, replace(arrival, kind="erased") if back and arrival.kind == "returned" else arrival)
    if ctx.tool(WeComs).by_account:
        contacting.ask_follower(ctx.session, back or ctx.speaker.id, ctx.message.account, ctx.message.sender, ctx.now)
    return answer


@router.on(Event("scan"))
def scanned(ctx: Context) -> Answer:
    return _greet(ctx, welcome.scanned(ctx.session, ctx.speaker.id, ctx.message.key, ctx.message.sent_at, ctx.now))


@router.on(Event("unfollow"))
def unfollowed(ctx: Context) -> Answer:
    """Every message stops at once; there is nobody left to answer."""
    welcome.unfollowed(ctx.session, _openid(ctx), ctx.message.account, ctx.now)
    return ctx.silent()


def _greet(ctx: Context, arrival: welcome.Arrival) -> Answer:
    """By whose poster they came, and the newcomer's pack; somebody who was here before is welcomed back."""
    return ctx.say(f"welcome.{arrival.kind}", arrival=arrival, shop=ctx.shop.name)


def _openid(ctx: Context) -> IdentityRef:
    return IdentityRef("openid", ctx.message.sender, ctx.shop.app_id)
