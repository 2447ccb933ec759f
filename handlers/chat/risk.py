"""Objecting to a hold: 申诉."""

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import InState, Intent
from bot.kit.router import Router
from domain.risk import queries as risk
from domain.risk import service
from domain.risk.rules import Rules

router = Router(__name__)

WHAT = State("risk", "appeal")


@router.on(Intent("appeal"))
def appeal(ctx: Context) -> Answer:
    """With its reasons at once, or asked for them; who has nothing under review is told so."""
    if not risk.anything_held(ctx.session, ctx.speaker.id):
        return ctx.say("risk.appeal_nothing")
    if not ctx.argument.strip():
        return ctx.ask("risk.appeal_what", WHAT)
    return _take(ctx, ctx.argument)


@router.on(InState(WHAT))
def appeal_with_words(ctx: Context) -> Answer:
    return _take(ctx, ctx.message.text)


def _take(ctx: Context, words: str) -> Answer:
    due = service.appeal(ctx.session, ctx.speaker.id, words, ctx.tool(Rules), ctx.now)
    return ctx.say("risk.appeal_taken", due=due) if due else ctx.say("risk.appeal_nothing")
