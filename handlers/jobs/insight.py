"""Tags and segments follow orders within seconds, and time within a night."""

from datetime import time, timedelta

from bot.kit.chores import Chores
from bot.kit.jobs import JobContext
from bot.kit.wecom import WeComs
from domain.insight import service as insight
from domain.insight.rules import Segmentation
from domain.workflows import contacting

chores = Chores()

STALE, TURNED = 500, 2_000


@chores.every("insight.refresh", timedelta(seconds=5))
def refresh(ctx: JobContext) -> bool:
    """Whose orders or referrals changed; their employees in WeCom see it."""
    with ctx.begin() as session:
        people = insight.refreshed(session, ctx.tool(Segmentation), ctx.now(), STALE)
        if ctx.tool(WeComs).by_account:
            contacting.retag(session, people, ctx.now())
    return len(people) == STALE


@chores.daily("insight.turn", at=time(3, 40))
def turn(ctx: JobContext) -> bool:
    """Whom the calendar has moved."""
    with ctx.begin() as session:
        return insight.turn(session, ctx.tool(Segmentation), ctx.now(), TURNED) == TURNED
