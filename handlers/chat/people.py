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
NUMBER = 6
"""Signs of an order's number. What is shorter may be days or pieces, and a month is in Chinese: nobody is told that
there is no such order."""


@router.on(Intent("referral.mine"))
def show_referral(ctx: Context) -> Answer:
    """To whom I am bound, since when, until when, and why."""
    return ctx.say("referral.mine", bond=referrals.explain(ctx.session, ctx.speaker.id, ctx.now))


@router.on(Intent("coupons.show"))
def show_coupons(ctx: Context) -> Answer:
    return ctx.say("coupons.show", coupons=_usable(ctx))


@router.on(Intent("orders.show"))
def show_orders(ctx: Context) -> Answer:
    """The order whose number was said, or its parcel's, else the latest; whoever names one that is not theirs is told
    so."""
    named = orders.of_buyer(ctx.session, ctx.speaker.id, ORDERS, ctx.argument) if ctx.argument else []
    found = named or orders.of_buyer(ctx.session, ctx.speaker.id, ORDERS)
    unknown = "" if named or len(ctx.argument) < NUMBER or not ctx.argument.isascii() else ctx.argument
    return ctx.say("orders.show", orders=found, named=bool(named), unknown=unknown)


def _usable(ctx: Context) -> list[rewards.CouponView]:
    return [one for one in rewards.coupons_of(ctx.session, ctx.speaker.id, ctx.now) if one.state == "issued"]
