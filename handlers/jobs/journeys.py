"""What journeys need of the workers: facts told to them, and housekeeping."""

from datetime import timedelta

import structlog

from bot.kit.chores import Chores
from bot.kit.jobs import Claimed, JobContext, Jobs
from domain.journeys import queries
from domain.journeys import service as journeys
from domain.journeys.events import FACTS_HEARD
from domain.shared import chores as board

jobs = Jobs()
chores = Chores()
log = structlog.get_logger(__name__)


@jobs.on_every_fact
def tell(ctx: JobContext, effect: Claimed) -> None:
    """Facts of the outbox are events of journeys, if any journey listens."""
    if effect.kind in FACTS_HEARD:
        with ctx.begin() as session:
            journeys.fact_happened(session, effect.kind, effect.key, effect.person_id, effect.payload,
                                   effect.created_at, ctx.now())


@chores.every("journeys.settle", timedelta(minutes=5))
def settle(ctx: JobContext) -> bool:
    """Archive what has drained, forget old events, and say when somebody who is due is not moved."""
    with ctx.begin() as session:
        # Who was late the last time as well: after an outage, or a leap of a demo's clock, they are just being moved.
        before = board.last_run(session, "journeys.settle")
        stuck = queries.stuck(session, min(before, ctx.now())) if before else []
        done = journeys.settle(session, ctx.now())
    for one in stuck:
        log.warning("journey.stuck", journey=one.key, people=one.people, oldest=one.oldest.isoformat())
    return done >= journeys.PIECE
