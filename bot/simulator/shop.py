"""The mall that does not exist: a shelf, orders, and the signed events a real mall would send about them."""

import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bot.simulator import deliveries, people, texts
from bot.simulator.errors import SimError
from bot.simulator.peer import Peer
from bot.simulator.store import Row, dump, row, rows, run

MAX_QUANTITY = 99
MAX_SHIPPING_FEN = 100_000
REGION = "530102"
_BEIJING = ZoneInfo("Asia/Shanghai")
_DISCOUNT, _CARDS = "discount:", "membership"
_CHANNEL = re.compile(r"[a-z0-9_-]{1,32}")


def buy(peer: Peer, openid: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Buy one product: ``sku``, ``quantity``, ``coupon_fen``, ``shipping_fen``, ``channel``, ``share_code``.

    With ``refund_first`` the mall reports a refund of a third before the payment itself. Returns the order.
    """
    person, order = _asked(peer, openid, wanted)
    with peer.store.begin() as connection:
        run(connection, """
            insert into sim.orders (order_id, openid, body, created_at)
            values (:id, :openid, cast(:body as jsonb), :now)""",
            id=order["order_id"], openid=openid, body=dump(order), now=peer.now())
        paid = _queue(peer, connection, person, order, _paid_event(peer, person, order))
        queued = [paid]
        if wanted["refund_first"] and order["paid_fen"] > 0:
            fen = max(1, order["paid_fen"] // 3)
            queued = [_queue_refund(peer, connection, person, order, fen, 0), paid]
            _save(connection, order)
    deliveries.send(peer, queued, in_order=True)
    return order


def price(peer: Peer, openid: str, wanted: dict[str, Any]) -> dict[str, int]:
    """What ``buy`` would take for the same, in fen: ``listed_fen`` for anybody, ``paid_fen`` from this customer."""
    _, order = _asked(peer, openid, wanted)
    return {"listed_fen": order["listed_fen"], "paid_fen": order["paid_fen"]}


def _asked(peer: Peer, openid: str, wanted: dict[str, Any]) -> tuple[Row, dict[str, Any]]:
    """Who buys, and the order as it would be. Raises SimError."""
    product = next((one for one in peer.config.products() if one["sku"] == wanted["sku"]), None)
    if product is None:
        raise SimError(404, texts.NO_PRODUCT)
    with peer.store.begin() as connection:
        person = people.get(connection, openid)
    benefits = peer.config.benefits(peer.account(person["account"]).app_id, openid)
    return person, _priced(product, wanted, benefits, peer.now())


def member_price(list_fen: int, benefits: Sequence[str]) -> int:
    """What a member pays: the best of the discounts, as in ``discount:9200`` for 92 %; halves up."""
    rates = [int(code.removeprefix(_DISCOUNT)) for code in benefits if code.startswith(_DISCOUNT)]
    return (list_fen * min(rates, default=10_000) + 5_000) // 10_000


def _priced(
    product: dict[str, Any], wanted: dict[str, Any], benefits: Sequence[str], now: datetime
) -> dict[str, Any]:
    quantity, coupon, shipping = wanted["quantity"], wanted["coupon_fen"], wanted["shipping_fen"]
    if not 1 <= quantity <= MAX_QUANTITY:
        raise SimError(422, texts.BAD_QUANTITY)
    listed = product["price_fen"] * quantity
    price = listed if product["category"] == _CARDS else member_price(listed, benefits)
    shipping = 0 if "free_shipping" in benefits else shipping
    if not 0 <= coupon <= price:
        raise SimError(422, texts.BAD_COUPON)
    if not 0 <= shipping <= MAX_SHIPPING_FEN:
        raise SimError(422, texts.BAD_SHIPPING)
    if not _CHANNEL.fullmatch(wanted["channel"]):
        raise SimError(422, texts.BAD_CHANNEL)
    local = now.astimezone(_BEIJING)
    paid = price - coupon
    line = {"line_id": "1", "sku": product["sku"], "title": product["title"], "category": product["category"],
            "quantity": quantity, "paid_fen": paid}
    return {
        "order_id": f"{local:%Y%m%d%H%M%S}{secrets.randbelow(10**6):06d}", "channel": wanted["channel"],
        "share_code": wanted["share_code"], "line": line, "listed_fen": listed, "paid_fen": paid,
        "shipping_fen": shipping, "coupon_fen": coupon, "state": "paid", "paid_at": local.isoformat(timespec="seconds"),
        "refunded_fen": 0, "refunded_quantity": 0}


def _event(peer: Peer, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"evt_{secrets.token_hex(12)}", "type": kind, "occurred_at": _stamp(peer), "data": data}


def _stamp(peer: Peer) -> str:
    return peer.now().astimezone(_BEIJING).isoformat(timespec="seconds")


def _paid_event(peer: Peer, person: Row, order: dict[str, Any]) -> dict[str, Any]:
    app_id = peer.account(person["account"]).app_id
    return _event(peer, "order.paid", {
        "order_id": order["order_id"], "channel": order["channel"], "currency": "CNY", "paid_at": order["paid_at"],
        "buyer": {"openid": person["openid"], "app_id": app_id}, "share_code": order["share_code"],
        "region": REGION, "lines": [order["line"]], "paid_fen": order["paid_fen"],
        "shipping_fen": order["shipping_fen"]})


def introduce(peer: Peer, connection: Connection, person: Row) -> int:
    """The mall knows its customers by name and tells the service; WeChat itself no longer does."""
    app_id = peer.account(person["account"]).app_id
    return deliveries.queue_order_event(peer, connection, person, "", _event(peer, "customer.upserted", {
        "identities": {"openid": person["openid"], "app_id": app_id}, "nickname": person["name"]}))


def _queue(peer: Peer, connection: Connection, person: Row, order: dict[str, Any], event: dict[str, Any]) -> int:
    return deliveries.queue_order_event(peer, connection, person, order["order_id"], event)


def _queue_refund(peer: Peer, connection: Connection, person: Row, order: dict[str, Any], fen: int,
                  quantity: int) -> int:
    """Take ``fen`` and ``quantity`` off what is left of the order and queue the event."""
    order["refunded_fen"] += fen
    order["refunded_quantity"] += quantity
    if order["refunded_fen"] >= order["paid_fen"]:
        order["state"] = "refunded"
    refund = {"line_id": order["line"]["line_id"], "refund_fen": fen, "quantity": quantity}
    return _queue(peer, connection, person, order, _event(peer, "order.refunded", {
        "order_id": order["order_id"], "channel": order["channel"], "refund_id": f"rf_{secrets.token_hex(8)}",
        "refunded_at": _stamp(peer), "lines": [refund]}))


def _load(connection: Connection, order_id: str) -> tuple[dict[str, Any], Row]:
    found = row(connection, "select * from sim.orders where order_id = :id for update", id=order_id)
    if found is None:
        raise SimError(404, texts.NO_ORDER)
    return dict(found["body"]), people.get(connection, found["openid"])


def _save(connection: Connection, order: dict[str, Any]) -> None:
    run(connection, "update sim.orders set body = cast(:body as jsonb) where order_id = :id",
        id=order["order_id"], body=dump(order))


def _wrong_state(order: dict[str, Any]) -> SimError:
    return SimError(409, texts.BAD_STATE.format(state=texts.ORDER_STATES[order["state"]]))


def ship(peer: Peer, order_id: str) -> dict[str, Any]:
    return _move(peer, order_id, "shipped", ("paid",), lambda: {
        "carrier": "SF", "tracking_no": f"SF{10**12 + secrets.randbelow(10**12)}"})


def receive(peer: Peer, order_id: str) -> dict[str, Any]:
    return _move(peer, order_id, "received", ("paid", "shipped"), lambda: {"received_at": _stamp(peer)})


def _move(peer: Peer, order_id: str, state: str, before: tuple[str, ...], extra: Any) -> dict[str, Any]:
    with peer.store.begin() as connection:
        order, person = _load(connection, order_id)
        if order["state"] not in before:
            raise _wrong_state(order)
        order["state"] = state
        data = {"order_id": order_id, "channel": order["channel"], **extra()}
        queued = _queue(peer, connection, person, order, _event(peer, f"order.{state}", data))
        _save(connection, order)
    deliveries.send(peer, [queued])
    return order


def refund(peer: Peer, order_id: str, fen: int | None, quantity: int | None) -> dict[str, Any]:
    """Give back ``fen`` (None: all that is left) and ``quantity`` pieces (None: all if all money, else none)."""
    with peer.store.begin() as connection:
        order, person = _load(connection, order_id)
        left = order["paid_fen"] - order["refunded_fen"]
        pieces = order["line"]["quantity"] - order["refunded_quantity"]
        fen = left if fen is None else fen
        if left <= 0:
            raise _wrong_state(order)
        if not 1 <= fen <= left:
            raise SimError(422, texts.BAD_REFUND.format(left=left))
        quantity = (pieces if fen == left else 0) if quantity is None else quantity
        if not 0 <= quantity <= pieces:
            raise SimError(422, texts.BAD_REFUND_QUANTITY.format(left=pieces))
        queued = _queue_refund(peer, connection, person, order, fen, quantity)
        _save(connection, order)
    deliveries.send(peer, [queued])
    return order


def repeat(peer: Peer, order_id: str, times: int) -> dict[str, Any]:
    """Send the order's latest event ``times`` more, all at once and byte for byte."""
    if not 1 <= times <= 10:
        raise SimError(422, texts.BAD_TIMES)
    with peer.store.begin() as connection:
        order, person = _load(connection, order_id)
        latest = _events(connection, order_id)[-1]
        queued = [deliveries.queue_again(peer, connection, person, latest) for _ in range(times)]
    deliveries.send(peer, queued)
    return order


def replay_backwards(peer: Peer, order_id: str) -> dict[str, Any]:
    """Send every event of the order again, the newest first, one after the other."""
    with peer.store.begin() as connection:
        order, person = _load(connection, order_id)
        distinct = {event["event_id"]: event for event in _events(connection, order_id)}
        queued = [deliveries.queue_again(peer, connection, person, event)
                  for event in reversed(list(distinct.values()))]
    deliveries.send(peer, queued, in_order=True)
    return order


def _events(connection: Connection, order_id: str) -> list[Row]:
    return rows(connection, "select * from sim.deliveries where order_id = :id order by id", id=order_id)


def orders_of(connection: Connection, openid: str) -> list[dict[str, Any]]:
    """A person's orders, newest first, each with its events as far as they got."""
    found = rows(connection, "select body from sim.orders where openid = :openid order by position desc limit 50",
                 openid=openid)
    events = rows(connection, """
        select order_id, label, state, tries, log #>> '{-1,answer}' as answer, log #>> '{-1,note}' as note
        from sim.deliveries where openid = :openid and order_id <> '' order by id""", openid=openid)
    return [{**one["body"], "events": [event for event in events if event["order_id"] == one["body"]["order_id"]]}
            for one in found]
