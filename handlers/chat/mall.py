"""兑换: what points buy, as a numbered list; a confirmation with the balance before and after; the exchange."""

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import InState, Intent
from bot.kit.links import Links
from bot.kit.router import Router
from domain.mall import queries
from domain.mall.queries import ItemView
from domain.points import queries as points
from domain.rewards.rules import Offers
from domain.shared.errors import DomainError
from domain.shared.numerals import choice
from domain.workflows import exchanging

router = Router(__name__)

CHOOSE = State("mall", "choose")
CONFIRM = State("mall", "confirm")
SHOWN = 10


@router.on(InState(CHOOSE))
def chosen(ctx: Context) -> Answer:
    """A number of the list, or a part of a name; who asks for something else is answered."""
    said = ctx.message.text.strip()
    named = ctx.asks_else and any(said in one.title for one in queries.items(ctx.session, ctx.speaker.id))
    return ctx.afresh() if ctx.intent == "no" or (ctx.asks_else and not named) else _wanted(ctx, said)


@router.on(InState(CONFIRM))
def confirmed(ctx: Context) -> Answer:
    """Only the very words spend points; who asks for something else is answered. What was shown is what is paid:
    another price is shown again."""
    if ctx.message.text.strip() not in ctx.copy.render("mall.words").split():
        return ctx.afresh() if ctx.asks_else else ctx.say("mall.not_done")
    memory, key = ctx.place.memory, f"{ctx.message.account}:{ctx.message.dedupe_key}"
    try:
        done = exchanging.exchange(ctx.session, ctx.speaker.id, memory["item"], memory["points"], key,
                                   ctx.tool(Offers), ctx.now)
    except DomainError as refusal:
        return ctx.say(f"mall.refused.{refusal.code}", **_facts(refusal))
    return ctx.say("mall.done", item=done, points=points.of(ctx.session, ctx.speaker.id, ctx.now).active)


@router.on(Intent("mall.show"))
def show_mall(ctx: Context) -> Answer:
    return _wanted(ctx, ctx.argument) if ctx.argument else _list(ctx, "mall.list")


def _list(ctx: Context, key: str) -> Answer:
    items = queries.items(ctx.session, ctx.speaker.id)
    if not items:
        return ctx.say("mall.empty")
    return ctx.ask(key, CHOOSE, {}, items=items[:SHOWN], points=points.of(ctx.session, ctx.speaker.id, ctx.now).active,
                   page=ctx.tool(Links).to("mall", ctx.speaker.id))


def _wanted(ctx: Context, said: str) -> Answer:
    """The item that a number or a part of its name means; the list when that is not one."""
    items = queries.items(ctx.session, ctx.speaker.id)
    if (number := choice(said)) is not None:
        found = [one for one in items if one.no == number]
    else:
        found = [one for one in items if said and said in one.title]
    return _confirm(ctx, found[0]) if len(found) == 1 else _list(ctx, "mall.which")


def _confirm(ctx: Context, item: ItemView) -> Answer:
    have = points.of(ctx.session, ctx.speaker.id, ctx.now).active
    if item.refusal:
        return ctx.say(f"mall.cannot.{item.refusal}", item=item)
    if have < item.points:
        return ctx.say("mall.refused.mall_points", have=have, wanted=item.points)
    return ctx.ask("mall.confirm", CONFIRM, {"item": item.key, "points": item.points}, item=item, have=have,
                   after=have - item.points)


def _facts(refusal: DomainError) -> dict[str, object]:
    return {name: refusal.facts[name] for name in ("most", "have", "wanted") if name in refusal.facts}
