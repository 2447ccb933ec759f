"""进度: how far somebody has come by coming back, what that opened, and the next goal."""

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.links import Links
from bot.kit.router import Router
from domain.points.rules import PointRules
from domain.rewards.programme import Programme
from domain.rewards.rules import Offers
from domain.workflows import programme, standings

router = Router(__name__)

LINES = 6
"""Provisional rewards that fit one message."""


@router.on(Intent("progress.show"))
def show_progress(ctx: Context) -> Answer:
    """Counted afresh, so that an order of a second ago is in it."""
    rules = ctx.tool(Programme)
    programme.recount(ctx.session, [ctx.speaker.id], rules, ctx.tool(Offers), ctx.tool(PointRules).life, ctx.now)
    found = standings.progress(ctx.session, ctx.speaker.id, rules, ctx.now)
    return ctx.say("programme.progress", found=found, steps=rules.steps, waiting=found.waiting[:LINES],
                   more=max(0, len(found.waiting) - LINES), page=ctx.tool(Links).to("progress", ctx.speaker.id))
