"""What a draft would have cost: against the books, against arithmetic by hand, and without a trace."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from domain.catalog.models import Product
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.commissions.document import Boosts, Ladder, Phase, Plan, Rule, Step
from domain.shared.clock import FixedClock, business_date
from domain.workflows.simulation import Simulation, simulate
from tests.integration.money.world import PLANS, Shop

TWO = plans.load(PLANS / "two-level.toml")


@pytest.fixture
def shop(engine: Engine, clock: FixedClock) -> Iterator[Shop]:
    shop = Shop(engine, clock)
    shop.people_bound({"甲": "", "乙": "甲", "丙": "乙", "丁": "乙"})
    yield shop
    engine.dispose()


def run(shop: Shop, draft: Plan, **more: object) -> Simulation:
    with shop.sessions() as session:
        session.execute(text("set transaction isolation level repeatable read read only"))
        live = commissions.live_plan(session, shop.clock.now())
        return simulate(session, live, draft, shop.clock.now(), **more)  # type: ignore[arg-type]


def test_the_live_plan_against_itself_is_what_the_books_say(shop: Shop) -> None:
    shop.tell(shop.pay("A1", "丙", [9_999, 3_333]), shop.pay("A2", "丁", 10_001, category="digital"),
              shop.pay("A3", "乙", 5_000), shop.pay("A4", "丙", 7_777), shop.pay("A5", "丙", 777, category="x"))
    shop.tell(shop.refund("A1", "r1", {"1": 3_333}), shop.close("A4"))
    shop.clock.advance(3_600)
    found = run(shop, TWO)
    booked = dict(shop.rows("select level, sum(amount_fen - clawed_fen)::bigint from commission_line group by level"))
    assert found.live == found.draft and found.live.by_level == booked
    assert (found.orders, found.all_orders) == (5, 5)
    assert found.sales_fen == 9_999 - 3_333 + 3_333 + 10_001 + 5_000 + 777
    assert (found.gaining, found.losing, found.same) == (0, 0, 2) and found.gainers == found.losers == ()
    assert found.live.ladder_fen == 1_039 + 250 and found.live.team_fen == 0


def test_who_gains_and_who_loses(shop: Shop) -> None:
    shop.tell(shop.pay("A1", "丙", 100_000), shop.pay("A2", "乙", 50_000))
    shop.clock.advance(60)
    draft = replace(TWO, levels=1, rules=(Rule(1, 1_000),), ladder=None, team=None)
    found = run(shop, draft)
    # 乙 sold 1,000 yuan (8 % -> 10 %, ladder 5 % gone); 甲 sold 500 yuan and lost the second level of 1,000 yuan.
    assert [(one.live_fen, one.draft_fen) for one in found.losers] == [(4_000 + 2_000 + 2_500, 5_000), (13_000, 10_000)]
    assert found.gainers == () and (found.gaining, found.losing) == (0, 2)
    assert (found.live.total_fen, found.draft.total_fen) == (21_500, 15_000)
    assert (found.live_share_bps, found.draft_share_bps) == (1_433, 1_000)


def test_a_planned_phase_counts_as_if_the_draft_began_on_its_day(shop: Shop) -> None:
    shop.tell(shop.pay("A1", "丙", 100_000, at=shop.clock.now() - timedelta(hours=5)))
    begins = business_date(shop.clock.now()) + timedelta(days=100)
    launch = Phase("启动期", begins + timedelta(days=29), begins + timedelta(days=31), 15_000)
    draft = replace(TWO, phases=(launch,), ladder=None)
    assert run(shop, draft).draft.by_level == {1: 8_000, 2: 2_000}
    assert run(shop, draft, begins_on=begins).draft.by_level == {1: 12_000, 2: 3_000}


def test_the_cap_cuts_and_says_how_much(shop: Shop) -> None:
    shop.tell(shop.pay("A1", "丙", 10_000))
    shop.clock.advance(60)
    draft = replace(TWO, cap_bps=500, rules=(Rule(1, 400), Rule(2, 400)), ladder=None, boosts=Boosts())
    found = run(shop, draft)
    assert (found.draft.base_fen, found.draft.cut_fen, found.draft.cut_lines) == (500, 300, 1)


def test_the_ladder_is_paid_for_each_thirty_days(shop: Shop) -> None:
    shop.tell(shop.pay("A1", "丙", 80_000))
    shop.clock.advance(39 * 86_400)
    shop.tell(shop.pay("A2", "丙", 80_000))
    shop.clock.advance(86_400)
    steep = replace(TWO, ladder=Ladder((Step(0, 0), Step(100_000, 1_000))), team=None)
    assert run(shop, steep, days=90).draft.ladder_fen == 0
    assert run(shop, replace(steep, ladder=Ladder((Step(0, 100),))), days=90).draft.ladder_fen == 1_600
    assert run(shop, replace(steep, ladder=Ladder((Step(0, 100),))), days=30).draft.ladder_fen == 800


def test_margin_is_told_for_the_goods_whose_margin_is_known(shop: Shop) -> None:
    with shop.sessions.begin() as session:
        session.add(Product(no=1, sku="SKU1", title="货", category="fmcg", price_fen=1, margin_bps=3_000,
                            told_at=shop.clock.now(), told_by="mall"))
    shop.tell(shop.pay("A1", "丙", [10_000, 10_000]))
    shop.clock.advance(60)
    margin = run(shop, TWO).margin
    assert (margin.sales_fen, margin.margin_fen, margin.lines, margin.lines_without) == (10_000, 3_000, 2, 1)
    # 8 % + 2 % on the known line, and half of the ladder's 5 % of 200 yuan.
    assert margin.live_left_fen == 3_000 - 800 - 200 - 500


def test_only_the_newest_orders_when_there_are_too_many(shop: Shop) -> None:
    shop.tell(*[shop.pay(f"A{n}", "丙", 1_000, at=shop.clock.now() - timedelta(minutes=n)) for n in range(1, 8)])
    told: list[tuple[int, int]] = []
    found = run(shop, TWO, most=3, progress=lambda done, total: told.append((done, total)))
    assert (found.orders, found.all_orders, found.sales_fen) == (3, 7, 3_000) and told == [(3, 3)]


def test_a_shop_without_orders_is_compared_too(shop: Shop) -> None:
    found = run(shop, TWO)
    assert (found.orders, found.live.total_fen, found.draft_share_bps, found.margin.lines) == (0, 0, 0, 0)
    with pytest.raises(ValueError, match="days"):
        run(shop, TWO, days=0)
