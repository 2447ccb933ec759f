"""An employee writes to the application: who they are here, and where customers' words belong."""

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Filter, Kind
from bot.kit.router import Router

router = Router(__name__)

WRITTEN: tuple[Filter, ...] = tuple(Kind(one) for one in ("text", "image", "voice", "video", "location", "link"))


def answer(ctx: Context) -> Answer:
    """Always the same few lines: the words of customers mean nothing here, and nobody should wonder why."""
    return ctx.say("staff.help", shop=ctx.shop.name, userid=ctx.message.sender)


for _kind in WRITTEN:
    router.on(_kind)(answer)
