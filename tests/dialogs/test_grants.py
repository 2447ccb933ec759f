"""What journeys give arrives, each once for its cause: coupons, points, money, tags; the rest is refused."""

import pytest
from sqlalchemy import text

from domain.shared.outbox import Effect, put
from tests.fakes.shop import Person, Shop


def person_id(shop: Shop, who: Person) -> int:
    return int(shop.get(f"/people?openid={who.openid}&app_id={who.identity['app_id']}")["id"])


def granted(shop: Shop, who: Person, what: str, amount: int = 1, cause: str = "once:1", key: str = "") -> str:
    """The state and reason of the effect, after the work."""
    one = person_id(shop, who)
    key = key or f"grant:{cause}:{what}"
    with shop.runtime.sessions.begin() as session:
        put(session, [Effect("fact", f"grant.{what.partition(':')[0]}", key, one, {
            "person_id": one, "what": what, "amount": amount, "cause": cause, "journey": "walk"})], shop.clock.now())
    shop.work()
    with shop.runtime.sessions.begin() as session:
        row = session.execute(text("select state, reason from outbox where key = :key"), {"key": key}).one()
    return f"{row.state} {row.reason}".strip()


def test_a_red_packet_can_be_withdrawn_and_comes_once(shop: Shop) -> None:
    li = shop.person("李姐")
    assert granted(shop, li, "red_packet", 888) == "done"
    assert granted(shop, li, "red_packet", 888, key="the same cause under another key") == "done"
    wallet = shop.get(f"/people/{person_id(shop, li)}/wallet")
    assert (wallet["available_fen"], wallet["pending_fen"]) == (888, 0)
    li.says("明细").sees("+¥8.88 红包")
    assert shop.get("/ledger/check")["balanced"]
    assert granted(shop, li, "red_packet", 20_001, "once:2") == "refused 20001 fen are more than a present may be"


def test_points_and_tags_and_coupons(shop: Shop) -> None:
    li = shop.person("李姐")
    for _ in range(2):
        assert granted(shop, li, "points", 30, key=f"grant:{_}") == "done"
    li.says("积分").sees("我的积分 30")
    assert granted(shop, li, "tag:爱喝茶", cause="t") == "done"
    assert "爱喝茶" in shop.get(f"/people/{person_id(shop, li)}")["tags"]
    assert granted(shop, li, "coupon:restock", 2, "c") == "done"
    li.says("优惠券").sees("回购券 95折", "无门槛", "最多减 ¥20.00")
    found = [one for one in shop.get(f"/people/{person_id(shop, li)}/coupons")["coupons"] if one["kind"] == "restock"]
    assert [(one["off_fen"], one["pay_bps"], one["max_off_fen"]) for one in found] == [(0, 9_500, 2_000)] * 2


@pytest.mark.parametrize(("what", "why"), [("coupon:none", "no offer none"), ("house", "no handler for grant.house"),
                                           ("tag", "a tag needs a name")])
def test_what_nobody_gives_is_refused_with_a_reason(shop: Shop, what: str, why: str) -> None:
    assert granted(shop, shop.person("李姐"), what) == f"refused {why}"
