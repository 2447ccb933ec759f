"""The points mall and what waits to be sent, through the operator API."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.runtime.bootstrap import ASSETS
from domain.mall import rules, service
from domain.points import service as points
from domain.points.rules import Life
from domain.points.service import Earning
from domain.rewards.rules import Offers
from domain.shared.clock import FixedClock
from domain.workflows import exchanging
from tests.integration.people.crowd import crowd
from tests.web.operators import Office

OFFERS = Offers.load((ASSETS / "rewards.toml").read_text("utf-8"))
SHELF = '[[item]]\nkey = "bag"\ntitle = "帆布袋"\npoints = 30\nkind = "product"\nworth_fen = 2900\nstock = 9\n'


@pytest.fixture
def office(engine: Engine, clock: FixedClock) -> Office:
    return Office(engine, clock)


def test_goods_are_listed_sent_and_called_off(office: Office, engine: Engine, clock: FixedClock) -> None:
    now = clock.now()
    with Session(engine) as session:
        service.offer(session, rules.load(SHELF, OFFERS.by_kind, []))
        (li,) = crowd(session, 1)
        points.earn(session, [Earning(li, 90, "gift", now)], Life(), now)
        points.activate(session, now)
        made = [exchanging.exchange(session, li, "bag", 30, f"e{n}", OFFERS, now).id for n in range(3)]
        session.commit()
    waiting = office.get("operator", "/fulfilments")["fulfilments"]
    assert [(one["cause"], one["state"], one["worth_fen"]) for one in waiting] == [
        (f"mall:{n}", "waiting", 2_900) for n in reversed(made)]
    sent = office.post("operator", f"/fulfilments/{waiting[0]['id']}/send", {"note": "顺丰 SF1"})
    assert (sent["state"], sent["actor"], sent["note"]) == ("sent", "wu", "顺丰 SF1")
    assert office.post("operator", f"/fulfilments/{waiting[0]['id']}/cancel", {"reason": "x"},
                       expect=409)["error"]["code"] == "fulfilment_ended"
    gone = office.post("operator", f"/fulfilments/{waiting[1]['id']}/cancel", {"reason": "缺货"})
    assert gone["state"] == "cancelled"
    back = office.post("operator", f"/exchanges/{made[0]}/cancel", {"reason": "误点"})
    assert (back["person_id"], back["points"]) == (li, 30)
    assert office.post("operator", "/exchanges/999/cancel", {"reason": "x"}, expect=404)
    rows = office.get("operator", f"/exchanges?person={li}")["exchanges"]
    assert [row["state"] for row in rows] == ["sent", "cancelled", "cancelled"]
    assert office.get("operator", "/fulfilments?state=all")["fulfilments"][2]["note"] == "误点"
    with Session(engine) as session:
        assert points.hold(session, li, now) == 60
