"""反馈 <内容>: what somebody wants the shop to know, with pictures if they like."""

from typing import Any

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import InState, Intent, PictureAt
from bot.kit.router import Router
from domain.feedback import service
from domain.feedback.rules import FeedbackRules

router = Router(__name__)

WHAT = State("feedback", "what")
MORE = State("feedback", "more")


@router.on(Intent("feedback"))
def feedback(ctx: Context) -> Answer:
    """With its words at once, or asked for them."""
    return _file(ctx, ctx.argument, []) if ctx.argument.strip() else ctx.ask("feedback.what", WHAT)


@router.on(InState(WHAT), Intent("no"))
def never_mind(ctx: Context) -> Answer:
    return ctx.say("chat.cancelled")


@router.on(InState(WHAT))
def said(ctx: Context) -> Answer:
    return _file(ctx, ctx.message.text, ctx.place.memory.get("photos", []))


@router.on(PictureAt(WHAT))
def picture_first(ctx: Context) -> Answer:
    """A picture before a word: kept until the words come."""
    photos = [*ctx.place.memory.get("photos", []), _photo(ctx)][:ctx.tool(FeedbackRules).photos]
    return ctx.ask("feedback.words_too", WHAT, {"photos": photos})


@router.on(PictureAt(MORE))
def one_more_picture(ctx: Context) -> Answer:
    number = int(ctx.place.memory["number"])
    left = service.add_photo(ctx.session, number, ctx.speaker.id, _photo(ctx), ctx.tool(FeedbackRules))
    if left < 0:
        return ctx.say("feedback.photos_full", number=number)
    return ctx.ask("feedback.photo_added", MORE, {"number": number}, number=number, left=left)


def _file(ctx: Context, words: str, photos: list[dict[str, Any]]) -> Answer:
    rules = ctx.tool(FeedbackRules)
    filed = service.file(ctx.session, ctx.speaker.id, words, photos, rules, ctx.now)
    if filed.what == "too_many":
        return ctx.say("feedback.too_many", most=rules.per_day)
    if filed.what == "again":
        return ctx.say("feedback.again", number=filed.number)
    room = rules.photos > len(photos)
    return ctx.ask("feedback.filed", MORE, {"number": filed.number}, number=filed.number, name=ctx.speaker.nickname,
                   room=room)


def _photo(ctx: Context) -> dict[str, Any]:
    return {name: ctx.message.data[name] for name in ("media_id", "pic_url") if name in ctx.message.data}
