"""The clock: once a second it asks PostgreSQL what is due and rings; if nobody can hear, it does the work itself."""

import signal
import threading
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from bot.runtime import bootstrap, pulse, work
from bot.runtime.settings import Settings
from domain.platform import service as platform

TICK_SECONDS = 1.0
HOUSEKEEPING_TICKS = 600
MEDIA_LIFE = timedelta(days=3)
"""The platform forgets temporary media after this; dated by real time, as the platform does."""

log = structlog.get_logger(__name__)


def tick(runtime: bootstrap.Runtime) -> frozenset[str]:
    """Ring for everything that is due; returns what rang. Safe with several clocks: rings are only rings."""
    now = runtime.clock.now()
    with runtime.sessions.begin() as session:
        felt = pulse.feel(session, now)
    asked = {"inbox": felt.inbox, "event": felt.books or felt.journeys, "fact": felt.facts, "notice": felt.notices,
             "slow": felt.slow, "chore": bool(runtime.chores.wanted(now))}
    due = {name for name, wanted in asked.items() if wanted}
    if due and not runtime.bell.ring(due):
        # Redis is gone: the worker cannot hear, so the work is done here until it is back.
        work.answer(runtime, "fast")
        if due & {"slow", "chore"}:
            work.answer(runtime, "slow")
    return frozenset(due)


def main(settings: Settings) -> None:
    """Tick until SIGTERM or SIGINT. A database that is away is waited for."""
    runtime = bootstrap.build(settings)
    stopping = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.set())
    ticks = 0
    while not stopping.wait(TICK_SECONDS):
        try:
            tick(runtime)
            ticks += 1
            if ticks % HOUSEKEEPING_TICKS == 1:
                _housekeeping(runtime)
        except SQLAlchemyError as fault:
            log.warning("clock.database_away", fault=type(fault).__name__)
    runtime.close()


def _housekeeping(runtime: bootstrap.Runtime) -> None:
    """What may grow old and is not needed any more."""
    with runtime.sessions.begin() as session:
        # A day longer than it lives: a late answer to a question for something private must be known as such.
        old = {"old": runtime.clock.now() - timedelta(days=1)}
        session.execute(text("delete from conversation where expires_at < :old"), old)
        platform.sweep(session, runtime.clock.now(), datetime.now(UTC) - MEDIA_LIFE)
