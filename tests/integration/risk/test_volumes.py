"""Sales in question count for nobody's month: not while they wait, never once confiscated, late when cleared."""

from datetime import UTC, datetime

import pytest

from domain.roles import service as roles
from domain.roles.service import Cause
from domain.settlements import queries
from domain.settlements.rules import Month, within
from tests.conftest import MORNING
from tests.integration.risk.world import Watched

YUAN = 100
NOVEMBER = Month.parse("2026-11")
CLOSE = datetime(2026, 11, 30, 18, 0, tzinfo=UTC)


def five_a_day(shop: Watched) -> int:
    """小王 sold 40,000 yuan to 新客, and the next day five times 5,000, which is too often. Returns the case."""
    with shop.sessions.begin() as session:
        roles.grant(session, shop.people["李姐"], "partner", Cause("operator", "x"), MORNING, MORNING)
    shop.tell(shop.pay("A0", by="新客", fen=40_000 * YUAN))
    shop.clock.advance(86_400)
    shop.tell(*(shop.pay(f"A{n}", by="新客", fen=5_000 * YUAN) for n in range(1, 6)))
    shop.look()
    case = shop.only_case()
    assert (case.rule, case.lines) == ("velocity", 5)
    return case.id


def december(shop: Watched) -> None:
    shop.clock.advance((CLOSE - shop.clock.now()).total_seconds())
    shop.close_month("2026-11")


def view(shop: Watched, name: str) -> tuple[int, int, int]:
    """(own volume, ladder, team) of November, fen."""
    with shop.sessions() as session:
        found = queries.month_view(session, shop.people[name], NOVEMBER)
    return found.direct_fen, found.ladder_fen, found.team_fen


def test_what_is_held_counts_late_when_it_is_cleared(shop: Watched) -> None:
    case = five_a_day(shop)
    assert view(shop, "小王") == (40_000 * YUAN, 2_000 * YUAN, 0)
    assert view(shop, "李姐")[2] == 800 * YUAN
    with shop.sessions() as session:
        ranking = queries.ranking(session, shop.people["小王"], NOVEMBER)
    assert [place.fen for place in ranking.places] == [40_000 * YUAN]
    december(shop)
    assert shop.settled("小王") == [("ladder", "close", 200_000, 200_000)]
    assert shop.settled("李姐") == [("team", "close", 80_000, 80_000)]
    shop.tell(shop.refund("A0", "r1", 10_000 * YUAN))
    shop.adjust()
    assert shop.settled("小王")[1:] == [("ladder", "adjustment", 150_000, -50_000)]
    assert shop.settled("李姐")[1:] == [("team", "adjustment", 60_000, -20_000)]
    before = shop.money("小王")[0]
    shop.decide(case, "released")
    shop.adjust()
    # 30,000 + 5 x 5,000 = 55,000: 50,000 at 5 % and 5,000 at 8 %; the team's 2 % of it.
    assert shop.settled("小王")[2:] == [("ladder", "adjustment", 290_000, 140_000)]
    assert shop.settled("李姐")[2:] == [("team", "adjustment", 110_000, 50_000)]
    assert shop.money("小王")[0] - before == 140_000 + 5 * 40_000, "the commissions of five orders are pending again"
    assert shop.adjust() == 0 and view(shop, "小王")[0] == 55_000 * YUAN


def test_what_is_confiscated_never_counts(shop: Watched) -> None:
    case = five_a_day(shop)
    shop.decide(case, "confiscated")
    december(shop)
    shop.adjust()
    assert shop.settled("小王") == [("ladder", "close", 200_000, 200_000)]
    assert shop.settled("李姐") == [("team", "close", 80_000, 80_000)]


def test_a_suspicion_after_the_close_takes_only_what_was_not_let_go(shop: Watched) -> None:
    shop.tell(shop.pay("A1", by="新客", fen=50_000 * YUAN))
    december(shop)
    assert shop.settled("小王") == [("ladder", "close", 250_000, 250_000)]
    case = shop.freeze("小王")
    shop.adjust()
    assert shop.settled("小王")[1:] == [("ladder", "adjustment", 0, -250_000)], "pending still: it waits"
    shop.decide(case, "released")
    shop.adjust()
    assert shop.settled("小王")[2:] == [("ladder", "adjustment", 250_000, 250_000)]
    shop.days(8)
    assert shop.wallet("小王").available_fen == 250_000
    case = shop.freeze("小王")
    shop.adjust()
    assert len(shop.settled("小王")) == 3 and shop.wallet("小王").available_fen == 250_000, "let go: it stays"
    shop.decide(case, "confiscated")
    shop.adjust()
    assert shop.settled("小王")[3:] == [("ladder", "adjustment", 0, -250_000)]
    assert shop.wallet("小王").available_fen == 0 and view(shop, "小王")[0] == 0


def test_the_sellers_sale_stays_when_only_the_leader_is_looked_at(shop: Watched) -> None:
    with shop.sessions.begin() as session:
        roles.grant(session, shop.people["李姐"], "partner", Cause("operator", "x"), MORNING, MORNING)
    shop.tell(shop.pay("A1", by="新客", fen=10_000 * YUAN))
    shop.freeze("李姐")
    december(shop)
    assert shop.settled("小王") == [("ladder", "close", 50_000, 50_000)]
    assert shop.settled("李姐") == []


@pytest.mark.parametrize(("total", "pending", "least", "most", "wanted"), [
    (0, 0, 50, 90, 50), (50, 0, 50, 90, 50), (100, 30, 50, 90, 70), (100, 0, 50, 90, 90), (100, 100, 50, 90, 50),
    (80, 0, 50, 100, 80), (80, 10, 50, 100, 70), (80, 80, 80, 80, 80), (100, 0, 80, 80, 80), (60, 60, 80, 80, 80)])
def test_what_shall_be_booked(total: int, pending: int, least: int, most: int, wanted: int) -> None:
    assert within(total, pending, least, most) == wanted
