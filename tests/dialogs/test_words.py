"""Smaller words and corners of the conversation."""

from tests.fakes.shop import Shop


def test_orders_show_their_state(shop: Shop) -> None:
    xin = shop.person("新客").says("订单").sees("还没有订单")
    shop.paid("A1", by=xin, fen=9_900)
    xin.says("订单").sees("有机大米 5kg", "¥99.00", "待发货", "A1")
    shop.refunded("A1", fen=3_300)
    xin.says("订单").sees("已退 ¥33.00")
    shop.received("A1")
    xin.says("订单").sees("已完成")


def test_one_order_is_shown_by_its_number(shop: Shop) -> None:
    xin = shop.person("新客")
    for number in range(7):
        shop.paid(f"MALL-20{number}", by=xin, fen=9_900)
    shop.paid("MALL-900", by=shop.person("小王"), fen=9_900)
    shown = str(xin.says("单号mall-200到哪了").sees("这一单", "单号 MALL-200", "待发货").heard[-1])
    assert "MALL-206" not in shown
    xin.says("订单 MALL-900").sees("您的订单里没有「MALL-900」", "最近的订单", "MALL-206")
    for said in ("快递3天了还没到", "订单 2026年10月"):
        assert "没有「" not in str(xin.says(said).sees("最近的订单").heard[-1])


def test_orders_are_found_by_the_number_of_their_parcel(shop: Shop) -> None:
    xin = shop.person("新客")
    for number in (1, 2, 3):
        shop.paid(f"MALL-{number}", by=xin, fen=9_900)
    for number in (1, 2):
        shop.event("order.shipped", {"channel": "mall", "order_id": f"MALL-{number}", "carrier": "顺丰",
                                     "tracking_no": "SF1002003"})
    shown = str(xin.says("快递 sf1002003 到哪了").sees("这几单", "MALL-1", "MALL-2", "顺丰 SF1002003").heard[-1])
    assert "MALL-3" not in shown
    shop.person("小王").says("快递 SF1002003").sees("您的订单里没有「SF1002003」")


def test_more_turns_the_page_of_the_statement(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    for number in range(20):
        shop.paid(f"B{number:02d}", by=xin, fen=10_000)
    li.says("明细").sees("B19", "B12", "更多")
    li.says("更多").sees("B11", "B04", "更多")
    li.says("更多").sees("B03", "B00")
    li.says("明细").sees("B19")
    li.says("佣金").sees("待结算")


def test_a_closed_order_is_not_called_a_refund(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    shop.paid("A1", by=xin, fen=10_000)
    shop.event("order.closed", {"order_id": "A1", "channel": "mall"})
    li.saw("订单 A1", "已关闭", "取消 ¥8.00")
    li.says("为什么 A1").sees("订单已关闭，扣回 ¥8.00")


def test_people_without_a_name_are_friends_and_customers(shop: Shop) -> None:
    li = shop.person("李姐")
    app_id = li.identity["app_id"]
    shop.event("customer.upserted", {"identities": {"openid": li.openid, "app_id": app_id}, "nickname": ""})
    xin = shop.person("新客", invited_by="李姐")
    shop.event("customer.upserted", {"identities": {"openid": xin.openid, "app_id": app_id}, "nickname": ""})
    xin.saw("您来自好友的推荐")
    shop.paid("A1", by=xin, fen=10_000)
    li.saw("您的客户购买「").says("团队").sees("1. 微信用户　1 单")
    shop.person("小王").says("排行").sees("🥇 微信用户")


def test_words_are_said_back_in_short(shop: Shop) -> None:
    """Whoever pastes a page still sees what can be chosen."""
    li = shop.person("李姐")
    li.says("海报 不存在").sees("没有叫「不存在」的商品", "\n1. ")
    li.says("一整页\n" + "很长的话" * 300).sees("没有叫「一整页 很长的话", "…」的商品", "\n1. ")
    li.says("取消").says("为什么 " + "9" * 900).sees("没有找到「" + "9" * 24 + "…」对应的收支")


def test_first_order_coupons_go_with_the_order(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    shop.paid("A1", by=xin, fen=9_900)
    shop.received("A1")
    li.says("优惠券").sees("好友首单礼")
    xin.says("帮助")
    shop.refunded("A1", fen=9_900, quantity=3)
    xin.saw("权益暂时关闭")
    assert "好友首单礼" not in str(li.says("优惠券").heard[li.acted_at:])
    assert "好友首单礼" not in str(xin.says("优惠券").heard[xin.acted_at:])


def test_a_style_can_be_named_by_its_number_at_once(shop: Shop) -> None:
    li = shop.person("李姐")
    assert li.poster("换风格 3") != li.poster("换风格 1")


def test_what_cannot_be_read_is_not_met_with_silence(shop: Shop) -> None:
    li = shop.person("李姐")
    li._post({"MsgType": "location", "Location_X": "25.0", "Location_Y": "102.7", "Scale": "15", "Label": "昆明",
              "MsgId": "9001"})
    li.sees("打字告诉我")


def test_a_word_that_is_not_open_says_so(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("投票").sees("暂未开通")


def test_a_month_that_no_year_has_and_one_to_come(shop: Shop) -> None:
    li = shop.person("李姐")
    for said in ("2099-13", "13月", "2026年0月"):
        li.says(f"明细 {said}").sees(f"没有「{said}」这个月", "1 到 12 月")
        li.says(f"排行 {said}").sees(f"没有「{said}」这个月")
    li.says("明细 2099-12").sees("2099年12月还没到")
    li.says("排行 2099-12").sees("2099年12月还没到")
    li.says("明细 11月").sees("2026年11月没有收支记录")


def test_the_ranking_of_another_month(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    shop.paid("A1", by=xin, fen=9_900)
    shop.wait(days=20)
    li.says("排行").sees("2026年12月销售排行", "本月还没有人开单")
    for said in ("排行 上个月", "上个月排行", "排行 11月"):
        li.says(said).sees("2026年11月销售排行", "我的名次：第 1 名")
    li.says("排行 10月").sees("2026年10月销售排行", "这个月没有人开单")


def test_a_question_why_is_no_answer_to_another_question(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    shop.paid("A1", by=xin, fen=500_000)
    shop.received("A1")
    shop.wait(days=8)
    li.says("提现").sees("请回复金额")
    li.says("为什么 abc").sees("没有找到", "abc")


def test_laughing_is_met_with_a_smile(shop: Shop) -> None:
    li = shop.person("李姐")
    for said in ("哈哈哈", "嘿嘿~", "hhhh", "哈哈哈哈😂"):
        li.says(said).sees("😄")
    li.says("哈").sees("没太听懂")
