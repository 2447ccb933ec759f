"""Who am I to the shop: 客户归属, 优惠券, 订单."""

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.router import Router
from domain.orders import queries as orders
from domain.referrals import queries as referrals
from domain.rewards import queries as rewards

router = Router(__name__)

ORDERS = 5
"""Orders that fit one message."""


@router.on(Intent("referral.mine"))
def show_referral(ctx: Context) -> Answer:
    """To whom I am bound, since when, until when, and why."""
    return ctx.say("referral.mine", bond=referrals.explain(ctx.session, ctx.speaker.id, ctx.now))


@router.on(Intent("coupons.show"))
def show_coupons(ctx: Context) -> Answer:
    return ctx.say("coupons.show", coupons=_usable(ctx))


@router.on(Intent("orders.show"))
def show_orders(ctx: Context) -> Answer:
    return ctx.say("orders.show", orders=orders.of_buyer(ctx.session, ctx.speaker.id, ORDERS))


def _usable(ctx: Context) -> list[rewards.CouponView]:
    return [one for one in rewards.coupons_of(ctx.session, ctx.speaker.id, ctx.now) if one.state == "issued"]
