"""Executes the outbox: claims effects by lease, hands each to its job, and records what became of it.

A claim is committed before the work starts and the end is committed after it, so a killed worker loses
nothing: when the lease runs out another worker takes the effect again. Jobs are idempotent by their keys.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Row, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, sessionmaker

from bot.kit.jobs import LAST_ATTEMPT, Claimed, Done, Ended, JobContext, JobHandler, Jobs, Later, Refused
from bot.runtime import metrics
from domain.notices import backpressure

LEASE_SECONDS = 40
SAFETY_SECONDS = 25
"""No effect is started this close to the end of its lease: a call may take two tries of eight seconds."""

log = structlog.get_logger(__name__)

_CLAIM = """
    with due as (
        select id from outbox
         where queue = :queue and state in ('waiting', 'running') and due_at <= :now
           and (state = 'waiting' or lease_until <= clock_timestamp()) {also}
         order by due_at, id limit :limit for update skip locked
    )
    update outbox set state = 'running', attempts = attempts + 1,
                      lease_until = clock_timestamp() + make_interval(secs => :lease)
      from due where outbox.id = due.id
    returning outbox.id, queue, kind, key, person_id, payload, attempts, created_at, expires_at, result
"""
_ANY = text(_CLAIM.format(also=""))
_THESE = text(_CLAIM.format(also="and kind = any(:kinds)"))
_URGENT = text(_CLAIM.format(also="and queue = 'notice' and payload ->> 'purpose' in ('answer', 'money', 'service')"))
_MONEY = text(_CLAIM.format(also="and queue = 'notice' and payload ->> 'purpose' in ('answer', 'money', 'service')"
                                 " and payload ->> 'purpose' <> 'service'"))
"""The words of the index for what is urgent stand in them as they stand there, so that it is used."""

_END = text(
    """
    update outbox set state = :state, reason = :reason, ended_at = :now, lease_until = null,
                      result = result || :result
     where id = :id and state = 'running'
    """
).bindparams(bindparam("result", type_=JSONB))

_LATER = text(
    """
    update outbox set state = 'waiting', reason = :reason, due_at = :at, lease_until = null,
                      attempts = :attempts
     where id = :id and state = 'running'
    """
)

FAR = timedelta(days=3650)
"""When an effect without an expiry is looked at again if nothing wakes it before."""


def _claim(session: Session, queue: str, now: datetime, limit: int, kinds: Sequence[str]) -> list[Row[Any]]:
    """What is due; of ``kinds`` only, if any are named. Of notices what people wait for comes first, and while that is
    late nothing else is claimed at all: marketing stops when it waits longer than MARKETING_STOPS, everything but
    answers and money after ALL_BUT_MONEY."""
    asked = {"queue": queue, "now": now, "limit": limit, "lease": LEASE_SECONDS}
    if kinds:
        return list(session.execute(_THESE, asked | {"kinds": list(kinds)}))
    if queue != "notice":
        return list(session.execute(_ANY, asked))
    late = backpressure.late(session, now)
    if late.money > backpressure.ALL_BUT_MONEY:
        return list(session.execute(_MONEY, asked))
    rows = list(session.execute(_URGENT, asked))
    if len(rows) == limit or late.any > backpressure.MARKETING_STOPS:
        return rows
    return rows + list(session.execute(_ANY, asked | {"limit": limit - len(rows)}))


class OutboxRunner:
    """Works off one queue of the outbox with the given jobs."""

    def __init__(self, sessions: sessionmaker[Session], jobs: Jobs, context: JobContext,
                 now: Callable[[], datetime]) -> None:
        self._sessions = sessions
        self._jobs = jobs
        self._context = context
        self._now = now

    def run(self, queue: str, limit: int = 64, threads: int = 1, kinds: Sequence[str] = ()) -> int:
        """Claim up to ``limit`` due effects (of ``kinds`` only, if any are named) and execute them; returns how many
        were claimed.

        With ``threads`` several people are served at once; the effects of one person keep their order.
        """
        started = time.monotonic()
        with self._sessions.begin() as session:
            rows = _claim(session, queue, self._now(), limit, kinds)
        groups: dict[int, list[Claimed]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: row.id):
            groups[row.person_id or -row.id].append(Claimed(**row._mapping))
        if threads == 1 or len(groups) < 2:
            for group in groups.values():
                self._serve(group, started)
        else:
            with ThreadPoolExecutor(min(threads, len(groups))) as pool:
                list(pool.map(lambda group: self._serve(group, started), groups.values()))
        return len(rows)

    def _serve(self, effects: list[Claimed], started: float) -> None:
        for effect in effects:
            if time.monotonic() - started > LEASE_SECONDS - SAFETY_SECONDS:
                return  # the lease may lapse while we work: whoever claims next does the rest
            self._execute(effect)

    def _execute(self, effect: Claimed) -> None:
        handler = self._jobs.get(effect.kind)
        started = time.monotonic()
        try:
            ended = self._call(handler, effect)
        except Exception as fault:  # the edge of a job: one effect's fault must not stop the others
            log.exception("outbox.failed", effect=effect.id, kind=effect.kind, attempts=effect.attempts)
            self._fail(effect, f"{type(fault).__name__}: {fault}"[:500])
            return
        if effect.kind.startswith("poster."):
            metrics.poster(time.monotonic() - started)
        self._record(effect, ended)

    def _call(self, handler: JobHandler | None, effect: Claimed) -> Ended:
        if effect.queue == "fact":
            for listener in self._jobs.listeners:
                listener(self._context, effect)
        if handler is None:
            # A fact without a subscriber is normal; what belongs to one (a present, a picture) is a deployment fault.
            fine = effect.queue == "fact" and not effect.kind.startswith("grant.")
            return Done() if fine else Refused(f"no handler for {effect.kind}")
        if effect.expires_at is not None and effect.expires_at <= self._now():
            return Refused("expired")
        return handler(self._context, effect)

    def _record(self, effect: Claimed, ended: Ended) -> None:
        now = self._now()
        with self._sessions.begin() as session:
            if isinstance(ended, Later):
                at = ended.at or effect.expires_at or now + FAR
                session.execute(_LATER, {"id": effect.id, "reason": ended.reason, "at": at,
                                         "attempts": effect.attempts - 1})
                name = "later"
            else:
                doubt = "maybe_sent" if ended.result.get("maybe_sent") else ""
                state, reason = ("done", doubt) if isinstance(ended, Done) else ("refused", ended.reason)
                self._end(session, effect, state, reason, ended.result, now)
                name = state
        metrics.outbox(effect.queue, effect.kind, name)

    def _fail(self, effect: Claimed, reason: str) -> None:
        now = self._now()
        with self._sessions.begin() as session:
            if effect.attempts >= LAST_ATTEMPT:
                self._end(session, effect, "dead", reason, {}, now)
            else:
                at = now + timedelta(seconds=2**effect.attempts)
                session.execute(_LATER, {"id": effect.id, "reason": reason, "at": at, "attempts": effect.attempts})
        metrics.outbox(effect.queue, effect.kind, "dead" if effect.attempts >= LAST_ATTEMPT else "failed")

    @staticmethod
    def _end(session: Session, effect: Claimed, state: str, reason: str, result: dict[str, Any],
             now: datetime) -> None:
        session.execute(_END, {"id": effect.id, "state": state, "reason": reason, "now": now, "result": result})
