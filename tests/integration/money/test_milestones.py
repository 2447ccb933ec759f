"""Milestones pay promoters for sales: provisional, final after the return window, revoked on return. And service."""

from datetime import timedelta
from typing import Any

import pytest

from domain.audit.rules import Actor
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.people import service as people
from domain.roles import service as roles
from domain.roles.service import Cause
from domain.settlements import milestones, service_acts
from domain.shared.errors import Conflict, DomainError
from domain.workflows import MOVERS
from tests.conftest import MORNING
from tests.integration.money.world import Shop

ZHOU = Actor("zhou", "finance")
PLAN: dict[str, Any] = {
    "name": "miles", "levels": 1, "rules": [],
    "milestones": {"first_sale_fen": 5_000, "streak_days": 7, "streak_fen": 10_000, "team_size": 3, "team_fen": 20_000},
    "service": [{"key": "after_sale", "title": "售后响应", "fen": 300, "per_month": 2}],
}


@pytest.fixture
def miles(shop: Shop) -> Shop:
    """小王 is a promoter with three customers; plain commissions are off."""
    shop.people_bound({"客二": "小王", "客三": "小王"})
    with shop.sessions.begin() as session:
        commissions.ensure_plan(session, plans.parse(PLAN), shop.clock.now())
        roles.grant(session, shop.people["小王"], "promoter", Cause("operator", "x"), MORNING, MORNING)
    return shop


def tend(shop: Shop) -> None:
    for _ in range(3):
        with shop.sessions.begin() as session:
            milestones.tend(session, shop.clock.now(), 100)


def mine(shop: Shop, name: str = "小王") -> list[tuple[str, str]]:
    with shop.sessions() as session:
        return [(one.key, one.state) for one in reversed(milestones.of_person(session, shop.people[name]))]


def days(shop: Shop, number: float) -> None:
    shop.days(number)
    tend(shop)


def test_a_first_sale_is_final_when_it_can_no_longer_be_returned(miles: Shop) -> None:
    miles.tell(miles.pay("A1", by="新客"), miles.pay("A2", by="小王"))
    tend(miles)
    assert mine(miles) == [("first_sale", "provisional")] and miles.money("小王") == (5_000, 0, 0)
    assert mine(miles, "李姐") == [], "a member's sale brings commission only"
    miles.tell(miles.receive("A1"))
    days(miles, 6)
    assert mine(miles) == [("first_sale", "provisional")]
    days(miles, 2)
    assert mine(miles) == [("first_sale", "final")] and miles.money("小王") == (0, 5_000, 0)
    miles.tell(miles.refund("A1", "R1", 9_900), miles.pay("A3", by="新客"))
    days(miles, 2)
    assert mine(miles) == [("first_sale", "final")] and miles.money("小王") == (0, 5_000, 0)


def test_a_returned_sale_revokes_and_another_one_earns_anew(miles: Shop) -> None:
    miles.tell(miles.pay("A1", by="新客"))
    tend(miles)
    miles.tell(miles.refund("A1", "R1", 9_900))
    tend(miles)
    assert mine(miles) == [("first_sale", "revoked")] and miles.money("小王") == (0, 0, 0)
    miles.tell(miles.pay("A2", by="客二"))
    tend(miles)
    miles.tell(miles.pay("A3", by="新客"), miles.close("A2"))
    tend(miles)
    assert mine(miles) == [("first_sale", "revoked"), ("first_sale", "provisional")]
    assert miles.money("小王") == (5_000, 0, 0)


def test_a_streak_needs_a_sale_on_each_day_of_the_shop(miles: Shop) -> None:
    midnight = MORNING.replace(hour=16)
    for day in (0, 1, 2, 3, 4, 6, 7):
        miles.clock.advance((midnight + timedelta(days=day, microseconds=1) - miles.clock.now()).total_seconds())
        miles.tell(miles.pay(f"A{day}", by="新客"))
    tend(miles)
    assert ("streak", "provisional") not in mine(miles)
    miles.tell(miles.pay("A5", by="客二", at=midnight + timedelta(days=6) - timedelta(microseconds=1)))
    tend(miles)
    assert ("streak", "provisional") in mine(miles)
    miles.tell(miles.refund("A3", "R", 9_900))
    tend(miles)
    assert ("streak", "revoked") in mine(miles)


def test_a_team_is_its_buyers_and_never_its_heads(miles: Shop) -> None:
    miles.people_bound({f"路人{n}": "小王" for n in range(5)})
    miles.tell(*[miles.pay(f"A{n}", by="新客") for n in range(5)], miles.pay("B", by="客二"))
    tend(miles)
    assert ("team", "provisional") not in mine(miles)
    miles.tell(miles.pay("C", by="客三"))
    tend(miles)
    assert ("team", "provisional") in mine(miles) and miles.money("小王")[0] == 25_000
    miles.tell(miles.close("B"))
    tend(miles)
    assert ("team", "revoked") in mine(miles) and miles.money("小王")[0] == 5_000


def test_who_sold_before_milestones_began_has_no_first_sale(shop: Shop) -> None:
    with shop.sessions.begin() as session:
        roles.grant(session, shop.people["小王"], "promoter", Cause("operator", "x"), MORNING, MORNING)
        commissions.ensure_plan(session, plans.parse({**PLAN, "milestones": None}), shop.clock.now())
    shop.tell(shop.pay("A1", by="新客"))
    shop.clock.advance(60)
    with shop.sessions.begin() as session:
        commissions.ensure_plan(session, plans.parse(PLAN), shop.clock.now())
    shop.tell(shop.pay("A2", by="新客"))
    tend(shop)
    assert mine(shop) == []


def test_merged_people_keep_one_of_each(miles: Shop) -> None:
    twin = miles.person("旧号")
    miles.person("老客", invited_by="旧号")
    with miles.sessions.begin() as session:
        roles.grant(session, twin, "promoter", Cause("operator", "y"), MORNING, MORNING)
    miles.tell(miles.pay("A1", by="新客"), miles.pay("A2", by="老客"))
    tend(miles)
    with miles.sessions.begin() as session:
        people.merge(session, miles.people["小王"], twin, "operator", miles.clock.now(), MOVERS)
    tend(miles)
    assert sorted(mine(miles)) == [("first_sale", "provisional"), ("first_sale", "revoked")]
    assert miles.money("小王") == (5_000, 0, 0)


def record(shop: Shop, reference: str, name: str = "小王", item: str = "after_sale") -> service_acts.ServiceView:
    with shop.sessions.begin() as session:
        now = shop.clock.now()
        return service_acts.record(session, shop.people[name], item, reference, now, ZHOU, now)


def test_service_is_paid_once_a_reference_and_so_often_a_month(miles: Shop) -> None:
    first = record(miles, "工单 1")
    assert record(miles, "工单 1") == first and miles.money("小王") == (300, 0, 0)
    with pytest.raises(Conflict, match="service_known"):
        record(miles, "工单 1", "李姐")
    record(miles, "工单 2")
    with pytest.raises(DomainError, match="service_cap"):
        record(miles, "工单 3")
    with pytest.raises(DomainError, match="service_unknown"):
        record(miles, "工单 4", item="dancing")
    with miles.sessions.begin() as session:
        service_acts.revoke(session, first.id, "记错人", ZHOU, miles.clock.now())
    with pytest.raises(DomainError, match="service_revoked"), miles.sessions.begin() as session:
        service_acts.revoke(session, first.id, "again", ZHOU, miles.clock.now())
    third = record(miles, "工单 3")
    miles.clock.advance(7 * 86_400)
    with miles.sessions.begin() as session:
        assert service_acts.release_due(session, miles.clock.now(), 10) == 2
    assert miles.money("小王") == (0, 600, 0)
    miles.spend("小王", 500)
    with miles.sessions.begin() as session:
        service_acts.revoke(session, third.id, "投诉", ZHOU, miles.clock.now())
    assert miles.money("小王") == (0, 0, 200)
    acts = miles.rows("select act, operator from audit_event where act like 'service.%' order by id")
    assert [row.act for row in acts] == ["service.record", "service.record", "service.revoke", "service.record",
                                         "service.revoke"]
