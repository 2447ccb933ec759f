"""Red packets on their way into WeChat change: once, exactly, beside withdrawals, whoever races, repeats or fails."""

import os
import random
from contextlib import suppress
from datetime import date

import pytest
from msgspec import structs
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.kit.pay import PayGateways
from domain.ledger import service as books
from domain.ledger.rules import Entry, Move, person, platform
from domain.payouts import packets, queries, reconcile, service
from domain.payouts.packets import Packet
from domain.payouts.rules import RED_PACKET, PacketRules, load_packets
from domain.people import service as people
from domain.rewards import cash
from domain.shared.errors import DomainError
from domain.workflows import giving
from domain.workflows.merging import MOVERS
from tests.fakes.pay import FakePay
from tests.integration.payouts.conftest import Till
from tests.together import at_once

STEPS = 2_000 if os.environ.get("HUITOU_TORTURE") else 12


@pytest.fixture
def gifts(till: Till) -> FakePay:
    pay = FakePay(till.shop.clock, "gift", till.pay.app_id, mch_id="1900000110", purpose="gift")
    till.shop.runtime.context.tool(PayGateways).by_account["gift"] = pay  # type: ignore[index]
    return pay


def customer(till: Till, name: str, fen: int = 0) -> int:
    """Somebody who follows, consented to nothing, and has ``fen`` of commission."""
    who = till.earner(name, fen or 1)
    till.rows("select 1")
    with till.shop.runtime.sessions.begin() as session:
        session.execute(text("update identity set followed_at = :now where person_id = :who"),
                        {"now": till.shop.clock.now(), "who": who})
    return who


def gives(till: Till, who: int, fen: int, cause: str) -> None:
    till.do(cash.give, who, fen, cause, 1)


def test_a_cause_leaves_once_however_many_try(till: Till, gifts: FakePay) -> None:
    who = customer(till, "li")
    gives(till, who, 500, "x")

    def passes_on() -> int | str:
        done: int | str = till.do(giving.pass_on, who, "x", [["gift", "grant:x"]], [("gift", gifts.app_id)],
                                  PacketRules(), lambda: "红包")
        return done

    made = at_once(*[passes_on] * 20)
    assert sorted(map(str, made))[1:] == ["sent_before"] * 19
    till.work()
    gifts.confirms(*gifts.waiting())
    till.work(minutes=2)
    assert till.money(who) == (1, 0, 500, 0) and gifts.paid_to("o-li") == 500


def test_a_gift_and_a_withdrawal_at_once_never_spend_one_fen_twice(till: Till, gifts: FakePay) -> None:
    who = customer(till, "li", 10_000)
    gives(till, who, 500, "x")

    def withdraws() -> None:
        with suppress(DomainError):  # the gift was quicker
            till.ask(10_500, who)

    at_once(withdraws, till.work)
    till.work(minutes=1)
    available, held, paid, debt = till.money(who)
    assert (available + held, paid, debt) == (10_500, 0, 0) and held in (500, 10_500)


def test_a_gift_beside_an_open_withdrawal_and_each_is_cancelled_alone(till: Till, gifts: FakePay) -> None:
    who = customer(till, "li", 10_000)
    till.ask(10_000, who)
    gives(till, who, 500, "x")
    till.work()
    assert till.money(who) == (0, 10_500, 0, 0) and len(gifts.waiting()) == len(till.pay.waiting()) == 1
    till.do(service.cancel, who)
    till.work(minutes=2)
    till.work(minutes=2)
    assert till.money(who) == (10_000, 500, 0, 0) and len(gifts.waiting()) == 1
    with till.shop.runtime.sessions() as session:
        (packet,) = queries.packets_of(session, who, 5)
        assert queries.open_of(session, who) is None and queries.on_its_way(session, who) == packet
    finance = till.operator("小钱", "finance")
    till.do(service.reject, packet.id, finance, "误发")
    till.work(minutes=2)
    till.work(minutes=2)
    assert till.money(who) == (10_500, 0, 0, 0) and till.view(packet.id).state == "cancelled"


def test_what_repaid_a_debt_does_not_leave(till: Till, gifts: FakePay) -> None:
    who = customer(till, "li")
    owes = Move(person(who, "debt"), platform("expense.bonus"), 300)
    till.do(books.post, [Entry("owes", "test.owes", till.shop.clock.now(), "test", 1, "", (owes,))])
    gives(till, who, 200, "a")
    till.work()
    assert till.money(who) == (1, 0, 0, 100) and gifts.bills == {}
    gives(till, who, 500, "b")
    till.work()
    assert till.money(who) == (1, 400, 0, 0)
    assert [kept.bill.amount_fen for kept in gifts.bills.values()] == [400]


def test_tax_on_a_gift_is_its_own(till: Till, gifts: FakePay) -> None:
    """20 % of the gift, whatever was earned that month; and the gift does not raise the tax on labour."""
    who = customer(till, "li", 100_000)
    rules = till.shop.runtime.context.tool(PacketRules)
    till.shop.runtime.dispatcher.tools[PacketRules] = structs.replace(rules, tax_bps=2_000)  # type: ignore[index]
    gives(till, who, 10_000, "x")
    till.work()
    gifts.confirms(*gifts.waiting())
    till.work(minutes=2)
    assert gifts.paid_to("o-li") == 8_000 and till.money(who)[:2] == (100_001 - 1, 0)
    with till.shop.runtime.sessions() as session:
        assert queries.quote(session, who, 80_000, till.shop.clock.now()).tax_fen == 0
        day = date(2026, 11, 1)
        (gift,) = queries.withheld(session, day, RED_PACKET)
        assert (gift.gross_fen, gift.tax_fen, queries.withheld(session, day)) == (10_000, 2_000, [])
        row = session.execute(text("""select sum(p.amount) from posting p join account a on a.id = p.credit
                                       where a.kind = 'tax.incidental'""")).scalar_one()
        assert row == 2_000


def test_frozen_reviewed_large_and_small_stay(till: Till, gifts: FakePay) -> None:
    who = customer(till, "li")
    for fen, cause in ((20_001, "large"), (9, "small")):
        gives(till, who, fen, cause)
    till.work()
    assert gifts.bills == {} and till.money(who) == (20_011, 0, 0, 0)
    reasons = till.rows("select reason from outbox where kind = 'packet.send' order by id")
    assert [row.reason for row in reasons] == ["large", "small"]
    packet = Packet(who, "y", 900_000, "gift", gifts.app_id, "o-li", "红包")
    with pytest.raises(DomainError, match=r"packet\.large"):
        till.do(packets.send, packet, 0)


def test_the_database_refuses_what_is_wrong(till: Till, gifts: FakePay) -> None:
    who = customer(till, "li")
    gives(till, who, 500, "x")
    till.work()
    for wrong in ("update withdrawal set kind = 'withdrawal', cause = ''", "update withdrawal set cause = 'other'",
                  "update withdrawal set two_people = true",
                  "insert into withdrawal (no, kind, cause, person_id, account, app_id, openid, remark, gross_fen,"
                  " tax_fen, tax_method, plan_version, two_people, asked_at) select 'H2', kind, cause, person_id,"
                  " account, app_id, openid, remark, gross_fen, tax_fen, tax_method, plan_version, false, asked_at"
                  " from withdrawal"):
        with pytest.raises(DBAPIError), till.shop.runtime.sessions.begin() as session:
            session.execute(text(wrong))
    younger = customer(till, "wang")
    gives(till, younger, 500, "w")
    till.work()
    done = till.do(lambda session, now: people.merge(session, who, younger, "test", now, MOVERS))
    assert done.conflict == "withdrawal_open"


def test_the_fund_bill_of_the_gift_account_agrees(till: Till, gifts: FakePay) -> None:
    who = customer(till, "li")
    for n in range(3):
        gives(till, who, 500 + n, f"x{n}")
    till.work()
    first, second, _ = gifts.waiting()
    gifts.confirms(first)
    gifts.fails(second)
    till.work(minutes=2)
    today = till.shop.clock.now().date()
    till.work(days=2)
    for day in (today, date.fromordinal(today.toordinal() + 1)):
        report = till.do(reconcile.compare, "gift", day, gifts.fund_bill(day))
        assert report.differences == ()
    assert till.rows("select * from pay_incident") == []


def test_a_walk_through_everything_keeps_every_fen(till: Till, gifts: FakePay) -> None:
    """Gifts, taps, refusals, lost answers, waits and withdrawals in any order: what the provider paid is what the books
    say, and what was given is somewhere."""
    dice = random.Random(20261122)
    people_ = {name: customer(till, name, 20_000) for name in ("li", "wang", "zhao")}
    given = dict.fromkeys(people_, 20_000)
    till.pay.auto_confirm = True
    for step in range(STEPS):
        name = dice.choice(list(people_))
        match dice.randrange(8):
            case 0 | 1 | 2:
                fen = dice.choice((10, 333, 500, 2_000, 20_000))
                gives(till, people_[name], fen, f"walk{step}")
                given[name] += fen
                gifts.faults.append(dice.choice(("", "lost before", "lost after", "hidden")))
            case 3 | 4:
                for number in dice.sample(gifts.waiting(), min(2, len(gifts.waiting()))):
                    gifts.confirms(number)
            case 5:
                for number in gifts.waiting()[:1]:
                    gifts.fails(number)
            case 6:
                till.work(hours=dice.choice((1, 7, 26)))
            case _ if till.money(people_[name])[0] >= 10_000:
                till.ask(10_000, people_[name])
        till.work(minutes=dice.choice((1, 11)))
    till.work(days=2)
    till.work(hours=2)
    till.work(hours=2)
    for name, who in people_.items():
        available, held, paid, debt = till.money(who)
        assert (available + paid, held, debt) == (given[name], 0, 0)
        assert gifts.paid_to(f"o-{name}") + till.pay.paid_to(f"o-{name}") == paid - sum(
            row.tax for row in till.rows(f"select paid_tax_fen as tax from withdrawal where person_id = {who}"))
    assert len(gifts.bills) > STEPS // 8


@pytest.mark.parametrize("toml", ['to = "bank"', "tax_bps = 6000", "tax_bps = -1", "what = 1", "to = "])
def test_a_wrong_file_is_refused(toml: str) -> None:
    with pytest.raises(DomainError):
        load_packets(toml)
