"""P-COUNT: a month is counted by taking away from what was kept, and gives what counting order by order gives.

Orders at the last and first instants of a month, cards among the goods, returns, cancellations, sales in question,
cleared or confiscated, people who turn out to be one, roles won and lost at midnight: before the count, between count
and bookings, and after the close. What is counted order by order is read anew from orders, lines and commissions.
"""

import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from bot.runtime import demo_team
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.people import service as people
from domain.roles import service as roles
from domain.roles.service import Cause
from domain.settlements.rules import Month
from domain.shared.clock import FixedClock
from domain.workflows import MOVERS
from tests.integration.risk.world import Watched

STORIES = min(max(17, int(os.environ.get("HUITOU_EXAMPLES", "17"))), 800)
"""Each lives in a month of its own, and centuries end; seventeen reach all of WANTED."""
SHANGHAI = ZoneInfo("Asia/Shanghai")
INSTANT = timedelta(microseconds=1)
FIRST = Month.parse("2026-11")
STEPS = ((0, Fraction(5, 100)), (10_000, Fraction(8, 100)), (30_001, Fraction(11, 100)))
TEAM = Fraction(2, 100)
PLAN = {
    "name": "counts", "levels": 2,
    "rules": [{"level": 1, "rate_bps": 500}, {"level": 2, "rate_bps": 200},
              {"level": 1, "category": "membership", "rate_bps": 0},
              {"level": 2, "category": "membership", "rate_bps": 0}],
    "ladder": {"steps": [{"from_fen": at, "rate_bps": int(rate * 10_000)} for at, rate in STEPS]},
    "team": {"rate_bps": 200, "roles": ["partner"]},
}
LEADERS, SELLERS = ("甲", "乙"), ("子", "丑", "寅", "卯", "辰")
REACHED: Counter[str] = Counter()
WANTED = {f"{what} {when}" for when in ("before", "between", "after") for what in (
    "return", "closed", "merged", "held", "released", "confiscated")} | {
    "late order between", "late order after", "last instant", "first instant", "of the next month", "cards",
    "partner for the last instant", "partner from midnight on", "taken off the count",
    "one of somebody's orders taken off"}


def half_up(value: Fraction) -> int:
    return (value + Fraction(1, 2)).__floor__()


@dataclass
class Story:
    """One month of people of its own in a shop that has many."""

    shop: Watched
    month: Month
    tag: str
    chance: random.Random
    when: str = "before"
    orders: dict[str, int] = field(default_factory=dict)
    alive: list[str] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    number: int = 0

    def begin(self) -> None:
        self.alive = [self.tag + name for name in LEADERS + SELLERS]
        self.shop.people_bound(
            {self.tag + name: "" for name in LEADERS}
            | {self.tag + name: self.tag + LEADERS[n % 2] for n, name in enumerate(SELLERS)}
            | {f"{self.tag}{name}的客人": self.tag + name for name in SELLERS})

    def next(self) -> str:
        self.number += 1
        return f"{self.tag}-{self.number}"

    def sells(self) -> None:
        """At the edges of the month or within it; a fifth of the orders hold a card, which counts for nobody."""
        edge, place = self.chance.choice((
            (self.month.starts_at, "first instant"), (self.month.ends_at - INSTANT, "last instant"),
            (self.month.ends_at, "of the next month"), (self.month.starts_at + timedelta(days=3), "")))
        order, fen = self.next(), self.chance.choice((1, 3_333, 9_999, 20_001, 70_000))
        lines = [("1", "fmcg", fen)] + [("2", "membership", 9_900)] * (self.chance.random() < 0.2)
        more: dict[str, Any] = {"paid_fen": sum(part for *_, part in lines), "lines": [
            {"line_id": no, "sku": no, "title": "货", "category": kind, "quantity": 1, "paid_fen": part}
            for no, kind, part in lines]}
        self.shop.tell(self.shop.pay(order, by=f"{self.tag}{self.chance.choice(SELLERS)}的客人", at=edge, **more))
        self.orders[order] = fen
        REACHED[place] += 1
        REACHED["cards"] += len(lines) == 2
        REACHED[f"late order {self.when}"] += 1

    def comes_back(self) -> None:
        for order, left in self.chance.sample(sorted(self.orders.items()), min(1, len(self.orders))):
            part = self.chance.choice((left, max(1, left // 3)))
            self.shop.tell(self.shop.refund(order, self.next(), part))
            self.orders[order] -= part
            REACHED[f"return {self.when}"] += 1
            if not self.orders[order]:
                del self.orders[order]

    def is_closed(self) -> None:
        for order in self.chance.sample(sorted(self.orders), min(1, len(self.orders))):
            self.shop.tell(self.shop.close(order))
            del self.orders[order]
            REACHED[f"closed {self.when}"] += 1

    def is_held(self) -> None:
        free = [one for one in self.alive if one not in self.held]
        for name in self.chance.sample(free, min(1, len(free))):
            self.held[name] = self.shop.freeze(name)
            REACHED[f"held {self.when}"] += 1

    def is_decided(self) -> None:
        for name in self.chance.sample(sorted(self.held), min(1, len(self.held))):
            outcome = self.chance.choice(("released", "confiscated"))
            self.shop.decide(self.held.pop(name), outcome)  # type: ignore[arg-type]
            REACHED[f"{outcome} {self.when}"] += 1

    def are_one(self) -> None:
        free = [one for one in self.alive if one not in self.held]
        if len(free) < 4:
            return
        one, other = self.chance.sample(free, 2)
        with self.shop.sessions.begin() as session:
            done = people.merge(session, self.shop.people[one], self.shop.people[other], "x", self.shop.clock.now(),
                                MOVERS)
        if not done.conflict:
            self.alive.remove(one if done.gone_id == self.shop.people[one] else other)
            REACHED[f"merged {self.when}"] += 1

    def role_turns(self) -> None:
        """Won or lost in the instant before midnight, or at midnight."""
        name = self.chance.choice(self.alive)
        edge = self.chance.choice((self.month.ends_at - INSTANT, self.month.ends_at))
        kind = "for the last instant" if edge < self.month.ends_at else "from midnight on"
        with self.shop.sessions.begin() as session:
            if self.chance.random() < 0.7:
                REACHED[f"partner {kind}"] += roles.grant(session, self.shop.people[name], "partner",
                                                          Cause("operator", self.next()), edge, edge)
            else:
                roles.revoke(session, self.shop.people[name], "partner", "operator", "x", edge)

    def some(self, most: int) -> None:
        acts: list[Callable[[], None]] = [self.sells, self.sells, self.sells, self.comes_back, self.is_closed,
                                          self.is_held, self.is_decided, self.are_one]
        for _ in range(self.chance.randint(most // 2, most)):
            self.chance.choice(acts)()

    def scratch(self) -> dict[int, tuple[int, int, int]]:
        """Own goods, own orders and the goods of those they had brought, by person: order by order."""
        cards: Counter[int] = Counter()
        for order, fen in self.shop.rows("select order_id, paid_fen - refunded_fen from order_line"
                                         " where category = 'membership'"):
            cards[order] += fen
        doubt = defaultdict(set)
        for order, whose in self.shop.rows("select order_id, beneficiary_id from commission_line"
                                           " where held_at is not null or confiscated_at is not null"):
            doubt[order].add(whose)
        sums: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        lacking = set()
        for one in self.shop.rows("select * from customer_order where closed_at is null and seller_id is not null"):
            goods = one.paid_fen - one.refunded_fen - cards[one.id]
            day = one.paid_at.astimezone(SHANGHAI)
            if (day.year, day.month) != (self.month.first.year, self.month.first.month) or not goods:
                continue
            if one.seller_id not in doubt[one.id]:
                sums[one.seller_id][0] += goods
                sums[one.seller_id][1] += 1
            else:
                lacking.add(one.seller_id)
            if one.leader_id and not doubt[one.id] & {one.seller_id, one.leader_id}:
                sums[one.leader_id][2] += goods
            REACHED["taken off the count"] += bool(doubt[one.id]) and self.when == "before"
        mixed = any(sums[one][1] for one in lacking & set(sums))
        REACHED["one of somebody's orders taken off"] += mixed and self.when == "before"
        return {person: (own, orders, team) for person, (own, orders, team) in sums.items()}

    def counted(self) -> dict[int, tuple[int, int, int]]:
        return {one: (own, orders, team) for one, own, orders, team in self.shop.rows(
            "select person_id, direct_fen, direct_orders, team_fen from month_volume"
            " where month = :month and (direct_fen > 0 or team_fen > 0)", month=self.month.first)}

    def owed(self) -> dict[tuple[int, str], int]:
        """What the month brings everybody, by their role in its last instant."""
        last = self.month.ends_at - INSTANT
        partners = {one for one, since, until in self.shop.rows(
            "select person_id, granted_at, revoked_at from role_grant where role = 'partner'")
            if since <= last and (until is None or until > last)}
        found: dict[tuple[int, str], int] = {}
        for person, (own, _, team) in self.scratch().items():
            tops = [at for at, _ in STEPS[1:]] + [own + 1]
            found[person, "ladder"] = sum(half_up(max(0, min(own, top) - at) * rate)
                                          for (at, rate), top in zip(STEPS, tops, strict=True))
            found[person, "team"] = half_up(team * TEAM) if person in partners else 0
        return {key: fen for key, fen in found.items() if fen}

    def booked(self) -> dict[tuple[int, str], int]:
        return {(person, kind): fen for person, kind, fen in self.shop.rows(
            "select person_id, kind, sum(change_fen)::bigint from settlement where month = :month"
            " group by 1, 2 having sum(change_fen) <> 0", month=self.month.first)}

    def adjusted(self) -> None:
        while self.shop.adjust():
            pass

    def run(self) -> None:
        self.begin()
        self.some(14)
        self.role_turns()
        self.role_turns()
        self.shop.clock.advance((self.month.ends_at + timedelta(hours=2) - self.shop.clock.now()).total_seconds())
        self.shop.close_step(str(self.month))
        self.some(2)
        expected = self.scratch()
        self.shop.close_step(str(self.month))
        assert self.counted() == expected, "the count"
        self.when = "between"
        self.some(6)
        self.shop.close_month(str(self.month))
        self.when = "after"
        self.some(8)
        self.adjusted()
        while self.held:
            self.is_decided()
        self.adjusted()
        assert self.counted() == self.scratch(), "what is known now"
        assert self.booked() == self.owed(), "what was booked"


def stories(engine: Engine, seeds: range) -> None:
    month = FIRST
    shop = Watched(engine, FixedClock(month.starts_at - timedelta(days=1)), plan="")
    with shop.sessions.begin() as session:
        demo_team.allow_levels(session, shop.clock.now())
        commissions.ensure_plan(session, plans.parse(PLAN), shop.clock.now())
    for seed in seeds:
        shop.clock.advance((month.ends_at - timedelta(days=2) - shop.clock.now()).total_seconds())
        Story(shop, month, f"m{seed}", random.Random(seed)).run()
        month = month.next
    shop.check()


def test_a_month_is_what_counting_from_scratch_gives(engine: Engine) -> None:
    stories(engine, range(STORIES))
    missed = [name for name in sorted(WANTED) if not REACHED[name]]
    assert not missed, f"never reached: {missed} of {dict(REACHED)}"
