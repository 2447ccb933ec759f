"""The calendar's part in journeys: looked at once a day, before the hour at which journeys speak."""

from datetime import time

from bot.kit.chores import Chores
from bot.kit.jobs import JobContext
from domain.workflows import calendar
from domain.workflows.calendar import OccasionRules

chores = Chores()

PIECE = 500


@chores.daily("occasions.birthdays", at=time(9, 0))
def birthdays(ctx: JobContext) -> bool:
    """Whose birthday month it is."""
    with ctx.begin() as session:
        return calendar.birthdays(session, ctx.tool(OccasionRules), ctx.now(), PIECE) == PIECE


@chores.daily("occasions.friends", at=time(9, 5))
def friends(ctx: JobContext) -> bool:
    """Who has brought another friend that stayed."""
    with ctx.begin() as session:
        return calendar.friends(session, ctx.tool(OccasionRules), ctx.now(), PIECE) == PIECE


@chores.daily("occasions.at_risk", at=time(9, 10))
def at_risk(ctx: JobContext) -> bool:
    """Which promoters are about to leave."""
    with ctx.begin() as session:
        return calendar.at_risk(session, ctx.tool(OccasionRules), ctx.now(), PIECE) == PIECE


@chores.daily("occasions.best", at=time(9, 15))
def best(ctx: JobContext) -> bool:
    """The star of the month that is over, and in January the best customers of the year."""
    with ctx.begin() as session:
        calendar.star(session, ctx.tool(OccasionRules), ctx.now())
    with ctx.begin() as session:
        calendar.best_of_year(session, ctx.tool(OccasionRules), ctx.now())
    return False
