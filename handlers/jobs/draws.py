"""Draws and the points mall in time: promises before the day, seeds after it, and what an operator did is told."""

from datetime import timedelta

import structlog

from bot.kit.chores import Chores
from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs
from bot.pictures.cards import CardMaker, PrizeRequest
from domain.draws import queries
from domain.draws import service as draws
from domain.draws.rules import Campaigns, Seeds
from domain.notices import service as notices
from domain.people import queries as people
from handlers.jobs.pictures import missed, send_picture

jobs = Jobs()
chores = Chores()
log = structlog.get_logger(__name__)


@chores.every("draws.turn", timedelta(minutes=5))
def turn(ctx: JobContext) -> bool:
    """Days begin and end."""
    seeds = ctx.tool(Seeds)
    with ctx.begin() as session:
        differing = draws.publish(session, ctx.tool(Campaigns), seeds, ctx.now())
        lost = draws.reveal(session, seeds, ctx.now())
    for key in differing:
        log.warning("draw.differs", campaign=key)
    for day in lost:
        log.error("draw.seed_lost", day=day)
    return False


@jobs.on("draw.picture")
def picture(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {draw, account, purpose}. What was won, with the number that anybody can check it by."""
    assert effect.person_id is not None
    say = ctx.copy.render
    with ctx.begin() as session:
        made = queries.draw(session, effect.payload["draw"])
        winner = people.person(session, effect.person_id)
    request = PrizeRequest(
        tone=made.kind, shop=ctx.shop.name, name=winner.nickname if winner else "", heading=say("draw.picture_heading"),
        prize=made.prize, number=say("draw.picture_number", draw=made), at=say("draw.picture_at", at=made.at),
        hint=say("draw.picture_hint"))
    return send_picture(ctx, effect, lambda: ctx.tool(CardMaker).prize(request), "draw.picture_failed")


@jobs.lapsed("draw.picture")
def picture_missed(ctx: JobContext, effect: Claimed) -> None:
    with ctx.begin() as session:
        made = queries.draw(session, effect.payload["draw"])
    missed(ctx, effect, "draw.picture_missed", prize=made.prize)


@jobs.on("fulfilment.sent")
def sent(ctx: JobContext, effect: Claimed) -> Ended:
    return _tell(ctx, effect, "fulfilment.sent", ("title", "note"))


@jobs.on("mall.cancelled")
def cancelled(ctx: JobContext, effect: Claimed) -> Ended:
    return _tell(ctx, effect, "mall.cancelled", ("title", "points", "reason"))


def _tell(ctx: JobContext, effect: Claimed, key: str, names: tuple[str, ...]) -> Ended:
    assert effect.person_id is not None
    facts = {name: effect.payload[name] for name in names}
    with ctx.begin() as session:
        notices.tell(session, notices.Notice(effect.person_id, "service", effect.key, key, facts), ctx.now())
    return Done()
