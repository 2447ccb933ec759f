"""P-MONTH: whatever comes late, mixed up, between closes: everybody has what an independent reckoning says.

The reckoning knows facts and fractions only: no batches, no bookings, no order of arrival. And for every person and
month: opening + earned - taken back - tax - paid + other = closing = the next opening, the last one what they own.
"""

import itertools
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from domain.commissions import plans
from domain.commissions import service as commissions
from domain.roles import service as roles
from domain.roles.service import Cause
from domain.settlements import statements
from domain.settlements.rules import Month
from domain.shared.clock import FixedClock
from tests.integration.money.world import Shop

EXAMPLES = min(int(os.environ.get("HUITOU_EXAMPLES", "10")), 280)
"""Each example lives in months of its own, and centuries end."""
REACHED: Counter[str] = Counter()
WANTED = ("late refund", "late order", "crossed a step", "debt", "closed order", "spent", "released", "team money",
          "paid by the close", "adjusted up", "adjusted down")
BEGAN = datetime(2026, 9, 30, 16, 0, tzinfo=UTC)
MONTHS = 3
UPLINE = {"a": ["b", "c"], "b": ["c"], "c": [], "d": ["c"]}
STEPS = ((0, Fraction(5, 100)), (10_000, Fraction(8, 100)), (30_001, Fraction(11, 100)))
TEAM = Fraction(2, 100)
PLAN = {
    "name": "months", "levels": 1, "rules": [{"level": 1, "rate_bps": 333}],
    "ladder": {"steps": [{"from_fen": at, "rate_bps": int(rate * 10_000)} for at, rate in STEPS]},
    "team": {"rate_bps": 200, "roles": ["partner"]},
}
NUMBERS = itertools.count(1)
STORIES = itertools.count()


def half_up(value: Fraction) -> int:
    return (value + Fraction(1, 2)).__floor__()


@dataclass
class Reckoning:
    """Facts of all months: ``sales`` order → (month, buyer, fen), what went back of each, and what was closed."""

    sales: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    back: Counter[str] = field(default_factory=Counter)
    closed: set[str] = field(default_factory=set)

    def net(self, order: str) -> int:
        return 0 if order in self.closed else self.sales[order][2] - self.back[order]

    def volume(self, person: str, month: str, level: int) -> int:
        return sum(self.net(order) for order, (at, buyer, _) in self.sales.items()
                   if at == month and UPLINE[buyer][level:level + 1] == [person])

    def month_money(self, person: str, month: str) -> int:
        """Ladder and team, each bracket rounded by itself; only c is a partner."""
        own, team = self.volume(person, month, 0), self.volume(person, month, 1)
        ladder = 0
        for (at, rate), above in itertools.zip_longest(STEPS, [one[0] for one in STEPS[1:]]):
            ladder += half_up(max(0, min(own, above if above is not None else own) - at) * rate)
        return ladder + (half_up(team * TEAM) if person == "c" else 0)

    def base(self, person: str) -> int:
        total = 0
        for order, (_, buyer, fen) in self.sales.items():
            if UPLINE[buyer][:1] == [person]:
                struck = half_up(fen * Fraction(333, 10_000))
                gone = struck if order in self.closed else half_up(Fraction(struck * self.back[order], fen))
                total += struck - gone
        return total


class Books:
    """The real shop, told the same facts at the same times."""

    def __init__(self, engine: Engine) -> None:
        number = next(NUMBERS)
        self.tag = f"m{number}"
        year, month = divmod(9 + MONTHS * next(STORIES), 12)
        self.months = [Month.parse(f"{2026 + year}-{month + 1:02d}")]
        while len(self.months) < MONTHS:
            self.months.append(self.months[-1].next)
        self.shop = Shop(engine, FixedClock(self.months[0].starts_at), plan="", numbers=NUMBERS)
        self.shop.people_bound({self.tag + one: self.tag + UPLINE[one][0] if UPLINE[one] else "" for one in "cbad"})
        with self.shop.sessions.begin() as session:
            roles.grant(session, self.shop.people[f"{self.tag}c"], "partner", Cause("operator", "x"),
                        self.months[0].starts_at, self.months[0].starts_at)
        self.truth = Reckoning()
        self.closed: list[str] = []
        self.spent: Counter[str] = Counter()

    def at(self, moment: datetime) -> None:
        self.shop.clock.advance(max(0.0, (moment - self.shop.clock.now()).total_seconds()))

    def pay(self, order: str, buyer: str, fen: int, at: datetime) -> Any:
        self.truth.sales[order] = (str(Month.of(at)), buyer, fen)
        return self.shop.pay(f"{self.tag}{order}", by=self.tag + buyer, fen=fen, at=at)

    def refund(self, order: str, fen: int) -> Any:
        number = next(NUMBERS)
        self.truth.back[order] += fen
        return self.shop.refund(f"{self.tag}{order}", f"R{number}", fen)

    def close_order(self, order: str) -> Any:
        self.truth.closed.add(order)
        return self.shop.close(f"{self.tag}{order}")

    def agree(self) -> None:
        """Everybody owns what the reckoning says, for the months that are closed."""
        while self.shop.adjust():
            pass
        held = self.shop.rows("""
            select a.owner_id, sum(case a.normal when 'credit' then b.amount else -b.amount end)::bigint as fen,
                   coalesce(sum(b.amount) filter (where a.kind = 'debt'), 0)::bigint as debt,
                   coalesce(sum(b.amount) filter (where a.kind = 'available'), 0)::bigint as available
              from account a join balance b on b.account_id = a.id
             where a.owner_id = any (:people) group by a.owner_id""", people=list(self.shop.people.values()))
        own = {row.owner_id: row for row in held}
        for one in "abcd":
            row = own.get(self.shop.people[self.tag + one])
            owed = self.truth.base(one) + sum(self.truth.month_money(one, month) for month in self.closed)
            assert (row.fen if row else 0) == owed - self.spent[one], (one, self.closed)
            if row is not None:
                assert min(row.debt, row.available) == 0
                REACHED["debt"] += row.debt > 0
            REACHED["team money"] += one == "c" and any(self.truth.volume(one, month, 1) for month in self.closed)

    def count(self) -> None:
        """What the closes and adjustments of this story really did."""
        for cause, up, number in self.shop.rows("""
            select cause, change_fen > 0 as up, count(*) from settlement
             where person_id = any (:people) group by 1, 2""", people=list(self.shop.people.values())):
            REACHED["paid by the close" if cause == "close" else "adjusted up" if up else "adjusted down"] += number

    def statements_hold(self) -> None:
        names = [self.months[0].before, *self.months, self.months[-1].next]
        with self.shop.sessions() as session:
            for one in "abcd":
                person = self.shop.people[self.tag + one]
                told = [statements.statement(session, person, month) for month in names]
                assert told[0].opening_fen == 0
                for this, following in itertools.zip_longest(told, told[1:]):
                    assert this.closing_fen == (this.opening_fen + this.earned_fen - this.taken_back_fen - this.tax_fen
                                                - this.paid_fen + this.other_fen)
                    assert following is None or following.opening_fen == this.closing_fen
                owed = self.truth.base(one) + sum(self.truth.month_money(one, month) for month in self.closed)
                assert told[-1].closing_fen == owed - self.spent[one]


def sell(books: Books, chance: random.Random, number: int, unsaid: list[Any]) -> list[Any]:
    """A month's orders, paid at its edges and in its middle, and those that the month before was not told. Returns the
    ones that nobody is told of yet."""
    month, fresh = books.months[number], []
    for n in range(chance.randint(1, 4)):
        edge = chance.choice([month.starts_at, month.starts_at + timedelta(days=14), month.ends_at])
        sign = -1 if edge == month.ends_at else 1
        when = edge + sign * timedelta(microseconds=chance.randint(1, 9))
        fen = chance.choice([1, 3_333, 9_999, 20_001, 70_000])
        fresh.append(books.pay(f"{number}-{n}", chance.choice("aabd"), fen, when))
    hidden = [one for one in fresh if chance.random() < 0.25]
    said = [one for one in fresh if one not in hidden] + unsaid
    REACHED["late order"] += len(unsaid)
    books.at(month.ends_at - timedelta(days=1))
    chance.shuffle(said)
    books.shop.tell(*said)
    return hidden


def take_back(books: Books, chance: random.Random) -> None:
    """Some orders of any month are refunded, in part or whole; a few are closed."""
    for order, (sold_in, _, fen) in list(books.truth.sales.items()):
        left = fen - books.truth.back[order]
        if left and order not in books.truth.closed and chance.random() < 0.35:
            before = books.truth.volume("b", books.closed[-1], 0) if books.closed else 0
            books.shop.tell(books.refund(order, chance.choice([left, max(1, left // 3)])))
            REACHED["late refund"] += sold_in in books.closed
            after = books.truth.volume("b", books.closed[-1], 0) if books.closed else 0
            REACHED["crossed a step"] += any(after < at <= before for at, _ in STEPS[1:])
        elif chance.random() < 0.1:
            books.shop.tell(books.close_order(order))
            REACHED["closed order"] += 1


def close(books: Books, chance: random.Random, month: Month) -> None:
    """The month is closed once or twice, soon after its end or a day later."""
    books.at(month.ends_at + timedelta(hours=chance.choice([2, 30])))
    for _ in range(chance.choice([1, 2])):
        books.shop.close_month(str(month))
    books.closed.append(str(month))


def release_and_spend(books: Books, chance: random.Random) -> None:
    """Mostly a week goes by, and somebody takes out what was let go."""
    if chance.random() >= 0.7:
        return
    books.shop.days(8)
    REACHED["released"] += 1
    for one in "bc":
        available = books.shop.wallet(books.tag + one).available_fen
        if available and chance.random() < 0.7:
            books.shop.spend(books.tag + one, available)
            books.spent[one] += available
            REACHED["spent"] += 1


def story(books: Books, chance: random.Random) -> None:
    """Some months: orders, a few reported late; refunds and cancellations at any time; closes, withdrawals."""
    unsaid: list[Any] = []
    for number, month in enumerate(books.months):
        unsaid = sell(books, chance, number, unsaid)
        take_back(books, chance)
        close(books, chance, month)
        if number == MONTHS - 1:
            books.shop.tell(*unsaid)
            unsaid = []
        names = [one.data["order_id"].removeprefix(books.tag) for one in unsaid]
        unknown = {name: books.truth.sales.pop(name) for name in names}
        books.agree()
        release_and_spend(books, chance)
        books.truth.sales |= unknown
    books.agree()
    books.statements_hold()
    books.count()


def test_every_month_is_what_the_facts_say(engine: Engine) -> None:
    with Shop(engine, FixedClock(BEGAN)).sessions.begin() as session:
        commissions.ensure_plan(session, plans.parse(PLAN), BEGAN - timedelta(days=1))

    @settings(max_examples=EXAMPLES, deadline=None, database=None, print_blob=True,
              suppress_health_check=list(HealthCheck))
    @example(0)
    @example(2)
    @example(3)
    @given(st.integers(0, 2**32))
    def run(seed: int) -> None:
        story(Books(engine), random.Random(seed))

    run()
    Shop(engine, FixedClock(BEGAN), plan="").check()
    missed = [name for name in WANTED if not REACHED[name]]
    assert not missed, f"never reached: {missed} of {dict(REACHED)}"
