"""Recurring work of the operators' log: seal what was written, close approvals that nobody decided."""

from datetime import timedelta

import structlog

from bot.kit.chores import Chores
from bot.kit.jobs import JobContext
from domain.audit import seals
from domain.audit.rules import SealKey
from domain.workflows import acts

EXPIRED_AT_ONCE = 100

chores = Chores()
log = structlog.get_logger(__name__)


@chores.every("audit.seal", timedelta(minutes=1))
def seal(ctx: JobContext) -> bool:
    """Chain the rows written since. The head goes to the log: what is noted there cannot be changed in the database."""
    with ctx.begin() as session:
        upto = seals.horizon(session)
    if upto is None:
        return False
    with ctx.begin() as session:
        number, head = seals.seal(session, upto, ctx.tool(SealKey), ctx.now())
    if number:
        log.info("audit.sealed", rows=number, head=head.event_id, digest=head.digest)
    return number == seals.SEALED_AT_ONCE


@chores.every("approvals.expire", timedelta(minutes=10))
def expire(ctx: JobContext) -> bool:
    """Whoever asked can ask again."""
    with ctx.begin() as session:
        return acts.expire_due(session, ctx.now(), EXPIRED_AT_ONCE) == EXPIRED_AT_ONCE
