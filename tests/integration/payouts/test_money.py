"""Money on its way out: once, exactly, whoever races, refuses, repeats or dies."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from bot.kit.pay import BillView, PayOutcome, PayResult, PayState
from domain.ledger import service as books
from domain.ledger.rules import Entry, platform
from domain.payouts import queries, service
from domain.people import service as people
from domain.risk import service as risk
from domain.shared.errors import DomainError
from domain.workflows import acts, withdrawing
from domain.workflows.merging import MOVERS
from tests.integration.payouts.conftest import Till


class Died(Exception):
    """A worker that was killed."""


def told(till: Till, view: BillView, source: str = "notification") -> service.Change:
    change: service.Change = till.do(service.bill_changed, view, source)
    return change


def test_fifty_threads_withdraw_one_balance(till: Till) -> None:
    till.earner("li", 25_000)
    answers: Counter[str] = Counter()
    start = threading.Barrier(50)

    def one() -> None:
        start.wait()
        try:
            till.ask(10_000)
            answers["asked"] += 1
        except DomainError as refusal:
            answers[refusal.code] += 1

    threads = [threading.Thread(target=one) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {"asked": 1, "payout.open": 49}
    assert till.money() == (15_000, 10_000, 0, 0)


def test_refused_twice_returns_once(till: Till) -> None:
    till.earner("li", 10_000)
    finance = till.operator("小钱", "finance")
    asked = till.ask(10_000, review="look")
    assert till.do(service.reject, asked.id, finance, "name") == "rejected"
    for act, args in ((service.reject, (finance, "again")), (service.approve, (finance,))):
        with pytest.raises(DomainError):
            till.do(act, asked.id, *args)
    assert till.money() == (10_000, 0, 0, 0)


def test_approved_twice_then_failed_twice(till: Till) -> None:
    till.earner("li", 10_000)
    finance = till.operator("小钱", "finance")
    asked = till.ask(10_000, review="look")
    till.do(service.approve, asked.id, finance)
    with pytest.raises(DomainError, match="not_asked"):
        till.do(service.approve, asked.id, finance)
    till.work()
    (number,) = till.pay.waiting()
    till.pay.fails(number)
    view = till.pay.view(number)
    assert [told(till, view).what, told(till, view).what] == ["returned", "same"]
    assert (till.view(asked.id).state, till.money()) == ("failed", (10_000, 0, 0, 0))
    assert len(till.view(asked.id).bills) == 1


def test_large_sums_need_two_people_whoever_asks(till: Till) -> None:
    till.earner("li", 150_000)
    one, other = till.operator("小钱", "finance"), till.operator("小孙", "finance")
    asked = till.ask(150_000)
    assert (asked.state, asked.two_people) == ("asked", True)
    with pytest.raises(DomainError, match="second_person"):
        till.do(service.approve, asked.id, one)
    with pytest.raises(DomainError, match="second_person"):
        till.do(service.approve, asked.id, one, proposed_by=one.name)
    with pytest.raises(DBAPIError):
        till.rows("update withdrawal set state = 'approved', decided_by = 'x', proposed_by = 'x' returning 1")
    waiting = till.do(withdrawing.approve, asked.no, one, "known promoter")
    with pytest.raises(DomainError, match="second_person"):
        till.do(acts.decide, waiting.id, True, one)
    till.do(acts.decide, waiting.id, True, other)
    found = till.view(asked.id)
    assert (found.state, found.proposed_by, found.decided_by) == ("approved", "小钱", "小孙")
    till.work()
    till.confirm_all()
    till.work(minutes=1)
    assert (till.view(asked.id).state, till.received("li")) == ("paid", 150_000 - 14_000)


def test_a_second_persons_no_returns_the_money(till: Till) -> None:
    till.earner("li", 150_000)
    one, other = till.operator("小钱", "finance"), till.operator("小孙", "finance")
    asked = till.ask(150_000)
    waiting = till.do(withdrawing.approve, asked.no, one, "please")
    till.do(acts.decide, waiting.id, False, other, note="not her shop")
    assert (till.view(asked.id).state, till.view(asked.id).reason) == ("rejected", "not her shop")
    assert till.money() == (150_000, 0, 0, 0)


def test_taken_back_while_two_people_decide(till: Till) -> None:
    who = till.earner("li", 150_000)
    one, other = till.operator("小钱", "finance"), till.operator("小孙", "finance")
    asked = till.ask(150_000)
    waiting = till.do(withdrawing.approve, asked.no, one, "please")
    assert till.do(service.cancel, who) == "cancelled"
    with pytest.raises(DomainError):
        till.do(acts.decide, waiting.id, True, other)
    assert till.money() == (150_000, 0, 0, 0)


@pytest.mark.parametrize("step", ["before the call", "in the call", "after the call", "between call and its record"])
def test_killed_between_any_two_steps_pays_once(till: Till, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker dies once at ``step``; whoever comes next asks about the same number."""
    who = till.earner("li", 10_000)
    died: list[str] = []

    def die(*_: Any, **__: Any) -> None:
        if not died:
            died.append(step)
            raise Died(step)

    if step == "before the call":
        till.pay.transfer = dying(till.pay.transfer, die)
    elif step == "in the call":
        till.pay.before = die
    elif step == "after the call":
        till.pay.after = die
    else:
        record = service.record
        monkeypatch.setattr(service, "record", lambda *args: (die(), record(*args))[1])
    asked = till.ask(10_000)
    till.work()
    assert died == [step]
    for _ in range(12):
        till.work(minutes=1)
    (number,) = till.pay.waiting()
    assert till.view(asked.id).bills[0].out_bill_no == number
    till.pay.confirms(number)
    till.work(hours=1)
    assert (till.received("li"), till.money(who), len(till.pay.bills)) == (10_000, (0, 0, 10_000, 0), 1)


def dying(call: Callable[..., Any], die: Callable[..., None]) -> Callable[..., Any]:
    def transfer(*args: Any) -> Any:
        die()
        return call(*args)

    return transfer


@pytest.mark.parametrize("faults", [
    ["lost before"], ["lost after"], ["hidden"], ["lost after", "lost", "lost"], ["lost before", "lost", "lost before"],
    ["hidden", "lost", "lost after"],
    [PayResult(PayOutcome.BUSY, code="FREQUENCY_LIMITED")], [PayResult(PayOutcome.CONFIG, code="SIGN_ERROR")],
    [PayResult(PayOutcome.UNKNOWN, code="SYSTEM_ERROR"), PayResult(PayOutcome.NOT_FOUND, code="NOT_FOUND")],
], ids=str)
def test_lost_answers_never_make_a_second_number(till: Till, faults: list[str | PayResult]) -> None:
    till.earner("li", 10_000)
    till.pay.faults.extend(faults)
    till.ask(10_000)
    till.work()
    for _ in range(25):
        till.work(minutes=1)
    till.confirm_all()
    till.work(hours=1)
    assert (till.received("li"), len(till.pay.bills), till.latest().state) == (10_000, 1, "paid")


def test_not_found_right_after_a_lost_answer_waits(till: Till) -> None:
    """Within minutes 'not found' may only mean 'not yet': nothing is sent again before."""
    till.earner("li", 10_000)
    till.pay.faults.append("hidden")
    till.ask(10_000)
    till.work()
    for _ in range(2):
        till.work(minutes=1)
    assert (till.pay.calls["transfer"], till.pay.calls["query"] > 0) == (1, True)
    till.work(minutes=2)
    assert (till.pay.calls["transfer"], till.latest().bills[0].state) == (1, "WAIT_USER_CONFIRM")
    till.confirm_all()
    till.work(hours=1)


def test_no_funds_waits_tells_and_goes_on(till: Till) -> None:
    till.earner("li", 10_000)
    till.pay.funds_fen = 5_000
    till.ask(10_000)
    for minutes in (0, 1, 3, 10, 30):
        till.work(minutes=minutes)
    bill = till.latest().bills[0]
    assert (bill.state, bill.fault, till.pay.calls["transfer"] >= 2) == ("PROCESSING", "no_money", True)
    till.pay.tops_up(100_000)
    till.work(hours=1)
    assert till.latest().bills[0].fault == ""
    till.confirm_all()
    till.work(hours=1)
    assert (till.received("li"), len(till.pay.bills)) == (10_000, 1)


def test_a_refused_bill_waits_for_an_operator(till: Till) -> None:
    till.earner("li", 10_000)
    finance = till.operator("小钱", "finance")
    till.pay.faults.append(PayResult(PayOutcome.REFUSED, code="PARAM_ERROR"))
    asked = till.ask(10_000)
    till.work()
    till.work(hours=3)
    assert (till.view(asked.id).bills[0].fault, till.pay.calls["transfer"]) == ("refused: PARAM_ERROR", 1)
    assert till.do(service.retry, asked.id, finance) == 1
    till.work(seconds=10)
    assert till.view(asked.id).bills[0].state == "WAIT_USER_CONFIRM"
    till.confirm_all()
    till.work(minutes=1)
    till.earn(10_000)
    till.pay.faults.append(PayResult(PayOutcome.REFUSED, code="PARAM_ERROR"))
    again = till.ask(10_000)
    till.work()
    assert till.do(service.reject, again.id, finance, "wrong openid") == "cancelled"
    assert till.money() == (10_000, 0, 10_000, 0)


def test_ends_that_cross_book_once_and_alarm(till: Till) -> None:
    who = till.earner("li", 20_000)
    till.ask(10_000)
    till.work()
    (number,) = till.pay.waiting()
    waiting = till.pay.view(number)
    till.pay.confirms(number)
    paid = till.pay.view(number)
    threads = [threading.Thread(target=told, args=(till, paid)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert till.money(who) == (10_000, 0, 10_000, 0)
    assert told(till, waiting).what == "older"
    late = told(till, replace(paid, state=PayState.CANCELLED))
    assert (late.what, late.alarming) == ("contradiction", True)
    assert told(till, replace(paid, amount_fen=10_001)).what == "contradiction"
    assert told(till, replace(paid, openid="o-other")).what == "contradiction"
    assert told(till, replace(paid, out_bill_no="HTnobody")).what == "unknown"
    assert till.money(who) == (10_000, 0, 10_000, 0)
    assert till.rows("select stopped_at is not null from payout_switch") == [(True,)]


def test_stopped_means_no_money_leaves(till: Till) -> None:
    till.earner("li", 20_000)
    owner = till.operator("小钱", "finance")
    till.do(service.stop, "the fund bill does not match", "huitou")
    till.ask(10_000)
    till.work(hours=1)
    assert till.pay.calls["transfer"] == 0
    assert till.do(service.go, owner, "explained") is True
    till.work(seconds=10)
    assert len(till.pay.waiting()) == 1
    till.confirm_all()
    till.do(service.stop, "again", "huitou")
    till.work(minutes=1)
    assert till.latest().state == "paid"  # looking goes on


def test_a_frozen_account_gets_nothing(till: Till) -> None:
    """Neither asks, nor is approved, nor is sent what was approved before the freeze."""
    who = till.earner("li", 30_000)
    finance = till.operator("小钱", "finance")
    asked = till.ask(10_000, review="look")
    till.do(risk.freeze, who, "小钱", "stolen phone")
    with pytest.raises(DomainError, match="frozen"):
        till.do(withdrawing.approve, asked.no, finance, "")
    till.do(service.approve, asked.id, finance)  # as if the freeze had come a moment later
    till.work(hours=3)
    assert (till.pay.calls["transfer"], till.view(asked.id).bills[0].fault) == (0, "frozen")
    till.do(service.reject, asked.id, finance, "frozen")
    with pytest.raises(DomainError, match="frozen"):
        till.ask(10_000)


def test_three_of_four_succeed(till: Till) -> None:
    """§6.23: what failed comes back, and tax is reckoned anew for what was paid."""
    till.earner("li", 100_000)
    asked = till.ask(100_000)
    assert (asked.tax_fen, [bill.amount_fen for bill in asked.bills]) == (4_000, [20_000] * 4 + [16_000])
    till.work()
    for number in till.pay.waiting()[:4]:
        till.pay.confirms(number)
    till.pay.fails(till.pay.waiting()[-1])
    till.work(minutes=1)
    found = till.view(asked.id)
    assert (found.state, found.paid_gross_fen, found.paid_tax_fen) == ("partly_paid", 80_000, 0)
    assert (till.received("li"), till.money()) == (80_000, (20_000, 0, 80_000, 0))


def test_the_first_of_the_month_decides_the_tax(till: Till) -> None:
    """§6.24: approved on the 30th, confirmed on the 1st: the new month's tax; the month before stays as it was."""
    till.shop.clock.advance((datetime(2026, 11, 30, 15, 0, tzinfo=UTC) - till.shop.clock.now()).total_seconds())
    till.earner("li", 180_000)
    till.ask(80_000)
    till.work()
    till.confirm_all()
    till.work(minutes=1)
    late = till.ask(100_000)
    assert late.tax_fen == 20_000  # on top of 800 yuan in November
    till.work()
    till.work(hours=2)  # it is December in Shanghai
    till.confirm_all()
    till.work(hours=1)
    found = till.view(late.id)
    # What is paid was fixed in November: 800 yuan net, free in December. 200 yuan that were reserved come back.
    assert (found.state, found.paid_gross_fen, found.paid_tax_fen) == ("paid", 80_000, 0)
    assert till.money() == (20_000, 0, 160_000, 0)


def test_tax_that_was_not_reserved_is_taken_from_what_is_there_then_owed(till: Till) -> None:
    """Two people turn out to be one while a payment is under way: their month is taxed as one, nobody is paid less."""
    older = till.earner("li", 90_000)
    till.shop.clock.advance(60)
    younger = till.earner("wang", 80_000)
    till.ask(80_000, younger)
    till.work()
    till.confirm_all()
    till.work(minutes=1)
    assert till.ask(80_000, older).tax_fen == 0
    till.work()
    till.do(lambda session, now: people.merge(session, older, younger, "test", now, MOVERS))
    till.confirm_all()
    till.work(minutes=10)
    found = till.latest(older)
    assert (found.state, found.paid_gross_fen, found.paid_tax_fen) == ("paid", 100_000, 20_000)
    assert (till.received("li"), till.money(older)[0], till.money(older)[3]) == (80_000, 0, 10_000)


def test_five_payouts_of_800_in_a_month(till: Till) -> None:
    till.earner("li", 400_000)
    for _ in range(5):
        till.ask(80_000)
        till.work()
        till.confirm_all()
        till.work(hours=24)
    assert till.received("li") == 400_000 - 64_000
    (row,) = till.rows("select sum(tax_fen), sum(gross_fen) from transfer_bill where state = 'SUCCESS'")
    assert tuple(row) == (64_000, 400_000)


def test_a_day_pays_no_more_than_its_limit(till: Till) -> None:
    till.earner("li", 300_000)
    one, other = till.operator("小钱", "finance"), till.operator("小孙", "finance")
    asked = till.ask(300_000)
    waiting = till.do(withdrawing.approve, asked.no, one, "known")
    till.do(acts.decide, waiting.id, True, other)
    for day in range(3):
        till.work(hours=0 if day == 0 else 24)
        today = sum(till.pay.bills[number].bill.amount_fen for number in till.pay.waiting())
        assert today <= 200_000
        till.confirm_all()
        till.work(minutes=1)
    assert till.view(asked.id).state == "paid"
    assert till.received("li") == 300_000 - 44_000


def test_a_refund_races_a_withdrawal(till: Till) -> None:
    """§6.19: whatever comes first, available is never below zero and nothing is lost."""
    who = till.earner("li", 10_000)

    def refund(n: int) -> None:
        with till.shop.runtime.sessions.begin() as session:
            now = till.shop.clock.now()
            purse = books.lock(session, [who])[who]
            moves = purse.take_back(2_000, platform("expense.bonus"))
            books.post(session, [Entry(f"back:{n}", "test.back", now, "test", n, "", tuple(moves))], now)

    def ask() -> None:
        try:
            till.ask(10_000)
        except DomainError as refusal:
            assert refusal.code in ("payout.not_enough", "payout.debt", "payout.open")

    threads = [threading.Thread(target=refund, args=(n,)) for n in range(4)]
    threads += [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    available, held, _, debt = till.money()
    assert (available + held - debt, min(available, debt)) == (2_000, 0)


def test_merges_wait_for_open_withdrawals_and_keep_the_month_together(till: Till) -> None:
    older = till.earner("li", 80_000)
    till.shop.clock.advance(60)
    younger = till.earner("wang", 80_000)
    till.ask(80_000, younger)

    def merged() -> str:
        done = till.do(lambda session, now: people.merge(session, older, younger, "test", now, MOVERS))
        return str(done.conflict)

    assert merged() == "withdrawal_open"
    till.work()
    till.confirm_all()
    till.work(minutes=1)
    assert merged() == ""
    assert till.latest(older).paid_gross_fen == 80_000
    assert till.do(lambda session, now: queries.quote(session, older, 80_000, now)).tax_fen == 16_000


def test_what_the_database_refuses(till: Till) -> None:
    till.earner("li", 30_000)
    till.ask(10_000)
    till.work()
    attacks = [
        "update transfer_bill set out_bill_no = 'HTother' returning 1",
        "update transfer_bill set amount_fen = 1 returning 1", "delete from transfer_bill returning 1",
        "update withdrawal set gross_fen = 1 returning 1", "delete from withdrawal returning 1",
        "insert into withdrawal (no, person_id, account, app_id, openid, remark, gross_fen, tax_fen, tax_method,"
        " plan_version, two_people, asked_at) select 'W2', person_id, account, app_id, openid, remark, 1, 0, 'none',"
        " 1, false, now() from withdrawal returning 1",
        "update transfer_bill set state = 'SUCCESS' returning 1",
        "update tax_table set since = '2020-01-01' returning 1",
        "update payout_switch set stopped_at = now() returning 1", "update withdrawal set state = 'paid' returning 1",
        "insert into transfer_bill (withdrawal_id, n, out_bill_no, amount_fen, share_fen, with_name, made_at, state_at)"
        " select id, 9, 'HT_-', 1, 1, false, now(), now() from withdrawal returning 1",
    ]
    for attack in attacks:
        with pytest.raises(DBAPIError):
            till.rows(attack)
    till.confirm_all()
    till.work(minutes=1)
    for attack in ("update transfer_bill set state = 'FAIL', paid_at = null, gross_fen = 0 returning 1",
                   "update withdrawal set state = 'asked', ended_at = null, paid_gross_fen = 0 returning 1"):
        with pytest.raises(DBAPIError):
            till.rows(attack)
