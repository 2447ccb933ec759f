"""The whole domain of money as one machine: any history of sales, returns, months, freezes, withdrawals, lost answers
and deaths, and after every step every wallet is what a model says that shares no code with the service.

``HUITOU_EXAMPLES`` sets how many histories are tried (a tenth of it, 50 steps each), and prints what chance
reached. All of WANTED is reached by construction: a scripted history walks through every rare corner.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, create_engine

from bot.kit.pay import FINAL, PayOutcome, PayResult, PayState
from bot.runtime import embedded
from domain.orders.events import CommerceEvent
from domain.payouts import service
from domain.risk import service as risk
from domain.settlements import adjusting
from domain.settlements import service as settlements
from domain.settlements.rules import Month
from domain.shared.errors import DomainError
from domain.workflows import acts, intake, release, withdrawing
from tests.conftest import fresh_database
from tests.integration.money.corners import BUSY, CORNERS
from tests.integration.money.till import APP, Till
from tests.integration.money.world import PEPPER

EXAMPLES = int(os.environ.get("HUITOU_EXAMPLES", "0"))
HISTORIES = EXAMPLES // 10 or 3
STEPS = 50 if EXAMPLES else 25
REACHED: Counter[str] = Counter()
WANTED = (
    "duplicate event", "order in two reports", "refund before payment", "closed order", "capped line", "late order",
    "killed before commit", "debt made", "debt repaid", "refund after payout", "refund while withdrawing",
    "debt while withdrawing", "frozen money", "confiscated", "month closed", "month adjusted down",
    "month with a sale in question", "taxed", "withdrawal partly_paid", "withdrawal failed", "withdrawal cancelled",
    "withdrawal rejected", "withdrawal expired", "bill SUCCESS", "bill FAIL", "bill CANCELLED", "bill dropped",
    "two people", "died before the call", "died after the call", "unknown, then known", "answer unknown",
    "answer not_found", "answer busy", "notice paid", "notice returned", "notice same", "refused payout.debt",
    "refused payout.frozen", "refused payout.open", "refused payout.not_enough",
)
FAULTS: tuple[str | PayResult, ...] = (
    "lost before", "lost after", "hidden", BUSY, PayResult(PayOutcome.CONFIG, code="SIGN_ERROR"),
    PayResult(PayOutcome.UNKNOWN, code="SYSTEM_ERROR"))
PEOPLE, NUMBER = st.sampled_from("abcd"), st.integers(0, 10**6)
EARNERS = st.sampled_from("bc")
LINE = st.tuples(st.sampled_from(["fmcg", "edge", "other"]),
                 st.sampled_from([0, 1, 5, 99, 3_333, 10_000, 100_000, 250_000]))
WAYS = st.sampled_from(["", "", "", "twice", "dies"])


class Money(RuleBasedStateMachine):
    """Every rule is one thing that somebody does; ``way`` is how it goes wrong."""

    postgres: embedded.Server

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        engine: Engine = create_engine(self.stack.enter_context(fresh_database(self.postgres)))
        self.stack.callback(engine.dispose)
        self.till = Till(engine, REACHED)
        self.shop, self.model, self.pay = self.till.shop, self.till.model, self.till.pay
        self.events: list[CommerceEvent] = []
        self.cases: dict[str, int] = {}
        self.number = 0

    # Sales

    @initialize(rich=st.sampled_from([True, True, False]))
    def opens(self, rich: bool) -> None:
        """Most histories begin with people who have something to withdraw: what happens to it takes all their steps."""
        if rich:
            self.sells("a", [("edge", 250_000), ("fmcg", 100_000)], 0, 0, "")
            self.sells("d", [("edge", 250_000)], 0, 0, "")
            self.receives(0, True, "")
            self.time_passes(8, False)

    @rule(buyer=PEOPLE, lines=st.lists(LINE, min_size=1, max_size=3), days_ago=st.sampled_from([0, 0, 0, 12]),
          early=st.sampled_from([0, 0, 0, 3]), way=WAYS)
    def sells(self, buyer: str, lines: list[tuple[str, int]], days_ago: int, early: int, way: str) -> None:
        """An order is paid; it may be reported late, and its refund (a part of ``early``) before itself."""
        self.number += 1
        order, at = f"O{self.number}", max(self.till.clock.now() - timedelta(days=days_ago), self.till.opened)
        parts = [(str(n), category, fen) for n, (category, fen) in enumerate(lines, 1)]
        paid = self.shop.pay(order, buyer, at=at, event_id=f"{order}:paid", paid_fen=sum(fen for _, fen in lines),
                             lines=[{"line_id": n, "sku": "S", "title": "货", "category": category, "quantity": 1,
                                     "paid_fen": fen} for n, category, fen in parts])
        events = [paid]
        self.model.paid_at[order] = at
        self.model.orders.tell(("paid", order, {"buyer": buyer, "lines": parts}))
        self.model.sold(order)
        REACHED["late order"] += bool(days_ago and self.model.months)
        if early:
            back = {n: fen // early for n, _, fen in parts}
            refund = self.shop.refund(order, "early", back)
            self.shop.tell(refund)
            self.events.append(refund)
            self.model.orders.tell(("refunded", order, ("early", back)))
            REACHED["refund before payment"] += 1
        self._tell(events, way)
        REACHED["capped line"] += buyer == "a" and ("edge", 5) in lines  # 2 + 1 fen of at most 2

    @precondition(lambda self: self.model.orders.paid)
    @rule(which=NUMBER, part=st.sampled_from([1, 2, 3]), way=WAYS)
    def refunds(self, which: int, part: int, way: str) -> None:
        """``part`` of what is left of every line goes back."""
        order = self._order(which)
        before = self.model.wealth()
        sale, known = self.model.orders.paid[order], self.model.orders.refunds.get(order, {})
        left = {line: fen - sum(back.get(line, 0) for back in known.values()) for line, _, fen in sale["lines"]}
        back = {line: fen // part for line, fen in left.items()}
        number = f"R{len(known)}"
        self.model.orders.tell(("refunded", order, (number, back)))
        self._tell([self.shop.refund(order, number, back)], way)
        after = self.model.wealth()
        REACHED["refund while withdrawing"] += any(
            before[one].held and (before[one].available, before[one].debt) != (after[one].available, after[one].debt)
            for one in after)

    @precondition(lambda self: self.model.orders.paid)
    @rule(which=NUMBER, way=WAYS)
    def closes(self, which: int, way: str) -> None:
        if which % 3 == 0:  # not every order
            order = self._order(which)
            REACHED["closed order"] += 1
            self.model.orders.tell(("closed", order, None))
            self._tell([self.shop.close(order)], way)

    @precondition(lambda self: self.model.orders.paid)
    @rule(which=NUMBER, every=st.booleans(), way=WAYS)
    def receives(self, which: int, every: bool, way: str) -> None:
        orders = list(self.model.orders.paid) if every else [self._order(which)]
        for order in orders:
            self.model.received(order, self.till.clock.now())
        self._tell([self.shop.receive(order) for order in orders], way)

    @precondition(lambda self: self.events)
    @rule(which=NUMBER, most=st.integers(1, 5), source=st.sampled_from(["mall", "mall", "erp"]))
    def repeats(self, which: int, most: int, source: str) -> None:
        """Somebody tells old events again, the last first."""
        start = which % len(self.events)
        REACHED["duplicate event"] += 1
        REACHED["order in two reports"] += source == "erp"
        self.shop.tell(*reversed(self.events[start:start + most]), source=source)

    def _order(self, which: int) -> str:
        return list(self.model.orders.paid)[which % len(self.model.orders.paid)]

    def _tell(self, events: list[CommerceEvent], way: str) -> None:
        self.events += events
        self.shop.tell(*events, apply=False)
        if way == "dies":
            self.till.do(lambda session, now: intake.apply_batch(session, now, 100, pepper=PEPPER), dies=True)
        self.shop.work()
        if way == "twice":
            self.shop.tell(*events)

    # Time

    @rule(days=st.sampled_from([0.02, 0.2, 1.1, 8, 8, 21]), dies=st.booleans())
    def time_passes(self, days: float, dies: bool) -> None:
        if days > 8:
            self.till.rest()
        if dies:
            self.till.clock.advance(days * 86_400)
            days = 0
            for due in (release.receive_overdue, release.release_due, settlements.release_due):
                self.till.do(lambda session, now, due=due: due(session, now, 500), dies=True)
        self.till.pass_days(days)

    @rule(way=WAYS)
    def month_ends(self, way: str) -> None:
        """The month is closed two hours after its end, and what came late for the others is worked off."""
        if not self.model.orders.paid:
            return
        self.till.rest()
        with self.shop.sessions() as session:
            month = settlements.due_month(session, self.till.clock.now())
        if month is None:
            month = Month.of(self.till.clock.now())
            self.till.pass_days((month.ends_at - self.till.clock.now()).total_seconds() / 86_400 + 1 / 12)
            with self.shop.sessions() as session:
                month = settlements.due_month(session, self.till.clock.now())
            assert month is not None
        self.adjusts("")
        for _ in range(2 if way == "dies" else 0):
            self.till.do(lambda session, now: settlements.close_step(session, month, now), dies=True)
        for _ in range(2 if way == "twice" else 1):
            self.shop.close_month(str(month))
        self.model.closed_month(str(month), self.till.clock.now())
        REACHED["month closed"] += 1
        REACHED["month with a sale in question"] += bool(self.model.questioned)

    @precondition(lambda self: self.model.months)
    @rule(way=WAYS)
    def adjusts(self, way: str) -> None:
        if way == "dies":
            self.till.do(lambda session, now: adjusting.adjust_late(session, now, 500), dies=True)
        for _ in range(2 if way == "twice" else 1):
            self.shop.adjust()
        before = dict(self.model.booked)
        for month in sorted(self.model.months):
            self.model.closed_month(month, self.till.clock.now())
        REACHED["month adjusted down"] += any(fen < before[key] for key, fen in self.model.booked.items())

    # Suspicion

    @rule(person=EARNERS, outcome=st.sampled_from(["released", "released", "confiscated"]), seldom=st.integers(0, 3))
    def suspects(self, person: str, outcome: risk.Outcome, seldom: int) -> None:
        """Whoever is frozen is let go of or loses what waits; others may be frozen."""
        who = self.shop.people[person]
        if person in self.model.frozen:
            self.till.decide(self.cases.pop(person), outcome)
            if outcome == "confiscated":
                self.model.confiscate(person)
                REACHED["confiscated"] += 1
            else:
                self.model.clear(person)
        elif seldom == 0:
            self.cases[person] = self.till.do(risk.freeze, who, "小钱", "strange")
            self.model.freeze(person)

    # Withdrawals

    @rule(person=EARNERS, part=st.sampled_from([1, 1, 2, 3]), more=st.sampled_from([0, 0, 0, 0, 1]),
          review=st.sampled_from(["", "", "look"]), dies=st.booleans())
    def asks(self, person: str, part: int, more: int, review: str, dies: bool) -> None:
        wealth = self.model.wealth()[person]
        gross = wealth.available // part + more
        request = service.Request(self.shop.people[person], gross, "main", APP, f"o-{person}", "佣金", review)
        expected = self._refusal(person, gross)
        try:
            if dies:
                self.till.do(lambda session, now: withdrawing.ask(session, request, now), dies=True)
            asked = self.till.do(lambda session, now: withdrawing.ask(session, request, now))
        except DomainError as refusal:
            assert refusal.code == expected
            REACHED[f"refused {expected}"] += 1
            return
        assert expected == "", expected
        self.model.requests[asked] = self.till.request(person, gross)

    def _refusal(self, person: str, gross: int) -> str:
        wealth = self.model.wealth()[person]
        if person in self.model.frozen:
            return "payout.frozen"
        if any(one.person == person and one.open for one in self.model.requests.values()):
            return "payout.open"
        if wealth.debt:
            return "payout.debt"
        if gross < 100:
            return "payout.below_minimum"
        return "payout.not_enough" if gross > wealth.available else ""

    @rule(which=NUMBER, yes=st.sampled_from([True, True, True, False]), way=WAYS)
    def decides(self, which: int, yes: bool, way: str) -> None:
        """An operator looks at a request that waits; a large one needs a second."""
        rows = self.shop.rows("select id, no, two_people, person_id from withdrawal where state = 'asked' order by id")
        if not rows:
            return
        row = rows[which % len(rows)]
        if not yes:
            for _ in range(2 if way == "twice" else 1):
                self._quietly(service.reject, row.id, self.till.one, "not now")
            return
        held = self._quietly(withdrawing.approve, row.no, self.till.one, "known")
        if held is not None:
            self.till.do(acts.decide, held.id, True, self.till.other)
            REACHED["two people"] += 1

    @rule(person=EARNERS, by_us=st.booleans(), seldom=st.integers(0, 2), dies=st.booleans())
    def calls_back(self, person: str, by_us: bool, seldom: int, dies: bool) -> None:
        """The person, or an operator, takes an open request back while it is under way."""
        opened = [number for number, one in self.model.requests.items() if one.person == person and one.open]
        if not opened or seldom:
            return
        if by_us:
            self._quietly(service.reject, opened[0], self.till.one, "wrong", dies=dies)
        else:
            self._quietly(service.cancel, self.shop.people[person], dies=dies)

    def _quietly(self, act: object, *args: object, **more: bool) -> object:
        """A use case that may refuse, and changes nothing then."""
        try:
            return self.till.do(act, *args, **more)  # type: ignore[arg-type]
        except DomainError as refusal:
            assert refusal.code in ("payout.too_late", "payout.none_open", "payout.ended", "payout.frozen",
                                    "approval_open", "payout.not_asked"), refusal
            REACHED[f"refused {refusal.code}"] += 1
            return None

    # The provider

    @rule(dies=st.sampled_from(["", "", "", "claimed", "called", "recorded"]),
          faults=st.lists(st.sampled_from(FAULTS), max_size=2), minutes=st.sampled_from([0, 0, 3, 12, 70]),
          confirmed=st.sampled_from([0, 1, 9, 9]))
    def drives(self, dies: str, faults: list[str | PayResult], minutes: int, confirmed: int) -> None:
        """Jobs run, people confirm, jobs run again."""
        self.till.clock.advance(60 * minutes)
        self.pay.faults.extend(faults)
        self.till.drive(dies)
        self.pay.faults.clear()
        if confirmed:
            self.people_confirm(confirmed)
            self.till.clock.advance(120)
            self.till.drive()

    @rule(most=st.integers(1, 4))
    def people_confirm(self, most: int) -> None:
        for number in self.pay.waiting()[:most]:
            if self.till.clock.now() - self.pay.bills[number].made_at < timedelta(hours=24):
                self.pay.confirms(number)

    @rule(which=NUMBER)
    def a_bill_fails(self, which: int) -> None:
        alive = [number for number, kept in self.pay.bills.items()
                 if kept.state not in FINAL and kept.state != PayState.CANCELING]
        if alive:
            self.pay.fails(alive[which % len(alive)])

    @rule(fen=st.sampled_from([0, 15_000, 10**8, 10**8]))
    def funds_change(self, fen: int) -> None:
        self.pay.funds_fen = fen

    @precondition(lambda self: self.pay.notices)
    @rule(which=NUMBER)
    def the_provider_notifies(self, which: int) -> None:
        self.till.notice(which)

    # What must always be so

    @invariant()
    def every_wallet_is_what_the_model_says(self) -> None:
        self.till.learn()
        self.till.agree()
        REACHED["steps"] += 1

    def teardown(self) -> None:
        """In the end nobody is held up: what was asked for is paid or back, and people have what the books say."""
        try:
            for person in list(self.model.frozen):
                self.suspects(person, "released", 0)
            for row in self.shop.rows("select id from withdrawal where state = 'asked'"):
                self.till.do(service.reject, row.id, self.till.one, "the end")
            self.till.rest()
            self.every_wallet_is_what_the_model_says()
            self.till.nothing_is_open()
        finally:
            self.stack.close()


@pytest.fixture
def machine(postgres: embedded.Server) -> Iterator[type[Money]]:
    Money.postgres = postgres
    REACHED.clear()
    yield Money


def test_any_history_of_money(machine: type[Money]) -> None:
    run_state_machine_as_test(machine, settings=settings(
        max_examples=HISTORIES, stateful_step_count=STEPS, deadline=None, database=None, print_blob=True,
        derandomize=not EXAMPLES, suppress_health_check=list(HealthCheck)))
    if EXAMPLES:
        print(f"\n{HISTORIES} histories, {dict(REACHED.most_common())}")


def test_the_rare_corners_of_money(machine: type[Money]) -> None:
    """One history on purpose through all of WANTED."""
    history = machine()
    try:
        for name, *args in CORNERS:
            getattr(history, str(name))(*args)
            history.every_wallet_is_what_the_model_says()
    finally:
        history.teardown()
    missed = [name for name in WANTED if not REACHED[name]]
    assert not missed, f"never reached: {missed} of {dict(REACHED)}"
