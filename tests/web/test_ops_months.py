"""Months through the operator API."""

from datetime import timedelta

import pytest

from tests.integration.money.test_months import DECEMBER
from tests.integration.money.world import Shop
from tests.web.operators import Office


@pytest.fixture
def shop(engine, clock) -> Shop:
    shop = Shop(engine, clock, plan="")
    shop.person("李姐")
    shop.person("新客", invited_by="李姐")
    return shop


@pytest.fixture
def office(engine, clock, shop) -> Office:
    return Office(engine, clock)


def test_a_month_is_closed_by_hand_and_shown(office: Office, shop: Shop) -> None:
    from domain.commissions import plans
    from domain.commissions import service as commissions

    with shop.sessions.begin() as session:
        commissions.ensure_plan(session, plans.parse({"name": "x", "levels": 1, "rules": [], "ladder": {
            "steps": [{"from_fen": 0, "rate_bps": 500}]}}), shop.clock.now())
    shop.tell(shop.pay("A1", by="新客", fen=100_000))
    assert office.get("operator", "/months") == {"months": []}
    office.get("operator", "/months/2026-11", expect=404)
    office.get("operator", "/months/nonsense", expect=404)
    said = office.post("finance", "/months/2026-11/close", expect=409)["error"]
    assert said["code"] == "month_not_over" and "还没有结束" in said["message"]
    shop.clock.advance((DECEMBER - shop.clock.now()).total_seconds())
    office.post("operator", "/months/2026-11/close", expect=403)
    assert office.post("finance", "/months/2026-11/close", expect=202)["state"] == "closing"
    shop.close_month("2026-11")
    shop.clock.advance(timedelta(minutes=1).total_seconds())
    again = office.post("owner", "/months/2026-11/close", expect=202)
    assert (again["state"], again["actor"], again["ladder_fen"]) == ("closed", "zhou", 5_000)
    shown = office.get("reviewer", "/months/2026-11")
    assert [(one["kind"], one["change_fen"]) for one in shown["bookings"]] == [("ladder", 5_000)]
    told = office.get("finance", f"/people/{shop.people['李姐']}/statements/2026-11")
    assert (told["opening_fen"], told["earned_fen"], told["closing_fen"], told["lines"][0]["label"]) == (
        0, 5_000, 5_000, "2026-11")
    office.get("finance", "/people/999999/statements/2026-11", expect=404)
    office.get("finance", f"/people/{2**64}/statements/2026-11", expect=404)
    acts = office.rows("select operator from audit_event where act = 'month.close' order by id")
    assert [row.operator for row in acts] == ["zhou", "lin"]


def test_service_is_recorded_and_taken_back(office: Office, shop: Shop) -> None:
    from domain.commissions import plans
    from domain.commissions import service as commissions

    with shop.sessions.begin() as session:
        commissions.ensure_plan(session, plans.parse({"name": "x", "levels": 1, "rules": [], "service": [
            {"key": "after_sale", "title": "售后响应", "fen": 300}]}), shop.clock.now())
    new = {"person_id": shop.people["李姐"], "item": "after_sale", "reference": "T-1"}
    done = office.post("operator", "/service-acts", new, expect=201)
    assert (done["amount_fen"], done["operator"], done["revoked_at"]) == (300, "wu", None)
    assert office.post("finance", "/service-acts", new, expect=201) == done
    said = office.post("operator", "/service-acts", new | {"reference": "T-2"}, expect=409)["error"]
    assert said["code"] == "service_cap" and "每月 1 次" in said["message"]
    office.post("operator", "/service-acts", new | {"person_id": 999_999, "reference": "T-3"}, expect=404)
    office.post("operator", "/service-acts", new | {"reference": ""}, expect=422)
    office.post("operator", f"/service-acts/{done['id']}/revoke", {"reason": "x"}, expect=403)
    assert office.post("finance", f"/service-acts/{done['id']}/revoke", {"reason": "记错"})["revoke_reason"] == "记错"
    office.post("finance", f"/service-acts/{2**70}/revoke", {"reason": "x"}, expect=404)
    assert [one["id"] for one in office.get("operator", f"/service-acts?person={new['person_id']}")["acts"]] == [
        done["id"]]
