"""Payments that stand still are seen: by the doctor in plain words, by gauges, by the operator's status."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.kit.pay import PayOutcome, PayResult, PayState
from bot.runtime import metrics, pay_watch
from bot.runtime.findings import Finding
from domain.payouts import rules, service, watch
from domain.payouts.watch import TROUBLES, Watched
from domain.risk import service as risk
from domain.workflows import acts, freezing
from tests.integration.payouts.conftest import Till


def seen(till: Till, later: timedelta = timedelta(0)) -> list[Watched]:
    with till.shop.runtime.sessions() as session:
        return watch.watched(session, till.shop.clock.now() + later)


def found(till: Till, later: timedelta = timedelta(0)) -> dict[str, Finding]:
    with till.shop.runtime.sessions() as session:
        all_of = pay_watch.findings(session, "main", till.shop.clock.now() + later)
        return {one.check: one for one in all_of}


def says(outcome: PayOutcome, code: str) -> Callable[[Till, int], None]:
    def happen(till: Till, who: int) -> None:
        till.pay.faults.append(PayResult(outcome, code=code))
        till.ask(10_000, who)
        till.work()

    return happen


def no_money(till: Till, who: int) -> None:
    funds, till.pay.funds_fen = till.pay.funds_fen, 0
    till.ask(10_000, who)
    till.work()
    for _ in range(3):
        till.work(minutes=7)
    till.pay.funds_fen = funds


def frozen(till: Till, who: int) -> None:
    till.ask(10_000, who)
    till.do(risk.freeze, who, "小钱", "strange")
    till.work()


def contradicted(till: Till, who: int) -> None:
    till.ask(10_000, who)
    till.work()
    (number,) = till.pay.waiting()
    till.do(service.bill_changed, replace(till.pay.view(number), amount_fen=1), "notification")


CASES: dict[str, tuple[Callable[[Till, int], None], str, str]] = {
    "config": (says(PayOutcome.CONFIG, "SIGN_ERROR"), "red", "SIGN_ERROR"),
    "refused": (says(PayOutcome.REFUSED, "PARAM_ERROR"), "red", "PARAM_ERROR"),
    "no_money": (no_money, "yellow", "is empty"),
    "frozen": (frozen, "yellow", "frozen"),
    "contradiction": (contradicted, "red", "1 fen instead of 10000"),
}


@pytest.mark.parametrize("trouble", CASES)
def test_what_is_wrong_with_a_payment_is_said_once_with_its_remedy(till: Till, trouble: str) -> None:
    happen, state, cause = CASES[trouble]
    who = till.earner("li", 10_000)
    assert seen(till) == []
    happen(till, who)
    (one,) = seen(till)
    view = till.latest()
    assert (one.trouble, one.account, one.bills, one.fen, one.no) == (trouble, "main", 1, 10_000, view.no)
    (finding,) = found(till).values()
    assert (finding.state, finding.check) == (state, f"payments {trouble} (pay.main)")
    assert cause in finding.cause and "¥100.00" in finding.cause and view.no in finding.cause
    assert "{" not in finding.remedy and len(finding.remedy) > 20
    page = metrics.render(till.shop.runtime.engine).decode()
    assert f'huitou_payout_bills{{trouble="{trouble}"}} 1.0' in page
    assert re.search(r'huitou_payout_held_fen{state="(approved|paying)"} 10000.0', page)
    assert ('huitou_payout_stopped_seconds{by="huitou"}' in page) == (trouble == "contradiction")


def test_an_account_that_says_it_is_empty_is_to_be_topped_up(till: Till) -> None:
    """NOT_ENOUGH is no matter of keys and numbers; the same bill goes out by itself once there is money."""
    who = till.earner("li", 10_000)
    says(PayOutcome.CONFIG, "NOT_ENOUGH")(till, who)
    (finding,) = found(till).values()
    assert (finding.check, finding.state) == ("payments no_money (pay.main)", "yellow")
    assert "is empty" in finding.cause and "top it up" in finding.remedy
    till.work(minutes=11)
    assert (seen(till), len(till.pay.waiting())) == ([], 1)


def test_time_alone_is_a_trouble(till: Till) -> None:
    """Nobody works: a call whose end nobody knows, a bill that should have closed, one that queries will soon lose."""
    till.earner("li", 10_000)
    till.ask(10_000)
    till.do(service.claim)
    ages = {timedelta(minutes=14): [], timedelta(minutes=16): ["unheard"], watch.SLOW + timedelta(minutes=1): ["slow"],
            rules.OVERDUE + timedelta(minutes=1): ["overdue"]}
    assert {age: [one.trouble for one in seen(till, age)] for age in ages} == ages
    assert [one.state for one in found(till, watch.SLOW * 2).values()] == ["yellow"]


def test_many_are_one_line_each_kind_the_worst_first_and_gone_when_mended(till: Till) -> None:
    people = [till.earner(name, 10_000) for name in ("li", "wang", "zhao")]
    says(PayOutcome.REFUSED, "PARAM_ERROR")(till, people[0])
    for who in people[1:]:
        says(PayOutcome.CONFIG, "NO_AUTH")(till, who)
    assert [(one.trouble, one.bills, one.fen) for one in seen(till)] == [("config", 2, 20_000), ("refused", 1, 10_000)]
    assert [TROUBLES.index(one.trouble) for one in seen(till)] == sorted(TROUBLES.index(one.trouble)
                                                                        for one in seen(till))
    finance = till.operator("小钱", "finance")
    with till.shop.runtime.sessions.begin() as session:
        for who in people:
            service.retry(session, till.latest(who).id, finance, till.shop.clock.now())
    till.work()
    till.confirm_all()
    till.work(minutes=1)
    assert (seen(till), found(till)) == ([], {})


def test_a_bill_that_ended_is_watched_while_it_has_stopped_everything(till: Till) -> None:
    who = till.earner("li", 10_000)
    till.ask(10_000, who)
    till.work()
    (number,) = till.pay.waiting()
    till.confirm_all()
    till.work(minutes=1)
    ended = till.pay.view(number)
    till.do(service.bill_changed, replace(ended, state=PayState.FAIL), "notification")
    assert [one.trouble for one in seen(till)] == ["contradiction"]
    boss = till.operator("小孙", "finance")
    till.do(service.go, boss, "the provider was wrong")
    assert seen(till) == []


def test_a_bill_that_waited_here_for_a_month_is_not_old_at_the_provider(till: Till) -> None:
    """Frozen for five weeks, then sent: it is asked about until it ends, though nobody confirms and no news comes."""
    who = till.earner("li", 10_000)
    till.ask(10_000, who)
    case = till.do(risk.freeze, who, "小钱", "strange")
    till.work(days=35)
    asked = till.do(freezing.ask_decision, case, "released", "looked at", till.operator("小钱", "finance"))
    till.do(acts.decide, asked.id, True, till.operator("老板", "owner"))
    till.work(hours=2)
    assert len(till.pay.waiting()) == 1
    till.work(minutes=5)
    assert seen(till) == []
    for _ in range(4):
        till.work(hours=13)
    assert (till.latest(who).state, till.money(who)) == ("expired", (10_000, 0, 0, 0))


def test_requests_that_nobody_decides_are_told(till: Till) -> None:
    till.earner("li", 10_000)
    asked = till.ask(10_000, review="look")
    assert found(till, timedelta(hours=23)) == {}
    (finding,) = found(till, timedelta(hours=25)).values()
    assert "1 have waited" in finding.cause and asked.no in finding.remedy
    assert 'huitou_payout_asked_seconds{decision="one"}' in metrics.render(till.shop.runtime.engine).decode()
