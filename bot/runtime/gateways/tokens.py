"""The one holder of an app's access token, shared by all processes through PostgreSQL, sealed at rest.

The platform's stable_token gives the same token to everybody until five minutes before its end, so a second
refresh does no harm; a *forced* one kills the token in use and is rationed, hence the rules in ``renew``.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.kit.gateway import Outcome, SendResult
from bot.runtime.gateways.account import AccountConfig, RealTime
from bot.runtime.gateways.attempts import Api, Attempts
from bot.runtime.gateways.faults import EXPIRED_TOKEN, Answer, Kind, Refusal
from bot.runtime.gateways.locks import Locks, LockTimeout
from bot.runtime.gateways.transport import Act, PlatformClient
from bot.runtime.gateways.vault import Vault
from domain.platform import service as platform
from domain.platform.service import StoredToken
from domain.shared.clock import business_date
from domain.shared.records import record

STABLE_TOKEN = Api("stable_token")
FORCED_TOKEN = Api("stable_token", tries=1)
"""Every forced try counts on the platform's side, so it is never repeated."""

SKEW = timedelta(minutes=5)
LONGEST = timedelta(hours=2)
FORCED_A_DAY = 20
FORCED_GAP, FORCED_GAP_MOST = timedelta(seconds=30), timedelta(hours=1)
CONFIG_REST = timedelta(seconds=30)
"""How long nobody asks again after the platform refused our app id, secret or address."""

_TOKEN = re.compile(r"[\x21-\x7e]{1,2048}")


@record
class TokenHealth:
    """What a check of the token found. ``skew_seconds``: the platform's clock less ours, if it gave its date."""

    expires_at: datetime
    skew_seconds: float | None


@dataclass(frozen=True, slots=True, repr=False)
class _Opened:
    token: str
    row: StoredToken


class Grant(Protocol):
    """How an app asks its platform for a token. ``forced``: the api that kills the token in use, None if there is none.
    """

    @property
    def api(self) -> Api: ...

    @property
    def forced(self) -> Api | None: ...

    def asking(self, force: bool) -> Act: ...


class StableToken:
    """The Official Account's way."""

    api, forced = STABLE_TOKEN, FORCED_TOKEN

    def __init__(self, app_id: str, secret: str) -> None:
        self._app_id, self._secret = app_id, secret

    def asking(self, force: bool) -> Act:
        body = {
            "grant_type": "client_credential",
            "appid": self._app_id,
            "secret": self._secret,
            "force_refresh": force,
        }

        def ask(client: PlatformClient) -> Answer:
            # Parameters that are no dict keep the SDK from adding a token to this call.
            answer: Answer = client.post("stable_token", params=(), data=body)
            return answer

        return ask


class TokenHolder:
    """Reads, refreshes and replaces the token of one app. Times are real time."""

    def __init__(
        self, config: AccountConfig, engine: Engine, vault: Vault, attempts: Attempts, locks: Locks, real: RealTime,
        grant: Grant | None = None,
    ) -> None:
        self._app_id = config.app_id
        self._grant: Grant = grant or StableToken(config.app_id, config.app_secret)
        self._engine = engine
        self._vault = vault
        self._attempts = attempts
        self._locks = locks
        self._real = real
        self._label = f"access token of {config.app_id}"
        self._asking = threading.Lock()
        self._believed: tuple[str, datetime] | None = None
        """What the database told last, and how long it is not asked again."""

    def current(self) -> str | Refusal:
        """A token that is good for a while, fetched when needed by one caller of all processes.

        While the stored token is still valid, a refresh that fails is no reason to stop: the old one is given.
        """
        believed = self._believed
        if believed and self._real.now() < believed[1]:
            return believed[0]
        with self._asking:  # one of many threads asks
            believed, now = self._believed, self._real.now()
            if believed and now < believed[1]:
                return believed[0]
            stored = self._read()
            if stored and now < stored.row.fresh_until:
                self._believed = stored.token, min(now + self._real.believes, stored.row.fresh_until)
                return stored.token
        fetched = self._locked(self._fetch_unless_fresh)
        if isinstance(fetched, Refusal) and stored and self._real.now() < stored.row.expires_at:
            return stored.token
        return fetched if isinstance(fetched, Refusal) else fetched.token

    def renew(self, failing: str, errcode: int) -> str | Refusal:
        """The platform refused ``failing``: another token, or why there is none. Calls the platform once at most.

        Whoever comes first refreshes; the others find a token that is not theirs and take it. An expired token
        is replaced in the normal way; any other is forced while the ration lasts.
        """
        self._believed = None
        renewed = self._locked(lambda: self._fetch_instead_of(failing, errcode))
        return renewed if isinstance(renewed, Refusal) else renewed.token

    def ping(self) -> TokenHealth | Refusal:
        """Ask the platform now, whatever is stored or held, and keep its answer. For an operator's check."""
        asked = self._locked(lambda: self._fetch(self._read(), urgent=True))
        if isinstance(asked, Refusal):
            return asked
        self._attempts.release(self._grant.api)
        return TokenHealth(asked.row.expires_at, self._attempts.skew_seconds)

    def _locked(self, work: Callable[[], _Opened | Refusal]) -> _Opened | Refusal:
        try:
            with self._locks.hold(f"token {self._app_id}"):
                return work()
        except LockTimeout:
            retry_at = self._real.now() + CONFIG_REST
            return Refusal(Kind.HELD, SendResult(Outcome.BACK_OFF, 0, "another refresh hangs", retry_at))

    def _fetch_unless_fresh(self) -> _Opened | Refusal:
        stored = self._read()
        if stored and self._real.now() < stored.row.fresh_until:
            return stored
        return self._fetch(stored)

    def _fetch_instead_of(self, failing: str, errcode: int) -> _Opened | Refusal:
        stored = self._read()
        now = self._real.now()
        if stored and stored.token != failing and now < stored.row.expires_at:
            return stored
        refused = stored if stored and stored.token == failing else None
        force = (refused is not None and self._grant.forced is not None and errcode != EXPIRED_TOKEN
                 and _may_force(refused.row, now))
        fetched = self._fetch(stored, force=force)
        if isinstance(fetched, Refusal) or fetched.token != failing:
            return fetched
        retry_at = self._real.now() + FORCED_GAP
        return Refusal(Kind.HELD, SendResult(Outcome.BACK_OFF, errcode, "no other token to be had yet", retry_at))

    def _fetch(self, stored: _Opened | None, *, force: bool = False, urgent: bool = False) -> _Opened | Refusal:
        """Ask the platform; keep and return what it gives. The caller is inside the lock."""
        asked_at = self._real.now()
        if force and stored:
            stored = self._spend_force(stored, asked_at)
        api = self._grant.forced if force and self._grant.forced else self._grant.api
        answer = self._attempts.run(api, self._grant.asking(force), "", urgent=urgent)
        if isinstance(answer, Refusal):
            return self._explain(answer)
        row = self._row_of(answer, asked_at, stored)
        if row is None:
            retry_at = asked_at + CONFIG_REST
            return Refusal(Kind.UNCERTAIN, SendResult(Outcome.BACK_OFF, 0, "unreadable token", retry_at))
        self._keep(row.row)
        return row

    def _row_of(self, answer: Answer, asked_at: datetime, stored: _Opened | None) -> _Opened | None:
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if not (isinstance(token, str) and _TOKEN.fullmatch(token) and type(seconds) is int and seconds > 0):
            return None
        life = min(timedelta(seconds=seconds), LONGEST)
        row = StoredToken(
            sealed=self._vault.seal(token, self._label),
            # A token near its end is asked for again half-way, not at once and for ever.
            fresh_until=asked_at + max(life - SKEW, life / 2),
            expires_at=asked_at + life,
            forced_at=stored.row.forced_at if stored else None,
            forced_count=stored.row.forced_count if stored else 0,
        )
        return _Opened(token, row)

    def _spend_force(self, stored: _Opened, now: datetime) -> _Opened:
        """Written before the call: a forced refresh whose answer is lost has been spent all the same."""
        row = replace(stored.row, forced_at=now, forced_count=_forced_on_day_of(stored.row, now) + 1)
        self._keep(row)
        return _Opened(stored.token, row)

    def _explain(self, refusal: Refusal) -> Refusal:
        """No token for a reason that only a person can mend: CONFIG, and a rest for everybody."""
        result = refusal.result
        if refusal.kind is Kind.HELD or result.outcome not in (Outcome.CONFIG, Outcome.REJECTED):
            return refusal
        result = replace(result, outcome=Outcome.CONFIG)
        self._attempts.hold_back(self._grant.api, result, self._real.now() + CONFIG_REST)
        # Not Kind.TOKEN: 40001 here means the secret, and another token will not help.
        return Refusal(Kind.ANSWERED, result)

    def _read(self) -> _Opened | None:
        with Session(self._engine) as session, session.begin():
            row = platform.token_of(session, self._app_id)
        token = self._vault.open(row.sealed, self._label) if row else None
        return _Opened(token, row) if row and token else None

    def _keep(self, row: StoredToken) -> None:
        with Session(self._engine) as session, session.begin():
            platform.keep_token(session, self._app_id, row)


def _forced_on_day_of(row: StoredToken, now: datetime) -> int:
    if row.forced_at is None or business_date(row.forced_at) != business_date(now):
        return 0
    return row.forced_count


def _may_force(row: StoredToken, now: datetime) -> bool:
    """30 s after the last forced refresh, then double each time of a day, 20 at most: so a fault that refreshing
    does not mend leaves some of the day's ration for one that it does."""
    if row.forced_at is None:
        return True
    count = _forced_on_day_of(row, now)
    gap = min(FORCED_GAP * 2 ** max(count - 1, 0), FORCED_GAP_MOST)
    return count < FORCED_A_DAY and now >= row.forced_at + gap
