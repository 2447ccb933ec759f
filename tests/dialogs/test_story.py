"""The main job, told as a conversation: scan a poster, buy, see the commission."""

import io

import pytest
import zxingcpp
from PIL import Image

from tests.fakes.shop import Shop

pytestmark = pytest.mark.usefixtures("drawn")


def test_the_whole_story(shop: Shop) -> None:
    li = shop.person("李姐🌸")
    li.says("海报").saw("正在生成")
    poster = li.heard[-1]
    assert isinstance(poster, bytes)
    assert Image.open(io.BytesIO(poster)).size == (1080, 1920)

    xin = shop.person("新客", follows=False)
    xin.scans(poster).sees("来自@李姐🌸的推荐", "新人礼包")

    shop.paid("A1001", by=xin, fen=9_900)
    li.saw("佣金到账 ¥7.92", "新*", "¥99.00 × 8% = ¥7.92")
    li.says("佣金").sees("待结算 ¥7.92", "可提现 ¥0.00")
    li.says("明细").sees("+¥7.92", "A1001")
    li.says("为什么 7.92").sees("A1001", "¥99.00 × 8% = ¥7.92")
    li.says("为什么 A1001").sees("¥99.00 × 8% = ¥7.92")
    li.says("团队").sees("1 位客户", "1 单", "¥7.92")

    shop.refunded("A1001", fen=3_300)
    li.saw("扣回 ¥2.64").says("佣金").sees("待结算 ¥5.28")

    shop.received("A1001")
    shop.wait(days=6)
    li.says("佣金").sees("待结算 ¥5.28", "可提现 ¥0.00")
    shop.wait(days=1, hours=1)
    li.says("佣金").sees("待结算 ¥0.00", "可提现 ¥5.28")


def test_a_partial_refund_shows_at_once(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    shop.paid("A1", by=xin, fen=9_900)
    li.says("佣金").sees("待结算 ¥7.92")
    shop.refunded("A1", fen=3_300)
    li.says("佣金").sees("待结算 ¥5.28")


def test_the_second_level_earns_in_the_demo_shop(shop: Shop) -> None:
    li = shop.person("李姐")
    wang = shop.person("小王", invited_by="李姐")
    xin = shop.person("新客", invited_by="小王")
    shop.paid("A1", by=xin, fen=10_000)
    wang.says("佣金").sees("待结算 ¥8.00")
    li.says("佣金").sees("待结算 ¥2.00")
    li.says("为什么 A1").sees("2 级客户", "¥100.00 × 2% = ¥2.00")


def test_the_api_tells_the_same(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    shop.paid("A1", by=xin, fen=9_900)
    found = shop.get(f"/people?openid={li.openid}&app_id={li.identity['app_id']}")
    wallet = shop.get(f"/people/{found['id']}/wallet")
    assert (wallet["pending_fen"], wallet["available_fen"]) == (792, 0)
    lines = shop.get("/orders/mall/A1/commission")["lines"]
    assert [(line["beneficiary_id"], line["level"], line["base_fen"], line["rate_bps"], line["amount_fen"])
            for line in lines] == [(found["id"], 1, 9_900, 800, 792)]
    assert shop.get("/ledger/check")["balanced"] is True


def test_asking_twice_while_it_is_made_makes_one(shop: Shop) -> None:
    li = shop.person("李姐")
    follow_up = shop.follow_up
    shop.follow_up = lambda: None  # type: ignore[method-assign]
    li.says("海报")
    li.says("海报").sees("还在生成")
    shop.follow_up = follow_up  # type: ignore[method-assign]
    shop.work()
    assert len([said for said in li.heard if isinstance(said, bytes)]) == 1


def test_a_retry_gets_the_same_reply_and_does_nothing_twice(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("海报", msg_id="777")
    li.says("海报", msg_id="777")
    texts = [said for said in li.heard if isinstance(said, str) and "正在生成" in said]
    assert len(texts) == 2
    assert texts[0] == texts[1]
    assert len([said for said in li.heard if isinstance(said, bytes)]) == 1


def test_another_style_is_chosen_by_number(shop: Shop) -> None:
    li = shop.person("李姐")
    first = li.poster()
    li.says("换风格").saw("回复数字选一款")
    sheet = li.heard[-1]
    assert isinstance(sheet, bytes)
    second = li.poster("2")
    assert first != second
    assert li.poster("海报") == second


def test_a_poster_by_number_name_and_choice(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("海报 2").saw("高原牧场纯牛奶")
    li.says("海报 蜂蜜").saw("百花山野生蜂蜜")
    li.says("海报 有机").sees("要哪一个").says("1").saw("五常有机大米")
    li.says("海报 火箭").sees("没有叫", "回复数字")


def test_the_poster_carries_the_qr_of_the_sharer(shop: Shop) -> None:
    li = shop.person("李姐")
    jpeg = li.poster()
    small = Image.open(io.BytesIO(jpeg)).resize((360, 640))
    assert zxingcpp.read_barcodes(small)[0].text in shop.gateway.scenes


def test_own_poster_binds_nobody(shop: Shop) -> None:
    li = shop.person("李姐")
    li.scans(li.poster()).sees("您自己的海报")
    shop.paid("A1", by=li, fen=10_000)
    li.says("佣金").sees("待结算 ¥0.00")


def test_first_touch_wins(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    xin = shop.person("新客", invited_by="李姐")
    xin.scans(wang.poster()).sees("来自@小王的推荐")
    shop.paid("A1", by=xin, fen=10_000)
    li.says("佣金").sees("待结算 ¥8.00")
    wang.says("佣金").sees("待结算 ¥0.00")
    xin.says("客户归属").sees("@李姐")


def test_the_first_completed_order_makes_a_promoter_and_prompts(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    xin.says("帮助")
    shop.paid("A1", by=xin, fen=9_900)
    shop.received("A1")
    xin.saw("恭喜成为生活推荐官").saw("第一单", "海报").saw("首单礼到账")
    li.saw("您推荐的朋友完成了首单")


def test_newcomer_pack_once_ever(shop: Shop) -> None:
    xin = shop.person("新客").sees("新人礼包")
    xin.happens("unsubscribe")
    xin.happens("subscribe").sees("欢迎回来")
    xin.says("优惠券").sees("新人礼")
    assert sum("新人礼包" in said for said in xin.heard if isinstance(said, str)) == 1


def test_after_unfollowing_nothing_is_sent(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    li.happens("unsubscribe")
    before = len(li.heard)
    shop.paid("A1", by=xin, fen=9_900)
    li.hears_nothing_new(before)
