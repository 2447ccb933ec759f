"""Voice messages in which the platform recognised words: they are understood like typed ones, except where money,
consent or what others will read hangs on them. A recogniser hears 提现 where somebody said 体现; so that is typed.

Whoever adds an intent adds it to ``BY_VOICE`` if it only shows something, or asks before it does anything.
"""

from dataclasses import replace

from bot.kit.context import Context
from bot.kit.conversation import PRIVATE, STAY, Answer
from bot.kit.filters import Moment
from bot.kit.messages import text
from bot.kit.router import Router
from domain.shared.records import record
from handlers.chat import fallback, feedback, helpdesk, mall, posters, quiz, risk, rules, shots, wallet, why

router = Router(__name__)

SHOWS = frozenset({
    "poster.make", "poster.style", "wallet.balance", "wallet.lines", "wallet.why", "withdraw.progress", "team.show",
    "rank.show", "progress.show", "role.show", "certificate.make", "tasks.show", "checkin", "points.show", "draw.show",
    "mall.show", "quiz.show", "share.show", "shots.mine", "suggest.show", "buy.show", "membership.show",
    "coupons.show", "orders.show", "materials.show", "video.show", "referral.mine", "rules.show", "rules.what_if",
    "rules.join", "rules.bond", "rules.refund", "withdraw.how",
    "vote.show", "feedback", "appeal", "human", "help", "talk.hello", "talk.there", "talk.thanks", "talk.bye",
    "talk.who", "talk.trust", "talk.sorry", "talk.privacy", "talk.unfollow",
})
BY_VOICE = SHOWS | {"", "yes", "no", "cancel"}
"""What may be said. A yes, a no and 取消 mean nothing but politeness outside of a question that must be typed."""

ANSWERED_BY_VOICE = frozenset(str(one) for one in (
    fallback.UNHEARD, feedback.WHAT, feedback.MORE, helpdesk.WHAT, mall.CHOOSE, posters.CHOOSE_PRODUCT,
    posters.CHOOSE_STYLE, quiz.CHOOSE, risk.WHAT, rules.HOW_MUCH, shots.OFFERED, shots.SHOWN, wallet.MORE_LINES,
    why.WHICH,
))
"""Questions whose answer moves and allows nothing; and places where nothing was asked, after 晒单 and after a picture
that came unasked: there words are what they are. All others must be typed."""

MOST_BYTES = 1_800
"""Of an answer in UTF-8 that has room for what was heard in front of it; a passive reply has 2048."""


@record
class Heard:
    """A voice message with words in it."""

    def may_match(self, moment: Moment) -> bool:
        return moment.kind == "voice"

    def matches(self, ctx: Context) -> bool:
        return ctx.message.kind == "voice" and bool(ctx.message.text)


@router.on(Heard())
def hear(ctx: Context) -> Answer:
    """As if it had been typed, where that is harmless; what may be misheard is said back first."""
    said = ctx.message.text
    if ctx.place.state and ctx.place.state not in ANSWERED_BY_VOICE and not (
            ctx.typed_exactly and ctx.intent in SHOWS):
        return _type_here(ctx, said)
    if ctx.intent not in BY_VOICE:
        word = ctx.copy.render(f"voice.word.{ctx.intent}")
        return Answer(text(ctx.copy.render("voice.type_it", heard=said, word=word)), STAY)
    sure = ctx.typed_exactly
    ctx.message = replace(ctx.message, kind="text")
    assert ctx.redirect is not None
    answer = ctx.redirect(ctx)
    return answer if sure else _after_what_was_heard(ctx, said, answer)


def _type_here(ctx: Context, said: str) -> Answer:
    """The question stands. At a secret place nothing of what was said comes back."""
    private = ctx.place.state.endswith(PRIVATE)
    return Answer(text(ctx.copy.render("voice.type_here", heard="" if private else said)), STAY)


def _after_what_was_heard(ctx: Context, said: str, answer: Answer) -> Answer:
    if answer.reply.kind != "text" or len(answer.reply.text.encode()) > MOST_BYTES:
        return answer
    return replace(answer, reply=text(ctx.copy.render("voice.heard", heard=said, answer=answer.reply.text)))
