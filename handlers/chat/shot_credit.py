"""投稿匿名 / 投稿署名 [编号]: whether an author's name stands with a picture of theirs that they have sent in already.

Less is shown at the word, of every picture that is meant; more only after a yes to what is agreed to, word for word.
"""

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import BrokenOff, InState, Intent
from bot.kit.router import Router
from domain.shared.numerals import choice
from domain.shots import queries, service
from domain.shots.queries import ShotView
from domain.shots.rules import Consent

router = Router(__name__)

SIGN = State("shots", "sign")


@router.on(Intent("shots.anonymous"))
def hide_name(ctx: Context) -> Answer:
    """One by its number, or all that stand with the name."""
    found = _with(ctx, "named")
    meant = _meant(ctx, found)
    if not meant:
        return ctx.say("shots.none_named", numbers=[one.id for one in found])
    wording = ctx.copy.render("shots.unsigned_wording", said=ctx.message.text.strip() or ctx.message.event)
    done = service.change_credit(ctx.session, [one.id for one in meant], ctx.speaker.id, "anonymous", wording, ctx.now)
    return ctx.say("shots.unsigned", numbers=done)


@router.on(Intent("shots.named"))
def ask_for_name(ctx: Context) -> Answer:
    """The question of consent, about the one picture or all that stand without a name."""
    found = _with(ctx, "anonymous")
    meant = _meant(ctx, found)
    if not ctx.speaker.nickname:
        return ctx.say("shots.no_name")
    if not meant:
        return ctx.say("shots.none_anonymous", numbers=[one.id for one in found])
    numbers = [one.id for one in meant]
    return ctx.ask("shots.sign", SIGN, {"numbers": numbers}, numbers=numbers, name=ctx.speaker.nickname)


@router.on(InState(SIGN), Intent("yes"))
def signed(ctx: Context) -> Answer:
    numbers = ctx.place.memory["numbers"]
    wording = ctx.copy.render("shots.sign", numbers=numbers, name=ctx.copy.render("shots.your_name"))
    done = service.change_credit(ctx.session, numbers, ctx.speaker.id, "named", wording, ctx.now)
    return ctx.say("shots.signed", numbers=done, name=ctx.speaker.nickname) if done else ctx.say("shots.not_signed")


@router.on(BrokenOff(SIGN))
@router.on(InState(SIGN))
def not_signed(ctx: Context) -> Answer:
    """Anything but a clear yes leaves the name out."""
    return ctx.say("shots.not_signed")


def _with(ctx: Context, consent: Consent) -> list[ShotView]:
    return [one for one in queries.open_of(ctx.session, ctx.speaker.id) if one.consent == consent]


def _meant(ctx: Context, found: list[ShotView]) -> list[ShotView]:
    said = ctx.argument.strip().lstrip("#")
    if not said:
        return found
    number = choice(said)
    if number is None and said.isascii() and said.isdigit() and len(said) < 19:
        number = int(said)
    return [one for one in found if one.id == number]
