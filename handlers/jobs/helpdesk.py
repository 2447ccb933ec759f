"""Tickets that nobody comes back to close by themselves."""

from datetime import timedelta

from bot.kit.chores import Chores
from bot.kit.jobs import JobContext
from domain.helpdesk import service
from domain.helpdesk.rules import HelpdeskRules

PIECE = 200

chores = Chores()


@chores.every("helpdesk.settle", timedelta(minutes=10))
def settle(ctx: JobContext) -> bool:
    """Close what was answered and left alone."""
    with ctx.begin() as session:
        return service.settle(session, ctx.tool(HelpdeskRules), ctx.now(), PIECE) == PIECE
