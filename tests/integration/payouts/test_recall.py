"""Calling money back: against taps, against whoever asks in the same moment, over killed workers, and only once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from bot.kit.pay import PayOutcome, PayResult
from domain.ledger import service as books
from domain.ledger.rules import Entry, platform
from domain.payouts import recalling, service
from domain.risk import service as risk
from domain.shared.errors import DomainError
from tests.fakes.pay import FakePay
from tests.integration.payouts.conftest import Till
from tests.integration.payouts.test_packets import customer, gives
from tests.together import at_once, until_waiting


@pytest.fixture
def gifts(till: Till) -> FakePay:
    from bot.kit.pay import PayGateways

    pay = FakePay(till.shop.clock, "gift", till.pay.app_id, mch_id="1900000110", purpose="gift")
    till.shop.runtime.context.tool(PayGateways).by_account["gift"] = pay  # type: ignore[index]
    return pay


def freezes(till: Till, who: int) -> int:
    return int(till.do(risk.freeze, who, "小钱", "stolen phone"))


def takes_back(till: Till, who: int, fen: int) -> None:
    """As a confiscation does: what is not there becomes a debt."""
    with till.shop.runtime.sessions.begin() as session:
        now = till.shop.clock.now()
        moves = books.lock(session, [who])[who].take_back(fen, platform("expense.bonus"))
        books.post(session, [Entry(f"back:{who}", "test.back", now, "test", 1, "", tuple(moves))], now)


@pytest.mark.parametrize("turn", range(6))
def test_taps_race_a_freeze(till: Till, turn: int) -> None:
    """Each bill is paid or returned, never both; what the provider paid is what the books say."""
    who = till.earner("li", 60_000)
    till.ask(60_000)
    till.work()
    numbers = till.pay.waiting()
    assert len(numbers) == 3

    def taps() -> None:
        for number in numbers if turn % 2 else reversed(numbers):
            if number in till.pay.waiting():
                try:
                    till.pay.confirms(number)
                except AssertionError:
                    return  # called back in this very moment

    def works() -> None:
        freezes(till, who)
        till.work()

    at_once(taps, works)
    for _ in range(4):
        till.work(minutes=2)
    available, in_hand, paid, debt = till.money()
    assert (in_hand, debt, paid) == (0, 0, till.received("li"))
    assert available + paid == 60_000
    assert till.latest().state in ("paid", "partly_paid", "cancelled")


def test_a_request_in_the_moment_of_the_freeze_is_not_paid(till: Till) -> None:
    who = till.earner("li", 10_000)

    def asks() -> None:
        try:
            till.ask(10_000)
        except DomainError as refusal:
            assert refusal.code in ("payout.frozen", "account_frozen")

    at_once(asks, lambda: freezes(till, who))
    till.work(minutes=1)
    for number in till.pay.waiting():
        till.pay.confirms(number)
    till.work(minutes=2)
    assert till.received("li") == 0


@pytest.mark.parametrize("why", ["frozen", "debt"])
def test_a_worker_that_dies_leaves_it_to_the_next(till: Till, why: str) -> None:
    """The fact is there with its cause; nothing is done twice, however often it is told."""
    who = till.earner("li", 20_000)
    till.ask(20_000)
    till.work()
    act = recalling.of_frozen if why == "frozen" else recalling.of_debtor
    assert till.do(act, who) == 0, "nothing speaks against it yet"
    freezes(till, who) if why == "frozen" else takes_back(till, who, 5_000)
    kind = "person.frozen" if why == "frozen" else "debt.made"
    assert till.rows(f"select state from outbox where kind = '{kind}'") == [("waiting",)]
    with pytest.raises(RuntimeError), till.shop.runtime.sessions.begin() as session:
        assert act(session, who, till.shop.clock.now()) == 1
        raise RuntimeError("killed before the commit")
    assert not till.latest().cancelling
    assert [till.do(act, who) for _ in range(3)] == [1, 0, 0]
    till.work()
    till.work(minutes=2)
    view = till.latest()
    assert (view.state, view.reason, till.pay.calls["cancel"]) == ("cancelled", why, 1)
    assert till.money() == ((20_000, 0, 0, 0) if why == "frozen" else (15_000, 0, 0, 0))
    assert till.rows("select count(*) from audit_event where act = 'withdrawal.recall'") == [(1,)]


def test_frozen_before_this_was_known_is_found_by_the_round(till: Till) -> None:
    who = till.earner("li", 10_000)
    till.ask(10_000)
    till.work()
    freezes(till, who)
    with till.shop.runtime.sessions.begin() as session:
        session.execute(text("update outbox set state = 'done' where kind = 'person.frozen'"))
    till.work(minutes=2)
    till.work(minutes=2)
    assert (till.latest().state, till.money()) == ("cancelled", (10_000, 0, 0, 0))


def test_an_answer_that_comes_after_the_freeze_is_called_back_too(till: Till) -> None:
    """The call was under way; its answer was lost. The bill is found by its number, and called back."""
    who = till.earner("li", 10_000)
    till.pay.faults.append("lost after")
    till.ask(10_000)
    till.work()
    freezes(till, who)
    till.work(minutes=2)
    till.work(minutes=2)
    assert (till.latest().state, till.money(), till.pay.waiting()) == ("cancelled", (10_000, 0, 0, 0), [])
    assert till.rows("select count(*) from outbox where kind = 'withdrawal.confirm'") == [(0,)]


def test_too_late_is_too_late(till: Till) -> None:
    """The provider refuses to cancel what was tapped: asked about, it is paid, and a debt stays one."""
    who = till.earner("li", 10_000)
    till.ask(10_000)
    till.work()
    till.confirm_all()
    takes_back(till, who, 4_000)
    till.work()
    till.work(minutes=3)
    assert (till.latest().state, till.money()) == ("paid", (0, 0, 10_000, 4_000))


def test_requests_that_nobody_approved_repay_a_debt_as_well(till: Till) -> None:
    who = till.earner("li", 30_000)
    asked = till.ask(30_000, review="look")
    finance = till.operator("小钱", "finance")
    takes_back(till, who, 10_000)
    till.work()
    assert (till.view(asked.id).state, till.money()) == ("cancelled", (20_000, 0, 0, 0))
    with pytest.raises(DomainError, match="not_asked"):
        till.do(service.approve, asked.id, finance)


def test_a_red_packet_that_waits_comes_back_too(till: Till, gifts: FakePay) -> None:
    from domain.payouts.rules import PacketRules
    from domain.workflows import giving

    who = customer(till, "li")
    gives(till, who, 500, "x")
    till.do(giving.pass_on, who, "x", [["gift", "grant:x"]], [("gift", gifts.app_id)], PacketRules(), lambda: "红包")
    till.work()
    assert len(gifts.waiting()) == 1
    gifts.faults.append(PayResult(PayOutcome.UNKNOWN, code="SYSTEM_ERROR"))
    freezes(till, who)
    till.work()
    assert gifts.waiting() == []
    till.work(minutes=2)
    till.work(minutes=2)
    assert till.money(who) == (501, 0, 0, 0)


def test_whoever_takes_back_what_ends_in_that_moment_is_told_so(till: Till) -> None:
    """It was under way when they asked; by the time its row is free there is nothing to take back."""
    who = till.earner("li", 60_000)
    asked, checker = till.ask(60_000, review="a person looks"), till.operator("小孙", "finance")
    sessions = till.shop.runtime.sessions
    with ThreadPoolExecutor(1) as pool:
        with sessions.begin() as ending:
            service.reject(ending, asked.id, checker, "not this time", till.shop.clock.now())
            cancelled = pool.submit(till.do, service.cancel, who)
            assert until_waiting(till.shop.runtime.engine, ended=cancelled.done)
        with pytest.raises(DomainError) as refused:
            cancelled.result(10)
    assert refused.value.code == "payout.none_open"
    assert (till.view(asked.id).state, till.money()) == ("rejected", (60_000, 0, 0, 0))
