"""More cases that money systems got wrong, each by the name it has in docs/NASTY.md."""

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import accumulate, permutations
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.commissions import plans, queries
from domain.commissions import service as commissions
from domain.ledger import service
from domain.ledger.rules import Entry, Move, person, platform
from domain.orders import service as orders
from domain.rewards import cash
from domain.roles import rulebooks
from domain.roles.rulebook import load
from domain.roles.service import Cause, grant
from domain.shared.errors import DomainError
from tests.integration.money.world import PLANS, Shop
from tests.together import at_once
from tests.unit.roles.test_rulebook import SHIPPED

YUAN = 100
DECEMBER = datetime(2026, 11, 30, 18, 0, tzinfo=UTC)


def _publish(shop: Shop, **changed: Any) -> int:
    with shop.sessions.begin() as session:
        document = plans.load(PLANS / "two-level.toml").document() | changed
        return int(commissions.ensure_plan(session, document, shop.clock.now()).version)


def test_L8_two_orders_cross_a_step_at_once(shop: Shop) -> None:
    """Each of 30,000; the step is at 50,000. Whoever is first, the month brings 5 % to there and 8 % above, once."""
    orders = [shop.pay(f"A{n}", by="新客", fen=30_000 * YUAN) for n in range(2)]
    shop.tell(*orders, apply=False)
    at_once(*[shop.work] * 2)
    shop.work()
    shop.clock.advance((DECEMBER - shop.clock.now()).total_seconds())
    shop.close_month("2026-11")
    assert shop.settled("小王") == [("ladder", "close", 330_000, 330_000)]


def test_L14_levels_lowered_while_commissions_wait(shop: Shop) -> None:
    """What was struck under two levels is paid; what is sold from then on pays one."""
    shop.tell(shop.pay("TWO", by="新客", fen=10_000), shop.receive("TWO"))
    shop.clock.advance(60)
    rules = [{"level": 1, "rate_bps": 800}]
    assert _publish(shop, levels=1, rules=rules) == 2
    shop.tell(shop.pay("ONE", by="新客", fen=10_000))
    assert (shop.money("小王"), shop.money("李姐")) == ((1_600, 0, 0), (200, 0, 0))
    shop.days(7)
    assert (shop.money("小王"), shop.money("李姐")) == ((800, 800, 0), (0, 200, 0))


def test_L16_a_sum_beyond_what_a_balance_holds_raises(shop: Shop) -> None:
    """Nothing wraps around, nothing is rounded: the entry is refused and the balance is what it was."""
    def entry(n: int, fen: int) -> Entry:
        move = Move(platform("expense.bonus"), person(shop.people["李姐"], "available"), fen)
        return Entry(f"big:{n}", "test.big", shop.clock.now(), "test", n, "", (move,))

    exact = 2**53 + 1
    with shop.sessions.begin() as session:
        service.post(session, [entry(0, exact)], shop.clock.now())
    for n in (1, 2):
        with pytest.raises((DBAPIError, DomainError)), shop.sessions.begin() as session:
            service.post(session, [entry(n, 2**63 - 1)], shop.clock.now())
    assert shop.money("李姐") == (0, exact, 0)


def test_L25_the_release_runs_twice_or_skips_days(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王"), shop.receive("A1"))
    shop.clock.advance(7 * 86_400 - 1)
    assert (shop.due(), shop.money("李姐")) == (0, (792, 0, 0))
    shop.clock.advance(9 * 86_400)
    assert [shop.due(), shop.due()] == [1, 0]
    assert shop.money("李姐") == (0, 792, 0)


def test_L25_the_mall_is_ten_minutes_ahead(shop: Shop) -> None:
    """A sale from the future counts once, and is let go seven days after what its own clock said."""
    ahead = shop.clock.now() + timedelta(minutes=10)
    sale = shop.pay("A1", by="小王", at=ahead)
    shop.tell(sale, sale, shop.receive("A1", at=ahead))
    shop.clock.advance(3_600)
    shop.tell(sale)
    shop.days(7 - 51 / 1_440)
    assert shop.money("李姐") == (792, 0, 0)
    shop.days(2 / 1_440)
    assert shop.money("李姐") == (0, 792, 0)


def test_L25_a_leap_day_is_a_day(shop: Shop) -> None:
    leap = datetime(2028, 2, 25, 4, 0, tzinfo=UTC)
    shop.clock.advance((leap - shop.clock.now()).total_seconds())
    shop.tell(shop.pay("A1", by="小王"), shop.receive("A1"))
    coming = shop.wallet("李姐").next_release
    assert coming is not None and coming[0].isoformat() == "2028-03-03"
    shop.days(6.99)
    assert shop.money("李姐") == (792, 0, 0)
    shop.days(0.02)
    assert shop.money("李姐") == (0, 792, 0)


def test_L27_P15_only_money_paid_for_goods_earns(shop: Shop) -> None:
    """Goods of 100 with 8 by coupon, 2 by points, postage of 10: the base is the 90 that were paid for the goods."""
    shop.tell(shop.pay("A1", by="小王", fen=9_000, shipping_fen=1_000))
    shop.tell(shop.pay("FREE", by="小王", fen=0, shipping_fen=1_000))
    with shop.sessions() as session:
        one, = queries.of_order(session, "mall", "A1")
        assert queries.of_order(session, "mall", "FREE") == [] or sum(
            line.amount_fen for line in queries.of_order(session, "mall", "FREE")) == 0
    assert (one.base_fen, one.amount_fen) == (9_000, 720)
    shop.tell(shop.refund("A1", "R1", 4_500))
    assert shop.money("李姐") == (360, 0, 0)


def test_P16_equal_roles_up_the_line_each_earn_their_own_level(shop: Shop) -> None:
    """Two partners above each other: no pass-up, no double; and a promotion changes nothing of yesterday."""
    shop.tell(shop.pay("BEFORE", by="新客", fen=10_000))
    shop.clock.advance(60)
    with shop.sessions.begin() as session:
        for name in ("李姐", "小王"):
            grant(session, shop.people[name], "partner", Cause("operator", name), shop.clock.now(), shop.clock.now())
    shop.clock.advance(60)
    shop.tell(shop.pay("AFTER", by="新客", fen=10_000))
    with shop.sessions() as session:
        told = {order: [(line.level, line.beneficiary_id) for line in queries.of_order(session, "mall", order)]
                for order in ("BEFORE", "AFTER")}
    pair = [(1, shop.people["小王"]), (2, shop.people["李姐"])]
    assert told == {"BEFORE": pair, "AFTER": pair}
    before = shop.rows("select amount_fen from commission_line order by id limit 2")
    assert [row.amount_fen for row in before] == [800, 200]


def test_P18_six_hundred_lines_are_let_go_once(shop: Shop) -> None:
    """More than one piece of the release: nothing is left behind and nothing comes again."""
    orders = [f"A{n}" for n in range(520)]
    shop.tell(*[shop.pay(order, by="小王", fen=1_000) for order in orders])
    shop.tell(*[shop.receive(order) for order in orders])
    shop.clock.advance(8 * 86_400)
    assert [shop.due() for _ in range(3)] == [500, 20, 0]
    assert shop.money("李姐") == (0, 520 * 80, 0)


@pytest.mark.parametrize("fen", [0, -1, -10_000])
def test_P18_no_entry_of_nothing_or_less(shop: Shop, fen: int) -> None:
    side = person(shop.people["李姐"], "available")
    with pytest.raises((DBAPIError, DomainError)), shop.sessions.begin() as session:
        service.post(session, [Entry("less", "test.less", shop.clock.now(), "test", 1, "",
                                     (Move(platform("expense.bonus"), side, fen),))], shop.clock.now())
    assert shop.rows("select count(*) from journal") == [(0,)]


def test_P19_the_first_wallet_of_somebody_is_made_once(shop: Shop) -> None:
    """Twenty at once need accounts that do not exist yet."""
    shop.tell(*[shop.pay(f"A{n}", by="小王", fen=1_000) for n in range(20)], apply=False)
    at_once(*[shop.work] * 5)
    shop.work()
    assert shop.money("李姐") == (20 * 80, 0, 0)
    with shop.sessions() as session:
        doubles = session.execute(text("select owner_id, kind from account where owner_id is not null"
                                       " group by owner_id, kind, currency having count(*) > 1")).all()
    assert doubles == []


@pytest.mark.parametrize("parts", sorted(set(permutations((333, 333, 334)))))
@pytest.mark.parametrize("released", range(4))
def test_L5_parts_that_do_not_divide_end_exactly_whatever_was_let_go(
    shop: Shop, parts: tuple[int, ...], released: int
) -> None:
    """8 % of 333 is 26.64: rounded apart the three would take back 81 of 80 fen. ``released``: before which of them the
    commission is let go (3: after all). The second level's 20 fen (6.66 each, apart 21) end as exactly."""
    shop.tell(shop.pay("A1", by="新客", fen=1_000), shop.receive("A1"))
    taken = []
    for n, fen in enumerate(parts):
        if n == released:
            shop.days(8)
        shop.tell(shop.refund("A1", f"R{n}", fen))
        pending, available, debt = shop.money("小王")
        taken.append(80 - pending - available)
        assert debt == 0
    back = list(accumulate(parts))
    assert taken == [(80 * so_far + 500) // 1_000 for so_far in back] and taken[-1] == 80
    shop.days(8)
    assert shop.money("小王") == shop.money("李姐") == (0, 0, 0)


def test_F2_F9_the_role_known_when_an_order_is_booked_counts_for_it(shop: Shop) -> None:
    """Gold dates from the order that earned it (F9), and a deal is struck once, by what is known then (F2): an order of
    the same batch earns by the role of before, one that is told later earns as gold, and neither ever changes."""
    with shop.sessions.begin() as session:
        rulebooks.publish(session, load(SHIPPED), shop.clock.now() - timedelta(days=1))
    for n in range(3):
        shop.tell(shop.pay(f"L{n}", by="小王"))
        shop.clock.advance(60)
    fourth = shop.pay("L3", by="小王")
    same_batch = shop.pay("A1", by="新客", at=shop.clock.now() + timedelta(seconds=1))
    shop.clock.advance(60)
    shop.tell(fourth, same_batch)
    shop.tell(shop.pay("A2", by="新客", at=shop.clock.now() - timedelta(seconds=1)))

    def rates() -> dict[str, tuple[int, str]]:
        return {row.order_no: (row.rate_bps, row.rule) for row in shop.rows(
            "select o.order_no, c.rate_bps, c.rule from commission_line c join customer_order o on o.id = c.order_id"
            " where c.beneficiary_id = :one and c.level = 1", one=shop.people["小王"])}

    first = rates()
    assert [row.role for row in shop.rows("select role from role_grant where person_id = :one and role = 'gold'",
                                          one=shop.people["小王"])] == ["gold"]
    assert (first["A1"][0], first["A2"][0]) == (800, 2_500)
    shop.tell(fourth, same_batch)
    assert rates() == first


def test_L26_a_red_packet_opened_by_many_at_once_is_given_once(shop: Shop) -> None:
    """A red packet belongs to one person and one cause; ten workers carry the same one out, and ten different ones."""
    one, shares = shop.people["李姐"], [1, 2, 3, 5, 8, 13, 21, 34, 55, 89]

    def carry_out(fen: int, cause: str) -> bool:
        return service.retrying(shop.sessions, lambda session: cash.give(session, one, fen, cause, 7, shop.clock.now()))

    given = at_once(*[partial(carry_out, 1_000, "the same")] * 10,
                    *(partial(carry_out, fen, f"share {fen}") for fen in shares))
    assert sorted(given) == [False] * 9 + [True] * 11
    assert shop.money("李姐") == (0, 1_000 + sum(shares), 0)


def test_an_event_that_was_dismissed_keeps_no_phone(shop: Shop) -> None:
    """Nobody would find it again: an erasure knows who is gone by other names than the phone."""
    buyer = {"mall_user_id": "小王", "phone": "13800138000"}
    shop.tell(shop.pay("A1", by="小王", buyer=buyer), apply=False)
    shop.tell(shop.event("customer.upserted", identities={"phone": "13800138000"}, nickname="小花"), apply=False)
    with shop.sessions.begin() as session:
        session.execute(text("update commerce_event set payload = payload - 'lines' || '{\"birthday\": \"never\"}'"))
    for _ in range(6):
        shop.clock.advance(3_600)
        shop.work()
    dead = shop.rows("select id, payload::text like '%13800138000%' from commerce_event_now join commerce_event"
                     " using (id) where state = 'dead' order by id")
    assert [phone for _, phone in dead] == [True, True], "whoever tries it again needs it"
    with shop.sessions.begin() as session:
        for number, _ in dead:
            orders.dismiss(session, number, "nobody knows", shop.clock.now())
    assert shop.rows("select count(*) from commerce_event where payload::text like '%138%'") == [(0,)]
    assert set(shop.states().values()) == {("done", "dismissed: nobody knows")}
