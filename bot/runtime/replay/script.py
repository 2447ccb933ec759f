"""What happens in the rehearsed year by itself: who comes, who buys what, who brings whom, and what goes wrong.

Drawn from a seed, the same in every process. What people do because they heard something is in ``reactions``.
"""

import math
import random
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from heapq import heappush
from itertools import count
from typing import Any, Literal

from domain.shared.clock import SHANGHAI
from domain.shared.records import record

Kind = Literal["join", "say", "tap", "leave", "back", "told", "buy", "ship", "receive", "refund", "close", "again",
               "withdraw", "confirm", "draw", "exchange", "feedback", "adopt", "allow"]

GRID = timedelta(minutes=10)
"""The clock of a rehearsal stands still in between."""

SHARERS, INVITED, TELL_BIRTHDAY, BORN_29_FEBRUARY, CHANGE_BIRTHDAY = 0.12, 0.45, 0.65, 40, 0.03
RETURNED, PARTLY, CLOSED, TWICE, LATE, REVERSED, NEVER_CONFIRMED, WITH_COUPON = (
    0.05, 0.03, 0.01, 0.03, 0.03, 0.01, 0.12, 0.5)
SMALL_TALK = ("帮助", "优惠券", "订单", "积分", "进度", "佣金", "明细", "规则", "你好呀", "这个怎么保存", "团队",
              "会员", "抽奖", "兑换", "猜你喜欢", "排行", "提现进度", "等级", "订阅", "问答", "1",
              "晒单")
TALKS: tuple[tuple[Kind, float], ...] = (("draw", 0.12), ("exchange", 0.05), ("feedback", 0.05), ("allow", 0.15))
"""Talks of more than one message, each so often a month for everybody."""
WITHDRAWS_EVERY, ADOPTS_EVERY = 21, 9
CHECK_IN = "签到"


@dataclass(slots=True)
class Human:
    """One customer. ``rate``: share of all purchases; ``chatty``: words a month; ``likes``: places on the shelf."""

    n: int
    openid: str
    name: str
    joined_at: datetime
    rate: float
    chatty: float
    likes: tuple[int, ...]
    sharer: "Human | None" = None
    shares: bool = False
    birthday: str = ""
    luck: random.Random = field(default_factory=random.Random)
    purchases: int = 0
    """Planned and not yet made."""
    heard: int = 0


@record
class Act:
    """Somebody does something at a time; ``what``: words, a key, or the number of an order."""

    kind: Kind
    who: Human
    what: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class Script:
    """Acts in the order of time: a heap of (time, number, act), to which the year adds."""

    seed: int
    start: datetime
    days: int
    heap: list[tuple[datetime, int, Act]] = field(default_factory=list)
    people: list[Human] = field(default_factory=list)
    numbers: "count[int]" = field(default_factory=count)

    @property
    def end(self) -> datetime:
        return self.start + timedelta(days=self.days)

    def add(self, at: datetime, act: Act) -> None:
        if at < self.end:
            heappush(self.heap, (on_grid(at), next(self.numbers), act))


def on_grid(at: datetime) -> datetime:
    """The next moment at which the clock of a rehearsal may stand."""
    seconds = at.timestamp()
    step = GRID.total_seconds()
    return datetime.fromtimestamp(math.ceil(seconds / step) * step, at.tzinfo)


def write(seed: int, start: datetime, days: int, customers: int, orders: int, shelf: int) -> Script:
    """The script of ``customers`` people who buy about ``orders`` times within ``days``, out of ``shelf`` products."""
    script, luck = Script(seed, start, days), random.Random(seed)
    script.people = [_somebody(luck, script, n, customers, shelf) for n in range(customers)]
    script.people.sort(key=lambda one: (one.joined_at, one.n))
    for place, one in enumerate(script.people):
        sharers = [other for other in script.people[:place] if other.shares]
        if sharers and luck.random() < INVITED:
            one.sharer = luck.choice(sharers[: max(3, len(sharers) // 2)])
    for one in script.people:
        _live(script, one, luck)
    _shop(script, luck, orders)
    for day in range(ADOPTS_EVERY, days, ADOPTS_EVERY):
        script.add(start + timedelta(days=day, hours=10), Act("adopt", script.people[0]))
    return script


def _somebody(luck: random.Random, script: Script, n: int, customers: int, shelf: int) -> Human:
    """Most come in the first third; the last ones five weeks before the end."""
    last = max(1.0, script.days - 35.0)
    day = luck.uniform(0, last / 3) if luck.random() < 0.65 else luck.uniform(0, last)
    if n < max(3, customers // 25):
        day = luck.uniform(0, 1)
    one = Human(n, f"oRehearsal{n:05d}{luck.randrange(16**8):08x}", f"客人{n}", some_time(luck, script.start, day),
                luck.lognormvariate(0, 0.9), luck.choice((0.2, 0.4, 0.8, 1.2, 2.5)),
                tuple(luck.sample(range(shelf), min(shelf, luck.choice((1, 2, 2, 3, 4))))),
                shares=luck.random() < SHARERS or n < 3, luck=random.Random(f"{script.seed}:{n}"))
    if luck.random() < TELL_BIRTHDAY:
        one.birthday = "1988-02-29" if n % BORN_29_FEBRUARY == 0 else str(
            date(1960, 1, 1) + timedelta(days=luck.randrange(45 * 365)))
    return one


def _live(script: Script, one: Human, luck: random.Random) -> None:
    """They come, tell their birthday, chat, sharers ask for posters, and a few check in every day for weeks."""
    if one.sharer:
        script.add(one.joined_at - timedelta(minutes=40), Act("say", one.sharer, "海报"))
    script.add(one.joined_at, Act("join", one))
    if one.birthday:
        script.add(one.joined_at + timedelta(days=luck.uniform(0, 20)), Act("told", one, one.birthday))
        if luck.random() < CHANGE_BIRTHDAY:
            other = str(date.fromisoformat(one.birthday) + timedelta(days=luck.randrange(40, 300)))
            script.add(one.joined_at + timedelta(days=luck.uniform(30, 200)), Act("told", one, other))
    left = (script.end - one.joined_at).days
    for _ in range(int(one.chatty * left / 30 + luck.random())):
        at = some_time(luck, one.joined_at, luck.uniform(0, left))
        if luck.random() < 0.15:
            script.add(at, Act("tap", one, luck.choice(("coupons.show", "help", "wallet.balance"))))
        else:
            script.add(at, Act("say", one, luck.choice(SMALL_TALK)))
    for kind, rate in TALKS:
        for _ in range(int(rate * left / 30 + luck.random())):
            script.add(some_time(luck, one.joined_at, luck.uniform(0, left)), Act(kind, one))
    if one.shares:
        for day in range(WITHDRAWS_EVERY, left, WITHDRAWS_EVERY):
            script.add(some_time(luck, one.joined_at, day), Act("withdraw", one))
        for _ in range(left // 60):
            script.add(some_time(luck, one.joined_at, luck.uniform(0, left)), Act("say", one, "海报"))
    if luck.random() < 0.03:
        for day in range(min(30, left)):
            if luck.random() < 0.93:
                script.add(some_time(luck, one.joined_at, day + 1), Act("say", one, CHECK_IN))


def _shop(script: Script, luck: random.Random, orders: int) -> None:
    """Each purchase has a buyer by their rate and the time they have been here, and a time after they came."""
    weights = [one.rate * max(1, (script.end - one.joined_at).days) for one in script.people]
    for one in luck.choices(script.people, weights, k=orders):
        at = some_time(luck, one.joined_at, luck.uniform(0.1, max(1, (script.end - one.joined_at).days)))
        if one.purchases == 0:  # the first comes soon for most
            at = min(at, some_time(luck, one.joined_at, luck.expovariate(1 / 12)))
        one.purchases += 1
        script.add(max(at, one.joined_at + timedelta(hours=1)), Act("buy", one))


def some_time(luck: random.Random, since: datetime, days: float) -> datetime:
    """So many days later, between seven in the morning and midnight where the shop is, more often in the evening."""
    day = (since + timedelta(days=days)).astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)
    hour = luck.triangular(7, 24, 20)
    return max(since, (day + timedelta(hours=hour)).astimezone(since.tzinfo))


def purchase(script: Script, one: Human, now: datetime, number: str, shelf: list[dict[str, Any]]) -> dict[str, Any]:
    """Draw one purchase: what is paid for, and what becomes of it later (added to the script). Returns the data of
    ``order.paid``, without the buyer."""
    luck = one.luck
    items = luck.sample(one.likes, min(len(one.likes), luck.choice((1, 1, 1, 2))))
    lines = []
    for place, item in enumerate(items, 1):
        goods, pieces = shelf[item], luck.choice((1, 1, 2))
        lines.append({"line_id": str(place), "sku": goods["sku"], "title": goods["title"],
                      "category": goods["category"], "quantity": pieces, "paid_fen": goods["price_fen"] * pieces})
    data = {"order_id": number, "channel": "mall", "currency": "CNY", "paid_at": now.isoformat(), "lines": lines,
            "paid_fen": sum(line["paid_fen"] for line in lines), "shipping_fen": 0}
    _fate(script, one, now, data)
    return data


def _fate(script: Script, one: Human, now: datetime, data: dict[str, Any]) -> None:
    luck, number = one.luck, data["order_id"]
    dice = luck.random()
    if dice < CLOSED:
        script.add(now + timedelta(hours=luck.uniform(1, 20)), Act("close", one, number))
        return
    shipped = now + timedelta(hours=luck.uniform(12, 40))
    script.add(shipped, Act("ship", one, number))
    received = shipped + timedelta(days=luck.uniform(1.5, 4))
    if luck.random() >= NEVER_CONFIRMED:
        script.add(received, Act("receive", one, number))
    lines = [{"line_id": line["line_id"], "refund_fen": line["paid_fen"], "quantity": line["quantity"]}
             for line in data["lines"]]
    if dice < CLOSED + RETURNED:
        script.add(received + timedelta(days=luck.uniform(0.2, 6)), Act("refund", one, number, {"lines": lines}))
    elif dice < CLOSED + RETURNED + PARTLY:
        third = [{"line_id": "1", "refund_fen": lines[0]["refund_fen"] // 3, "quantity": 0}]
        script.add(received + timedelta(days=luck.uniform(0.2, 12)), Act("refund", one, number, {"lines": third}))
