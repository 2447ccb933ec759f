"""Executes the outbox: claims effects by lease, hands each to its job, and records what became of it.

A claim is committed before the work starts and the end is committed after it, so a killed worker loses
nothing: when the lease runs out another worker takes the effect again. Jobs are idempotent by their keys.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import structlog
from sqlalchemy import Row, text
from sqlalchemy.orm import Session, sessionmaker

from bot.kit.jobs import LAST_ATTEMPT, Claimed, Done, Ended, JobContext, JobHandler, Jobs, Later, Ready, Refused
from bot.runtime import metrics
from bot.runtime.drain import LEASE_SECONDS, SAFETY_SECONDS, Drain, whose
from domain.notices import backpressure
from domain.shared import trips

log = structlog.get_logger(__name__)

_CLAIM = """
    with due as (
        select id from outbox
         where queue = :queue and state in ('waiting', 'running') and due_at <= :now
           and (state = 'waiting' or lease_until <= clock_timestamp()) {also}
         order by due_at, id limit :limit for update skip locked
    )
    update outbox set state = 'running', attempts = attempts + 1,
                      lease_until = clock_timestamp() + make_interval(secs => :lease),
                      person_id = coalesce((select p.merged_into from person p where p.id = outbox.person_id),
                                           person_id)
      from due where outbox.id = due.id
    returning outbox.id, queue, kind, key, person_id, payload, attempts, created_at, expires_at, result
"""
"""A merge takes along what is written; who was read before it and written behind it is who they are by now."""
_ANY = text(_CLAIM.format(also=""))
_FACTS = text(_CLAIM.format(also="and id < coalesce((select min(id) from earned_news), 9223372036854775807)"))
"""None that came after news which nobody has handed on yet: what was earned is told before what became of it."""
_THESE = text(_CLAIM.format(also="and kind = any(:kinds)"))
_URGENT = text(_CLAIM.format(also="and queue = 'notice' and payload ->> 'purpose' in ('answer', 'money', 'service')"))
_MONEY = text(_CLAIM.format(also="and queue = 'notice' and payload ->> 'purpose' in ('answer', 'money', 'service')"
                                 " and payload ->> 'purpose' <> 'service'"))
"""The words of the index for what is urgent stand in them as they stand there, so that it is used."""

_ENDS = """
    update outbox o
       set state = e.state, reason = e.reason, ended_at = e.ended_at, lease_until = null, result = o.result || e.result,
           due_at = coalesce(e.due_at, o.due_at), attempts = e.attempts
      from jsonb_to_recordset(%(ends)s::jsonb) as e (id bigint, state text, reason text, due_at timestamptz,
                                                     ended_at timestamptz, attempts bigint, result jsonb)
     where o.id = e.id and o.state = 'running'
"""

FAR = timedelta(days=3650)
"""When an effect without an expiry is looked at again if nothing wakes it before."""


def _claim(session: Session, queue: str, now: datetime, limit: int, kinds: Sequence[str] = ()) -> list[Row[Any]]:
    """What is due; of ``kinds`` only, if any are named. Of notices what people wait for comes first, and while that is
    late nothing else is claimed at all: marketing stops when it waits longer than MARKETING_STOPS, everything but
    answers and money after ALL_BUT_MONEY."""
    asked = {"queue": queue, "now": now, "limit": limit, "lease": LEASE_SECONDS}
    if kinds:
        return list(session.execute(_THESE, asked | {"kinds": list(kinds)}))
    if queue != "notice":
        return list(session.execute(_FACTS if queue == "fact" else _ANY, asked))
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
        were claimed. Before facts are, a portion of each news is handed on, and counts as well.

        With ``threads`` several people are served at once (``bot.runtime.drain``), and what a planner decides together
        is; the effects of one person keep their order.
        """
        groups: dict[int, list[Claimed]] = defaultdict(list)
        news = self._hand_on() if queue == "fact" else 0
        started = time.monotonic()
        claimed = self.claim(queue, limit, kinds)
        if threads > 1 and len(set(map(whose, claimed))) > 1:
            return news + Drain(self, partial(self.claim, queue, limit, kinds), limit, threads).run(claimed)
        for effect in claimed:
            groups[whose(effect)].append(effect)
        for group in groups.values():
            for effect in group:
                if time.monotonic() - started > LEASE_SECONDS - SAFETY_SECONDS:
                    break  # the lease may lapse while we work: whoever claims next does the rest
                self.execute(effect)
        return news + len(claimed)

    def _hand_on(self) -> int:
        """A portion of what is no effect yet; how much that was. What fails whole is logged, and lies there still: it
        holds up no facts but those that came after it."""
        total = 0
        for kind, hand_on in self._jobs.news.items():
            try:
                found = hand_on(self._context)
            except Exception:  # the edge
                log.exception("outbox.news_not_handed_on", kind=kind)
                continue
            total += found.taken
            metrics.outbox("fact", kind, "done", found.facts)
        return total

    def claim(self, queue: str, limit: int, kinds: Sequence[str] = ()) -> list[Claimed]:
        """Take up to ``limit`` due effects for LEASE_SECONDS, in the order in which they were put."""
        with self._sessions.begin() as session:
            rows = _claim(session, queue, self._now(), limit, kinds)
        return [Claimed(**row._mapping) for row in sorted(rows, key=lambda row: row.id)]

    def plan(self, effects: Sequence[Claimed]) -> dict[int, Ended | Ready]:
        """What their planners decide together about effects of different people; without those to execute alone."""
        kinds: dict[str, list[Claimed]] = defaultdict(list)
        for effect in effects:
            if effect.expires_at is None or effect.expires_at > self._now():
                kinds[effect.kind].append(effect)
        found: dict[int, Ended | Ready] = {}
        for kind, group in kinds.items():
            if (planner := self._jobs.planner(kind)) is not None:
                try:
                    found |= planner(self._context, group)
                except Exception:  # the edge: one by one the others are executed, and the fault is told to whom it hits
                    log.exception("outbox.not_planned", kind=kind, effects=len(group))
        return found

    def execute(self, effect: Claimed, act: Callable[[], Ended] | None = None) -> Ended | Exception:
        """Do one effect (or what is left of it, ``act``) and record its end."""
        ended = self.attempt(effect, act)
        self.record([(effect, ended)])
        return ended

    def attempt(self, effect: Claimed, act: Callable[[], Ended] | None = None) -> Ended | Exception:
        """Do one effect (or what is left of it, ``act``); its end is still to be recorded."""
        started = time.monotonic()
        try:
            ended = act() if act is not None else self._call(self._jobs.get(effect.kind), effect)
        except Exception as fault:
            log.exception("outbox.failed", effect=effect.id, kind=effect.kind, attempts=effect.attempts)
            return fault
        if effect.kind.startswith("poster."):
            metrics.poster(time.monotonic() - started)
        return ended

    def _call(self, handler: JobHandler | None, effect: Claimed) -> Ended:
        if effect.queue == "fact":
            for listener in self._jobs.listeners:
                listener(self._context, effect)
        if handler is None:
            # A fact without a subscriber is normal; what belongs to one (a present, a picture) is a deployment fault.
            fine = effect.queue == "fact" and not effect.kind.startswith("grant.")
            return Done() if fine else Refused(f"no handler for {effect.kind}")
        if effect.expires_at is not None and effect.expires_at <= self._now():
            lapse = self._jobs.lapse(effect.kind)
            if lapse is not None and not effect.result.get("sending_at"):  # else it may have come after all
                lapse(self._context, effect)
            return Refused("expired")
        return handler(self._context, effect)

    def record(self, ends: Sequence[tuple[Claimed, Ended | Exception]]) -> None:
        """Keep what became of effects, in one transaction."""
        if not ends:
            return
        now = self._now()
        told = [_told(effect, ended, now) for effect, ended in ends]
        rows = msgspec.json.encode([facts for facts, _ in told]).decode()
        with self._sessions.begin() as session:
            trips.close(session, trips.Closing(_ENDS, {"ends": rows}))
        for (effect, _), (_, name) in zip(ends, told, strict=True):
            metrics.outbox(effect.queue, effect.kind, name)


def _told(effect: Claimed, ended: Ended | Exception, now: datetime) -> tuple[dict[str, Any], str]:
    """The row's new facts, and the name under which the end is counted."""
    facts: dict[str, Any] = {"id": effect.id, "due_at": None, "ended_at": now, "result": {},
                             "attempts": effect.attempts}
    match ended:
        case Done(result):
            reason = "maybe_sent" if result.get("maybe_sent") else ""
            return facts | {"state": "done", "reason": reason, "result": result}, "done"
        case Refused(reason, result):
            return facts | {"state": "refused", "reason": reason, "result": result}, "refused"
        case Later(reason, at):
            facts |= {"due_at": at or effect.expires_at or now + FAR, "attempts": effect.attempts - 1}
            return facts | {"state": "waiting", "reason": reason, "ended_at": None}, "later"
    reason = f"{type(ended).__name__}: {ended}"[:500]
    if effect.attempts >= LAST_ATTEMPT:
        return facts | {"state": "dead", "reason": reason}, "dead"
    return facts | {"state": "waiting", "reason": reason, "ended_at": None,
                    "due_at": now + timedelta(seconds=2**effect.attempts)}, "failed"
