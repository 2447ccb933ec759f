"""One call as several tries: gate, bounded repeats where repeating is safe, and what the next caller must know.

The gate's state (holds, the breaker) lies in PostgreSQL: workers are forked per job and web processes are
many, and a quota that one of them met is met for all.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.kit.gateway import Outcome, SendResult
from bot.runtime.gateways.account import AccountConfig, RealTime
from bot.runtime.gateways.faults import Answer, Fault, Kind, Refusal, judge
from bot.runtime.gateways.transport import Act, Transport
from domain.platform import service as platform
from domain.shared.records import record

log = structlog.get_logger(__name__)

TRIES = 3
BREAKER_FAILURES = 5
BREAKER_REST = timedelta(seconds=30)
FIRST_PAUSE_SECONDS = 0.5
NOT_THROUGH = frozenset({Kind.UNSENT, Kind.UNCERTAIN, Kind.SERVER})
"""Faults of the way, not answers: they count for the breaker."""

REPEATABLE_SEND = frozenset({Kind.UNSENT, Kind.BUSY})
"""A message is repeated only when it surely was not delivered: no connection, or -1 (documented as not done)."""

REPEATABLE_CALL = REPEATABLE_SEND | NOT_THROUGH


@record
class Api:
    """One api of the platform. ``sends``: it delivers something to a person. ``tries``: at most so many in a row.
    ``rests`` False: it is of use for seconds only, so it waits for no hold, and its refusal holds nobody else back."""

    name: str
    sends: bool = False
    tries: int = TRIES
    rests: bool = True

    @property
    def repeatable(self) -> frozenset[Kind]:
        return REPEATABLE_SEND if self.sends else REPEATABLE_CALL


Observe = Callable[[str, Refusal | None], None]
"""Told of every finished call: the api's name, and why there was no answer, if there was none. For counters."""


class Attempts:
    """Runs calls of one app; knows no token rules."""

    def __init__(
        self, engine: Engine, config: AccountConfig, transport: Transport, real: RealTime, observe: Observe
    ) -> None:
        self._engine = engine
        self._app_id = config.app_id
        self._daily_rest = config.daily_rest
        self._codes = config.codes
        self._transport = transport
        self._real = real
        self._observe = observe
        self._asking = threading.Lock()
        self._open: dict[str, datetime] = {}
        """Until when apis are believed to be open, without a hold and with a host that is well."""
        self._alarmed: set[str] = set()
        """Apis that a person had to mend when they were called last, as this process was told when it asked."""

    @property
    def skew_seconds(self) -> float | None:
        """The platform's clock less ours at the last answer, by its Date header (whole seconds)."""
        return self._transport.skew_seconds

    def run(self, api: Api, act: Act, token: str, *, urgent: bool = False) -> Answer | Refusal:
        """The answer of ``act``, or why there is none. ``urgent`` (an operator asks) passes by every hold."""
        entry = self._enter(api, urgent)
        if isinstance(entry, Refusal):
            return entry
        tries, failures = entry
        for n in range(1, tries + 1):
            answer = self._transport.attempt(act, token)
            if not isinstance(answer, Fault):
                self._got_through(failures)
                self._mended(api)
                self._observe(api.name, None)
                return answer
            fault = answer
            failures = self._note(fault, failures)
            if fault.kind not in api.repeatable or n == tries:
                break
            self._real.sleep(FIRST_PAUSE_SECONDS * 2 ** (n - 1) * self._real.jitter())
        return self._refuse(api, judge(fault, api.sends, self._real.now(), self._daily_rest, self._codes))

    def hold_back(self, api: Api, result: SendResult, until: datetime) -> None:
        """Let nobody call ``api`` before ``until`` (real time); they are told ``result`` instead."""
        self._open.clear()
        with Session(self._engine) as session, session.begin():
            platform.hold_back(session, self._app_id, api.name, result.outcome, result.errcode, result.detail, until)

    def release(self, api: Api) -> None:
        """Forget what holds ``api`` and the host."""
        with Session(self._engine) as session, session.begin():
            platform.release_hold(session, self._app_id, api.name)

    def _enter(self, api: Api, urgent: bool) -> tuple[int, int] | Refusal:
        """How many tries are allowed and how many failures in a row are known, or the hold."""
        if urgent or not api.rests:
            return 1 if urgent else api.tries, 1
        now = self._real.now()
        if self._believed_open(api, now):
            return api.tries, 0
        with self._asking:  # one of many threads asks
            if self._believed_open(api, now):
                return api.tries, 0
            entry = self._ask(api, now)
            if entry == (api.tries, 0):
                self._open[api.name] = now + self._real.believes
            return entry

    def _believed_open(self, api: Api, now: datetime) -> bool:
        until = self._open.get(api.name)
        return until is not None and now < until

    def _ask(self, api: Api, now: datetime) -> tuple[int, int] | Refusal:
        with Session(self._engine) as session, session.begin():
            own, host, alarm = platform.holds(session, self._app_id, api.name)
            if alarm:
                self._alarmed.add(api.name)
            if own and own.until and own.until > now:
                return _held(own, own.until)
            failures = host.failures if host else 0
            if host is None or failures < BREAKER_FAILURES:
                return api.tries, failures
            if platform.claim_probe(session, self._app_id, now, now + BREAKER_REST):
                return 1, failures
            return _held(host, max(host.until or now, now + timedelta(seconds=1)))

    def _note(self, fault: Fault, failures: int) -> int:
        if fault.kind not in NOT_THROUGH:
            self._got_through(failures)
            return 0
        self._open.clear()
        until = self._real.now() + BREAKER_REST
        with Session(self._engine) as session, session.begin():
            platform.count_failure(
                session, self._app_id, Outcome.BACK_OFF, fault.detail, BREAKER_FAILURES, until
            )
        return failures + 1

    def _got_through(self, failures: int) -> None:
        if failures:
            with Session(self._engine) as session, session.begin():
                platform.clear_failures(session, self._app_id)

    def _mended(self, api: Api) -> None:
        if api.name in self._alarmed:
            self._alarmed.discard(api.name)
            with Session(self._engine) as session, session.begin():
                platform.end_alarm(session, self._app_id, api.name)

    def _refuse(self, api: Api, refusal: Refusal) -> Refusal:
        result = refusal.result
        if result.retry_at and api.rests:
            self.hold_back(api, result, result.retry_at)
        log.warning(
            "platform.refused", api=api.name, outcome=result.outcome.value, errcode=result.errcode, detail=result.detail
        )
        self._observe(api.name, refusal)
        return refusal


def _held(hold: platform.Hold, until: datetime) -> Refusal:
    outcome = Outcome(hold.outcome)
    retry_at = until if outcome is Outcome.BACK_OFF else None
    return Refusal(Kind.HELD, SendResult(outcome, hold.errcode, hold.detail, retry_at))
