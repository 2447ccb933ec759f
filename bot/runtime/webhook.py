"""The Official Account's door: ``/wechat/<account>``. Bytes in, bytes out; every rule is elsewhere."""

import hashlib
import time
from collections.abc import Mapping
from datetime import datetime

import structlog
from flask import Blueprint, Response, request
from sqlalchemy.orm import Session, sessionmaker

from bot.runtime import metrics
from bot.runtime.channels import wechat
from bot.runtime.channels.faults import Malformed, Refused, TooLarge
from bot.runtime.dispatch import Dispatcher
from domain.inbox import service as inbox

log = structlog.get_logger(__name__)


def blueprint(keys: Mapping[str, wechat.AccountKeys], dispatcher: Dispatcher,
              sessions: sessionmaker[Session]) -> Blueprint:
    """Routes for every account in ``keys``; unknown accounts are 404."""
    door = Blueprint("wechat", __name__)

    @door.get("/wechat/<account>")
    def verify(account: str) -> Response:
        if account not in keys:
            return _plain(b"", 404)
        try:
            return _plain(wechat.verify_url(keys[account], request.args, int(time.time())).encode())
        except Refused as fault:
            return _refused(account, fault)

    @door.post("/wechat/<account>")
    def receive(account: str) -> Response:
        if account not in keys:
            return _plain(b"", 404)
        now, started = dispatcher.now(), time.perf_counter()
        try:
            body = _body()
            opened = wechat.open_callback(keys[account], request.args, body, int(time.time()))
        except TooLarge:
            metrics.inbox("too_large")
            return _plain(b"", 413)
        except Refused as fault:
            return _refused(account, fault)
        except Malformed as fault:
            _quarantine(account, fault, now)
            return _plain(wechat.ACKNOWLEDGED)
        if keys[account].mode == "plain" and not _fresh_nonce(account, opened, now):
            return _refused(account, Refused("replayed"))
        answer = _plain(opened.seal(dispatcher.handle(opened.incoming)))
        metrics.ack("wechat", time.perf_counter() - started)
        return answer

    def _fresh_nonce(account: str, opened: wechat.Opened, now: datetime) -> bool:
        with sessions.begin() as session:
            return inbox.nonce_is_new(session, account, opened.replay_key, opened.body_digest, now)

    def _quarantine(account: str, fault: Malformed, now: datetime) -> None:
        log.warning("webhook.quarantined", account=account, reason=fault.reason)
        metrics.inbox("quarantined")
        digest = hashlib.sha256(fault.raw.encode(errors="surrogatepass")).hexdigest()
        with sessions.begin() as session:
            inbox.quarantine(session, account, f"bad:{digest}", fault.raw, fault.reason, now)

    return door


def _body() -> bytes:
    """The raw body, never more than the cap plus one byte, also when it is chunked."""
    if (request.content_length or 0) > wechat.MAX_BODY_BYTES:
        raise TooLarge
    return request.stream.read(wechat.MAX_BODY_BYTES + 1)


def _refused(account: str, fault: Refused) -> Response:
    log.info("webhook.refused", account=account, reason=str(fault))
    metrics.inbox("refused")
    return _plain(b"", 403)


def _plain(body: bytes, status: int = 200) -> Response:
    kind = "text/xml; charset=utf-8" if body.startswith(b"<") else "text/plain; charset=utf-8"
    return Response(body, status, content_type=kind)
