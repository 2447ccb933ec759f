"""Campaign phases and personal boosts multiply rates; the deal keeps what it was made of; sales have sellers."""

from datetime import timedelta

from domain.commissions import plans, queries
from domain.commissions import service as commissions
from domain.people import service as people
from domain.workflows import MOVERS
from tests.conftest import MORNING
from tests.integration.money.world import Shop

LAUNCH = {
    "name": "launch", "levels": 2, "rules": [{"level": 1, "rate_bps": 800}, {"level": 2, "rate_bps": 200}],
    "phases": [{"name": "启动期", "starts_on": "2026-11-21", "ends_before": "2026-11-22", "factor_bps": 15_000}],
    "boosts": {"max_bps": 12_000},
}


def publish(shop: Shop, document: dict[str, object]) -> None:
    with shop.sessions.begin() as session:
        commissions.ensure_plan(session, plans.parse(document), shop.clock.now())


def boost(shop: Shop, name: str, bps: int, days: float, cause: str = "seed:2026-11") -> bool:
    now = shop.clock.now()
    with shop.sessions.begin() as session:
        return commissions.grant_boost(session, shop.people[name], bps, now, now + timedelta(days=days), cause, now)


def made_of(shop: Shop, order: str) -> dict[int, tuple[int, int, int, int]]:
    with shop.sessions() as session:
        found = queries.of_order(session, "mall", order)
    return {line.level: (line.amount_fen, line.rule_bps, line.phase_bps, line.boost_bps) for line in found}


def test_the_moment_of_payment_decides_about_phase_and_boost(shop: Shop) -> None:
    publish(shop, LAUNCH)
    assert boost(shop, "小王", 12_000, days=1) and not boost(shop, "小王", 13_000, days=9)
    midnight = MORNING.replace(hour=16)
    shop.tell(shop.pay("A1", by="新客", fen=10_000))
    shop.tell(*[shop.pay(order, by="新客", fen=10_000, at=at) for order, at in (
        ("A2", midnight - timedelta(microseconds=1)), ("A3", midnight), ("A4", MORNING + timedelta(days=1)),
        ("A5", midnight + timedelta(days=1)))])
    assert made_of(shop, "A1") == made_of(shop, "A2") == {1: (960, 800, 10_000, 12_000), 2: (200, 200, 10_000, 10_000)}
    assert made_of(shop, "A3") == {1: (1_440, 800, 15_000, 12_000), 2: (300, 200, 15_000, 10_000)}
    assert made_of(shop, "A4") == {1: (1_200, 800, 15_000, 10_000), 2: (300, 200, 15_000, 10_000)}
    assert made_of(shop, "A5") == {1: (800, 800, 10_000, 10_000), 2: (200, 200, 10_000, 10_000)}


def test_a_boost_that_ends_or_is_above_the_plan_changes_no_struck_deal(shop: Shop) -> None:
    publish(shop, LAUNCH)
    boost(shop, "小王", 20_000, days=90)
    shop.tell(shop.pay("A1", by="新客", fen=10_000))
    with shop.sessions.begin() as session:
        assert commissions.boosts_at(session, [shop.people["小王"]], shop.clock.now()) == {shop.people["小王"]: 20_000}
        assert commissions.end_boost(session, shop.people["小王"], "seed:2026-11", shop.clock.now())
        assert not commissions.end_boost(session, shop.people["小王"], "seed:2026-11", shop.clock.now())
    shop.clock.advance(1)
    shop.tell(shop.pay("A2", by="新客", fen=10_000))
    assert (made_of(shop, "A1")[1][0], made_of(shop, "A2")[1][0]) == (960, 800)


def test_a_sale_keeps_its_seller_and_leader_also_when_people_merge(shop: Shop) -> None:
    twin = shop.person("小王的旧号", invited_by="李姐")
    shop.person("老客", invited_by="小王的旧号")
    shop.tell(shop.pay("A1", by="新客"), shop.pay("A2", by="老客"), shop.pay("A3", by="李姐"),
              shop.pay("A4", by="小王", category="free"))
    with shop.sessions.begin() as session:
        people.merge(session, shop.people["小王"], twin, "operator", shop.clock.now(), MOVERS)
    li, wang = shop.people["李姐"], shop.people["小王"]
    sold = shop.rows("select order_no, seller_id, leader_id from customer_order order by order_no")
    assert [tuple(row) for row in sold] == [
        ("A1", wang, li), ("A2", wang, li), ("A3", None, None), ("A4", li, None)]
