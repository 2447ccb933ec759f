"""The payment provider's door: ``POST /pay/<account>/notify``. Verify, take in once, acknowledge.

Answers are those that WeChat Pay expects: 200 when the notification was taken (also the tenth time, also when it says
something that we do not believe: that is for people to find out, and a repeat would not change it), 403 when it is
nobody's. Only a database that is away gives a 5xx, so that the provider comes again.
"""

import hashlib
from collections.abc import Callable, Collection
from datetime import datetime

import structlog
from flask import Blueprint, Response, jsonify, request
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from bot.kit.pay import BadNotification, MalformedNotification, Notification, PayGateways
from bot.runtime import metrics
from domain.paychannel import service as channel
from domain.payouts import reconcile
from domain.payouts.service import Change
from domain.shared import outbox

MAX_BODY_BYTES = 64 * 1024
"""A notification has about one kilobyte."""
PATIENCE = "set local lock_timeout = '3s'"
"""The provider waits five seconds; whoever holds the bill meanwhile will hear of it again."""

log = structlog.get_logger(__name__)


def blueprint(
    gateways: PayGateways, sessions: sessionmaker[Session], now: Callable[[], datetime],
    ring: Callable[[Collection[str]], object],
) -> Blueprint:
    """The route for every merchant account; unknown accounts are 404."""
    door = Blueprint("pay_notify", __name__)

    @door.post("/pay/<account>/notify")
    def receive(account: str) -> Response:
        gateway = gateways.by_account.get(account)
        if gateway is None:
            return Response(status=404)
        body = request.stream.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            return _refused(account, "too large", 413)
        try:
            notice = gateway.read_notification(dict(request.headers), body)
        except MalformedNotification as fault:
            _quarantine(account, body, str(fault))
            return Response(status=200)
        except BadNotification as fault:
            return _refused(account, str(fault), 403)
        _take(account, notice)
        return Response(status=200)

    def _take(account: str, notice: Notification) -> None:
        with sessions.begin() as session:
            session.execute(text(PATIENCE))
            change = reconcile.notified(session, account, notice.id, notice.view, now())
        ring(outbox.rung(session))
        _tell(account, notice, change)

    def _quarantine(account: str, body: bytes, reason: str) -> None:
        metrics.pay_answer(account, "notify", "quarantined")
        log.error("pay.quarantined", account=account, reason=reason)
        name = f"bad:{hashlib.sha256(body).hexdigest()[:40]}"
        with sessions.begin() as session:
            if channel.first_time(session, account, name, now()):
                channel.noted(session, account, name, "quarantined", reason=reason)

    return door


def _tell(account: str, notice: Notification, change: Change | None) -> None:
    what = change.what if change else "repeat"
    metrics.pay_answer(account, "notify", what)
    facts = {"account": account, "bill": notice.view.out_bill_no, "state": notice.view.state.value, "what": what}
    if change is not None and change.alarming:
        log.error("pay.notification_not_believed", detail=change.detail, **facts)
    else:
        log.info("pay.notified", **facts)


def _refused(account: str, reason: str, status: int) -> Response:
    log.info("pay.refused", account=account, reason=reason)
    metrics.pay_answer(account, "notify", "refused")
    response = jsonify(code="FAIL", message=reason)
    response.status_code = status
    return response
