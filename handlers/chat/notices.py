"""What I want to hear: 退订, 恢复, 少发点."""

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.router import Router
from domain.notices import service as notices

router = Router(__name__)


@router.on(Intent("notices.stop"))
def stop(ctx: Context) -> Answer:
    """Everything unasked stops at once; answers to what the person asks stay."""
    notices.stop(ctx.session, ctx.speaker.id, "*", "chat", ctx.now)
    return ctx.say("notices.stopped")


@router.on(Intent("notices.less"))
def less(ctx: Context) -> Answer:
    """No more offers; money and orders stay."""
    notices.stop(ctx.session, ctx.speaker.id, "marketing", "chat", ctx.now)
    return ctx.say("notices.less")


@router.on(Intent("notices.resume"))
def resume(ctx: Context) -> Answer:
    changed = notices.resume(ctx.session, ctx.speaker.id, "chat", ctx.now)
    return ctx.say("notices.resumed" if changed else "notices.nothing_stopped")
