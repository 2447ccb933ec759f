"""The platforms' doors: ``/wechat/<account>`` and ``/wecom/<account>``. Bytes in, bytes out; every rule is elsewhere.

``Door`` answers; the Flask blueprint and the express lane (``bot.runtime.express``) are two ways to the same door.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

import structlog
from flask import Blueprint, Response, request
from sqlalchemy.orm import Session, sessionmaker

from bot.kit.messages import Incoming, Reply
from bot.kit.records import record
from bot.runtime import metrics
from bot.runtime.channels.callback import ACKNOWLEDGED, MAX_BODY_BYTES
from bot.runtime.channels.faults import Malformed, Refused, TooLarge
from bot.runtime.dispatch import Dispatcher
from domain.inbox import service as inbox

log = structlog.get_logger(__name__)


class Body(Protocol):
    """What a request's body is read from."""

    def read(self, size: int = -1, /) -> bytes: ...


class Opened(Protocol):
    """A believed callback of either channel."""

    @property
    def incoming(self) -> Incoming: ...

    @property
    def unsigned(self) -> tuple[str, str] | None:
        """Replay key and digest, where the signature does not cover the body."""
        ...

    def seal(self, reply: Reply) -> bytes: ...


class Keys(Protocol):
    """What an account of either channel shares with us. Both methods raise the faults of ``channels.faults``."""

    @property
    def channel(self) -> str: ...

    @property
    def inbox(self) -> str: ...

    def verify(self, query: Mapping[str, str], now_ts: int) -> str: ...

    def open(self, query: Mapping[str, str], body: bytes, now_ts: int) -> Opened: ...


@record
class Said:
    """An HTTP answer before any server's dressing."""

    body: bytes
    status: int = 200

    @property
    def content_type(self) -> str:
        return "text/xml; charset=utf-8" if self.body.startswith(b"<") else "text/plain; charset=utf-8"


NOT_HERE, REFUSED, TOO_LARGE = Said(b"", 404), Said(b"", 403), Said(b"", 413)
HEARD = Said(ACKNOWLEDGED)

FAULT = "huitou.fault"
"""Where a request's environment holds what went wrong before Flask saw it."""


@record
class Door:
    """Who may speak to which account, and what they are answered. ``keys``: the accounts; others are 404. ``after`` is
    called when a message was handled: what it set off may be in a hurry."""

    keys: Mapping[str, Keys]
    dispatcher: Dispatcher
    sessions: sessionmaker[Session]
    after: Callable[[], object] | None = None

    def verify(self, account: str, query: Mapping[str, str]) -> Said:
        """The platform asks whether the address is ours."""
        if account not in self.keys:
            return NOT_HERE
        try:
            return Said(self.keys[account].verify(query, int(time.time())).encode())
        except Refused as fault:
            return _refused(account, fault)

    def receive(self, account: str, query: Mapping[str, str], length: int, stream: Body) -> Said:
        """A message or an event. ``length`` is what the request says of its body, 0 if nothing."""
        if account not in self.keys:
            return NOT_HERE
        keys, started = self.keys[account], time.perf_counter()
        try:
            opened = keys.open(query, _body(length, stream), int(time.time()))
        except TooLarge:
            metrics.inbox("too_large")
            return TOO_LARGE
        except Refused as fault:
            return _refused(account, fault)
        except Malformed as fault:
            self._quarantine(keys.inbox, fault, self.dispatcher.now())
            return HEARD
        unsigned = opened.unsigned
        if unsigned is not None and not self._fresh_nonce(account, unsigned, self.dispatcher.now()):
            return _refused(account, Refused("replayed"))
        answer = Said(opened.seal(self.dispatcher.handle(opened.incoming)))
        metrics.ack(keys.channel, time.perf_counter() - started)
        if self.after is not None:
            self.after()
        return answer

    def _fresh_nonce(self, account: str, unsigned: tuple[str, str], now: datetime) -> bool:
        with self.sessions.begin() as session:
            return inbox.nonce_is_new(session, account, *unsigned, now)

    def _quarantine(self, account: str, fault: Malformed, now: datetime) -> None:
        log.warning("webhook.quarantined", account=account, reason=fault.reason)
        metrics.inbox("quarantined")
        digest = hashlib.sha256(fault.raw.encode(errors="surrogatepass")).hexdigest()
        with self.sessions.begin() as session:
            inbox.quarantine(session, account, f"bad:{digest}", fault.raw, fault.reason, now)


def blueprint(channel: str, door: Door) -> Blueprint:
    """The Flask routes of a channel's door."""
    routes = Blueprint(channel, __name__, url_prefix=f"/{channel}")

    @routes.get("/<account>")
    def verify(account: str) -> Response:
        return _dressed(door.verify(account, request.args))

    @routes.post("/<account>")
    def receive(account: str) -> Response:
        if (fault := request.environ.get(FAULT)) is not None:
            raise fault
        return _dressed(door.receive(account, request.args, request.content_length or 0, request.stream))

    return routes


def _body(length: int, stream: Body) -> bytes:
    """The raw body, never more than the cap plus one byte, also when it is chunked."""
    if length > MAX_BODY_BYTES:
        raise TooLarge
    return stream.read(MAX_BODY_BYTES + 1)


def _refused(account: str, fault: Refused) -> Said:
    log.info("webhook.refused", account=account, reason=str(fault))
    metrics.inbox("refused")
    return REFUSED


def _dressed(said: Said) -> Response:
    return Response(said.body, said.status, content_type=said.content_type)
