"""WeCom contacts through the operator API: who has whom, with tags, employees and codes. Reads only."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from domain.contacts import service
from domain.contacts.service import Pair, Wish
from domain.people import service as people
from domain.shared.clock import FixedClock
from tests.integration.people.crowd import crowd
from tests.web.operators import Office

CORP = "ww0000000000000001"


@pytest.fixture
def office(engine: Engine, clock: FixedClock) -> Office:
    return Office(engine, clock)


def pair(userid: str, customer: str) -> Pair:
    return Pair(CORP, "main", userid, customer)


@pytest.fixture
def customers(engine: Engine, clock: FixedClock) -> list[int]:
    """One whole friend of seller01 with a wished tag, one half friend of seller02, one who has parted."""
    now = clock.now()
    with Session(engine) as session:
        found = crowd(session, 3, now)
        people.set_profile(session, found[0], nickname="小新")
        way = service.new_way(session, CORP, "seller01", found[2], "", now)
        service.way_made(session, way.id, "config1", "https://wework.qpic.cn/x")
        one, _ = service.added(session, pair("seller01", "wm1"), found[0], way.token, now, now, half=False)
        service.wish(session, one.id, Wish("interest", "fmcg"), now)
        service.added(session, pair("seller02", "wm2"), found[1], "", now, now, half=True)
        service.added(session, pair("seller01", "wm3"), found[2], "", now, now, half=False)
        clock.advance(60)
        service.ended(session, pair("seller01", "wm3"), found[2], clock.now(), "customer", clock.now())
        session.commit()
    return found


def test_who_has_whom(office: Office, customers: list[int]) -> None:
    found = office.get("reviewer", "/contacts")["contacts"]
    assert {(one["userid"], one["person_id"], one["state"]) for one in found} == {
        ("seller01", customers[0], "friends"), ("seller02", customers[1], "half")}
    assert len(office.get("finance", "/contacts?ended=yes")["contacts"]) == 3
    (mine,) = office.get("operator", "/contacts?userid=SELLER01")["contacts"]
    assert (mine["nickname"], mine["external_userid"], mine["way_id"] is not None) == ("小新", "wm1", True)
    assert [(tag["kind"], tag["wanted"], tag["state"]) for tag in mine["tags"]] == [("interest", True, "waiting")]
    assert office.get("operator", f"/contacts/{mine['id']}") == mine
    assert office.get("operator", f"/contacts?person={customers[1]}")["contacts"][0]["userid"] == "seller02"
    assert office.get("operator", "/contacts/999", expect=404)["error"]["code"] == "contact_unknown"
    office.get("operator", f"/contacts/{10**25}", expect=404)
    office.get("operator", "/contacts?ended=perhaps", expect=422)
    office.get("operator", "/contacts?limit=0", expect=422)


def test_employees_and_codes(office: Office, customers: list[int]) -> None:
    staff = office.get("operator", "/contacts/staff")["staff"]
    assert {one["userid"]: one["contacts"] for one in staff} == {"seller01": 1, "seller02": 1}
    (way,) = office.get("operator", "/contacts/ways")["ways"]
    assert (way["userid"], way["sharer_id"], way["contacts"]) == ("seller01", customers[2], 1)
