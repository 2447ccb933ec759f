"""What people allow on the platform's own sheet: one accept is one message; and what became of the cards we sent."""

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import PlatformEvent
from bot.kit.router import Router
from domain.notices import service as notices
from domain.subscriptions import service as subscriptions

router = Router(__name__)

ACCEPTED, REFUSED = "accept", "reject"


@router.on(PlatformEvent(("subscribe_msg_popup_event",)))
def answered(ctx: Context) -> Answer:
    """The sheet was answered: each template that was allowed is one message more. A no takes nothing that was given."""
    granted = [
        subscriptions.grant(ctx.session, ctx.message.account, ctx.message.sender, item["template_id"],
                            ctx.message.dedupe_key, ctx.now)
        for item in ctx.message.data["items"]
        if item.get("subscribe_status") == ACCEPTED and item.get("template_id")
    ]
    if any(granted):
        notices.wake(ctx.session, ctx.speaker.id, ctx.now)
    return ctx.silent()


@router.on(PlatformEvent(("subscribe_msg_change_event",)))
def changed(ctx: Context) -> Answer:
    """In the settings only a no is told: nothing of that template may be sent any more, what was allowed before too."""
    for item in ctx.message.data["items"]:
        if item.get("subscribe_status") == REFUSED and item.get("template_id"):
            subscriptions.lose(ctx.session, ctx.message.account, ctx.message.sender, item["template_id"],
                               subscriptions.SWITCHED_OFF, ctx.now)
    return ctx.silent()


@router.on(PlatformEvent(("subscribe_msg_sent_event",)))
def sent(ctx: Context) -> Answer:
    for item in ctx.message.data["items"]:
        if item.get("msg_id"):
            status = " ".join(filter(None, (item.get("error_code"), item.get("error_status"))))
            subscriptions.reported(ctx.session, ctx.speaker.id, item["msg_id"], status)
    return ctx.silent()


@router.on(PlatformEvent(("templatesendjobfinish",)))
def template_sent(ctx: Context) -> Answer:
    data = ctx.message.data
    subscriptions.reported(ctx.session, ctx.speaker.id, data["msg_id"], data.get("status", ""))
    return ctx.silent()
