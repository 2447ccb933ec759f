"""Paid cards and draws through the operator API: shown, given, taken, proved and ended, each under a name."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.runtime.bootstrap import ASSETS
from domain.draws import rules as draws
from domain.draws import service as drawing
from domain.memberships import rules as memberships
from domain.rewards.programme import BENEFITS
from domain.rewards.rules import Offers
from domain.shared.clock import FixedClock
from tests.integration.people.crowd import crowd
from tests.web.operators import Office

OFFERS = Offers.load((ASSETS / "rewards.toml").read_text("utf-8"))


@pytest.fixture
def office(engine: Engine, clock: FixedClock) -> Office:
    office = Office(engine, clock)
    office.tools[memberships.Cards] = memberships.load((ASSETS / "membership.toml").read_text("utf-8"), BENEFITS)
    office.tools[draws.Campaigns] = draws.load((ASSETS / "demo" / "draws.toml").read_text("utf-8"), OFFERS.by_kind)
    return office


def test_a_card_is_given_shown_and_taken(office: Office, engine: Engine, clock: FixedClock) -> None:
    with Session(engine) as session:
        (li,) = crowd(session, 1, clock.now())
        session.commit()
    assert office.get("operator", f"/memberships/{li}") == {
        "person_id": li, "now": None, "cards": [], "saved": {"goods_fen": 0, "shipping_fen": 0, "orders": 0}}
    given = office.post("operator", f"/memberships/{li}/grant", {"reason": "包裹迟到", "days": 20})
    assert given["person_id"] == li
    found = office.get("finance", f"/memberships/{li}")
    assert found["now"]["until"] == given["until"] and [card["actor"] for card in found["cards"]] == ["wu"]
    assert [card["person_id"] for card in office.get("operator", "/memberships?ending=30")["cards"]] == [li]
    assert office.get("operator", "/memberships?ending=5")["cards"] == []
    assert office.post("operator", f"/memberships/{li}/revoke", {"reason": "转卖"}) == {"person_id": li, "cards": 1}
    assert office.get("operator", "/memberships")["cards"][0]["state"] == "taken"
    office.post("operator", f"/memberships/{li}/grant", {"reason": "x", "card": "none"}, expect=409)
    office.post("operator", f"/memberships/{li}/grant", {"reason": "x", "days": 0}, expect=422)
    office.post("operator", f"/memberships/{li}/grant", {"reason": ""}, expect=422)
    office.post("operator", f"/memberships/{10**30}/revoke", {"reason": "x"}, expect=404)
    acts = office.rows("select act, operator from audit_event where act like 'membership%' order by id")
    assert [tuple(row) for row in acts] == [("membership.grant", "wu"), ("membership.revoke", "wu")]


def test_a_draw_is_shown_proved_and_ended(office: Office, engine: Engine, clock: FixedClock) -> None:
    assert office.get("operator", "/draws")["campaigns"] == []
    with Session(engine) as session:
        drawing.publish(session, office.tools[draws.Campaigns], draws.Seeds(b"s" * 32), clock.now())
        session.commit()
    (campaign,) = office.get("operator", "/draws")["campaigns"]
    assert (campaign["key"], campaign["file_differs"]) == ("harvest", False) and campaign["prizes"][0]["first"] == 0
    clock.advance(timedelta(days=1).total_seconds())
    terms = office.get("operator", "/draws/harvest")
    assert terms["campaign"]["title"] == campaign["title"] and all(one["commitment"] for one in terms["promises"])
    assert office.get("operator", "/draws/harvest/wins?which=all")["wins"] == []
    assert office.get("operator", "/draws/harvest/proof") == {"verified": 0, "faults": []}
    done = office.post("operator", "/draws/harvest/stop", {"reason": "奖品发完"})
    assert (done["state"], done["stop_reason"]) == ("stopped", "奖品发完")
    assert office.post("operator", "/draws/harvest/stop", {"reason": "x"}, expect=409)["error"]["code"] == "draw_over"
    for path in ("/draws/none", "/draws/none/wins", "/draws/none/proof"):
        office.get("operator", path, expect=404)
    office.get("operator", "/draws/harvest/wins?which=some", expect=422)
    assert office.rows("select operator from audit_event where act = 'draw.stop'")[0].operator == "wu"
