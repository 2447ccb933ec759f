"""Points through the operator API: seen lot by lot, taken back by two people."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from domain.points import service
from domain.points.rules import Life
from domain.points.service import Earning
from domain.shared.clock import FixedClock
from tests.integration.people.crowd import crowd
from tests.web.operators import Office


@pytest.fixture
def office(engine: Engine, clock: FixedClock) -> Office:
    return Office(engine, clock)


@pytest.fixture
def li(engine: Engine, clock: FixedClock) -> int:
    with Session(engine) as session:
        (person,) = crowd(session, 1, clock.now())
        service.earn(session, [Earning(person, 10, "gift:1", clock.now())], Life(), clock.now())
        service.activate(session, clock.now())
        session.commit()
    return person


def test_asked_by_one_approved_by_another(office: Office, li: int) -> None:
    (lot,) = office.get("reviewer", f"/points/people/{li}")["lots"]
    assert (lot["amount"], lot["takeable"], lot["cause"]) == (10, 10, "gift:1")
    path = f"/points/lots/{lot['id']}/take-back"
    asked = office.post("operator", path, {"reason": "发重了", "points": 4}, expect=201)
    assert (asked["act"], asked["payload"]["points"], asked["state"]) == ("points.take_back", 4, "open")
    again = office.post("operator", path, {"reason": "x"}, expect=409)["error"]
    assert again["code"] == "approval_open"
    office.post("operator", f"/approvals/{asked['id']}/approve", {}, expect=403)
    assert office.post("finance", f"/approvals/{asked['id']}/approve", {})["state"] == "approved"
    after = office.get("owner", f"/points/people/{li}")
    assert (after["active"], after["debt"], after["lots"][0]["back"]) == (6, 0, 4)
    office.post("finance", f"/approvals/{asked['id']}/approve", {}, expect=409)
    assert frozenset({"fact"}) <= frozenset().union(*office.rings)


def test_what_is_wrong_is_refused(office: Office, li: int) -> None:
    (lot,) = office.get("owner", f"/points/people/{li}")["lots"]
    path = f"/points/lots/{lot['id']}/take-back"
    office.post("reviewer", path, {"reason": "x"}, expect=403)
    office.post("operator", path, {"reason": ""}, expect=422)
    office.post("operator", path, {"reason": " "}, expect=409)
    office.post("operator", path, {"reason": "x", "points": 0}, expect=422)
    most = office.post("operator", path, {"reason": "x", "points": 11}, expect=409)["error"]
    assert most["code"] == "points_too_many" and "10" in most["message"]
    office.post("operator", "/points/lots/999999/take-back", {"reason": "x"}, expect=404)
    office.post("operator", f"/points/lots/{2**63}/take-back", {"reason": "x"}, expect=404)
    office.get("operator", "/points/people/999999", expect=404)
