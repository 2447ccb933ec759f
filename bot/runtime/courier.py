"""Carries out at once, in the process that heard of it, what is worthless in twenty seconds: meeting and welcoming a
WeCom customer.

A worker that is busy with two hundred notices, or with a long batch of orders, would come to it too late. The effects
are rows of the outbox like any other: whoever claims first does them, and if this process dies a worker does.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bot.runtime.outbox import OutboxRunner
from domain.workflows import contacting

KINDS = (contacting.MEET, contacting.WELCOME)
ROUNDS = 4
"""A meeting gives work to a welcome; more comes by the next event."""
AT_ONCE = 64
THREADS = 8

log = structlog.get_logger(__name__)


class Courier:
    """One a process; its thread begins with the first errand, so it may be made before a fork."""

    def __init__(self, outbox: OutboxRunner) -> None:
        self._outbox = outbox
        self._guard = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._pid = 0
        self._called = False

    def hurry(self) -> None:
        """There may be an errand. Returns at once; calls while one is not yet begun are one call."""
        with self._guard:
            if self._pid != os.getpid() or self._pool is None:
                self._pool, self._pid, self._called = ThreadPoolExecutor(2, "courier"), os.getpid(), False
            if self._called:
                return
            self._called = True
            self._pool.submit(self._run)

    def close(self) -> None:
        """Finish what has begun, take nothing more on."""
        with self._guard:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def _run(self) -> None:
        with self._guard:
            self._called = False
        try:
            for _ in range(ROUNDS):
                if not self._outbox.run("notice", AT_ONCE, THREADS, KINDS):
                    return
        except SQLAlchemyError as fault:  # a worker will do it once the database is back
            log.warning("courier.database_away", fault=type(fault).__name__)
