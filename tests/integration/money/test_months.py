"""Closing months: once a person and kind, whoever closes how often; late facts are adjustments of the open month."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from domain.commissions import plans
from domain.commissions import service as commissions
from domain.commissions.document import Ladder, Step
from domain.commissions.ladder import ladder_fen
from domain.people import service as people
from domain.roles import service as roles
from domain.roles.service import Cause
from domain.settlements import service
from domain.settlements.rules import Month
from domain.shared.errors import DomainError
from domain.workflows import MOVERS
from tests.conftest import MORNING
from tests.integration.money.world import Shop
from tests.together import at_once

DECEMBER = datetime(2026, 11, 30, 18, 0, tzinfo=UTC)
"""Two o'clock on the 1st in Shanghai."""
YUAN = 100


def till(shop: Shop, moment: datetime) -> None:
    shop.clock.advance((moment - shop.clock.now()).total_seconds())


def sold(shop: Shop, order: str, yuan: int, by: str = "新客", at: datetime | None = None) -> None:
    shop.tell(shop.pay(order, by=by, fen=yuan * YUAN, at=at))


def partner(shop: Shop, name: str) -> None:
    with shop.sessions.begin() as session:
        roles.grant(session, shop.people[name], "partner", Cause("operator", name), MORNING, MORNING)


def test_a_month_brings_ladder_and_team_once(shop: Shop) -> None:
    partner(shop, "李姐")
    sold(shop, "A1", 49_999)
    sold(shop, "A2", 10_001)
    sold(shop, "A3", 1_000, by="小王")
    before = {name: shop.money(name)[0] for name in ("李姐", "小王")}
    till(shop, DECEMBER)
    for _ in range(3):
        shop.close_month("2026-11")
    assert shop.settled("小王") == [("ladder", "close", 330_000, 330_000)]
    assert shop.settled("李姐") == [("ladder", "close", 5_000, 5_000), ("team", "close", 120_000, 120_000)]
    assert shop.settled("新客") == []
    assert {name: shop.money(name)[0] - before[name] for name in before} == {"李姐": 125_000, "小王": 330_000}
    keys = shop.rows("select idem from journal where source_type = 'settlement' order by 1")
    assert [row.idem for row in keys] == [f"month:2026-11:{kind}:{shop.people[name]}" for kind, name in (
        ("ladder", "李姐"), ("ladder", "小王"), ("team", "李姐"))]
    wallet = shop.wallet("小王")
    assert wallet.next_release is not None and wallet.next_release[1] == 330_000
    shop.days(7)
    assert shop.wallet("小王").available_fen == 330_000


def test_a_month_that_runs_or_has_an_open_one_before_it_is_not_closed(shop: Shop) -> None:
    sold(shop, "A1", 100)
    with pytest.raises(DomainError, match="month_not_over"):
        shop.close_month("2026-11")
    till(shop, DECEMBER + timedelta(days=31))
    with pytest.raises(DomainError, match="month_before_open"):
        shop.close_month("2026-12")
    with shop.sessions() as session:
        assert service.due_month(session, shop.clock.now()) == Month.parse("2026-11")
    shop.close_month("2026-11")
    shop.close_month("2026-12")
    with shop.sessions() as session:
        assert service.due_month(session, shop.clock.now()) is None


def test_months_end_at_midnight_in_shanghai_and_a_late_order_of_the_old_one_is_adjusted(shop: Shop) -> None:
    last = DECEMBER - timedelta(hours=2, microseconds=1)
    till(shop, DECEMBER)
    sold(shop, "A1", 100, at=last)
    sold(shop, "A2", 200, at=last + timedelta(microseconds=1))
    shop.close_month("2026-11")
    assert shop.settled("小王") == [("ladder", "close", 500, 500)]
    sold(shop, "A3", 60_000, at=last)
    assert shop.adjust() == 2
    assert shop.settled("小王")[1:] == [("ladder", "adjustment", 330_800, 330_300)]
    assert shop.adjust() == 0


def test_a_refund_below_the_step_is_taken_from_what_is_pending_then_available_then_debt(shop: Shop) -> None:
    sold(shop, "A1", 60_000)
    till(shop, DECEMBER)
    shop.close_month("2026-11")
    pending = shop.money("小王")[0]
    shop.tell(shop.refund("A1", "R1", 20_000 * YUAN))
    assert shop.adjust() == 2
    assert shop.settled("小王")[1:] == [("ladder", "adjustment", 200_000, -130_000)]
    assert shop.money("小王") == (pending - 130_000 - 160_000, 0, 0)
    shop.days(7)
    assert shop.wallet("小王").available_fen == 200_000
    shop.spend("小王", 150_000)
    shop.tell(shop.refund("A1", "R2", 20_000 * YUAN))
    shop.adjust()
    assert shop.settled("小王")[2:] == [("ladder", "adjustment", 100_000, -100_000)]
    assert shop.money("小王")[1:] == (0, 50_000)
    shop.tell(shop.close("A1"))
    shop.adjust()
    assert sum(change for *_, change in shop.settled("小王")) == 0
    assert shop.money("小王") == (0, 0, 150_000)


def test_the_plan_of_the_month_is_the_one_that_was_live_when_it_began(shop: Shop) -> None:
    sold(shop, "A1", 60_000)
    whole = {"name": "whole", "levels": 1, "rules": [], "ladder": {"mode": "whole", "steps": [
        {"from_fen": 0, "rate_bps": 100}, {"from_fen": 5_000_000, "rate_bps": 300}]}}
    with shop.sessions.begin() as session:
        commissions.ensure_plan(session, plans.parse(whole), shop.clock.now())
    till(shop, DECEMBER)
    sold(shop, "A2", 50_000)
    shop.close_month("2026-11")
    assert shop.settled("小王") == [("ladder", "close", 330_000, 330_000)]
    till(shop, DECEMBER + timedelta(days=31))
    shop.close_month("2026-12")
    assert shop.settled("小王")[1:] == [("ladder", "close", 150_000, 150_000)]


def test_the_team_counts_the_role_at_the_end_of_the_month(shop: Shop) -> None:
    sold(shop, "A1", 1_000)
    till(shop, DECEMBER - timedelta(hours=3))
    with shop.sessions.begin() as session:
        roles.grant(session, shop.people["李姐"], "partner", Cause("operator", "x"), shop.clock.now(), shop.clock.now())
    till(shop, DECEMBER)
    with shop.sessions.begin() as session:
        roles.revoke(session, shop.people["李姐"], "partner", "operator", "below", shop.clock.now())
    shop.close_month("2026-11")
    assert shop.settled("李姐") == [("team", "close", 2_000, 2_000)]
    shop.tell(shop.refund("A1", "R1", 500 * YUAN))
    shop.adjust()
    assert shop.settled("李姐")[1:] == [("team", "adjustment", 1_000, -1_000)]


def test_a_close_that_is_killed_between_any_two_pieces_goes_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PEOPLE", 1)
    partner(shop, "李姐")
    sold(shop, "A1", 1_000)
    sold(shop, "A2", 500, by="小王")
    till(shop, DECEMBER)
    for _ in range(20):  # every piece is first done and lost, then done
        with shop.sessions() as session:
            service.close_step(session, Month.parse("2026-11"), shop.clock.now())
            session.rollback()
        if not shop.close_step("2026-11"):
            break
    assert shop.settled("小王") == [("ladder", "close", 5_000, 5_000)]
    assert shop.settled("李姐") == [("ladder", "close", 2_500, 2_500), ("team", "close", 2_000, 2_000)]
    assert shop.rows("select closed_at is not null as done from month_close")[0].done


def test_only_the_pieces_of_a_close_leave_the_disk_for_later(shop: Shop) -> None:
    """What makes a month closed, and what starts it, is on the disk when COMMIT returns."""
    partner(shop, "李姐")
    sold(shop, "A1", 49_999)
    till(shop, DECEMBER)
    careful = create_engine(shop.engine.url, connect_args={"options": "-c synchronous_commit=on -c timezone=UTC"})
    waits, more = [], True
    while more:
        with Session(careful) as session, session.begin():
            more = service.close_step(session, Month.parse("2026-11"), shop.clock.now())
            waits.append(session.scalar(text("show synchronous_commit")))
    with Session(careful) as session:
        assert session.scalar(text("show synchronous_commit")) == "on"
    careful.dispose()
    assert waits == ["on", "off", "off", "on"]
    assert shop.settled("李姐") != []


def test_two_closes_and_the_booking_of_late_orders_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PEOPLE", 2)
    crowd = [f"卖家{n}" for n in range(12)]
    shop.people_bound(dict.fromkeys(crowd, "") | {f"{name}的客人": name for name in crowd})
    for n, name in enumerate(crowd):
        shop.tell(shop.pay(f"A{n}", by=f"{name}的客人", fen=(n + 1) * 1_000 * YUAN), apply=False)
    shop.work()
    till(shop, DECEMBER)
    for n, name in enumerate(crowd):
        shop.tell(shop.pay(f"B{n}", by=f"{name}的客人", fen=50_000 * YUAN, at=MORNING),
                  shop.refund(f"A{n}", "R", 500 * YUAN), apply=False)
    at_once(*[lambda: shop.close_month("2026-11")] * 2, shop.work)
    while shop.adjust():
        pass
    ladder = Ladder((Step(0, 500), Step(5_000_000, 800)))
    for n, name in enumerate(crowd):
        bookings = shop.settled(name)
        assert sum(one[3] for one in bookings) == ladder_fen(ladder, (n + 1) * 100_000 + 5_000_000 - 50_000)
        assert sum(one[1] == "close" for one in bookings) <= 1
        assert shop.money(name)[0] > 0


NOBODYS = {
    "insert into month_volume (month, person_id, direct_fen, direct_orders, team_fen) values"
    " ('2026-01-01', {person}, 0, 0, 0), ('2026-01-01', 987654, 0, 0, 0)": "fk_month_volume_person_id",
    "update month_volume set person_id = 987654 where person_id = {person}": "fk_month_volume_person_id",
    "insert into settlement (month, person_id, kind, n, cause, volume_fen, target_fen, change_fen, held_fen,"
    " plan_version, booked_at) select month, 987654, kind, n, cause, 1, 1, 1, 0, plan_version, booked_at"
    " from settlement": "fk_settlement_person_id",
    "update settlement set person_id = 987654 where person_id = {person}": "fk_settlement_person_id",
    "insert into settlement (month, person_id, kind, n, cause, volume_fen, target_fen, change_fen, held_fen,"
    " plan_version, booked_at) select '2025-01-01', person_id, kind, n, cause, 1, 1, 1, 0, plan_version, booked_at"
    " from settlement": "fk_settlement_month",
    "delete from person": "refused",
    "truncate person cascade": "refused",
    "update person set id = default": "refused",
}


def test_a_month_is_somebodys_and_nobody_is_taken_away_from_under_it(shop: Shop) -> None:
    sold(shop, "A1", 60_000)
    till(shop, DECEMBER)
    shop.close_month("2026-11")
    before = shop.settled("小王")
    for attack, reason in NOBODYS.items():
        with shop.sessions() as session, pytest.raises(DBAPIError, match=reason):
            session.execute(text(attack.replace("{person}", str(shop.people["小王"]))))
    assert before == shop.settled("小王") == [("ladder", "close", 330_000, 330_000)]


def test_merged_people_have_one_ladder(shop: Shop) -> None:
    twin = shop.person("旧号")
    shop.person("老客", invited_by="旧号")
    sold(shop, "A1", 40_000)
    sold(shop, "A2", 20_000, by="老客")
    till(shop, DECEMBER)
    shop.close_month("2026-11")
    with shop.sessions.begin() as session:
        people.merge(session, shop.people["小王"], twin, "operator", shop.clock.now(), MOVERS)
    shop.adjust()
    assert shop.settled("小王") == [("ladder", "close", 200_000, 200_000), ("ladder", "close", 100_000, 100_000),
                                  ("ladder", "adjustment", 330_000, 30_000)]
    shop.days(8)
    assert shop.wallet("小王").available_fen == 330_000


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 3_000)), min_size=1, max_size=5,
                unique_by=lambda step: step[0]), st.booleans(),
       st.integers(0, 2 * 10**7) | st.integers(9 * 10**14, 10**15))
def _sql_says_the_same(engine: Engine, steps: list[tuple[int, int]], whole: bool, volume: int) -> None:
    ladder = Ladder(tuple(Step(*step) for step in sorted(steps)), "whole" if whole else "marginal")
    with engine.connect() as db:
        said = db.execute(text("""
            select ladder_fen(:v, :w, f, r, ladder_below(:w, f, r))
              from (select cast(:f as bigint[]) as f, cast(:r as bigint[]) as r) steps
        """), {"v": volume, "w": whole, "f": [one.from_fen for one in ladder.steps],
               "r": [one.rate_bps for one in ladder.steps]}).scalar_one()
    assert said == ladder_fen(ladder, volume)


def test_the_ladder_of_the_close_is_the_ladder_of_the_estimate(engine: Engine) -> None:
    _sql_says_the_same(engine)
