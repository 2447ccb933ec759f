"""What I want to hear: 退订, 恢复, 少发点."""

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.router import Router
from domain.journeys import service as journeys
from domain.journeys.runs import Event
from domain.notices import service as notices

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


def _tell(ctx: Context, kind: str, **facts: object) -> None:
    """Journeys end for who wants to hear less."""
    key = f"{kind}:{ctx.speaker.id}:{ctx.now.isoformat()}"
    journeys.happened(ctx.session, [Event(kind, key, ctx.speaker.id, ctx.now, facts)], ctx.now)
