"""Does the recurring work that is due and finds something to do: claims it by lease, runs it piece by piece, and plans
its next time."""

import time
from collections.abc import Iterable
from datetime import datetime

import structlog
from sqlalchemy import Engine, text

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

    def wanted(self, now: datetime) -> list[str]:
        """Chores whose time has come and that find something to do. When none does, all of them are put off.

        Asked by the clock each second and by a worker before it claims: the chores of an idle shop cost one question
        instead of their own, and no worker hears of them.
        """
        with self._context.begin() as session:
            if not self._planned:  # the first time of a chore is now: whoever was started late catches up
                board.plan(session, dict.fromkeys(self._chores.names(), now))
            due = board.due(session, self._chores.names(), now)
            found = board.wanted(session, due, now)
            if due and not found:
                board.rest(session, self._next(due, now), now)
        self._planned = True
        return found

    def run(self) -> int:
        """Run every chore that is due and finds something to do, each once; returns how many were. A chore that fails
        is tried again next time.

        All that are due are claimed together and given back together: with four dozen of them, most of which find
        nothing to do, two transactions each would cost more than the work. What the lease has no time for is given
        back untouched.
        """
        if not (wanted := self.wanted(self._context.now())):
            return 0
        with self._engine.connect() as alive:
            by = alive.execute(text("select pg_backend_pid()")).scalar_one()
            alive.rollback()
            return self._run(wanted, by)

    def _run(self, wanted: list[str], by: int) -> int:
        """What one has made may be another's work: those that found nothing are asked again at the end."""
        claimed, started = self._claim(by), time.monotonic()
        if not claimed:
            return 0
        names, ended = sorted(claimed & set(wanted)), dict[str, tuple[datetime, str]]()
        while True:
            ended |= {name: self._turn(self._chores.get(name), started) for name in names}
            with self._context.begin() as session:
                now, idle = self._context.now(), claimed - ended.keys()
                names = board.wanted(session, idle, now)
                if not names:
                    found_nothing = {name: (due, "") for name, due in self._next(idle, now).items()}
                    board.end(session, ended | found_nothing, now, by)
                    return len(ended)

    def _turn(self, chore: Chore, started: float) -> tuple[datetime, str]:
        """(when it is due again, what went wrong)."""
        if time.monotonic() - started > LEASE_SECONDS - SAFETY_SECONDS:
            return self._context.now(), ""
        more, fault = self._work(chore)
        now = self._context.now()
        return now if more else chore.next_after(now), fault

    def _next(self, names: Iterable[str], now: datetime) -> dict[str, datetime]:
        return {name: self._chores.get(name).next_after(now) for name in names}

    def _claim(self, by: int) -> set[str]:
        with self._context.begin() as session:
            return set(board.claim(session, self._chores.names(), self._context.now(), LEASE_SECONDS, by))

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
