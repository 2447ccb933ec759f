"""Paid membership: told when it begins, is renewed or taken; the card as a picture for whoever asks."""

from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs, Refused
from bot.pictures.cards import CardMaker, MemberCardRequest
from domain.memberships import queries
from domain.memberships.rules import Cards, fold
from domain.notices import service as notices
from domain.people import queries as people
from handlers.jobs.pictures import missed, send_picture

jobs = Jobs()


@jobs.on("membership.set")
def begun(ctx: JobContext, effect: Claimed) -> Ended:
    return _tell(ctx, effect, "membership.set", ("title", "until", "renewal", "fewer"))


@jobs.on("membership.ended")
def ended(ctx: JobContext, effect: Claimed) -> Ended:
    return _tell(ctx, effect, "membership.ended", ("title", "why"))


@jobs.on("membership.picture")
def picture(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {account, purpose}. The card as it is now; one that was taken in the meantime is not sent."""
    request = _request(ctx, effect)
    if request is None:
        return Refused("no_card")
    return send_picture(ctx, effect, lambda: ctx.tool(CardMaker).member_card(request), "membership.picture_failed")


@jobs.lapsed("membership.picture")
def picture_missed(ctx: JobContext, effect: Claimed) -> None:
    if _request(ctx, effect) is not None:
        missed(ctx, effect, "membership.missed")


def _request(ctx: JobContext, effect: Claimed) -> MemberCardRequest | None:
    assert effect.person_id is not None
    say = ctx.copy.render
    with ctx.begin() as session:
        holder = people.person(session, effect.person_id)
        card = queries.of(session, effect.person_id, ctx.now())
        saved = queries.saved_by(session, effect.person_id, ctx.tool(Cards))
    if card is None or holder is None:
        return None
    benefits = [say("membership.benefit", code=code, fold=fold(code)) for code in card.benefits]
    return MemberCardRequest(
        tone=card.tier, shop=ctx.shop.name, name=holder.nickname, heading=say("membership.picture_heading"),
        title=card.title, number=card.number, until=say("membership.picture_until", until=card.until),
        saved=say("membership.picture_saved", fen=saved.fen) if saved.fen else "", benefits=" · ".join(benefits))


def _tell(ctx: JobContext, effect: Claimed, key: str, names: tuple[str, ...]) -> Ended:
    """The newest word about a card; older ones that wait for a chance to be said are not true any more."""
    assert effect.person_id is not None
    facts = {name: effect.payload[name] for name in names}
    with ctx.begin() as session:
        notices.overtake(session, effect.person_id, ["membership.set", "membership.ended"], ctx.now())
        notices.tell(session, notices.Notice(effect.person_id, "service", effect.key, key, facts), ctx.now())
    return Done()
