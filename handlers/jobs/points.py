"""Points in time: they become spendable, they run out, and their owners hear of it before they do."""

from datetime import time, timedelta

from bot.kit.chores import Chores
from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs
from domain.journeys import occasions
from domain.notices import service as notices
from domain.points import queries
from domain.points import service as points
from domain.points.rules import PointRules

jobs = Jobs()
chores = Chores()

PIECE = 500


@chores.every("points.turn", timedelta(minutes=5))
def turn(ctx: JobContext) -> bool:
    """Return windows end, and so do lives."""
    with ctx.begin() as session:
        done = points.activate(session, ctx.now(), PIECE)
    with ctx.begin() as session:
        gone = points.expire(session, ctx.now(), PIECE)
    return max(done, gone) == PIECE


@chores.daily("points.warn", at=time(10, 0))
def warn(ctx: JobContext) -> bool:
    """In the morning, when somebody may still use them."""
    with ctx.begin() as session:
        points.warn(session, ctx.tool(PointRules).life, ctx.now())
    return False


@jobs.on("points.expiring")
def expiring(ctx: JobContext, effect: Claimed) -> Ended:
    """A journey that listens says it in its own time; without one it is said at once: nobody loses points unwarned."""
    assert effect.person_id is not None
    with ctx.begin() as session:
        if occasions.wanted(session, "points.expiring"):
            return Done()
    facts = {name: effect.payload[name] for name in ("points", "day")}
    facts["until"] = effect.payload.get("until", facts["day"])
    notice = notices.Notice(effect.person_id, "service", effect.key, "points.expiring", facts)
    with ctx.begin() as session:
        notices.tell(session, notice, ctx.now())
    return Done()


@jobs.on("points.taken")
def taken(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {points, owed}. Whoever has fewer points than yesterday hears why."""
    assert effect.person_id is not None
    with ctx.begin() as session:
        facts = {"points": effect.payload["points"], "owed": effect.payload["owed"],
                 "left": queries.of(session, effect.person_id, ctx.now()).active}
        notices.tell(session, notices.Notice(effect.person_id, "service", effect.key, "points.taken", facts), ctx.now())
    return Done()
