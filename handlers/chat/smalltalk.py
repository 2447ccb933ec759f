"""你好, 在吗, 谢谢, 再见, 你是谁, 靠谱吗, 隐私, 取消关注, 太差了: a short answer and a next step.

Whatever question is open stays open, unless somebody is cross.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from bot.kit.context import Context
from bot.kit.conversation import STAY, Answer
from bot.kit.filters import Intent
from bot.kit.messages import text
from bot.kit.router import Router
from domain.helpdesk import queries as helpdesk
from domain.workflows.leaving import Leaving
from handlers.chat.helpdesk import WHAT

router = Router(__name__)


def _ticket(people: Sequence[int], _now: datetime) -> Sequence[tuple[str, Any]]:
    """A greeting is meant for the human where one is asked for: that is looked at first."""
    return [helpdesk.open_question(people)]


def _polite(key: str, waiting: str) -> Callable[[Context], Answer]:
    """``key`` when nothing is open, ``waiting`` when a question is."""

    def answer(ctx: Context) -> Answer:
        return Answer(text(ctx.copy.render(waiting if ctx.place.state else key)), STAY)

    return answer


router.on(Intent("talk.hello"), asks=_ticket)(_polite("talk.hello", "talk.go_on"))
router.on(Intent("talk.there"), asks=_ticket)(_polite("talk.there", "talk.go_on"))
router.on(Intent("talk.thanks"), asks=_ticket)(_polite("talk.thanks", "talk.welcome"))
router.on(Intent("talk.bye"), asks=_ticket)(_polite("talk.bye", "talk.bye"))
router.on(Intent("talk.who"), asks=_ticket)(_polite("talk.who", "talk.who"))
router.on(Intent("talk.trust"), asks=_ticket)(_polite("talk.trust", "talk.trust"))


router.on(Intent("talk.privacy"), asks=_ticket)(_polite("talk.privacy", "talk.privacy"))


@router.on(Intent("talk.unfollow"), asks=_ticket)
def how_to_unfollow(ctx: Context) -> Answer:
    """How it is done, what becomes of the money and the rest, and what is enough against too many messages."""
    return Answer(text(ctx.copy.render("talk.unfollow", grace=ctx.tool(Leaving).grace_days)), STAY)


@router.on(Intent("talk.sorry"))
def sorry(ctx: Context) -> Answer:
    """Whoever is cross is not told what the bot can do, but asked what went wrong, for a human to read."""
    return ctx.ask("talk.sorry", WHAT)


@router.on(Intent("yes"))
@router.on(Intent("no"))
def nothing_asked(ctx: Context) -> Answer:
    """A yes or a no that answers nothing of ours."""
    return ctx.say("talk.nothing_asked")
