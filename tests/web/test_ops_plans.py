"""Plans through the operator API: drafts with all their faults, two people, and a comparison."""

from typing import Any

import pytest

from domain.commissions import service as commissions
from tests.integration.plans.conftest import FIRST
from tests.web.operators import Office

WINTER: dict[str, Any] = {**FIRST.document(), "name": "冬季", "cap_bps": 4_800}


@pytest.fixture
def office(engine, clock) -> Office:
    office = Office(engine, clock)
    with office.sessions.begin() as session:
        commissions.ensure_plan(session, FIRST, clock.now())
    return office


def test_a_draft_becomes_the_live_plan_and_an_older_one_comes_back(office: Office) -> None:
    made = office.post("operator", "/plan-drafts", {"document": WINTER, "note": "先看看"}, expect=201)
    number = made["draft"]["id"]
    assert made["checked"]["publishable"] and made["checked"]["worst_case_bps"] == 3_800
    assert [one["where"] for one in made["changes"]] == ["cap_bps", "name"]
    assert office.get("finance", f"/plan-drafts/{number}/simulation?days=90")["orders"] == 0
    asked = office.post("operator", f"/plan-drafts/{number}/submit", {"reason": "换季"}, expect=201)
    assert asked["payload"]["warnings"] and asked["payload"]["draft"] == number
    changed = {"document": WINTER, "revision": 1}
    assert office.post("operator", f"/plan-drafts/{number}", changed, expect=409)["error"]["code"] == "draft_state"
    office.post("finance", f"/approvals/{asked['id']}/approve", {})
    assert [(one["version"], one["state"]) for one in office.get("operator", "/plans")["plans"]] == [
        (2, "live"), (1, "superseded")]
    assert office.get("operator", "/plans/2")["document"] == WINTER
    back = office.post("operator", "/plans/1/rollback", {"reason": "太贵"}, expect=201)
    office.post("owner", f"/approvals/{back['id']}/approve", {})
    assert office.get("operator", "/plans")["plans"][0]["reverts"] == 1
    assert office.get("operator", "/plan-drafts?state=published")["drafts"][0]["version"] == 2


def test_faults_come_at_their_places_and_in_words(office: Office) -> None:
    bad = {**WINTER, "cap_bps": 100, "levels": 2, "name": "躺赚",
           "rules": [{"level": 1, "rate_bps": 20_000, "sku": "A"}]}
    checked = office.post("operator", "/plans/check", {"document": bad, "effective_on": "2020-01-01"})
    assert not checked["publishable"]
    assert {(one["code"], one["where"]) for one in checked["findings"]} >= {
        ("range", "rules[0].rate_bps"), ("cap_broken", "cap_bps"), ("wording", "name"), ("date_over", "effective_on")}
    number = office.post("operator", "/plan-drafts", {"document": bad}, expect=201)["draft"]["id"]
    told = office.post("operator", f"/plan-drafts/{number}/submit", {"reason": "x"}, expect=422)["error"]["faults"]
    assert ("/document/rules/0/rate_bps", "20000 超出范围，应在 0 到 10000 之间") in [
        (one["pointer"], one["message"]) for one in told]
    assert office.get("operator", f"/plan-drafts/{number}/simulation", expect=422)["error"]["faults"]
    changed = office.post("operator", f"/plan-drafts/{number}", {"document": WINTER, "revision": 1})
    assert changed["draft"]["revision"] == 2
    assert office.post("operator", f"/plan-drafts/{number}", {"document": WINTER, "revision": 1}, expect=409)
    assert office.post("operator", f"/plan-drafts/{number}/withdraw", {})["state"] == "withdrawn"


@pytest.mark.parametrize("document", [
    {}, {"name": ""}, {"name": 5}, {"name": "x" * 500, "rules": "?"}, {"name": "x", "rules": [[]], "levels": 10**30},
    {"name": "x\u0000", "levels": 1}, {"name": "x", "ladder": {"steps": [{"from_fen": 10**40, "rate_bps": 1}]}},
    {"name": "x", "phases": [{"name": "a", "starts_on": "9999-12-31"}], "levels": 1, "rules": []},
])
def test_no_document_breaks_the_door(office: Office, document: dict[str, Any]) -> None:
    for path in ("/plans/check", "/plan-drafts"):
        answer = office.client.post(f"/api/v1/ops{path}", headers=office.bearer("operator"),
                                    json={"document": document})
        assert answer.status_code < 500, answer.text
    for path in ("/plans/99999999999999999999", "/plan-drafts/99999999999999999999/simulation?days=-1", "/plans/0"):
        assert office.client.get(f"/api/v1/ops{path}", headers=office.bearer("owner")).status_code in (404, 422)
