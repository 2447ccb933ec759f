"""The mall's events: signed, complete, repeatable and in any order."""

from typing import Any

import pytest

from tests.integration.simulator.conftest import Client
from tests.integration.simulator.echo import ACCOUNT


def events(sim: Client, count: int) -> list[dict[str, Any]]:
    """The first ``count`` events the service accepted (it checks every signature itself)."""
    return list(sim.wait(lambda: sim.echo.events[:count] if len(sim.echo.events) >= count else None))


def test_a_purchase_is_reported_as_the_contract_says(sim: Client) -> None:
    li = sim.person("新客", follows=False)
    order = sim.act("/api/buy", openid=li, sku="RICE-5KG", quantity=2, coupon_fen=900, shipping_fen=1_200)
    event = events(sim, 1)[0]
    data = event["data"]
    assert event["type"] == "order.paid"
    assert event["id"].startswith("evt_")
    assert data["paid_at"] == event["occurred_at"] == "2026-11-20T10:00:00+08:00"
    assert (data["order_id"], data["channel"], data["currency"]) == (order["order_id"], "mall", "CNY")
    assert data["buyer"] == {"openid": li, "app_id": ACCOUNT.app_id}
    assert (data["share_code"], data["paid_fen"], data["shipping_fen"]) == ("", 18_900, 1_200)
    assert data["lines"] == [{"line_id": "1", "sku": "RICE-5KG", "title": "五常有机稻花香大米 5kg", "category": "fmcg",
                              "quantity": 2, "paid_fen": 18_900}]


def test_a_member_is_told_their_own_price_before_they_pay_it(sim: Client) -> None:
    li, wang = sim.known("李姐"), sim.known("小王")
    sim.server.members.add(wang)
    wanted = {"sku": "RICE-5KG", "quantity": 2, "coupon_fen": 900}
    assert sim.act("/api/price", openid=li, **wanted) == {"listed_fen": 19_800, "paid_fen": 18_900}
    assert sim.act("/api/price", openid=wang, **wanted) == {"listed_fen": 19_800, "paid_fen": 17_910}
    assert sim.act("/api/buy", openid=wang, **wanted)["paid_fen"] == 17_910
    assert sim.post("/api/price", openid=wang, sku="NONE").status_code == 404
    assert sim.post("/api/price", openid=wang, **wanted | {"coupon_fen": 18_811}).status_code == 422


def test_the_malls_own_page_sells_to_whoever_opened_it(sim: Client) -> None:
    li = sim.known("李姐")
    wang = sim.known("小王")
    page = f"{sim.server.url}/sim/goods/RICE-5KG"
    shown = sim.http.get(page, params={"as": wang, "share_code": "k7Qm2x"}, timeout=10)
    assert shown.status_code == 200 and "五常有机稻花香大米 5kg" in shown.text and "k7Qm2x" in shown.text
    assert f'value="{wang}" checked' in shown.text and f'value="{li}" checked' not in shown.text
    form = {"openid": wang, "quantity": "2", "coupon": "9.5", "share_code": "k7Qm2x"}
    for wrong in ({"quantity": "0"}, {"quantity": "x"}, {"coupon": "-1"}, {"coupon": "1000"}):
        refused = sim.http.post(page, data=form | wrong, timeout=10)
        assert refused.status_code == 422 and 'role="alert"' in refused.text
    assert sim.http.post(page, data=form | {"openid": "nobody"}, timeout=10).status_code == 404
    bought = sim.http.post(page, data=form, timeout=10)
    assert bought.status_code == 201 and "已付款 ¥188.50" in bought.text
    data = events(sim, 1)[0]["data"]
    assert (data["buyer"]["openid"], data["share_code"], data["paid_fen"]) == (wang, "k7Qm2x", 18_850)
    film = sim.http.get(f"{sim.server.url}/sim/films/RICE-5KG", timeout=10)
    assert film.status_code == 200 and "示意短片" in film.text
    for what in ("goods", "films"):
        assert sim.http.get(f"{sim.server.url}/sim/{what}/NONE", timeout=10).status_code == 404


def test_the_mall_introduces_who_is_added(sim: Client) -> None:
    openid = sim.person("周周", follows=False)
    told = sim.wait(lambda: sim.echo.names)[0]
    assert told["data"] == {"identities": {"openid": openid, "app_id": ACCOUNT.app_id}, "nickname": "周周"}


def test_an_orders_life(sim: Client) -> None:
    li = sim.person()
    order = sim.act("/api/buy", openid=li, sku="RICE-5KG")["order_id"]
    sim.act(f"/api/orders/{order}/ship")
    assert sim.post(f"/api/orders/{order}/ship").status_code == 409
    sim.act(f"/api/orders/{order}/receive")
    sim.act(f"/api/orders/{order}/refund", refund_fen=3_300)
    assert sim.post(f"/api/orders/{order}/refund", refund_fen=6_601).status_code == 422
    assert sim.post(f"/api/orders/{order}/refund", refund_fen=1, quantity=2).status_code == 422
    rest = sim.act(f"/api/orders/{order}/refund")
    assert (rest["state"], rest["refunded_fen"]) == ("refunded", 9_900)
    assert sim.post(f"/api/orders/{order}/refund").status_code == 409
    heard = {one["type"]: one["data"] for one in events(sim, 5)}
    assert set(heard) == {"order.paid", "order.shipped", "order.received", "order.refunded"}
    refunds = [one["data"]["lines"][0] for one in sim.echo.events if one["type"] == "order.refunded"]
    assert sorted((line["refund_fen"], line["quantity"]) for line in refunds) == [(3_300, 0), (6_600, 1)]
    assert len({one["data"]["refund_id"] for one in sim.echo.events if one["type"] == "order.refunded"}) == 2
    listed = sim.get("/api/orders", openid=li)["orders"][0]
    assert [one["state"] for one in sim.wait(lambda: _all_done(sim, li))] == ["done"] * 5
    assert listed["order_id"] == order


def _all_done(sim: Client, openid: str) -> list[dict[str, Any]] | None:
    found = sim.get("/api/orders", openid=openid)["orders"][0]["events"]
    return found if all(one["state"] == "done" for one in found) else None


def test_duplicates_are_the_same_event_byte_for_byte(sim: Client) -> None:
    order = sim.act("/api/buy", openid=sim.person(), sku="RICE-5KG")["order_id"]
    sim.act(f"/api/orders/{order}/duplicate", times=3)
    heard = events(sim, 4)
    assert all(one == heard[0] for one in heard)


def test_a_refund_may_be_reported_before_the_payment(sim: Client) -> None:
    sim.act("/api/buy", openid=sim.person(), sku="RICE-5KG", refund_first=True)
    heard = events(sim, 2)
    assert [one["type"] for one in heard] == ["order.refunded", "order.paid"]
    assert heard[0]["data"]["lines"][0]["refund_fen"] == 3_300


def test_a_replay_runs_backwards(sim: Client) -> None:
    order = sim.act("/api/buy", openid=sim.person(), sku="RICE-5KG")["order_id"]
    events(sim, 1)
    sim.act(f"/api/orders/{order}/receive")
    events(sim, 2)
    sim.act(f"/api/orders/{order}/reverse")
    assert [one["type"] for one in events(sim, 4)] == ["order.paid", "order.received", "order.received", "order.paid"]


def test_an_event_is_tried_again_when_the_service_is_down_but_not_when_it_refuses(hasty: Client) -> None:
    li = hasty.person()
    hasty.echo.event_status = 503
    hasty.act("/api/buy", openid=li, sku="RICE-5KG")
    assert len({one["id"] for one in events(hasty, 3)}) == 1
    hasty.wait(lambda: hasty.get("/api/orders", openid=li)["orders"][0]["events"][0]["state"] == "failed")
    hasty.echo.event_status = 422
    hasty.act("/api/buy", openid=li, sku="TEA-250")
    hasty.wait(lambda: hasty.get("/api/orders", openid=li)["orders"][0]["events"][0]["state"] == "failed")
    assert len(hasty.echo.events) == 4


@pytest.mark.parametrize(("body", "status"), [
    ({"sku": "NONE"}, 404), ({"sku": "RICE-5KG", "quantity": 0}, 422), ({"sku": "RICE-5KG", "quantity": 100}, 422),
    ({"sku": "RICE-5KG", "coupon_fen": 9_901}, 422), ({"sku": "RICE-5KG", "coupon_fen": -1}, 422),
    ({"sku": "RICE-5KG", "quantity": "2"}, 422), ({"sku": "RICE-5KG", "channel": "Mall!"}, 422),
    ({"sku": "RICE-5KG", "shipping_fen": -1}, 422), ({}, 422)])
def test_a_purchase_that_makes_no_sense(calm: Client, body: dict[str, Any], status: int) -> None:
    assert calm.post("/api/buy", openid=calm.known("李姐"), **body).status_code == status
    assert calm.echo.events == []
