"""Money that is asked for, decided and taxed: nothing is lost or given twice, whoever races, refuses or repeats."""

from collections import Counter
from datetime import UTC, datetime
from functools import partial

import pytest
from sqlalchemy.exc import DBAPIError

from domain.ledger import service as books
from domain.ledger.rules import Entry, platform
from domain.payouts import queries, service
from domain.people import service as people
from domain.shared.errors import DomainError
from domain.workflows import acts, withdrawing
from domain.workflows.merging import MOVERS
from tests.integration.payouts.conftest import Till
from tests.together import at_once


def test_fifty_threads_withdraw_one_balance(till: Till) -> None:
    till.earner("li", 25_000)

    def ask() -> str:
        try:
            till.ask(10_000)
        except DomainError as refusal:
            return refusal.code
        return "asked"

    assert Counter(at_once(*[ask] * 50)) == {"asked": 1, "payout.open": 49}
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
    assert [till.told(view).what, till.told(view).what] == ["returned", "same"]
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
    till.work(seconds=10)
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
        till.work(seconds=10, hours=0 if day == 0 else 24)
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

    at_once(*(partial(refund, n) for n in range(4)), *[ask] * 4)
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
