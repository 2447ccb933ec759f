"""Whatever nobody else answered: confirm, ask back, help; and the words whose time has not come."""

import re
from collections.abc import Sequence

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import AnyKind, InState, Intent, Kind, NeedsConfirmation, Unsure
from bot.kit.router import Router, nothing
from domain.shared.numerals import choice, undressed
from handlers.chat import helpdesk, why

router = Router(__name__)
answered = Router(f"{__name__}.answered")
"""Answers to the questions asked here. Hangs before small talk, for which a yes is only politeness."""

CONFIRM = State("fallback", "confirm")
CHOOSE = State("fallback", "choose")

UNHEARD = State("fallback", "unheard")

SENTENCE, QUESTION = 6, 3
"""From this length on it was a sentence and no slip of the finger: somebody can be asked to answer it. Sooner when it
sounds like a question."""

FACES = re.compile(r"(?:\[[^\[\]\s]{1,10}\]|/:\S{1,5}|[^\w\s?？])+")
"""Nothing but emoji and the app's own stickers; a question mark asks for help."""

NOT_OPEN = (
    "tasks.show",
    "vote.show",
)
"""Words that are understood, but whose service this shop has not opened."""


@router.on(NeedsConfirmation())
def confirm_first(ctx: Context) -> Answer:
    """Money would move, and it was not typed exactly: nothing happens before a yes."""
    remember = {"intent": ctx.intent, "argument": ctx.argument}
    what = ctx.copy.render(f"intent.{ctx.intent}") + (f" {ctx.argument} " if ctx.argument else "")
    return ctx.ask("chat.confirm", CONFIRM, remember, what=what)


@answered.on(InState(CONFIRM), Intent("yes"))
def confirmed(ctx: Context) -> Answer:
    return ctx.follow(ctx.place.memory["intent"], ctx.place.memory["argument"])


@answered.on(InState(CONFIRM))
def not_confirmed(ctx: Context) -> Answer:
    """Anything but a clear yes leaves the money where it is; who asks for something else instead is answered, and
    another sum (提200) is asked about in its turn. Who only says the same again has not said yes."""
    same = {"intent": ctx.intent, "argument": ctx.argument} == ctx.place.memory
    return ctx.afresh() if ctx.asks_else and not same else ctx.say("chat.not_done")


@answered.on(InState(CHOOSE))
def chosen(ctx: Context) -> Answer:
    """The number of an offered meaning, its place in the list, or a yes to the only one; another number, or all of
    them, is asked once more; anything else is heard afresh."""
    candidates = ctx.place.memory["candidates"]
    number = _number(ctx, len(candidates))
    if number is not None and 1 <= number <= len(candidates):
        return ctx.follow(candidates[number - 1])
    if ctx.intent not in ("", "yes") or ctx.candidates:
        return ctx.say("chat.none_of_them") if ctx.intent == "no" else ctx.afresh()
    several = any(word in ctx.message.text for word in ctx.copy.render("chat.all_words").split())
    if number is not None or ctx.intent == "yes" or several:
        return ctx.ask("chat.which_one", CHOOSE, {"candidates": candidates}, choices=_named(ctx, candidates))
    return ctx.afresh()


@answered.on(InState(UNHEARD), Intent("yes"))
def handed_over(ctx: Context) -> Answer:
    return helpdesk.ask(ctx, ctx.place.memory["said"])


@answered.on(InState(UNHEARD))
def not_handed_over(ctx: Context) -> Answer:
    return ctx.say("chat.none_of_them") if ctx.intent == "no" else ctx.afresh()


def _number(ctx: Context, count: int) -> int | None:
    """Which of ``count`` was chosen, from 1; None when it was said in no way that we know. May be out of range."""
    if count == 1 and ctx.intent == "yes":
        return 1
    said = undressed(ctx.message.text)
    if said in ctx.copy.render("chat.first_words").split():
        return 1
    return count if said in ctx.copy.render("chat.last_words").split() else choice(ctx.message.text)


@router.on(Unsure())
def ask_back(ctx: Context) -> Answer:
    candidates = list(ctx.candidates)
    return ctx.ask("chat.which", CHOOSE, {"candidates": candidates}, choices=_named(ctx, candidates))


def _named(ctx: Context, candidates: Sequence[str]) -> list[str]:
    return [ctx.copy.render(f"intent.{name}") for name in candidates]


@router.on(Intent("help"), asks=nothing)
def help_wanted(ctx: Context) -> Answer:
    return ctx.say("help.full", shop=ctx.shop.name)


@router.on(Intent("cancel"))
def cancelled(ctx: Context) -> Answer:
    """Who asked for nothing is not told that something was cancelled: a withdrawal may be under way."""
    return ctx.say("chat.cancelled" if ctx.place.state else "chat.nothing_to_cancel")


@router.on(Kind("text"))
def not_understood(ctx: Context) -> Answer:
    """Understood words without a service are said to be closed; an order's number or an amount alone asks where money
    comes from; a smile is smiled back, and whoever laughs or nods needs no list of what can be done. A sentence is
    offered to the shop's people as it stands; the rest gets help."""
    if ctx.intent in NOT_OPEN:
        return _closed(ctx)
    if (answer := why.of_a_bare_reference(ctx)) is not None:
        return answer
    for kind in ("laugh", "nod"):
        if re.fullmatch(ctx.copy.render(f"talk.{kind}s"), ctx.message.text.strip(), re.IGNORECASE):
            return ctx.say(f"talk.{kind}")
    if FACES.fullmatch(ctx.message.text):
        cross = re.search(ctx.copy.render("talk.cross_faces"), ctx.message.text)
        return ctx.ask("talk.sorry", helpdesk.WHAT) if cross else ctx.say("talk.smile")
    question = re.search(ctx.copy.render("talk.questions"), ctx.message.text)
    if _length(ctx.message.text) >= (QUESTION if question else SENTENCE):
        return ctx.ask("help.unheard", UNHEARD, {"said": ctx.message.text})
    return ctx.say("help.short")


def _length(said: str) -> int:
    """In characters that mean something; a word in Latin letters is as long as two of them."""
    words = re.findall("[A-Za-z']+", said)
    return 2 * len(words) + sum(char.isalpha() and not char.isascii() for char in said)


@router.on(Kind("event"))
def quiet_event(ctx: Context) -> Answer:
    """A menu tap without a service says so; other events need no word."""
    return _closed(ctx) if ctx.intent in NOT_OPEN else ctx.silent()


def _closed(ctx: Context) -> Answer:
    return ctx.say("chat.not_open", what=ctx.copy.render(f"intent.{ctx.intent}"))


@router.on(AnyKind(("voice", "video", "location", "link")))
def words_please(ctx: Context) -> Answer:
    """What we cannot read is at least not met with silence."""
    return ctx.say("chat.words_please")
