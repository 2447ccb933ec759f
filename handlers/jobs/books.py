"""Recurring work: the books are checked as they move, and whole every night. What does not add up is an alarm."""

from datetime import time, timedelta

import structlog

from bot.kit.chores import Chores
from bot.kit.jobs import JobContext
from domain.ledger import books

TOLD = 20

chores = Chores()
log = structlog.get_logger(__name__)


@chores.every("books.recent", timedelta(minutes=3))
def look_at_recent(ctx: JobContext) -> bool:
    """What moved since the last look but one."""
    with ctx.begin() as session:
        piece = books.look_at_recent(session)
    return _told(piece)


@chores.daily("books.full", time(3, 30))
def look_at_all(ctx: JobContext) -> bool:
    """Everything, a range of ids at a time."""
    with ctx.begin() as session:
        piece = books.look_at_all(session)
    return _told(piece)


def _told(piece: books.Piece) -> bool:
    for fault in piece.faults[:TOLD]:
        log.error("books.broken", invariant=fault.invariant, subject=fault.id, fault=fault.sentence)
    return piece.more
