"""进度 and what coming back gives: unlocked, provisional, final, taken back, and told at each step."""

from tests.fakes.shop import Person, Shop

RICE = 9_900


def buys(shop: Shop, who: Person, *orders: str, received: bool = True) -> None:
    """Orders a minute apart, received at once."""
    for order in orders:
        shop.clock.advance(60)
        shop.paid(order, by=who, fen=RICE)
        if received:
            shop.received(order)
    shop.wait(minutes=1)


def facts(shop: Shop, who: Person) -> dict[str, object]:
    return dict(shop.get(f"/people?openid={who.openid}&app_id={who.identity['app_id']}"))


def wallet(shop: Shop, who: Person) -> dict[str, int]:
    return dict(shop.get(f"/people/{facts(shop, who)['id']}/wallet"))


def kinds(shop: Shop, who: Person) -> list[str]:
    found = shop.get(f"/people/{facts(shop, who)['id']}/coupons")["coupons"]
    return sorted(one["kind"] for one in found if one["state"] == "issued")


def test_P4_the_bar_and_the_next_goal(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("进度").sees("▱▱▱▱▱ 已购 0 单", "先完成第一单")
    buys(shop, li, "A1")
    li.says("进度").sees("▰▱▱▱▱ 已购 1 单，复购 0 次", "再复购1单，即可领取5元红包（12月20日前下单有效）",
                         "满 10 分得「满20减5券」，再复购2单就到")
    buys(shop, li, "A2")
    li.says("进度").sees("▰▰▱▱▱ 已购 2 单，复购 1 次", "✅ 第 2 单", "再复购1单，即可领取10元券",
                         "复购成长 5 分（铜阶）", "待生效", "5元红包，11月27日生效", "铜阶复购 5 积分")


def test_P1_the_second_order_within_thirty_days_is_worth_five_yuan(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1")
    li.says("在吗").saw("30 天内再买一单，领5元红包")
    shop.wait(days=10)
    li.says("在吗")
    buys(shop, li, "A2")
    li.saw("复购奖励已解锁", "5元红包", "此前退货会收回")
    assert (wallet(shop, li)["pending_fen"], wallet(shop, li)["available_fen"]) == (500, 0)
    shop.wait(days=7, hours=1)
    li.says("在吗").saw("复购奖励已正式生效", "5元红包", "铜阶复购 5 积分", "回复「红包」或「佣金」", "回复「积分」")
    assert not any("已记入您的钱包" in said or "券可以直接用" in said for said in li.heard if isinstance(said, str)), \
        "where a packet is depends on where it goes, and there was no coupon"
    assert (wallet(shop, li)["pending_fen"], wallet(shop, li)["available_fen"]) == (0, 500)
    li.says("积分").sees("我的积分 5", "+5 复购奖励")
    li.says("明细").sees("红包转为可提现")
    assert shop.get("/ledger/check")["balanced"]


def test_P1_too_late_is_no_red_packet_but_the_ladder_counts_on(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1")
    shop.wait(days=31)
    buys(shop, li, "A2")
    assert wallet(shop, li)["pending_fen"] == 0
    li.says("进度").sees("➖ 第 2 单", "再复购1单，即可领取10元券")


def test_P13_a_return_takes_back_what_the_order_opened(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2")
    shop.refunded("A2", fen=3_300)
    shop.wait(minutes=1)
    assert wallet(shop, li)["pending_fen"] == 500, "a part of it came back: the order is still one"
    shop.refunded("A2", fen=6_600, quantity=2)
    shop.wait(minutes=1)
    li.says("在吗")  # takes the news, and the poster that was promised
    li.says("在吗").saw("有订单退货", "5元红包", "再复购会重新解锁")
    assert wallet(shop, li)["pending_fen"] == 0
    buys(shop, li, "A3")
    assert wallet(shop, li)["pending_fen"] == 500
    shop.wait(days=7, hours=1)
    assert (wallet(shop, li)["available_fen"], wallet(shop, li)["points"]) == (500, 5)
    shop.refunded("A1", fen=RICE, quantity=3)
    shop.wait(minutes=1)
    assert (wallet(shop, li)["available_fen"], wallet(shop, li)["points"]) == (0, 0), "late returns count as well"
    assert shop.get("/ledger/check")["balanced"]


def test_P3_silver_then_gold_and_back(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2", "A3", "A4", "A5")
    found = facts(shop, li)
    assert (found["tier"], found["benefits"]) == ("silver", ["discount:9500", "priority_service"])
    buys(shop, li, "A6")
    found = facts(shop, li)
    assert (found["tier"], found["benefits"]) == (
        "gold", ["discount:9500", "birthday_gift", "dedicated_service", "priority_service"])
    li.says("进度").sees("（金卡会员）", "见单奖励已全部达成", "成长目标已全部达成")
    shop.refunded("A6", fen=RICE, quantity=3)
    shop.wait(minutes=1)
    assert facts(shop, li)["tier"] == "silver"
    shop.wait(days=7, hours=1)
    assert wallet(shop, li)["points"] == 5 + 5 + 10 + 10 and wallet(shop, li)["available_fen"] == 500 + 100 + 100
    assert kinds(shop, li) == ["ladder", "newcomer", "see_order"]
    li.says("优惠券").sees("见单礼 10元券", "积分礼 满20减5")


def verified(shop: Shop, *people: Person) -> None:
    for one in people:
        shop.event("customer.upserted", {"identities": one.identity, "phone_verified": True})


def test_P5_both_sides_are_paid_when_the_friend_comes_back_and_phones_are_verified(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "L1")
    xin = shop.person("新客", invited_by="李姐")
    buys(shop, xin, "B1")
    before = wallet(shop, li)["pending_fen"]
    buys(shop, xin, "B2")
    commission = wallet(shop, li)["pending_fen"] - before
    assert wallet(shop, xin)["pending_fen"] == 500, "only their own step"
    xin.says("进度").sees("绑定并验证手机号")
    verified(shop, li, xin)
    shop.wait(minutes=1)
    assert wallet(shop, li)["pending_fen"] == before + commission + 1_000
    assert wallet(shop, xin)["pending_fen"] == 500 + 500
    li.says("在吗")
    li.says("在吗").saw("好友复购红包 10元（新*）")
    buys(shop, xin, "B3")
    shop.wait(days=7, hours=1)
    assert "invite" in kinds(shop, li)
    shop.refunded("B2", fen=RICE, quantity=3)
    shop.refunded("B3", fen=RICE, quantity=3)
    shop.wait(minutes=1)
    assert "invite" not in kinds(shop, li)
    assert shop.get("/ledger/check")["balanced"]


def test_what_two_orders_of_the_same_minutes_open_is_not_told_in_the_same_words(shop: Shop) -> None:
    """Each list says of which repurchase it is, from the day it opens to the day it is final or taken back."""
    li = shop.person("李姐")
    buys(shop, li, *(f"A{n}" for n in range(6)))
    li.says("在吗")
    li.says("在吗")
    before = len(li.heard)
    for order in ("A6", "A7"):
        buys(shop, li, order, received=False)
        li.says("在吗")
    told = [said for said in li.heard[before:] if isinstance(said, str) and "复购奖励已解锁" in said]
    assert len(told) == len(set(told)) == 2, told
    assert all(f"金阶复购 20 积分（第 {n} 次）" in said and f"金阶复购红包 ¥5.00（第 {n} 次）" in said
               for n, said in zip((6, 7), told, strict=True)), told
    li.says("进度").sees("金阶复购 20 积分（第 7 次），确认收货后开始计算", "金阶复购 20 积分（第 6 次），")
    shop.refunded("A7", fen=RICE, quantity=3)
    shop.wait(minutes=1)
    li.says("在吗").saw("有订单退货", "金阶复购 20 积分（第 7 次）")


def test_L11_a_birthday_gift_once_a_year(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, *(f"A{n}" for n in range(6)))
    shop.event("customer.upserted", {"identities": li.identity, "birthday": "1990-11-23"})
    for _ in range(3):
        li.says("在吗").says("你好")
        shop.wait(days=1)
    li.says("在吗").saw("生日快乐", "生日礼 88折券")
    shop.event("customer.upserted", {"identities": li.identity, "birthday": "1990-11-25"})
    shop.wait(days=2)
    assert kinds(shop, li).count("birthday") == 1


def test_the_page_shows_the_same(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2")
    li.says("进度")
    said = next(said for said in reversed(li.heard) if isinstance(said, str) and "/me/progress" in said)
    page = shop.client.get("/me/" + said.split("/me/", 1)[1].split()[0])
    assert page.status_code == 200
    for part in ("复购 1 次", "再复购1单，即可领取10元券", "铜阶复购 5 积分（第 1 次）", "11月27日生效"):
        assert part in page.text
