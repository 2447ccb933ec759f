"""Notifications about bills that ended: kept as rows, sent by threads, repeated on the platform's own plan.

The plan runs on business time, so that moving the clock brings the repeats; signatures live by real time.
"""

import json
import logging
import secrets
import threading
import time
from datetime import timedelta
from typing import Any

import requests
from sqlalchemy import Connection

from bot.simulator import faults
from bot.simulator.config import SimMerchant
from bot.simulator.pay import bills, crypto
from bot.simulator.peer import Peer
from bot.simulator.store import Row, dump, row, rows, run

API = "pay/notify"
PLAN = (0, 15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)
"""Seconds between tries: 24 h 4 min in all."""
LATE_SECONDS = 300
_PATIENCE = 5.0
_CLAIM = timedelta(seconds=20)

_log = logging.getLogger(__name__)


def queue(peer: Peer, connection: Connection, bill: Row) -> None:
    """A notification about a bill that reached its end, unless the merchant wants none."""
    fault = faults.take(connection, API)
    twist = fault.kind if fault else ""
    if not bill["notify_url"] or twist == "never":
        return
    add(peer, connection, bill, twist)


def add(peer: Peer, connection: Connection, bill: Row, twist: str = "") -> None:
    """Put a notification on its way, also one that was sent before (with an id of its own)."""
    told = bills.told(bill, bill["mch_id"])
    if twist == "wrong_amount":
        told["transfer_amount"] += 1
    due = peer.now() + timedelta(seconds=LATE_SECONDS if twist == "late" else 0)
    run(connection, """
        insert into sim.pay_notices (id, mch_id, out_bill_no, bill, url, due_at, twist, created_at)
        values (:id, :mch_id, :number, cast(:bill as jsonb), :url, :due, :twist, :now)""",
        id=secrets.token_hex(18), mch_id=bill["mch_id"], number=bill["out_bill_no"], bill=dump(told),
        url=bill["notify_url"], due=due, twist=twist, now=peer.now())


def send_due(peer: Peer) -> None:
    """Start sending what is due, in the background. Call after a commit."""
    with peer.store.begin() as connection:
        found = rows(connection, """
            update sim.pay_notices set tries = tries + 1, due_at = :claimed where id in (
                select id from sim.pay_notices where state = 'sending' and due_at <= :now
                order by position limit 16 for update skip locked) returning *""",
            now=peer.now(), claimed=peer.now() + _CLAIM)
    for notice in found:
        merchant = peer.config.merchant(notice["mch_id"])
        if merchant is not None:
            threading.Thread(target=_work, args=(peer, merchant, notice), name="sim-pay-notice", daemon=True).start()


def _work(peer: Peer, merchant: SimMerchant, notice: Row) -> None:
    try:
        for number in range(5 if notice["twist"] == "five" else 1):
            tried = _post(peer, merchant, notice, probe=notice["twist"] == "probe" and notice["tries"] == 1)
            _note(peer, notice, tried | {"repeat": number} if number else tried)
    except Exception:  # noqa: BLE001 - a thread has nobody above it, and the row keeps the work
        _log.exception("a payment notification of the simulator failed; it is tried again")


def _post(peer: Peer, merchant: SimMerchant, notice: Row, *, probe: bool) -> dict[str, Any]:
    """One try; what came of it. Never raises for what the service does."""
    resource = crypto.seal(merchant.api_v3_key, json.dumps(notice["bill"], ensure_ascii=False), "mch_payment")
    body = json.dumps({
        "id": notice["id"], "create_time": notice["bill"]["update_time"], "resource_type": "encrypt-resource",
        "event_type": "MCHTRANSFER.BILL.FINISHED", "summary": "商家转账单据终态通知",
        "resource": {**resource, "original_type": "mch_payment"}}, ensure_ascii=False).encode()
    headers = crypto.signed(merchant.platform_key, merchant.signs_as, body, int(peer.real_now().timestamp()),
                            probe=probe)
    began = time.monotonic()
    try:
        with requests.Session() as http:
            http.trust_env = False
            answer = http.post(notice["url"], data=body, headers={**headers, "Content-Type": "application/json"},
                               timeout=_PATIENCE, allow_redirects=False)
        status, said = answer.status_code, answer.text[:400]
    except (requests.RequestException, OSError) as error:
        status, said = 0, type(error).__name__
    return {"status": status, "answer": said, "millis": round((time.monotonic() - began) * 1000), "probe": probe}


def _note(peer: Peer, notice: Row, tried: dict[str, Any]) -> None:
    """Keep the try, for the inspector too; plan the next one unless it was taken."""
    good = tried["status"] in (200, 204)
    number = notice["tries"]
    state = "done" if good else "gone" if number >= len(PLAN) else "sending"
    with peer.store.begin() as connection:
        run(connection, """
            update sim.pay_notices set state = case when state = 'done' then state else :state end, due_at = :due,
                log = log || cast(:entry as jsonb) where id = :id""",
            id=notice["id"], state=state, entry=dump([tried]),
            due=peer.now() + timedelta(seconds=PLAN[min(number, len(PLAN) - 1)]))
        detail = {"method": "POST", "url": notice["url"], "request": {"id": notice["id"], "resource": notice["bill"]},
                  "response": tried["answer"], "client": ""}
        run(connection, """
            insert into sim.calls (rid, openid, api, errcode, status, millis, detail, started_at)
            values (:rid, :openid, :api, :errcode, :status, :millis, cast(:detail as jsonb), :real)""",
            rid=f"notice-{notice['id']}", openid=notice["bill"]["openid"], api=API, errcode=0 if good else -1,
            status=tried["status"], millis=tried["millis"], detail=dump(detail), real=peer.real_now())


def of_bill(connection: Connection, mch_id: str, number: str) -> list[Row]:
    return rows(connection, """
        select id, state, tries, twist, bill ->> 'state' as told, log #>> '{-1,status}' as status
        from sim.pay_notices where mch_id = :mch_id and out_bill_no = :number order by position""",
        mch_id=mch_id, number=number)


def resend(peer: Peer, connection: Connection, mch_id: str, number: str) -> bool:
    """Once more, as late as you like; False when the bill has no end yet."""
    bill = row(connection, "select * from sim.transfers where mch_id = :mch_id and out_bill_no = :number",
               mch_id=mch_id, number=number)
    if bill is None or bill["state"] not in bills.FINAL or not bill["notify_url"]:
        return False
    add(peer, connection, bill)
    return True
