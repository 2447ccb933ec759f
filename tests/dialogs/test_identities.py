"""One person behind several names, and orders that bring their own sharer."""

from tests.fakes.shop import Shop


def code_of(shop: Shop, name: str) -> str:
    person = shop.people[name]
    found = shop.get(f"/people?openid={person.openid}&app_id={person.identity['app_id']}")
    return str(found["referral_code"])


def test_an_order_with_a_share_code_binds_and_earns(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客")
    shop.paid("A1", by=xin, fen=10_000, share_code=code_of(shop, "李姐"))
    li.says("佣金").sees("待结算 ¥8.00")
    xin.says("客户归属").sees("@李姐", "分享")
    shop.paid("A2", by=xin, fen=10_000)
    li.says("佣金").sees("待结算 ¥16.00")


def test_an_unknown_share_code_changes_nothing(shop: Shop) -> None:
    xin = shop.person("新客")
    shop.paid("A1", by=xin, fen=10_000, share_code="nobody")
    xin.says("客户归属").sees("没有推荐人")


def test_two_names_that_turn_out_to_be_one_person_share_money_and_poster(shop: Shop) -> None:
    """A mall order under the phone first, then the mall tells that phone and openid are one."""
    li = shop.person("李姐")
    xin = shop.person("新客", invited_by="李姐")
    shop.event("order.paid", {
        "order_id": "B1", "channel": "douyin", "currency": "CNY", "paid_at": shop.clock.now().isoformat(),
        "buyer": {"phone": "13800138000"}, "paid_fen": 5_000, "shipping_fen": 0,
        "lines": [{"line_id": "1", "sku": "MILK-12", "title": "牛奶", "category": "fmcg", "quantity": 1,
                   "paid_fen": 5_000}]})
    li.says("团队").sees("0 单")
    shop.event("customer.upserted", {"identities": {**xin.identity, "phone": "13800138000"}})
    by_phone = shop.get("/people?phone=13800138000")
    by_openid = shop.get(f"/people?openid={xin.openid}&app_id={xin.identity['app_id']}")
    assert by_phone["id"] == by_openid["id"]
    assert by_openid["nickname"] == "新客"
    li.says("团队").sees("1 单")
    assert shop.get("/ledger/check")["balanced"] is True


def test_the_same_order_from_two_sources_counts_once(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    shop.paid("A1", by=xin, fen=10_000)
    shop.paid("A1", by=xin, fen=10_000)
    li.says("佣金").sees("待结算 ¥8.00")


def test_nothing_is_left_over_when_a_customer_was_bound_after_buying(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客")
    shop.paid("A1", by=xin, fen=10_000)
    shop.wait(minutes=5)
    xin.scans(li.poster()).sees("来自@李姐的推荐")
    li.says("佣金").sees("待结算 ¥0.00")
    shop.paid("A2", by=xin, fen=10_000)
    li.says("佣金").sees("待结算 ¥8.00")


def test_the_binding_ends_after_thirty_days_unless_they_buy(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    shop.wait(days=29)
    shop.paid("A1", by=xin, fen=10_000)
    shop.wait(days=29)
    shop.paid("A2", by=xin, fen=10_000)
    li.says("团队").sees("2 单")
    shop.wait(days=31)
    shop.paid("A3", by=xin, fen=10_000)
    assert shop.get("/orders/mall/A3/commission")["lines"] == []
    xin.says("客户归属").sees("到期")
