"""Does the recurring work that is due: claims a chore by lease, runs it piece by piece, and plans its next time."""

from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from bot.kit.chores import Chore, Chores
from bot.kit.jobs import JobContext
from domain.shared import chores as board

LEASE_SECONDS = 120
MAX_PIECES = 10
"""A bound on one run, so that a poster need not wait for a month close; what is left is due again at once."""

log = structlog.get_logger(__name__)


class ChoreRunner:
    """Runs ``chores`` for one process. Several processes share the work by leases."""

    def __init__(self, chores: Chores, context: JobContext) -> None:
        self._chores = chores
        self._context = context
        self._planned = False

    def anything_due(self, now: datetime) -> bool:
        with self._context.begin() as session:
            self._plan(session, now)
            return board.anything_due(session, self._chores.names(), now)

    def run(self) -> int:
        """Run every chore that is due, each once; returns how many were. A chore that fails is tried again next time.
        """
        for done in range(len(self._chores.names())):
            chore = self._claim()
            if chore is None:
                return done
            self._end(chore, *self._work(chore))
        return len(self._chores.names())

    def _plan(self, session: Session, now: datetime) -> None:
        """The first time of a chore is now: whoever was started late catches up."""
        if not self._planned:
            board.plan(session, dict.fromkeys(self._chores.names(), now))
            self._planned = True

    def _claim(self) -> Chore | None:
        now = self._context.now()
        with self._context.begin() as session:
            self._plan(session, now)
            name = board.claim(session, self._chores.names(), now, LEASE_SECONDS)
        return self._chores.get(name) if name else None

    def _work(self, chore: Chore) -> tuple[bool, str]:
        """(more is left, what went wrong)."""
        try:
            for _ in range(MAX_PIECES):
                if not chore.work(self._context):
                    return False, ""
        except Exception as fault:  # one chore's fault must not keep the others from running
            log.exception("chore.failed", chore=chore.name, fault=type(fault).__name__)
            return False, f"{type(fault).__name__}: {fault}"[:500]
        return True, ""

    def _end(self, chore: Chore, more: bool, fault: str) -> None:
        now = self._context.now()
        with self._context.begin() as session:
            board.end(session, chore.name, now if more else chore.next_after(now), now, fault)
