"""Draws and the points mall in time: promises before the day, seeds after it, and what an operator did is told."""

from datetime import timedelta

import structlog

from bot.kit.chores import Chores
from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs
from domain.draws import service as draws
from domain.draws.rules import Campaigns, Seeds
from domain.notices import service as notices

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
