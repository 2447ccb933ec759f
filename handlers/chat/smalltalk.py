"""你好, 在吗, 谢谢, 再见: a short answer and a useful next step. Whatever question is open stays open."""

from collections.abc import Callable

from bot.kit.context import Context
from bot.kit.conversation import STAY, Answer
from bot.kit.filters import Intent
from bot.kit.messages import text
from bot.kit.router import Router

router = Router(__name__)


def _polite(key: str, waiting: str) -> Callable[[Context], Answer]:
    """``key`` when nothing is open, ``waiting`` when a question is."""

    def answer(ctx: Context) -> Answer:
        return Answer(text(ctx.copy.render(waiting if ctx.place.state else key)), STAY)

    return answer


router.on(Intent("talk.hello"))(_polite("talk.hello", "talk.go_on"))
router.on(Intent("talk.there"))(_polite("talk.there", "talk.go_on"))
router.on(Intent("talk.thanks"))(_polite("talk.thanks", "talk.welcome"))
router.on(Intent("talk.bye"))(_polite("talk.bye", "talk.bye"))


@router.on(Intent("yes"))
@router.on(Intent("no"))
def nothing_asked(ctx: Context) -> Answer:
    """A yes or a no that answers nothing of ours."""
    return ctx.say("talk.nothing_asked")
