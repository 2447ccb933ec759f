"""Results out: every path with real orders behind it, each answer held against the specification."""

import itertools
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.models import Operator
from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.referrals.models import Referral
from domain.rewards import service as rewards
from domain.rewards.rules import CouponOffer
from domain.roles import service as roles
from handlers.web.api import openapi
from tests.web.json_schema import faults
from tests.web.mall import API_KEY, PEPPER, Mall

SPEC = json.loads(json.dumps(openapi.specification()))
OFFER = CouponOffer("gift", "满50减10", 1_000, 5_000, 30, False)


@pytest.fixture
def mall(mall: Mall) -> Mall:
    mall.publish_plan()
    return mall


def ok(mall: Mall, path: str) -> dict[str, Any]:
    """A read that must succeed, checked against the schema of its operation."""
    answer = mall.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    check(answer.get_json(), path, "get")
    found: dict[str, Any] = answer.get_json()
    return found


def check(content: Any, path: str, method: str) -> None:
    bare = "/api/v1" + path.partition("?")[0]
    for template, methods in SPEC["paths"].items():
        pattern = re.sub(r"{\w+}", "[^/]+", template.replace("{order_id}", ".+"))
        if re.fullmatch(pattern, bare) and method in methods:
            schema = methods[method]["responses"]["200"]["content"]["application/json"]["schema"]
            assert faults(content, schema, SPEC) == []
            return
    raise AssertionError(f"no operation for {bare}")


def bound(mall: Mall, friend: int, sharer: int) -> None:
    since = mall.clock.now() - timedelta(days=1)
    with Session(mall.engine) as session, session.begin():
        session.add(Referral(referee_id=friend, referrer_id=sharer, source="scan", bound_at=since,
                             protected_until=since, end_reason=""))


def promoted(mall: Mall, person: int) -> None:
    since = mall.clock.now() - timedelta(days=1)
    with Session(mall.engine) as session, session.begin():
        known = session.scalar(select(Operator.name))
        owner = audit.operator(session, known) if known else audit.add_operator(session, "wu", "owner", None, since)
        roles.give(session, person, "promoter", "sells on our market", owner, since)


@pytest.mark.parametrize("header", [
    None, "", "Bearer", "Bearer ", "Basic " + API_KEY, API_KEY, "Bearer " + API_KEY[:-1], "Bearer " + API_KEY + "x",
    "Bearer " + API_KEY.upper(), "Bearer é", "Bearer \x00", "Bearer " + "x" * 10_000,
])
@pytest.mark.parametrize("path", ["/people/1/wallet", "/ledger/check", "/people?phone=13812345678"])
def test_without_the_key_nothing_is_told(closed: Mall, header: str | None, path: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = closed.client.get(f"/api/v1{path}", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.get_json()["error"]["code"] == "unauthorized"


def test_any_systems_key_reads_and_the_scheme_ignores_case(closed: Mall) -> None:
    assert closed.get("/ledger/check", "another key").status_code == 200
    answer = closed.client.get("/api/v1/ledger/check", headers={"Authorization": f"bearer {API_KEY}"})
    assert answer.status_code == 200


def test_finds_a_person_by_each_identity(mall: Mall) -> None:
    refs = [IdentityRef("openid", "oABC", "wx1"), IdentityRef("unionid", "u1"), IdentityRef("phone", "13812345678"),
            IdentityRef("external_userid", "wm1"), IdentityRef("mall_user_id", "m1")]
    with Session(mall.engine) as session, session.begin():
        one = people.resolve(session, refs, mall.clock.now(), pepper=PEPPER)
        people.set_profile(session, one, nickname="李姐🌸")
    for query in ("openid=oABC&app_id=wx1", "unionid=u1", "phone=13812345678", "phone=%2B86%20138-1234-5678",
                  "external_userid=wm1", "mall_user_id=m1"):
        assert ok(mall, f"/people?{query}")["id"] == one
    found = ok(mall, f"/people/{one}")
    assert set(found) == {"id", "nickname", "role", "title", "tier", "referral_code", "referrer_id", "tags", "benefits",
                          "joined_at"}
    assert [found[name] for name in ("nickname", "role", "title", "referrer_id")] == ["李姐🌸", "member", "会员", None]
    with mall.engine.connect() as db:
        assert "138" not in db.execute(text("select value from identity where kind = 'phone'")).scalar_one()


@pytest.mark.parametrize(("query", "pointer"), [
    ("", ""), ("openid=o1", "/app_id"), ("openid=o1&app_id=", "/app_id"), ("phone=12", "/phone"),
    ("unionid=a%00b", "/unionid"), ("unionid=u&phone=13812345678", ""), ("unionid=", "/unionid"),
    ("mall_user_id=" + "x" * 200, "/mall_user_id"), ("nickname=x", ""),
])
def test_a_question_that_names_nobody_is_422(closed: Mall, query: str, pointer: str) -> None:
    answer = closed.get(f"/people?{query}")
    assert answer.status_code == 422
    assert answer.get_json()["error"]["faults"][0]["pointer"] == pointer


@pytest.mark.parametrize("path", [
    "/people?unionid=nobody", "/people/999", f"/people/{2**63}", f"/people/{2**200}", "/people/0/wallet",
    "/people/999/statement", "/people/999/progress", "/people/999/coupons", "/orders/mall/none/commission",
    "/orders/mall/a%00b/commission", "/people/x", "/people/-1", "/nothing",
])
def test_what_is_not_there_is_404(closed: Mall, path: str) -> None:
    assert closed.get(path).status_code == 404


def test_money_from_order_to_refund(mall: Mall) -> None:
    li, xin = mall.person("li"), mall.person("xin")
    promoted(mall, li)
    bound(mall, xin, li)
    mall.tell(mall.paid("A/1", "xin", 9_900))
    assert ok(mall, f"/people/{xin}")["referrer_id"] == li
    assert ok(mall, f"/people/{li}")["title"] == "生活推荐官"
    line, = ok(mall, "/orders/mall/A/1/commission")["lines"]
    assert (line["beneficiary_id"], line["level"], line["base_fen"], line["state"]) == (li, 1, 9_900, "pending")
    earned = line["amount_fen"]
    assert earned == (9_900 * line["rate_bps"] + 5_000) // 10_000 > 0
    assert ok(mall, f"/people/{li}/wallet") == {
        "pending_fen": earned, "available_fen": 0, "frozen_fen": 0, "withdrawing_fen": 0, "paid_fen": 0, "debt_fen": 0,
        "points": 0}
    mall.tell(mall.event("order.refunded", order_id="A/1", channel="mall", refund_id="r", lines=[
        {"line_id": "1", "refund_fen": 3_300, "quantity": 0}], refunded_at=mall.clock.now().isoformat()))
    left = ok(mall, "/orders/mall/A/1/commission")["lines"][0]["left_fen"]
    assert ok(mall, f"/people/{li}/wallet")["pending_fen"] == left == earned * 2 // 3
    lines = ok(mall, f"/people/{li}/statement")["lines"]
    assert [one["reason"] for one in lines] == ["commission.clawed_back", "commission.accrued"]
    assert [one["change"] for one in lines] == [left - earned, earned]
    assert {one["order"] for one in lines} == {"mall/A/1"}
    books = ok(mall, "/ledger/check")
    assert books["balanced"] and books["entries"] == 2


def test_a_total_may_hold_the_shipping_or_not_and_only_goods_count(mall: Mall) -> None:
    li, xin = mall.person("li"), mall.person("xin")
    promoted(mall, li)
    bound(mall, xin, li)
    apart, together = mall.paid("A1", "xin", 9_900), mall.paid("A1", "xin", 9_900)
    apart["data"] |= {"shipping_fen": 1_000}
    together["data"] |= {"shipping_fen": 1_000, "paid_fen": 10_900}
    assert mall.tell(apart) == mall.tell(together) == {"accepted": 1, "duplicate": 0}
    line, = ok(mall, "/orders/mall/A1/commission")["lines"]
    assert line["base_fen"] == 9_900
    assert ok(mall, f"/people/{li}/wallet")["pending_fen"] == line["amount_fen"]
    with mall.engine.connect() as db:
        states = db.execute(text("select state from commerce_event_now")).scalars().all()
    assert set(states) == {"done"}, "the second says what is booked: no contradiction that waits for a human"
    together["id"], together["data"]["paid_fen"] = "evt_other", 10_899
    answer = mall.send(together)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["error"]["faults"]] == ["/data/paid_fen"]


def test_an_order_that_earned_nobody_anything_has_no_lines(mall: Mall) -> None:
    mall.tell(mall.paid("A1", "alone"))
    assert ok(mall, "/orders/mall/A1/commission") == {"lines": []}


def test_pages_of_a_statement_join_without_gap_while_new_lines_come(mall: Mall) -> None:
    li, xin = mall.person("li"), mall.person("xin")
    promoted(mall, li)
    bound(mall, xin, li)
    mall.tell(*[mall.paid(f"A{n}", "xin") for n in range(120)])
    seen: list[str] = []
    cursor: str | None = ""
    for turn in itertools.count():
        page = ok(mall, f"/people/{li}/statement?cursor={cursor}")
        seen += [line["id"] for line in page["lines"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert not cursor.isdigit() and turn < 5
        mall.tell(mall.paid(f"later{turn}", "xin"))
    assert len(seen) == len(set(seen)) == 120


def test_the_limits_of_a_page_are_those_of_the_specification(mall: Mall) -> None:
    li = mall.person("li")
    asked = SPEC["paths"]["/api/v1/people/{person_id}/statement"]["get"]["parameters"]
    bounds = next(one["schema"] for one in asked if one["name"] == "limit")
    for limit, status in ((bounds["minimum"], 200), (bounds["default"], 200), (bounds["maximum"], 200),
                          (bounds["minimum"] - 1, 422), (bounds["maximum"] + 1, 422), ("many", 422), ("1.5", 422)):
        assert mall.get(f"/people/{li}/statement?limit={limit}").status_code == status, limit


@pytest.mark.parametrize("cursor", ["x", "MTIz", "%00", "czE6", "czE6LTE", "czE6MTIz=", "é", "A" * 5_000, "czE677yR"])
def test_a_strange_cursor_is_422(closed: Mall, cursor: str) -> None:
    one = closed.person("one")
    answer = closed.get(f"/people/{one}/statement?cursor={cursor}")
    assert (answer.status_code, answer.get_json()["error"]["faults"][0]["pointer"]) == (422, "/cursor")


def test_progress_climbs_and_a_return_takes_a_step_back(mall: Mall) -> None:
    one = mall.person("one")
    path = f"/people/{one}/progress"
    stands = ok(mall, path)
    assert (stands["repurchases"], stands["current"], stands["next"], stands["remaining"]) == (0, 0, 1, 1)
    mall.tell(mall.paid("A1", "one"), mall.paid("A2", "one"))
    stands = ok(mall, path)
    assert (stands["repurchases"], stands["current"], stands["next"], stands["remaining"]) == (1, 1, 2, 1)
    assert stands["reward"] == {"kind": "coupon", "title": "10元券", "amount_fen": 1_000, "within_days": None}
    mall.tell(*[mall.paid(f"B{n}", "one") for n in range(3)])
    stands = ok(mall, path)
    assert (stands["repurchases"], stands["current"], stands["next"], stands["remaining"]) == (4, 4, None, 0)
    assert stands["reward"] is None
    mall.tell(mall.event("order.closed", order_id="B1", channel="mall"), mall.event(
        "order.refunded", order_id="B2", channel="mall", refund_id="r", refunded_at=mall.clock.now().isoformat(),
        lines=[{"line_id": "1", "refund_fen": 9_900, "quantity": 1}]))
    assert ok(mall, path)["repurchases"] == 2


def test_a_step_whose_days_have_passed_is_not_promised(mall: Mall) -> None:
    one = mall.person("one")
    mall.tell(mall.paid("A1", "one"))
    assert ok(mall, f"/people/{one}/progress")["reward"]["within_days"] == 30
    mall.clock.advance(31 * 86_400)
    stands = ok(mall, f"/people/{one}/progress")
    assert (stands["next"], stands["remaining"], stands["reward"]["kind"]) == (2, 2, "coupon")


def coupon(mall: Mall, person: int) -> str:
    with Session(mall.engine) as session, session.begin():
        return rewards.issue(session, person, OFFER, f"gift:{person}", mall.clock.now()).code


def redeem(mall: Mall, code: str, body: Any, key: str = API_KEY) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return mall.client.post(f"/api/v1/coupons/{code}/redeem", data=raw, headers={"Authorization": f"Bearer {key}"})


def test_a_coupon_is_shown_and_burnt_once(mall: Mall) -> None:
    one = mall.person("one")
    code = coupon(mall, one)
    order = {"order_id": "A1", "channel": "mall"}
    shown, = ok(mall, f"/people/{one}/coupons")["coupons"]
    assert (shown["code"], shown["state"], shown["off_fen"]) == (code, "issued", 1_000)
    first, again = redeem(mall, code, order), redeem(mall, code, order)
    assert first.status_code == again.status_code == 200
    assert first.get_json() == again.get_json()
    check(first.get_json(), f"/coupons/{code}/redeem", "post")
    other = redeem(mall, code, order | {"order_id": "A2"})
    assert (other.status_code, other.get_json()["error"]["code"]) == (409, "coupon_used")
    assert ok(mall, f"/people/{one}/coupons")["coupons"][0]["used_order"] == "A1"


def test_coupons_that_cannot_be_burnt(mall: Mall) -> None:
    code = coupon(mall, mall.person("one"))
    order = {"order_id": "A1", "channel": "mall"}
    assert redeem(mall, "NOSUCHCODE", order).status_code == 404
    assert redeem(mall, "a%00b", order).status_code == 404
    assert redeem(mall, code, order, key="wrong").status_code == 401
    assert redeem(mall, code, b" " * 20_000).status_code == 413
    assert redeem(mall, code, b"[]").status_code == 422
    wrong = redeem(mall, code, {"order_id": 1})
    assert {fault["pointer"] for fault in wrong.get_json()["error"]["faults"]} == {"/order_id", "/channel"}
    assert redeem(mall, code, order | {"channel": "a\x00b"}).status_code == 422
    mall.clock.advance(31 * 86_400)
    late = redeem(mall, code, order)
    assert (late.status_code, late.get_json()["error"]["code"]) == (409, "coupon_expired")
