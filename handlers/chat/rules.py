"""规则: the live plan as it is for whoever asks, and what selling more would bring."""

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import InState, Intent
from bot.kit.links import Links
from bot.kit.router import Router
from domain.roles.rules import Titles
from domain.shared.amounts import find_fen
from domain.workflows.terms import Terms, terms_of, what_if

router = Router(__name__)

HOW_MUCH = State("rules", "how_much")
PAGE = "rules"


@router.on(Intent("rules.show"))
def show_rules(ctx: Context) -> Answer:
    terms = terms_of(ctx.session, ctx.speaker.id, ctx.now)
    return ctx.say("rules.show", terms=terms, names=_categories(ctx, terms), titles=ctx.tool(Titles).by_role,
                   link=ctx.tool(Links).to(PAGE, ctx.speaker.id))


@router.on(Intent("rules.what_if"))
def estimate(ctx: Context) -> Answer:
    """The amount is read from the whole sentence: 如果这个月再卖一万二能拿多少."""
    return _estimate(ctx, find_fen(ctx.message.text) or find_fen(ctx.argument))


@router.on(InState(HOW_MUCH))
def estimate_that(ctx: Context) -> Answer:
    """An amount answers; anything else is heard afresh, outside the dialogue, and so is a sum to take out (提100)."""
    fen = find_fen(ctx.message.text)
    return ctx.afresh() if ctx.confirm or (fen is None and (ctx.intent or ctx.candidates)) else _estimate(ctx, fen)


def _estimate(ctx: Context, fen: int | None) -> Answer:
    if fen is None:
        return ctx.ask("rules.how_much", HOW_MUCH)
    terms = terms_of(ctx.session, ctx.speaker.id, ctx.now)
    if not terms.earns:
        return ctx.say("rules.not_yet", titles=ctx.tool(Titles).by_role)
    return ctx.say("rules.what_if", guess=what_if(terms, fen), terms=terms, names=_categories(ctx, terms))


def _categories(ctx: Context, terms: Terms) -> dict[str, str]:
    """The shop's names of the categories that the rates speak of; a category without one shows as it is."""
    return {rate.category: ctx.copy.render(f"category.{rate.category}") for rate in terms.rates
            if ctx.copy.has(f"category.{rate.category}")}
