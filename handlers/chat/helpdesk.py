"""人工 [问题]: a human is asked for; while one is, what the bot does not understand is theirs, and 好了 ends it."""

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import InState, Intent, PictureAt
from bot.kit.messages import TRANSFER
from bot.kit.router import Router
from domain.helpdesk import queries, service
from domain.helpdesk.rules import HelpdeskRules, attendance
from domain.shared.records import record

router = Router(__name__)
overheard = Router(f"{__name__}.overheard")
"""What nobody else answered while a ticket is open: hangs right before the fallback."""

WHAT = State("helpdesk", "what")
HANDED_OVER = "wechat"
"""The channel whose own customer service can take over."""


@record
class Unclear:
    """Something that is no command, outside of a question of ours, from somebody whose ticket is open."""

    def matches(self, ctx: Context) -> bool:
        if ctx.message.kind == "event" or ctx.place.state.startswith("fallback:"):
            return False
        chat = ctx.intent in ("", "yes", "no") or ctx.intent.startswith("talk.")  # a greeting is meant for the human
        clear = not chat and not ctx.candidates
        return not clear and queries.open_of(ctx.session, ctx.speaker.id) is not None


@record
class Done:
    """One of the words that end a talk, alone, from somebody whose ticket is open."""

    def matches(self, ctx: Context) -> bool:
        return _ends(ctx) and queries.open_of(ctx.session, ctx.speaker.id) is not None


def _ends(ctx: Context) -> bool:
    """Is it one of the words that end a talk, alone?"""
    said = ctx.message.text.strip(" 。！!~～.，")
    return bool(said) and said in ctx.copy.render("helpdesk.done_words").split()


@router.on(InState(WHAT), Intent("no"))
def never_mind(ctx: Context) -> Answer:
    return ctx.say("chat.cancelled")


@router.on(InState(WHAT), Intent("yes"))
def go_on(ctx: Context) -> Answer:
    """好的 says nothing that a human could answer, nor does the 确认 of something that was left for this question."""
    return ctx.ask("helpdesk.what", WHAT)


@router.on(InState(WHAT))
def said(ctx: Context) -> Answer:
    return never_mind(ctx) if _ends(ctx) else ask(ctx, ctx.message.text)


@router.on(PictureAt(WHAT))
def shown(ctx: Context) -> Answer:
    return ask(ctx, "")


@router.on(Intent("human"))
def human(ctx: Context) -> Answer:
    """With the question at once, or asked for it, once: who then just names what they want (退货) is understood so."""
    bare = ctx.typed_exactly and not ctx.argument.strip() and ctx.place.state != str(WHAT)
    if bare and queries.open_of(ctx.session, ctx.speaker.id) is None:
        return ctx.ask("helpdesk.what", WHAT)
    return ask(ctx, ctx.message.text)


@overheard.on(Done())
def done(ctx: Context) -> Answer:
    service.done(ctx.session, ctx.speaker.id, ctx.now)
    return ctx.say("helpdesk.done")


@overheard.on(Unclear())
def more(ctx: Context) -> Answer:
    """For the human, who sees it with the ticket. The bot says so once in a while and is quiet otherwise."""
    number = service.add(ctx.session, ctx.speaker.id, ctx.now)
    return ctx.say("helpdesk.added", number=number) if number else ctx.silent()


def ask(ctx: Context, question: str) -> Answer:
    """Bring the question before the shop's people, or add it to what they have of this person."""
    rules = ctx.tool(HelpdeskRules)
    if rules.by_wechat and ctx.message.channel == HANDED_OVER and ctx.message.kind != "event":
        return Answer(TRANSFER)
    opened = service.ask(ctx.session, ctx.speaker.id, ctx.message.account, question, ctx.now)
    return ctx.say("helpdesk.opened" if opened.fresh else "helpdesk.again", number=opened.number,
                   desk=attendance(rules, ctx.now))
