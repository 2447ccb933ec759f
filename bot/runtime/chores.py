"""Does the recurring work that is due: claims a chore by lease, runs it piece by piece, and plans its next time."""

import time
from datetime import datetime

import structlog
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from bot.kit.chores import Chore, Chores
from bot.kit.jobs import JobContext
from domain.shared import chores as board

LEASE_SECONDS = 240
SAFETY_SECONDS = 120
"""No chore is begun this close to the end of the lease."""
MAX_PIECES = 10
"""A bound on one run, so that a poster need not wait for a month close; what is left is due again at once."""

log = structlog.get_logger(__name__)


class ChoreRunner:
    """Runs ``chores`` for one process. Several processes share the work by leases.

    Through a run one connection of ``engine`` stays open and does nothing: while it lives, so does whoever claimed.
    """

    def __init__(self, chores: Chores, context: JobContext, engine: Engine) -> None:
        self._chores = chores
        self._context = context
        self._engine = engine
        self._planned = False

    def anything_due(self, now: datetime) -> bool:
        with self._context.begin() as session:
            self._plan(session, now)
            return board.anything_due(session, self._chores.names(), now)

    def run(self) -> int:
        """Run every chore that is due, each once; returns how many were. A chore that fails is tried again next time.

        All are claimed together and given back together: with two dozen of them, most of which find nothing to do, two
        transactions each would cost more than the work. What the lease has no time for is given back untouched.
        """
        with self._engine.connect() as alive:
            by = alive.execute(text("select pg_backend_pid()")).scalar_one()
            alive.rollback()
            return self._run(by)

    def _run(self, by: int) -> int:
        names, started = self._claim(by), time.monotonic()
        ended: dict[str, tuple[datetime, str]] = {}
        for name in names:
            chore, now = self._chores.get(name), self._context.now()
            if time.monotonic() - started > LEASE_SECONDS - SAFETY_SECONDS:
                ended[name] = (now, "")
                continue
            more, fault = self._work(chore)
            now = self._context.now()
            ended[name] = (now if more else chore.next_after(now), fault)
        if ended:
            with self._context.begin() as session:
                board.end(session, ended, self._context.now(), by)
        return len(ended)

    def _plan(self, session: Session, now: datetime) -> None:
        """The first time of a chore is now: whoever was started late catches up."""
        if not self._planned:
            board.plan(session, dict.fromkeys(self._chores.names(), now))
            self._planned = True

    def _claim(self, by: int) -> list[str]:
        now = self._context.now()
        with self._context.begin() as session:
            self._plan(session, now)
            return board.claim(session, self._chores.names(), now, LEASE_SECONDS, by)

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
