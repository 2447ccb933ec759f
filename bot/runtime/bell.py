"""The doorbell: tells workers that PostgreSQL holds work. Losing it costs seconds, never work.

One RQ job a ring, suppressed while an earlier ring has not been answered: RQ spends dozens of Redis commands
on a job, so we ring once for many effects. Jobs carry only the bell's name, JSON-serialised.
"""

import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import redis
import structlog
from rq import Queue
from rq.serializers import JSONSerializer

Bell = Literal["fast", "slow"]
BELLS: tuple[Bell, ...] = ("fast", "slow")

OF_QUEUE: dict[str, Bell] = {"event": "fast", "fact": "fast", "notice": "fast", "inbox": "fast", "slow": "slow",
                                 "chore": "slow"}
"""Which worker pool answers for which kind of work."""

JOB = "bot.runtime.worker.answer_bell"
RINGING_SECONDS = 5
"""A ring nobody answered is repeated after this; the clock asks every second."""
ANSWER_SECONDS = 0.5
"""How long a ring may hold up the callback that rings; the platform waits five seconds in all."""
SILENT_SECONDS = 1.0
"""After a ring that failed nobody tries the door for so long: a hung Redis must not cost each message its wait."""

log = structlog.get_logger(__name__)


class Doorbell:
    """Rings over RQ. Never raises: a dead Redis is reported as False, and the clock works without it."""

    def __init__(self, connection: "redis.Redis") -> None:
        self._redis = connection
        self._silent_until = 0.0
        self._answering: str | None = None
        self._heard = False
        self._queues: dict[str, Queue] = {
            bell: Queue(bell, connection=connection, serializer=JSONSerializer) for bell in BELLS}

    def ring(self, bells: Iterable[str], *, for_help: bool = False) -> bool:
        """Ring each bell of these queues once; whether Redis took it. What this process answers right now it hears by
        itself, and rings for others only ``for_help``: a job that finds nothing costs as much as booking an order."""
        wanted: set[str] = {OF_QUEUE[name] for name in bells}
        if self._answering in wanted and not for_help:
            self._heard = True
            wanted = {bell for bell in wanted if bell != self._answering}
        return self._call(wanted)

    def _call(self, wanted: Collection[str]) -> bool:
        """Have each of these bells rung, whoever answers it; whether Redis took it."""
        if not wanted:
            return True
        if time.monotonic() < self._silent_until:
            return False
        try:
            for bell in sorted(wanted):
                if self._redis.set(f"huitou:ringing:{bell}", 1, nx=True, ex=RINGING_SECONDS):
                    self._queues[bell].enqueue(JOB, bell, result_ttl=0, failure_ttl=60, job_timeout=300)
        except redis.RedisError as fault:
            self._silent_until = time.monotonic() + SILENT_SECONDS
            log.warning("bell.silent", fault=type(fault).__name__)
            return False
        return True

    @contextmanager
    def answering(self, bell: str) -> Iterator[None]:
        """While this process does what ``bell`` is for, until it finds nothing more and has ``heard`` nothing. If it
        fails before, others are called to what it heard and does not do."""
        self._answered(bell)
        self._answering, self._heard = bell, False
        try:
            yield
        except BaseException:
            if self._heard:
                self._call({bell})
            raise
        finally:
            self._answering = None

    def heard(self) -> bool:
        """Whether the bell that is being answered was rung here since the last time of asking."""
        heard, self._heard = self._heard, False
        return heard

    def _answered(self, bell: str) -> None:
        """Called before looking for work, so that a ring during the work is not lost."""
        try:
            self._redis.delete(f"huitou:ringing:{bell}")
        except redis.RedisError as fault:
            log.warning("bell.silent", fault=type(fault).__name__)


class SilentBell:
    """Rings for nobody: tests and tools that do the work themselves."""

    def __init__(self) -> None:
        self.rings: list[str] = []

    def ring(self, bells: Iterable[str], *, for_help: bool = False) -> bool:
        self.rings += sorted(bells)
        return True

    @contextmanager
    def answering(self, bell: str) -> Iterator[None]:
        """Nothing to answer."""
        yield

    def heard(self) -> bool:
        return False


def connect(url: str, answer_seconds: float = ANSWER_SECONDS) -> "redis.Redis":
    """A client that gives up quickly: nobody waits for a doorbell."""
    return redis.Redis.from_url(url, socket_timeout=answer_seconds, socket_connect_timeout=0.5,
                                health_check_interval=30)
