"""The one holder of an app's page ticket (jsapi_ticket), shared by all processes through PostgreSQL, sealed at rest.

The platform gives few of them a day and each lives two hours, so it is fetched early, by one caller of all, and kept
while it is valid when a fetch fails. The ticket never leaves the server: pages get a signature made with it.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.kit.gateway import Outcome, SendResult
from bot.runtime.gateways.account import RealTime
from bot.runtime.gateways.attempts import Api
from bot.runtime.gateways.calls import Calls
from bot.runtime.gateways.faults import Answer, Kind, Refusal
from bot.runtime.gateways.locks import Locks, LockTimeout
from bot.runtime.gateways.transport import PlatformClient
from bot.runtime.gateways.vault import Vault
from domain.platform import service as platform
from domain.platform.service import StoredTicket

TICKET = Api("ticket/getticket")
SKEW, LONGEST = timedelta(minutes=5), timedelta(hours=2)
REST = timedelta(seconds=30)
_SHAPE = re.compile(r"[\x21-\x7e]{1,512}")


def signature(ticket: str, nonce: str, timestamp: int, url: str) -> str:
    """SHA-1 over the four values in the order of their names, unescaped, as the platform documents it for the JS-SDK.
    ``url`` is the page's address without its fragment."""
    said = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={url}"
    return hashlib.sha1(said.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True, repr=False)
class _Opened:
    ticket: str
    row: StoredTicket


class TicketHolder:
    """Reads and refreshes the page ticket of one app. Times are real time."""

    def __init__(self, app_id: str, engine: Engine, vault: Vault, calls: Calls, locks: Locks, real: RealTime) -> None:
        self._app_id, self._engine, self._vault = app_id, engine, vault
        self._calls, self._locks, self._real = calls, locks, real
        self._label = f"page ticket of {app_id}"

    def current(self) -> str | Refusal:
        """A ticket that is good for a while. While the stored one is valid, a refresh that fails is no reason to stop.
        """
        stored = self._read()
        if stored and self._real.now() < stored.row.fresh_until:
            return stored.ticket
        try:
            with self._locks.hold(f"ticket {self._app_id}"):
                fetched = self._fetch_unless_fresh()
        except LockTimeout:
            fetched = self._later("another refresh hangs")
        if isinstance(fetched, Refusal) and stored and self._real.now() < stored.row.expires_at:
            return stored.ticket
        return fetched if isinstance(fetched, Refusal) else fetched.ticket

    def _fetch_unless_fresh(self) -> _Opened | Refusal:
        stored = self._read()
        return stored if stored and self._real.now() < stored.row.fresh_until else self._fetch()

    def _fetch(self) -> _Opened | Refusal:
        asked_at = self._real.now()

        def ask(client: PlatformClient) -> Answer:
            answer: Answer = client.get("ticket/getticket", params={"type": "jsapi"})
            return answer

        answer = self._calls.run(TICKET, ask)
        if isinstance(answer, Refusal):
            return answer
        ticket, seconds = answer.get("ticket"), answer.get("expires_in")
        if not (isinstance(ticket, str) and _SHAPE.fullmatch(ticket) and type(seconds) is int and seconds > 0):
            return self._later("unreadable ticket")
        life = min(timedelta(seconds=seconds), LONGEST)
        fresh_until = asked_at + max(life - SKEW, life / 2)
        row = StoredTicket(self._vault.seal(ticket, self._label), fresh_until, asked_at + life)
        with Session(self._engine) as session, session.begin():
            platform.keep_ticket(session, self._app_id, row)
        return _Opened(ticket, row)

    def _later(self, detail: str) -> Refusal:
        return Refusal(Kind.HELD, SendResult(Outcome.BACK_OFF, 0, detail, self._real.now() + REST))

    def _read(self) -> _Opened | None:
        with Session(self._engine) as session, session.begin():
            row = platform.ticket_of(session, self._app_id)
        ticket = self._vault.open(row.sealed, self._label) if row else None
        return _Opened(ticket, row) if row and ticket else None
