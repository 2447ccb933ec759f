"""Money on its way out: once, exactly, whatever the provider answers and wherever a worker dies."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bot.kit.pay import PayOutcome, PayResult, PayState
from domain.payouts import service
from domain.risk import service as risk
from domain.shared.errors import DomainError
from domain.workflows import withdrawing
from tests.integration.payouts.conftest import Till
from tests.together import at_once


class Died(Exception):
    """A worker that was killed."""


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
    work_until_there(till, 12)
    (number,) = till.pay.waiting()
    assert till.view(asked.id).bills[0].out_bill_no == number
    till.pay.confirms(number)
    till.work(hours=1)
    assert (till.received("li"), till.money(who), len(till.pay.bills)) == (10_000, (0, 0, 10_000, 0), 1)


def work_until_there(till: Till, minutes: int) -> None:
    """Minute by minute until we know that the provider has it and nothing more goes wrong; through the rest at once."""
    passed = 0
    while passed < minutes and (till.latest().bills[0].state != "WAIT_USER_CONFIRM" or till.pay.faults):
        till.work(minutes=1)
        passed += 1
    till.work(minutes=minutes - passed)


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
    work_until_there(till, 25)
    assert not till.pay.faults
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
    at_once(*[lambda: till.told(paid)] * 5)
    assert till.money(who) == (10_000, 0, 10_000, 0)
    assert till.told(waiting).what == "older"
    late = till.told(replace(paid, state=PayState.CANCELLED))
    assert (late.what, late.alarming) == ("contradiction", True)
    assert till.told(replace(paid, amount_fen=10_001)).what == "contradiction"
    assert till.told(replace(paid, openid="o-other")).what == "contradiction"
    assert till.told(replace(paid, out_bill_no="HTnobody")).what == "unknown"
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
