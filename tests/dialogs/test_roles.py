"""Roles as people live them: earned by coming back and by selling, said, kept, lost, and explained."""

from tests.fakes.shop import Person, Shop

RICE = 9_900


def buys(shop: Shop, who: Person, *orders: str, fen: int = RICE, received: bool = True) -> None:
    """Orders a minute apart, received at once."""
    for order in orders:
        shop.wait(minutes=1)
        shop.paid(order, by=who, fen=fen)
        if received:
            shop.received(order)


def role(shop: Shop, who: Person) -> tuple[str, str]:
    found = shop.get(f"/people?openid={who.openid}&app_id={who.identity['app_id']}")
    return found["role"], found["title"]


def sells(shop: Shop, seller: Person, month: str, fen: int) -> None:
    """One order of that much by somebody whom the seller has just brought, received."""
    guest = shop.person(f"{month}月的{seller.name}的客人", invited_by=seller.name)
    shop.paid(f"{month}-{seller.name}", by=guest, fen=fen, category="other")
    shop.received(f"{month}-{seller.name}")


def test_L8_the_third_repurchase_makes_gold_provisional_then_final(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2", "A3")
    li.says("等级").sees("生活推荐官", "已复购 2 次", "再复购 1 单")
    buys(shop, li, "A4")
    li.saw("恭喜升级为金牌推荐官", "试用")
    assert role(shop, li) == ("gold", "金牌推荐官")
    li.says("等级").sees("金牌推荐官（试用）", "复购满 3 次", "预计 11月27日", "此前退货会取消")
    shop.wait(days=7, hours=2)
    li.says("在吗").saw("金牌推荐官已转为正式")
    li.says("怎么保级").sees("保住金牌推荐官", "不用做什么")


def test_F9_a_refund_takes_provisional_gold_back_and_the_next_order_gives_it_again(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2", "A3", "A4")
    shop.wait(hours=1)
    li.says("帮助")
    shop.refunded("A4", fen=3_300)
    assert role(shop, li)[0] == "gold", "a part of it came back: the order is still one"
    shop.wait(hours=1)
    li.says("帮助")
    shop.refunded("A4", fen=6_600, quantity=2)
    li.saw("有复购订单退货", "试用中的金牌推荐官已取消", "生活推荐官")
    assert role(shop, li) == ("promoter", "生活推荐官")
    buys(shop, li, "A5")
    assert role(shop, li)[0] == "gold"
    assert sum("恭喜升级为金牌推荐官" in said for said in li.heard if isinstance(said, str)) == 2


def test_confirmed_gold_stays_until_it_was_warned_and_assessed(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2", "A3", "A4")
    shop.wait(days=7, hours=2)
    shop.refunded("A4", fen=RICE, quantity=3)
    assert role(shop, li)[0] == "gold"
    li.says("等级").sees("有效复购还差 1 单", "月底评定前")
    shop.wait(days=5)
    li.says("在吗").saw("保级提醒：金牌推荐官", "还差 1 单", "12月31日前")
    li.says("怎么保级").sees("有效复购还差 1 单", "12月31日前", "调整为生活推荐官")
    shop.wait(days=29)
    assert role(shop, li)[0] == "gold"
    shop.wait(days=2)
    li.says("在吗").saw("由金牌推荐官调整为生活推荐官")
    assert role(shop, li)[0] == "promoter"


def test_a_warned_gold_promoter_who_buys_again_stays(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2", "A3", "A4")
    shop.wait(days=7, hours=2)
    shop.refunded("A4", fen=RICE, quantity=3)
    shop.wait(days=5)
    buys(shop, li, "A5")
    shop.wait(days=32)
    li.says("在吗").saw("保级成功")
    assert role(shop, li)[0] == "gold"


def test_gold_earns_its_rate_from_the_moment_of_the_payment(shop: Shop) -> None:
    li = shop.person("李姐")
    xin = shop.person("新客", invited_by="李姐")
    buys(shop, li, "A1", "A2", "A3")
    shop.paid("B1", by=xin, fen=10_000)
    buys(shop, li, "A4")
    shop.wait(minutes=1)
    shop.paid("B2", by=xin, fen=10_000)
    rates = [shop.get(f"/orders/mall/{one}/commission")["lines"][0]["rate_bps"] for one in ("B1", "B2")]
    assert rates == [800, 2_500]
    shop.refunded("A4", fen=RICE, quantity=3)
    assert shop.get("/orders/mall/B2/commission")["lines"][0]["rate_bps"] == 2_500, "a struck deal stays"


def test_M1_three_months_on_target_make_a_partner_three_below_end_it(shop: Shop) -> None:
    wang = shop.person("小王")
    buys(shop, wang, "W1")
    shop.wait(days=11)                                   # 1 December
    for month, days in (("12", 31), ("01", 31), ("02", 28)):
        sells(shop, wang, month, 500_000)
        wang.says("等级").sees("合伙人", "本月 ¥5000.00，已达标")
        assert role(shop, wang)[0] == "promoter"
        shop.wait(days=days)
    wang.says("在吗").saw("恭喜成为合伙人")
    assert role(shop, wang) == ("partner", "合伙人")
    wang.says("等级").sees("2027年2月评定达标", "保住合伙人", "还差 ¥5000.00", "连续 3 个月未达")
    shop.wait(days=31 + 30)                               # March is the month of promotion, April below
    assert role(shop, wang)[0] == "partner"
    shop.wait(days=31)                                    # May below: warned
    wang.says("在吗").saw("保级提醒：合伙人", "6月30日前", "¥5000.00", "调整为生活推荐官")
    wang.says("怎么保级").sees("已连续 2 个月未达标", "6月30日前达标")
    shop.wait(days=29)
    assert role(shop, wang)[0] == "partner"
    shop.wait(days=2)
    wang.says("在吗").saw("由合伙人调整为生活推荐官")
    assert role(shop, wang)[0] == "promoter"
    assert shop.get("/ledger/check")["balanced"]


def test_a_member_is_told_how_to_begin(shop: Shop) -> None:
    shop.person("新客").says("等级").sees("会员", "完成第一笔订单")
    shop.person("旧客").says("怎么当合伙人").sees("我的等级")
