"""P-MONEY: whatever comes twice, late, mixed up, split over batches or at four workers at once, the end is the same.

Random sets of facts are told to the real thing and to tests/fakes/shadow_ledger.py; the balances must agree to the fen.
"""

import itertools
import os
import random
from collections import Counter
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from bot.runtime import demo_team
from domain import workflows
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.orders.events import CommerceEvent
from domain.shared.clock import FixedClock
from tests.conftest import MORNING
from tests.fakes.shadow_ledger import Shadow
from tests.integration.money.world import PEPPER, Shop
from tests.together import at_once

EXAMPLES = int(os.environ.get("HUITOU_EXAMPLES", "50"))
REACHED: Counter[str] = Counter()
"""What the examples really exercised; the last test asserts that none of it stayed at zero."""

WANTED = (
    "refund after release", "debt made", "debt repaid", "parked refund", "capped line", "closed order",
    "two workers", "duplicate event", "order in two reports", "three-way refund", "zero commission",
    "spent before refund",
)

TIGHT = {
    "name": "tight", "levels": 2, "cap_bps": 5000,
    "rules": [
        {"level": 1, "rate_bps": 500}, {"level": 1, "category": "fmcg", "rate_bps": 800},
        {"level": 1, "category": "edge", "rate_bps": 4000}, {"level": 2, "rate_bps": 1000},
    ],
}
RATES = {(1, "*"): Fraction(5, 100), (1, "fmcg"): Fraction(8, 100), (1, "edge"): Fraction(40, 100),
         (2, "*"): Fraction(10, 100)}
UPLINE = {"a": ["b", "c"], "b": ["c"], "c": [], "d": ["c"]}

EVENT_NUMBERS = itertools.count(1)

Fact = tuple[str, str, Any]


@st.composite
def orders(draw: st.DrawFn) -> list[tuple[Fact, list[Fact]]]:
    """A few orders, each with its payment and what came after it."""
    result = []
    for number in range(draw(st.integers(1, 4))):
        name = f"O{number}"
        amounts = draw(st.lists(st.sampled_from([0, 1, 3, 5, 7, 99, 100, 999, 3_333, 10**6]), min_size=1, max_size=3))
        categories = draw(st.lists(st.sampled_from(["fmcg", "edge", "other"]), min_size=3, max_size=3))
        lines = [(str(n), categories[n - 1], fen) for n, fen in enumerate(amounts, 1)]
        sale = ("paid", name, {"buyer": draw(st.sampled_from("abcd")), "lines": lines})
        later: list[Fact] = []
        left = {line: fen for line, _, fen in lines}
        parts = draw(st.sampled_from([0, 1, 1, 2, 3]))
        for refund in range(parts):
            back = {line: fen if refund == 2 else draw(st.sampled_from([0, fen // 3, fen]))
                    for line, fen in left.items()}
            left = {line: fen - back[line] for line, fen in left.items()}
            later.append(("refunded", name, (f"R{refund}", back)))
        if draw(st.booleans()) and draw(st.booleans()):
            later.append(("closed", name, None))
        result.append((sale, later))
    return result


class Books:
    """The real thing and its shadow, told the same."""

    def __init__(self, engine: Engine, number: int) -> None:
        self.shop = Shop(engine, FixedClock(MORNING), plan="", numbers=EVENT_NUMBERS)
        self.tag = f"x{number}"
        self.shop.people_bound({self.tag + one: self.tag + UPLINE[one][0] if UPLINE[one] else "" for one in "cbad"})
        self.shadow = Shadow(UPLINE, RATES, Fraction(1, 2))
        self.spent: Counter[str] = Counter()

    def event(self, fact: Fact) -> CommerceEvent:
        kind, order, content = fact
        order_no = f"{self.tag}-{order}"
        if kind == "paid":
            lines = [{"line_id": line, "sku": "S", "title": "货", "category": category, "quantity": 1, "paid_fen": fen}
                     for line, category, fen in content["lines"]]
            return self.shop.pay(order_no, by=self.tag + content["buyer"], lines=lines,
                                 paid_fen=sum(line["paid_fen"] for line in lines), event_id=f"{order_no}:paid")
        if kind == "refunded":
            no, parts = content
            return self.shop.refund(order_no, no, parts)
        return self.shop.close(order_no)

    def tell(self, facts: list[Fact], chance: random.Random, workers: int) -> None:
        """Shuffle, repeat, split into batches, report some from a second source, and let workers race."""
        told = [(fact, self.event(fact)) for fact in facts]
        for fact, _ in told:
            self.shadow.tell(fact)
        again = [one for one in told if chance.random() < 0.3]
        REACHED["duplicate event"] += len(again)
        stream = told + again
        chance.shuffle(stream)
        while stream:
            size = chance.randint(1, len(stream))
            batch, stream = stream[:size], stream[size:]
            source = chance.choice(["mall", "mall", "erp"])
            REACHED["order in two reports"] += source == "erp"
            self.shop.tell(*[event for _, event in batch], source=source, apply=False)
            self.work(chance.choice([1, 1, workers]))
        self.work(1)

    def work(self, workers: int) -> None:
        if workers == 1:
            self.shop.work()
            return
        REACHED["two workers"] += 1

        def run() -> None:
            while workflows.apply_events(self.shop.sessions, self.shop.clock.now(), PEPPER, 2):
                pass

        at_once(*[run] * workers)

    def release(self) -> None:
        """Everything known so far is received and let go."""
        orders = [order for order in self.shadow.paid if order not in self.shadow.released]
        self.shop.tell(*[self.shop.receive(f"{self.tag}-{order}") for order in orders])
        before = self.debts()
        self.shop.days(8)
        self.shadow.released |= set(orders)
        REACHED["debt repaid"] += any(self.debts()[one] < before[one] for one in before)

    def held(self) -> dict[str, tuple[int, int, int]]:
        """(pending, available, debt) of everybody."""
        found = self.shop.balances()
        return {one: found[self.tag + one] for one in "abcd"}

    def debts(self) -> dict[str, int]:
        return {one: debt for one, (_, _, debt) in self.held().items()}

    def spend_all(self, person: str) -> None:
        available = self.shop.wallet(self.tag + person).available_fen
        if available:
            self.shop.spend(self.tag + person, available)
            self.spent[person] += available
            REACHED["spent before refund"] += 1

    def agree(self) -> None:
        for one, (pending, available, debt) in self.held().items():
            expected_pending, own = self.shadow.purse(one)
            assert (pending, available - debt) == (expected_pending, own - self.spent[one]), one
            assert min(available, debt) == 0, "a debt is repaid before anything is available"
        REACHED["debt made"] += any(self.debts().values())
        REACHED["capped line"] += any(
            amount < self._uncut(order, key)
            for order in self.shadow.paid for key, (amount, _) in self.shadow.shares(order).items()
        )
        REACHED["zero commission"] += any(
            amount == 0 for order in self.shadow.paid for amount, _ in self.shadow.shares(order).values()
        )
        REACHED["closed order"] += bool(self.shadow.closed)
        REACHED["three-way refund"] += any(len(parts) == 3 for parts in self.shadow.refunds.values())

    def _uncut(self, order: str, key: tuple[str, str, int]) -> int:
        line = next(line for line in self.shadow.paid[order]["lines"] if line[0] == key[1])
        rate = RATES.get((key[2], line[1]), RATES[(key[2], "*")])
        return (line[2] * rate + Fraction(1, 2)).__floor__()


def _the_longest_way(books: Books) -> None:
    """Every path that money goes, walked on purpose: chance finds all of them in most runs only."""
    chance = random.Random(2)
    lines = [("1", "edge", 3_333), ("2", "fmcg", 9_999), ("3", "fmcg", 1), ("4", "edge", 5)]
    early: Fact = ("refunded", "O2", ("R0", {"1": 99}))
    books.shop.tell(books.event(early))
    REACHED["parked refund"] += 1
    books.tell([("paid", "O1", {"buyer": "a", "lines": lines}), early,
                ("paid", "O2", {"buyer": "d", "lines": [("1", "other", 999)]})], chance, workers=3)
    books.agree()
    books.release()
    for person in "bc":
        books.spend_all(person)
    thirds = [{line: fen // 3 for line, _, fen in lines}] * 2 + [{line: fen - 2 * (fen // 3) for line, _, fen in lines}]
    REACHED["refund after release"] += 1
    for number, back in enumerate(thirds):
        books.tell([("refunded", "O1", (f"R{number}", back))], chance, workers=2)
        books.agree()
    books.tell([("closed", "O2", None)], chance, workers=1)
    books.agree()
    books.tell([("paid", "O3", {"buyer": "a", "lines": [("1", "fmcg", 50_000)]})], chance, workers=1)
    books.release()
    books.agree()


def test_the_end_is_the_same_whatever_the_order(engine: Engine) -> None:
    with Shop(engine, FixedClock(MORNING), plan="").sessions.begin() as session:
        demo_team.allow_levels(session, MORNING)
        commissions.ensure_plan(session, plans.parse(TIGHT), MORNING)

    @settings(max_examples=EXAMPLES, deadline=None, database=None, print_blob=True,
              suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data: st.DataObject) -> None:
        chance = random.Random(data.draw(st.integers(0, 2**32), label="seed"))
        books = Books(engine, next(EVENT_NUMBERS))
        plan = data.draw(orders(), label="orders")
        payments = [sale for sale, _ in plan]
        early = [fact for _, later in plan for fact in later if chance.random() < 0.5]
        late = [fact for _, later in plan for fact in later if fact not in early]
        if early and chance.random() < 0.3:
            books.shop.tell(*[books.event(fact) for fact in early])
            REACHED["parked refund"] += 1
        books.tell(payments + early, chance, workers=3)
        books.agree()
        if chance.random() < 0.6:
            books.release()
            books.agree()
            if chance.random() < 0.5:
                for person in "bc":
                    books.spend_all(person)
            REACHED["refund after release"] += any(fact[0] == "refunded" for fact in late)
        if late:
            books.tell(late, chance, workers=2)
            books.agree()
        if chance.random() < 0.4:
            sale: Fact = ("paid", "LAST", {"buyer": "a", "lines": [("1", "fmcg", 50_000)]})
            books.tell([sale], chance, workers=1)
            books.release()
            books.agree()

    _the_longest_way(Books(engine, next(EVENT_NUMBERS)))
    run()
    Shop(engine, FixedClock(MORNING), plan="").check()
    missed = [name for name in WANTED if not REACHED[name]]
    assert not missed, f"never reached: {missed} of {dict(REACHED)}"
