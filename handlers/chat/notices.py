"""What I want to hear, and when: 退订, 恢复, 少发点, 免打扰 21点到9点, 恢复默认, 订阅."""

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.links import Links
from bot.kit.router import Router
from domain.journeys import service as journeys
from domain.journeys.runs import Event
from domain.notices import hours
from domain.notices import service as notices
from domain.notices.rules import Policy
from domain.subscriptions import queries as subscriptions
from domain.subscriptions.rules import Catalogue

router = Router(__name__)


@router.on(Intent("notices.stop"))
def stop(ctx: Context) -> Answer:
    """Everything unasked stops at once; answers to what the person asks stay."""
    notices.stop(ctx.session, ctx.speaker.id, "*", "chat", ctx.now)
    _tell(ctx, "consent.stopped", purpose="*")
    return ctx.say("notices.stopped")


@router.on(Intent("notices.less"))
def less(ctx: Context) -> Answer:
    """Half as many offers; whoever asks again gets none. Money and orders stay."""
    if notices.less(ctx.session, ctx.speaker.id, "chat", ctx.now):
        return ctx.say("notices.less")
    _tell(ctx, "consent.stopped", purpose="marketing")
    return ctx.say("notices.none")


@router.on(Intent("notices.resume"))
def resume(ctx: Context) -> Answer:
    changed = notices.resume(ctx.session, ctx.speaker.id, "chat", ctx.now)
    if changed:
        _tell(ctx, "consent.resumed")
    return ctx.say("notices.resumed" if changed else "notices.nothing_stopped")


@router.on(Intent("notices.hours"))
def quiet_hours(ctx: Context) -> Answer:
    """Hours without messages, said back as they were understood; without any: which hold now, and how to say it."""
    policy = ctx.tool(Policy)
    own = notices.own_hours(ctx.session, ctx.speaker.id)
    wish = hours.find(ctx.argument)
    if wish is None:
        return ctx.say("notices.hours_now", hours=_clock(own or (policy.quiet_from, policy.quiet_until)))
    if isinstance(wish, hours.Impossible):
        return ctx.say("notices.hours_impossible", said=wish.said)
    if isinstance(wish, hours.Unclear):
        return ctx.say("notices.hours_unclear", said=wish.said, hours=_clock((wish.evening, wish.morning)))
    wanted = hours.settle(wish, own or (policy.quiet_from, policy.quiet_until))
    if wanted is None:
        return ctx.say("notices.hours_refused")
    notices.prefer_hours(ctx.session, ctx.speaker.id, *wanted, ctx.now)
    return ctx.say("notices.hours_set", hours=_clock(wanted))


@router.on(Intent("notices.hours_default"))
def usual_hours(ctx: Context) -> Answer:
    policy = ctx.tool(Policy)
    changed = notices.usual_hours(ctx.session, ctx.speaker.id, ctx.now)
    usual = _clock((policy.quiet_from, policy.quiet_until))
    return ctx.say("notices.hours_usual" if changed else "notices.hours_now", hours=usual)


@router.on(Intent("notices.subscribe"))
def subscribe(ctx: Context) -> Answer:
    """What may be allowed, how much of it is, and where: the platform lets people allow it only on a page."""
    offers = ctx.tool(Catalogue).offered(ctx.message.account)
    if not offers:
        return ctx.say("notices.no_offers")
    banked = subscriptions.banked(ctx.session, ctx.message.account, ctx.message.sender)
    listed = [{"offer": one.offer, "left": banked.get(template_id, 0)} for one, template_id in offers]
    return ctx.say("notices.offers", offers=listed, page=ctx.tool(Links).to("reminders", ctx.speaker.id))


def _clock(quiet: hours.Hours) -> dict[str, object]:
    """``from`` and ``until`` as 21:00, and whether the end is on the next day."""
    return {"start": f"{quiet[0]:%H:%M}", "end": f"{quiet[1]:%H:%M}", "overnight": quiet[1] <= quiet[0]}


def _tell(ctx: Context, kind: str, **facts: object) -> None:
    """Journeys end for who wants to hear less."""
    key = f"{kind}:{ctx.speaker.id}:{ctx.now.isoformat()}"
    journeys.happened(ctx.session, [Event(kind, key, ctx.speaker.id, ctx.now, facts)], ctx.now)
