"""The page's own API of the payment side: the card on a phone, the merchant's money, bills and their notifications.

  POST /api/pay/confirm  {out_bill_no, openid, take}  the person takes the money, or leaves it (it closes after a day)
  GET  /api/pay          {merchants: [{mch_id, balance_fen, bills}], apis, faults, twists}
  POST /api/pay/top-up   {mch_id, fen} · /empty {mch_id}: the merchant's money
  POST /api/pay/fail     {mch_id, out_bill_no, reason}: the platform ends a bill that waits
  POST /api/pay/notify   {mch_id, out_bill_no}: the notification of an ended bill, once more
"""

from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy import Connection

from bot.simulator import faults, people, texts
from bot.simulator.errors import SimError
from bot.simulator.fields import Fields
from bot.simulator.pay import bills, door, notices
from bot.simulator.pay.errors import PayError
from bot.simulator.peer import Peer
from bot.simulator.store import Row, row, rows

MAX_TOP_UP_FEN = 100_000_000
REASONS = ("PAYEE_ACCOUNT_ABNORMAL", "REAL_NAME_CHECK_FAIL", "TRANSFER_RISK")


def add_pay(bp: Blueprint, peer: Peer) -> None:
    """Hang the API and the page's payment calls on the blueprint."""

    @bp.route("/pay/v3/<path:path>", methods=["GET", "POST", "PUT", "DELETE"])
    def api(path: str) -> Response:
        return door.answer(peer, path)

    @bp.get("/api/pay")
    def show() -> Response:
        with peer.store.begin() as connection:
            merchants = [{"mch_id": one.mch_id, "balance_fen": bills.balance(connection, one.mch_id),
                          "bills": [_listed(connection, bill) for bill in _latest(connection, one.mch_id)]}
                         for one in peer.config.merchants]
            return jsonify(merchants=merchants, apis=door.APIS, faults=faults.active(connection))

    @bp.post("/api/pay/confirm")
    def confirm() -> Response:
        fields = Fields()
        return jsonify(_confirm(peer, fields.text("openid"), fields.text("out_bill_no"), fields.flag("take")))

    add_merchant(bp, peer)


def add_merchant(bp: Blueprint, peer: Peer) -> None:
    """Hang what the merchant's console and the platform can do on the blueprint."""

    @bp.post("/api/pay/top-up")
    def top_up() -> Response:
        fields = Fields()
        fen = fields.whole("fen")
        if not 1 <= fen <= MAX_TOP_UP_FEN:
            raise SimError(422, texts.BAD_TOP_UP)
        with peer.store.begin() as connection:
            return jsonify(balance_fen=bills.balance(connection, _mch_id(peer, fields), fen))

    @bp.post("/api/pay/empty")
    def empty() -> Response:
        mch_id = _mch_id(peer, Fields())
        with peer.store.begin() as connection:
            left = bills.balance(connection, mch_id)
            return jsonify(balance_fen=bills.balance(connection, mch_id, -left))

    @bp.post("/api/pay/fail")
    def fail() -> Response:
        fields = Fields()
        reason = fields.text("reason", REASONS[0])
        if reason not in REASONS:
            raise SimError(422, texts.BAD_FAULT)
        with peer.store.begin() as connection:
            bill = _bill(peer, connection, fields)
            if bill["state"] != "WAIT_USER_CONFIRM":
                raise SimError(409, texts.BILL_ENDED)
            notices.queue(peer, connection, bills.fail(connection, bill, reason, peer.now()))
        notices.send_due(peer)
        return jsonify(state="FAIL")

    @bp.post("/api/pay/notify")
    def notify() -> Response:
        fields = Fields()
        with peer.store.begin() as connection:
            if not notices.resend(peer, connection, _mch_id(peer, fields), fields.text("out_bill_no")):
                raise SimError(409, texts.BILL_OPEN)
        notices.send_due(peer)
        return jsonify(sent=True)


def _confirm(peer: Peer, openid: str, number: str, take: bool) -> dict[str, Any]:
    """The person's answer to the card. Leaving it changes nothing: the bill closes by itself."""
    with peer.store.begin() as connection:
        bill = row(connection, "select * from sim.transfers where out_bill_no = :number and openid = :openid",
                   number=number, openid=openid)
        if bill is None:
            raise SimError(404, texts.NO_BILL)
        if not take:
            return {"state": bill["state"]}
        taken = bills.confirm(connection, bill["mch_id"], number, peer.now())
        if taken is None:
            raise SimError(409, texts.BILL_ENDED)
        amount = f"{taken['amount_fen'] // 100}.{taken['amount_fen'] % 100:02d}"
        people.say(connection, openid, "system", "note", {"content": texts.TRANSFER_TAKEN.format(yuan=amount)},
                   peer.now())
        notices.queue(peer, connection, taken)
    notices.send_due(peer)
    return {"state": "SUCCESS"}


def sweep(peer: Peer) -> None:
    """What time brings: bills close, notifications are repeated."""
    if not peer.config.merchants:
        return
    with peer.store.begin() as connection:
        for ended in bills.close_old(connection, peer.now()):
            notices.queue(peer, connection, ended)
    notices.send_due(peer)


def transfers(connection: Connection) -> list[Row]:
    """Where the newest transfers stand: their cards change in place."""
    return rows(connection, "select openid, out_bill_no, state from sim.transfers where bubble_id is not null "
                "order by position desc limit 40")


def _latest(connection: Connection, mch_id: str) -> list[Row]:
    return rows(connection, "select * from sim.transfers where mch_id = :mch_id order by position desc limit 50",
                mch_id=mch_id)


def _listed(connection: Connection, bill: Row) -> dict[str, Any]:
    person = people.find(connection, bill["openid"])
    return {"out_bill_no": bill["out_bill_no"], "state": bill["state"], "amount_fen": bill["amount_fen"],
            "remark": bill["remark"], "name": person["name"] if person else "", "fail_reason": bill["fail_reason"],
            "created_at": bill["created_at"].isoformat(),
            "notices": notices.of_bill(connection, bill["mch_id"], bill["out_bill_no"])}


def _mch_id(peer: Peer, fields: Fields) -> str:
    first = peer.config.merchants[0].mch_id if peer.config.merchants else ""
    mch_id = fields.text("mch_id", first)
    if peer.config.merchant(mch_id) is None:
        raise SimError(404, texts.NO_MERCHANT)
    return mch_id


def _bill(peer: Peer, connection: Connection, fields: Fields) -> Row:
    try:
        return bills.get(connection, _mch_id(peer, fields), fields.text("out_bill_no"))
    except PayError:
        raise SimError(404, texts.NO_BILL) from None
