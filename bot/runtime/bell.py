"""The doorbell: tells workers that PostgreSQL holds work. Losing it costs seconds, never work.

One RQ job a ring, suppressed while an earlier ring has not been answered: RQ spends dozens of Redis commands
on a job, so we ring once for many effects. Jobs carry only the bell's name, JSON-serialised.
"""

import time
from collections.abc import Iterable
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
        self._queues = {bell: Queue(bell, connection=connection, serializer=JSONSerializer) for bell in BELLS}

    def ring(self, bells: Iterable[str]) -> bool:
        """Ring each bell of these queues once; whether Redis took it."""
        if time.monotonic() < self._silent_until:
            return False
        try:
            for bell in sorted({OF_QUEUE[name] for name in bells}):
                if self._redis.set(f"huitou:ringing:{bell}", 1, nx=True, ex=RINGING_SECONDS):
                    self._queues[bell].enqueue(JOB, bell, result_ttl=0, failure_ttl=60, job_timeout=300)
        except redis.RedisError as fault:
            self._silent_until = time.monotonic() + SILENT_SECONDS
            log.warning("bell.silent", fault=type(fault).__name__)
            return False
        return True

    def answered(self, bell: str) -> None:
        """Called before looking for work, so that a ring during the work is not lost."""
        try:
            self._redis.delete(f"huitou:ringing:{bell}")
        except redis.RedisError as fault:
            log.warning("bell.silent", fault=type(fault).__name__)


class SilentBell:
    """Rings for nobody: tests and tools that do the work themselves."""

    def __init__(self) -> None:
        self.rings: list[str] = []

    def ring(self, bells: Iterable[str]) -> bool:
        self.rings += sorted(bells)
        return True

    def answered(self, bell: str) -> None:
        """Nothing to answer."""


def connect(url: str, answer_seconds: float = ANSWER_SECONDS) -> "redis.Redis":
    """A client that gives up quickly: nobody waits for a doorbell."""
    return redis.Redis.from_url(url, socket_timeout=answer_seconds, socket_connect_timeout=0.5,
                                health_check_interval=30)
