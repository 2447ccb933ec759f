"""Everything the simulator sends to the service: kept as rows, sent by background threads, tried three times.

A row is written in the transaction of the act that caused it, so a message the phone shows is a message that
will be delivered: if the process dies, another one (or the next) finds the row and goes on.
"""

import json
import logging
import threading
import time
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from bot.simulator import callbacks, faults, people, pictures, texts
from bot.simulator.config import SimCorp
from bot.simulator.peer import Peer
from bot.simulator.store import Row, dump, row, rows, run
from bot.simulator.wecom import callbacks as wecom
from bot.simulator.wire import Fields, PassiveReply, to_xml

TRIES = 3
IN_FLIGHT = 64
"""Threads of one process; what comes beyond waits for the next sweep."""

_log = logging.getLogger(__name__)
_slots = threading.BoundedSemaphore(IN_FLIGHT)
_QUIET = {"unsubscribe", "VIEW", "view_miniprogram", "TEMPLATESENDJOBFINISH", "subscribe_msg_popup_event",
          "subscribe_msg_change_event", "subscribe_msg_sent_event"}
"""Events after which the platform shows the person nothing, whatever the answer is."""


def queue_message(peer: Peer, connection: Connection, person: Row, kind: str, fields: Fields) -> int:
    """A message of a person, with a MsgId that all its tries share. Returns the delivery's id."""
    number = row(connection, "select nextval('sim.deliveries_id_seq') as id")
    delivery_id = int(number["id"]) if number else 0
    body = to_xml([*_head(peer, person, kind), *fields, ("MsgId", _message_id(peer, delivery_id))])
    return _insert(peer, connection, person, "message", kind, body, delivery_id=delivery_id)


def _message_id(peer: Peer, delivery_id: int) -> int:
    """63 bits that never come back, not even when the simulator forgets everything: milliseconds, then a counter."""
    return int(peer.real_now().timestamp() * 1000) << 21 | delivery_id & 0x1F_FFFF


def queue_event(peer: Peer, connection: Connection, person: Row, event: str, fields: Fields) -> int:
    """An event about a person (it has no MsgId). Returns the delivery's id."""
    body = to_xml([*_head(peer, person, "event"), ("Event", event), *fields])
    return _insert(peer, connection, person, "quiet" if event in _QUIET else "event", event, body)


def queue_order_event(peer: Peer, connection: Connection, person: Row, order_id: str, event: dict[str, Any]) -> int:
    """An event of the mall, already complete. Returns the delivery's id."""
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return _insert(peer, connection, person, "order", event["type"], body, order_id=order_id, event_id=event["id"])


def queue_again(peer: Peer, connection: Connection, person: Row, delivery: Row) -> int:
    """The same order event once more, byte for byte."""
    return _insert(peer, connection, person, "order", delivery["label"], delivery["body"],
                   order_id=delivery["order_id"], event_id=delivery["event_id"])


def queue_corp_event(peer: Peer, connection: Connection, corp: SimCorp, openid: str, label: str, body: str) -> int:
    """An event of a corp about a person, already complete. Returns the delivery's id."""
    return _insert(peer, connection, {"openid": openid, "account": corp.account}, "corp", label, body)


def _head(peer: Peer, person: Row, kind: str) -> Fields:
    account = peer.account(person["account"])
    return [("ToUserName", account.original_id), ("FromUserName", person["openid"]),
            ("CreateTime", int(peer.now().timestamp())), ("MsgType", kind)]


def _insert(peer: Peer, connection: Connection, person: Row, kind: str, label: str, body: str, *,
            delivery_id: int | None = None, order_id: str = "", event_id: str = "") -> int:
    made = row(connection, """
        insert into sim.deliveries
            (id, kind, openid, account, label, body, event_id, order_id, state, claimed_until, started_at, at)
        values (coalesce(:id, nextval('sim.deliveries_id_seq')), :kind, :openid, :account, :label, :body,
            :event_id, :order_id, 'sending', :claimed, :real, :at) returning id""",
        id=delivery_id, kind=kind, openid=person["openid"], account=person["account"], label=label, body=body,
        event_id=event_id, order_id=order_id, claimed=peer.real_now() + _claim(peer), real=peer.real_now(),
        at=peer.now())
    return int(made["id"]) if made else 0


def _claim(peer: Peer) -> timedelta:
    """How long a try may take before another process may think its thread is dead."""
    return timedelta(seconds=peer.config.callback_timeout * 2 + 3)


def announce(peer: Peer, openid: str, event: str, fields: Fields) -> None:
    """Queue an event about a person in a transaction of its own, and send it."""
    with peer.store.begin() as connection:
        delivery_id = queue_event(peer, connection, people.get(connection, openid), event, fields)
    send(peer, [delivery_id])


def send(peer: Peer, delivery_ids: list[int], *, in_order: bool = False) -> None:
    """Start sending committed rows in the background: side by side, or one after the other."""
    for ids in ([delivery_ids] if in_order else [[one] for one in delivery_ids]):
        if not _slots.acquire(blocking=False):
            return
        threading.Thread(target=_work, args=(peer, ids), name="sim-delivery", daemon=True).start()


def sweep(peer: Peer, connection: Connection) -> list[int]:
    """Claim rows whose thread is gone. The caller commits and then sends them."""
    found = rows(connection, """
        update sim.deliveries set claimed_until = :until where id in (
            select id from sim.deliveries where state = 'sending' and claimed_until < :now
            order by id limit 16 for update skip locked) returning id""",
        now=peer.real_now(), until=peer.real_now() + _claim(peer))
    return sorted(one["id"] for one in found)


def _work(peer: Peer, delivery_ids: list[int]) -> None:
    try:
        for delivery_id in delivery_ids:
            _deliver(peer, delivery_id)
    except Exception:  # noqa: BLE001 - a thread has nobody above it, and the row keeps the work
        _log.exception("a delivery of the simulator failed; the sweep will take it up again")
    finally:
        _slots.release()


def _deliver(peer: Peer, delivery_id: int) -> None:
    while True:
        with peer.store.begin() as connection:
            delivery = row(connection, """
                update sim.deliveries set tries = tries + 1, claimed_until = :until
                where id = :id and state = 'sending' returning *""",
                id=delivery_id, until=peer.real_now() + _claim(peer))
        if delivery is None:
            return
        began = time.monotonic()
        attempt, reply = _try(peer, delivery)
        if attempt.verdict == callbacks.RETRY and delivery["tries"] < TRIES:
            _note(peer, delivery, attempt)
            time.sleep(max(0.0, peer.config.callback_timeout - (time.monotonic() - began)))
            continue
        _finish(peer, delivery, attempt, reply)
        return


def _try(peer: Peer, delivery: Row) -> tuple[callbacks.Attempt, PassiveReply | None]:
    if delivery["kind"] == "order":
        return callbacks.post_event(peer, delivery, delivery["tries"]), None
    reply, switch = None, faults.CALLBACK
    if delivery["kind"] == "corp":
        attempt, switch = wecom.call_back(peer, delivery, delivery["tries"]), faults.WECOM_CALLBACK
    else:
        attempt, reply = callbacks.call_back(peer, delivery, delivery["tries"])
    with peer.store.begin() as connection:
        dropped = faults.take(connection, switch) is not None
    if dropped:
        attempt.verdict, attempt.note, reply = callbacks.RETRY, texts.ANSWER_DROPPED, None
    return attempt, reply


def _note(peer: Peer, delivery: Row, attempt: callbacks.Attempt) -> None:
    with peer.store.begin() as connection:
        run(connection, "update sim.deliveries set log = log || cast(:entry as jsonb) where id = :id",
            id=delivery["id"], entry=dump([attempt.to_json()]))


def _finish(peer: Peer, delivery: Row, attempt: callbacks.Attempt, reply: PassiveReply | None) -> None:
    """Show what came of it, and close the row, in one transaction."""
    with peer.store.begin() as connection:
        if reply is not None and not _show(peer, connection, delivery, reply):
            attempt.verdict, attempt.note = callbacks.BROKEN, "MediaId is unknown or expired"
        good = attempt.verdict in (callbacks.SILENT, callbacks.REPLY)
        if not good and delivery["kind"] in ("message", "event"):
            people.say(connection, delivery["openid"], "system", "failure", {"content": texts.SERVICE_DOWN},
                       peer.now())
        run(connection, """
            update sim.deliveries set state = :state, log = log || cast(:entry as jsonb) where id = :id""",
            id=delivery["id"], state="done" if good else "failed", entry=dump([attempt.to_json()]))


def _show(peer: Peer, connection: Connection, delivery: Row, reply: PassiveReply) -> bool:
    """Put a reply on the phone; False if its picture cannot be shown."""
    if reply.kind == "image":
        media_id = reply.body["media_id"]
        if not pictures.usable(connection, delivery["account"], media_id, peer.now()):
            return False
    person = people.get(connection, delivery["openid"])
    if delivery["kind"] == "quiet" or not person["following"]:
        return True
    if reply.kind == "transfer_customer_service":
        people.say(connection, person["openid"], "system", "note", {"content": texts.TO_HUMAN}, peer.now())
        return True
    people.say(connection, person["openid"], "account", reply.kind, {**reply.body, "via": "passive"}, peer.now())
    return True
