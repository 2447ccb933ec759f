"""The cases that others got wrong, by number: L = ledger sheet §6, P = peers sheet §4."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import text

from domain import workflows
from domain.commissions import plans, queries
from domain.commissions import service as commissions
from domain.ledger import queries as ledger
from domain.ledger import service
from domain.orders import queries as orders
from domain.orders import service as inbox
from domain.roles.service import Cause, grant, revoke
from domain.shared.errors import DomainError
from tests.integration.money.world import PEPPER, PLANS, Shop
from tests.together import at_once


def released(shop: Shop, order: str) -> None:
    shop.tell(shop.receive(order))
    shop.days(7.01)


def test_L1_P11_refund_after_withdrawal_becomes_debt_and_is_repaid_first(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王", fen=9_900))
    released(shop, "A1")
    shop.spend("李姐", 700)
    shop.tell(shop.refund("A1", "R1", 3_300))
    assert shop.money("李姐") == (0, 0, 172)
    shop.tell(shop.pay("A2", by="小王", fen=9_900))
    released(shop, "A2")
    assert shop.money("李姐") == (0, 620, 0)
    with shop.sessions() as session:
        lines = ledger.statement(session, shop.people["李姐"], None, 20).lines
    moved = [(line.reason, line.source, line.target, line.change) for line in lines]
    assert ("commission.clawed_back", "debt", "expense.direct", -172) in moved
    assert ("commission.released", "pending", "debt", 0) in moved
    wallet = shop.wallet("李姐")
    assert sum(line.change for line in lines) == wallet.total_earned_fen - wallet.paid_fen == 620


def test_L2_refund_before_payment_is_parked_and_seen_when_nothing_follows(shop: Shop) -> None:
    shop.tell(shop.refund("A1", "R1", 3_300))
    assert shop.states()["e1"][0] == "parked"
    with shop.sessions() as session:
        waiting = orders.stuck(session, 10, waiting_since=shop.clock.now() + timedelta(days=1))
    assert [one.state for one in waiting] == ["parked"]
    shop.tell(shop.pay("A1", by="小王", fen=9_900))
    assert shop.money("李姐") == (528, 0, 0)
    assert {state for state, _ in shop.states().values()} == {"done"}


def test_L3_P6_the_same_event_many_times_at_once_and_a_year_later(shop: Shop) -> None:
    paid = shop.pay("A1", by="小王")
    at_once(*(partial(shop.tell, paid, source=f"s{n % 4}") for n in range(20)))
    shop.clock.advance(365 * 86_400)
    shop.tell(paid)
    shop.tell(paid, source="another")
    assert shop.rows("select count(*) from journal") == [(1,)]
    assert shop.money("李姐") == (792, 0, 0)


def test_L4_an_order_paid_again_after_a_refund_counts_once(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王"), shop.refund("A1", "R1", 9_900))
    shop.tell(shop.pay("A1", by="小王", at=shop.clock.now() + timedelta(hours=1)))
    assert shop.money("李姐") == (0, 0, 0)


def test_L5_P12_thirds_add_up_exactly(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王", fen=1_000))
    left = []
    for n, fen in enumerate((333, 333, 334)):
        shop.tell(shop.refund("A1", f"R{n}", fen))
        left.append(shop.money("李姐")[0])
    assert left == [53, 27, 0]


def test_L6_more_back_than_paid_is_a_visible_conflict_and_books_nothing(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王", fen=1_000), shop.refund("A1", "R1", 600))
    shop.tell(shop.refund("A1", "R2", 401), shop.refund("A1", "R3", {"9": 1}), shop.refund("A1", "R1", 500))
    assert shop.money("李姐") == (32, 0, 0)
    with shop.sessions() as session:
        reasons = [one.reason for one in orders.stuck(session, 10)]
    assert len(reasons) == 3
    assert any("more would go back" in reason for reason in reasons)
    assert any("never bought" in reason for reason in reasons)
    assert any("another refund" in reason for reason in reasons)


def test_L9_the_plan_at_payment_counts(shop: Shop) -> None:
    paid_at = shop.clock.now()
    shop.clock.advance(3_600)
    with shop.sessions.begin() as session:
        document = plans.load(PLANS / "two-level.toml").document()
        document["rules"] = [rule | {"rate_bps": 100} if rule["level"] == 1 else rule
                             for rule in map(dict, _rules(document))]
        assert commissions.ensure_plan(session, document, shop.clock.now()).version == 2
    shop.tell(shop.pay("LATE", by="小王", fen=10_000, at=paid_at), shop.pay("NEW", by="小王", fen=10_000))
    with shop.sessions() as session:
        late, = queries.of_order(session, "mall", "LATE")
        new, = queries.of_order(session, "mall", "NEW")
    assert (late.plan_version, late.amount_fen, new.plan_version, new.amount_fen) == (1, 800, 2, 100)


def _rules(document: dict) -> list:
    from dataclasses import asdict, is_dataclass
    return [asdict(rule) if is_dataclass(rule) else rule for rule in document["rules"]]


def test_L10_P17_who_brought_the_buyer_at_payment_counts(shop: Shop) -> None:
    shop.person("甲")
    paid_at = shop.clock.now()
    with shop.sessions.begin() as session:
        session.execute(text("update referral set ended_at = :at, end_reason = 'rebound' where referee_id = :who"),
                        {"at": paid_at + timedelta(hours=1), "who": shop.people["小王"]})
        session.execute(text("insert into referral (referee_id, referrer_id, source, bound_at, protected_until,"
                             " end_reason) values (:who, :by, 'scan', :at, :at, '')"),
                        {"at": paid_at + timedelta(hours=1), "who": shop.people["小王"], "by": shop.people["甲"]})
    shop.clock.advance(7_200)
    shop.tell(shop.pay("BEFORE", by="小王", at=paid_at), shop.pay("AFTER", by="小王"))
    assert (shop.money("李姐"), shop.money("甲")) == ((792, 0, 0), (792, 0, 0))


def test_L12_a_merged_person_keeps_money_orders_and_claw_backs(shop: Shop) -> None:
    shop.person("乙")
    shop.person("丙", invited_by="乙")
    shop.tell(shop.pay("A1", by="丙"))
    released(shop, "A1")
    with shop.sessions.begin() as session:
        from domain.people import service as people
        done = people.merge(session, shop.people["李姐"], shop.people["乙"], "test", shop.clock.now(), workflows.MOVERS)
    assert done.conflict == ""
    assert shop.money("李姐") == (0, 792, 0)
    shop.tell(shop.refund("A1", "R1", 9_900))
    assert shop.money("李姐") == (0, 0, 0)
    assert shop.money("乙") == (0, 0, 0)


def test_L13_own_orders_never_earn(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="李姐"))
    assert shop.rows("select count(*) from commission_line") == [(0,)]


def test_L14_a_chain_of_four_pays_two(shop: Shop) -> None:
    shop.person("丁", invited_by="新客")
    shop.tell(shop.pay("A1", by="丁", fen=10_000))
    assert [shop.money(one)[0] for one in ("新客", "小王", "李姐")] == [800, 200, 0]


def test_L15_nothing_to_earn_books_nothing(shop: Shop) -> None:
    shop.tell(shop.pay("ZERO", by="小王", fen=0), shop.pay("TINY", by="小王", fen=1, category="digital"))
    assert shop.rows("select count(*) from journal") == [(0,)]
    shop.tell(shop.refund("ZERO", "R1", 0), shop.close("TINY"))
    assert {state for state, _ in shop.states().values()} == {"done"}


def test_L16_the_largest_order_is_exact(shop: Shop) -> None:
    shop.tell(shop.pay("BIG", by="小王", fen=10**13 - 1))
    assert shop.money("李姐") == ((10**13 - 1) * 800 // 10_000 + 1, 0, 0)
    shop.tell(shop.refund("BIG", "R1", 10**13 - 1))
    assert shop.money("李姐") == (0, 0, 0)


def test_L17_more_than_the_cap_is_cut_by_largest_remainder(shop: Shop) -> None:
    with shop.sessions.begin() as session:
        commissions.ensure_plan(session, {"name": "edge", "levels": 2, "cap_bps": 5000, "rules": [
            {"level": 1, "rate_bps": 4000}, {"level": 2, "rate_bps": 1000}]}, shop.clock.now())
    shop.tell(shop.pay("A1", by="新客", fen=5))
    assert (shop.money("小王")[0], shop.money("李姐")[0]) == (1, 1)
    with shop.sessions() as session:
        assert [(one.uncut_fen, one.amount_fen) for one in queries.of_order(session, "mall", "A1")] == [(2, 1), (1, 1)]


def test_L19_P14_release_and_refund_at_once(shop: Shop) -> None:
    for n in range(6):
        shop.tell(shop.pay(f"A{n}", by="小王"), shop.receive(f"A{n}"))
    shop.clock.advance(8 * 86_400)
    for n in range(6):
        shop.tell(shop.refund(f"A{n}", "R1", 9_900), apply=False)

    def let_go() -> None:
        service.retrying(shop.sessions, lambda session: workflows.release_due(session, shop.clock.now(), 1))

    def take_back() -> None:
        workflows.apply_events(shop.sessions, shop.clock.now(), PEPPER, 1)

    at_once(*(let_go, take_back) * 6)
    shop.work()
    shop.due()
    pending, available, debt = shop.money("李姐")
    assert (pending, available - debt) == (0, 0)


def test_an_open_refund_holds_the_release_until_a_human_settles_it(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王"), shop.receive("A1"), shop.refund("A1", "R1", 9_901))
    shop.days(8)
    assert shop.money("李姐") == (792, 0, 0)
    with shop.sessions.begin() as session:
        assert not workflows.anything_due(session, shop.clock.now())
        inbox.dismiss(session, orders.stuck(session, 1)[0].id, "typing error of the mall", shop.clock.now())
    shop.due()
    assert shop.money("李姐") == (0, 792, 0)


def test_L28_replaying_everything_gives_the_same_and_changes_nothing(shop: Shop) -> None:
    events = [shop.pay("A1", by="新客"), shop.refund("A1", "R1", 3_300), shop.receive("A1"), shop.pay("A2", by="小王"),
              shop.close("A2")]
    shop.tell(*events)
    shop.days(8)
    before = shop.balances(), shop.rows("select count(*) from posting")
    shop.tell(*reversed(events), source="replay")
    shop.due()
    assert (shop.balances(), shop.rows("select count(*) from posting")) == before


def test_L30_one_poisoned_event_blocks_nobody_and_says_why(shop: Shop) -> None:
    good = [shop.pay(f"A{n}", by="小王") for n in range(5)]
    shop.tell(*good[:2], shop.pay("BAD", by="小王", event_id="bad"), *good[2:], apply=False)
    shop.rows("select 1")
    with shop.sessions.begin() as session:
        session.execute(text("update commerce_event set payload = payload - 'lines' where event_id = 'bad'"))
    shop.work()
    assert shop.money("李姐") == (792 * 5, 0, 0)
    for _ in range(6):
        shop.clock.advance(3_600)
        shop.work()
    state, reason = shop.states()["bad"]
    assert (state, "lines" in reason) == ("dead", True)
    assert shop.rows("select attempts from commerce_event_now where event_id = 'bad'") == [(5,)]


def test_P7_receipt_by_the_buyer_and_by_time_release_once(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王"), shop.ship("A1"))
    shop.days(15.1)
    shop.tell(shop.receive("A1"))
    shop.days(7.1)
    shop.due()
    assert shop.money("李姐") == (0, 792, 0)
    assert shop.rows("select count(*) from journal where kind = 'commission.released'") == [(1,)]


@pytest.mark.parametrize(("shipped", "days"), [(True, 15), (False, 20)])
def test_an_order_nobody_confirms_counts_as_received(shop: Shop, shipped: bool, days: int) -> None:
    shop.tell(shop.pay("A1", by="小王"), *([shop.ship("A1")] if shipped else []))
    shop.days(days - 0.1)
    assert shop.rows("select completed_at from customer_order") == [(None,)]
    shop.days(0.2)
    assert shop.rows("select completed_at is not null from customer_order") == [(True,)]
    shop.days(7)
    assert shop.money("李姐") == (0, 792, 0)


def test_P8_P9_every_line_earns_by_itself(shop: Shop) -> None:
    lines = [{"line_id": str(n), "sku": f"S{n}", "title": "货", "category": category, "quantity": 3, "paid_fen": fen}
             for n, (category, fen) in enumerate([("fmcg", 1_000), ("digital", 2_000), ("other", 3_333)])]
    shop.tell(shop.pay("A1", by="小王", lines=lines, paid_fen=6_333))
    with shop.sessions() as session:
        earned = [(one.rule, one.base_fen, one.amount_fen) for one in queries.of_order(session, "mall", "A1")]
    assert earned == [("category:fmcg", 1_000, 80), ("category:digital", 2_000, 60), ("default", 3_333, 167)]
    assert shop.money("李姐") == (307, 0, 0)


def test_P10_a_refund_takes_back_every_level(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="新客", fen=[5_000, 4_900]))
    shop.tell(shop.refund("A1", "R1", {"1": 5_000, "2": 4_900}))
    assert (shop.money("小王"), shop.money("李姐")) == ((0, 0, 0), (0, 0, 0))


def test_P13_a_partial_refund_leaves_the_rest_held(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王", fen=[5_000, 4_900]), shop.receive("A1"))
    shop.tell(shop.refund("A1", "R1", {"1": 5_000}))
    shop.days(6.9)
    assert shop.money("李姐") == (392, 0, 0)


def test_M8_one_order_from_two_systems_counts_once(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王"), shop.refund("A1", "R1", 100), source="mall")
    shop.tell(shop.pay("A1", by="小王"), shop.refund("A1", "R1", 100), source="erp")
    assert shop.rows("select count(*) from customer_order") == [(1,)]
    assert {state for state, _ in shop.states().values()} == {"done"}
    shop.tell(shop.pay("A1", by="小王", channel="douyin"))
    assert shop.rows("select count(*) from customer_order") == [(2,)]


def test_the_same_order_with_other_content_is_loud(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王", fen=9_900), shop.pay("A1", by="小王", fen=9_901))
    assert sorted(state for state, _ in shop.states().values()) == ["conflict", "done"]
    assert shop.money("李姐") == (792, 0, 0)


def test_the_same_event_id_with_other_content_is_told_at_the_door(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王", event_id="x"))
    received = shop.tell(shop.pay("A2", by="小王", event_id="x"))
    assert (received.accepted, received.conflicts) == (0, ("x",))


def test_closed_takes_everything_back_whatever_comes_first(shop: Shop) -> None:
    shop.tell(shop.close("A1"), shop.pay("A1", by="小王"))
    shop.tell(shop.pay("A2", by="小王"), shop.refund("A2", "R1", 100), shop.close("A2"), shop.refund("A2", "R2", 100))
    assert shop.money("李姐") == (0, 0, 0)


def test_P13_the_first_completed_order_opens_rights_and_its_return_closes_them(shop: Shop) -> None:
    def role() -> list:
        return shop.rows("select role from role_grant where person_id = :p and revoked_at is null",
                         p=shop.people["小王"])

    shop.tell(shop.pay("A1", by="小王"))
    assert role() == []
    shop.tell(shop.receive("A1"))
    assert role() == [("promoter",)]
    assert shop.rows("select count(*) from outbox where kind = 'order.first_completed'") == [(1,)]
    shop.tell(shop.refund("A1", "R1", 9_900))
    assert role() == []


def test_the_role_at_payment_counts(shop: Shop) -> None:
    start = shop.clock.now()
    with shop.sessions.begin() as session:
        grant(session, shop.people["李姐"], "gold", Cause("operator", "1"), start, start)
    shop.clock.advance(60)
    shop.tell(shop.pay("GOLD", by="小王", fen=10_000))
    shop.clock.advance(60)
    with shop.sessions.begin() as session:
        revoke(session, shop.people["李姐"], "gold", "operator", "test", shop.clock.now())
    shop.tell(shop.pay("LATE", by="小王", fen=10_000, at=shop.clock.now() - timedelta(seconds=60)))
    shop.clock.advance(60)
    shop.tell(shop.pay("PLAIN", by="小王", fen=10_000))
    with shop.sessions() as session:
        rules = [queries.of_order(session, "mall", one)[0].rule for one in ("GOLD", "LATE", "PLAIN")]
    assert rules == ["category+role:fmcg+gold", "category+role:fmcg+gold", "category:fmcg"]


def test_L19_withdrawals_racing_a_claw_back_never_overdraw(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王", fen=100_000))
    released(shop, "A1")
    shop.tell(shop.refund("A1", "R1", 50_000), apply=False)
    said: list[str] = []

    def withdraw() -> None:
        try:
            shop.spend("李姐", 3_000)
            said.append("paid")
        except DomainError as refusal:
            said.append(refusal.code)

    at_once(withdraw, withdraw, shop.work, withdraw, withdraw)
    _, available, debt = shop.money("李姐")
    paid = said.count("paid") * 3_000
    assert len(said) == 4 and set(said) <= {"paid", "insufficient"}
    assert available - debt == 4_000 - paid and available >= 0
