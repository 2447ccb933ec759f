"""What people ask before they believe or join: 怎么加入, 绑定多久, 退款了佣金还算吗. Answered from the live plan."""

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.router import Router
from domain.roles.rules import Titles
from domain.workflows.terms import terms_of

router = Router(__name__)


@router.on(Intent("rules.join"))
def how_to_join(ctx: Context) -> Answer:
    terms = terms_of(ctx.session, ctx.speaker.id, ctx.now)
    return ctx.say("rules.join", terms=terms, titles=ctx.tool(Titles).by_role)


@router.on(Intent("rules.bond"))
def whose_customer(ctx: Context) -> Answer:
    """By which rule a customer belongs to somebody, for how long, and who can take them over."""
    return ctx.say("rules.bond", binding=terms_of(ctx.session, ctx.speaker.id, ctx.now).plan.binding)


@router.on(Intent("rules.refund"))
def after_a_refund(ctx: Context) -> Answer:
    return ctx.say("rules.refund")
