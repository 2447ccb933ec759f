"""注销 and 取消注销: having one's own data erased, with clear words about the money that is left."""

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import InState, Intent
from bot.kit.router import Router
from domain.people import leaving as rows
from domain.shots import queries as shots
from domain.workflows import forfeiting, leaving
from domain.workflows.leaving import Leaving

router = Router(__name__)

CONFIRM = State("leaving", "confirm")


@router.on(InState(CONFIRM))
def confirm(ctx: Context) -> Answer:
    """Only the exact words count, and what nearly says them is asked again; anything else is heard afresh, and nothing
    happens. (First: the words hold 注销.)"""
    said = ctx.message.text.strip()
    gives_up = said == ctx.copy.render("leaving.gives_up")
    if not gives_up and said != ctx.copy.render("leaving.yes"):
        return _not_the_words(ctx)
    noted = leaving.ask(ctx.session, ctx.speaker.id, ctx.tool(Leaving), ctx.now, gives_up=gives_up)
    reason = _open(ctx).reason(gives_up)
    return ctx.say("leaving.noted", one=noted, why=_why(ctx, reason))


def _not_the_words(ctx: Context) -> Answer:
    if ctx.intent == "no":
        return ctx.say("leaving.kept")
    if ctx.asks_else and ctx.intent != "people.leave":
        return ctx.afresh()
    return ctx.ask("leaving.again", CONFIRM, ctx.place.memory, open=_open(ctx))


@router.on(Intent("people.leave"))
def ask_first(ctx: Context) -> Answer:
    """What would be erased, what stays and why, what is open; then a question."""
    waiting = rows.erasures(ctx.session, "waiting", person_id=ctx.speaker.id)
    if waiting:
        return ctx.say("leaving.waiting", one=waiting[0], why=_why(ctx, waiting[0].waits_for))
    return ctx.ask("leaving.confirm", CONFIRM, open=_open(ctx), hours=ctx.tool(Leaving).asked_hours,
                   loses=forfeiting.holdings(ctx.session, ctx.speaker.id, ctx.now))


@router.on(Intent("people.stay"))
def stay(ctx: Context) -> Answer:
    waiting = rows.erasures(ctx.session, "waiting", person_id=ctx.speaker.id)
    if not rows.call_off(ctx.session, ctx.speaker.id, ctx.now, causes=["asked"]):
        return ctx.say("leaving.nothing")
    return ctx.say("leaving.called_off",
                   photos=shots.gone_by_leaving(ctx.session, ctx.speaker.id, waiting[0].asked_at) > 0)


def _open(ctx: Context) -> leaving.Open:
    return leaving.standing(ctx.session, ctx.speaker.id, ctx.tool(Leaving), ctx.now)


def _why(ctx: Context, reason: str) -> str:
    return ctx.copy.render(f"leaving.reason.{reason}") if reason else ""
