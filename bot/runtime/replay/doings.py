"""How each act of the script is done at the shop's doors, with the faults of a real shop system mixed in: events that
come twice, late, or in the wrong order."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from bot.runtime.replay import talks
from bot.runtime.replay.script import LATE, REVERSED, TWICE, WITH_COUPON, Act, Human, purchase
from bot.runtime.replay.state import Year
from domain.audit.rules import SYSTEM
from domain.feedback import service as feedback
from domain.feedback.rules import FeedbackRules

CARRIERS = ("顺丰", "中通", "京东", "")


def do(year: Year, act: Act) -> None:
    """Do it now. Who does not follow says nothing; an order that was never told is neither shipped nor returned."""
    year.counts[act.kind] += 1
    match act.kind:
        case "join":
            _join(year, act.who)
        case "say":
            if year.house.phones.follows(act.who.openid):
                year.house.says(act.who.openid, act.what)
        case "tap":
            if year.house.phones.follows(act.who.openid):
                year.house.taps(act.who.openid, act.what)
        case "withdraw" | "draw" | "exchange" | "feedback" | "allow":
            if year.house.phones.follows(act.who.openid):
                TALKS[act.kind](year, act.who)
        case "confirm":
            year.counts["bills.confirmed"] += year.house.bank.confirms(act.who.openid)
        case "adopt":
            _adopt(year)
        case "leave":
            if year.house.phones.follows(act.who.openid):
                year.house.leaves(act.who.openid)
        case "back":
            if not year.house.phones.follows(act.who.openid):
                year.house.follows(act.who.openid)
        case "told":
            _event(year, "customer.upserted", {"identities": _identity(year, act.who), "birthday": act.what})
        case "again":
            year.told.append((year.now, act.data))
        case "buy":
            _buy(year, act)
        case _:
            _later(year, act)


TALKS = {"withdraw": talks.withdraw, "draw": talks.draw, "exchange": talks.exchange, "feedback": talks.feedback,
         "allow": talks.allow}


def _adopt(year: Year) -> None:
    """The shop does what somebody suggested: the oldest that nobody looked at."""
    runtime = year.house.runtime
    with runtime.sessions.begin() as session:
        number = session.scalar(text("select min(id) from feedback where state = 'new'"))
        if number is not None:
            feedback.adopt(session, number, "下个月起照办", runtime.context.tool(FeedbackRules), SYSTEM, year.now)
            year.counts["feedback.adopted"] += 1


def _identity(year: Year, who: Human) -> dict[str, str]:
    return {"openid": who.openid, "app_id": year.house.app_id}


def _event(year: Year, kind: str, data: dict[str, Any], occurred_at: datetime | None = None) -> dict[str, Any]:
    """To be told at the end of this stop. Returns the event."""
    event = {"id": f"rehearsal-{next(year.house.numbers)}", "type": kind, "data": data,
             "occurred_at": (occurred_at or year.now).isoformat()}
    year.told.append((year.now, event))
    return event


def _join(year: Year, who: Human) -> None:
    """They are known to the shop system under a name, and follow: by the poster on their friend's phone, if any."""
    _event(year, "customer.upserted", {"identities": _identity(year, who), "nickname": who.name})
    scene = year.house.phones.scene_of(who.sharer.openid) if who.sharer else ""
    year.counts["join.poster"] += bool(scene)
    year.house.follows(who.openid, scene)


def _buy(year: Year, act: Act) -> None:
    """A purchase that they planned. One made because of a message is a planned one that comes earlier."""
    who = act.who
    if not who.purchases:
        return
    who.purchases -= 1
    number = f"R{len(year.orders) + 1:05d}"
    data = purchase(year.script, who, year.now, number, year.shelf) | {"buyer": _identity(year, who)}
    year.orders[number] = data
    year.counts["buy.because"] += act.what == "because"
    if who.luck.random() < WITH_COUPON:
        _use_coupon(year, who, data)
    for _ in range(who.luck.choice((0, 0, 1, 1, 2))):
        at = year.now + timedelta(hours=who.luck.triangular(0.1, 96, 5))
        year.script.add(at, Act("say", who, who.luck.choice(("订单", "多久能到", "优惠券", "帮助"))))
    dice = who.luck.random()
    if dice < LATE:
        _keep_for_later(year, who, _told(year, data))
        return
    paid = _event(year, "order.paid", data)
    if dice < LATE + TWICE:
        year.script.add(year.now + timedelta(days=who.luck.uniform(0.1, 3)), Act("again", who, "", paid))
    elif dice < LATE + TWICE + REVERSED:
        year.told.pop()
        year.returned.add(number)
        year.script.add(year.now + timedelta(hours=7), Act("again", who, "", paid))
        lines = [{"line_id": one["line_id"], "refund_fen": one["paid_fen"], "quantity": one["quantity"]}
                 for one in data["lines"]]
        _refund(year, who, number, lines)


def _told(year: Year, data: dict[str, Any]) -> dict[str, Any]:
    """The event of a payment that is not told yet."""
    _event(year, "order.paid", data)
    return year.told.pop()[1]


def _keep_for_later(year: Year, who: Human, paid: dict[str, Any]) -> None:
    """The shop system was away: the payment is heard of a day or two after it."""
    year.counts["buy.late"] += 1
    year.script.add(year.now + timedelta(hours=who.luck.uniform(3, 50)), Act("again", who, "", paid))


def _use_coupon(year: Year, who: Human, data: dict[str, Any]) -> None:
    """The first coupon that fits, burnt for this order; the buyer pays less."""
    found = year.house.get(f"/people?openid={who.openid}&app_id={year.house.app_id}")
    mine = year.house.get(f"/people/{found['id']}/coupons") if found else None
    usable = [one for one in (mine or {}).get("coupons", ())
              if one["state"] == "issued" and one["min_spend_fen"] <= data["paid_fen"]]
    if not usable:
        return
    one = usable[0]
    asked = {"channel": "mall", "order_id": data["order_id"]}
    if year.house.post(f"/coupons/{one['code']}/redeem", asked) is None:
        return
    before = data["paid_fen"]
    off = one["off_fen"] or before * (10_000 - one["pay_bps"]) // 10_000
    off = min(off, one["max_off_fen"] or off, before - 1)
    line = max(data["lines"], key=lambda line: int(line["paid_fen"]))
    off = min(off, line["paid_fen"])
    line["paid_fen"] -= off
    data["paid_fen"] -= off
    year.counts["coupon.used"] += 1
    year.counts["coupon.off_fen"] += off


def _later(year: Year, act: Act) -> None:
    """What comes after a payment: parcel, receipt, return, cancellation."""
    number, at = act.what, year.now.isoformat()
    head = {"order_id": number, "channel": "mall"}
    match act.kind:
        case "ship":
            _event(year, "order.shipped", head | {"shipped_at": at, "carrier": act.who.luck.choice(CARRIERS),
                                                  "tracking_no": f"SF{number}"})
        case "receive":
            _event(year, "order.received", head | {"received_at": at})
        case "close":
            _event(year, "order.closed", head | {"closed_at": at})
        case "refund":
            if number in year.returned:
                return
            bought = {one["line_id"]: one["paid_fen"] for one in year.orders[number]["lines"]}
            _refund(year, act.who, number, [one | {"refund_fen": min(one["refund_fen"], bought[one["line_id"]])}
                                            for one in act.data["lines"]])


def _refund(year: Year, who: Human, number: str, lines: list[dict[str, Any]]) -> None:
    _event(year, "order.refunded", {"order_id": number, "channel": "mall", "refund_id": f"B{next(year.house.numbers)}",
                                    "refunded_at": year.now.isoformat(), "lines": lines})
