"""Small talk, numbers as people write them, and words that nearly fit: always an answer with a next step."""

import pytest

from tests.dialogs.test_draw_and_mall import fated
from tests.fakes.shop import Shop


@pytest.mark.parametrize(("said", "seen"), [
    ("你好", "您好呀"), ("早上好", "您好呀"), ("在吗？", "在的"), ("谢谢", "不客气"), ("再见", "回头见"),
    ("好的", "没有要您确认的事"),
    ("😊", "想做点什么"), ("[微笑][微笑]", "想做点什么"), ("？", "没太听懂"),
    ("包邮吗", "回复「是」"), ("改名字", "「海报」生成"), ("太好了", "跟着乐"), ("666", "跟着乐"),
    ("隐私政策", "加密保存"), ("为什么要身份证", "个税申报"), ("二级分销违法吗", "只按真实订单"),
    ("券码在哪填", "优惠券"),
    ("导出我的数据", "「人工」"), ("佣金要报税吗", "个税按当月"), ("你们佣金算错了", "找人工客服"),
])
def test_small_talk_is_answered_kindly(shop: Shop, said: str, seen: str) -> None:
    shop.person("李姐").says(said).sees(seen)


def test_small_talk_leaves_an_open_question_open(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("兑换").sees("积分商城")
    li.says("在吗").sees("还等您回复")
    li.says("谢谢").sees("不客气")
    li.says("第1个").sees("积分不够")


def test_who_wants_to_leave_is_told_how_and_what_becomes_of_their_money(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("怎么取消关注").sees("「不再关注」", "佣金", "再关注", "「提现」", "满 30 天", "「退订」")
    li.says("兑换").sees("积分商城")
    li.says("取关").sees("「不再关注」")
    li.says("第1个").sees("积分不够")


def test_a_misspelt_word_for_silence_is_asked_back(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("退丁").sees("您是不是想", "退订")
    li.says("1").sees("已退订")


@pytest.mark.parametrize("said", ["垃圾", "气死我了！", "😡😡", "[发怒]", "😭"])
def test_whoever_is_cross_is_asked_what_went_wrong_and_heard_by_a_human(shop: Shop, said: str) -> None:
    li = shop.person("李姐")
    li.says(said).sees("很抱歉", "「取消」", "「退订」")
    li.says("等了三天还没人理我").sees("已转给店员（编号 1）")
    li.says("好了").says(said).says("算了").sees("已取消")
    li.says(said).says("佣金").sees("我的佣金")


def test_whoever_is_cross_while_a_human_is_asked_is_heard_by_the_human(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("人工 牛奶坏了").sees("编号 1")
    li.says("太差了").sees("已转给店员（编号 1）")


def test_a_product_that_nobody_knows_is_said_to_be_unknown(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("海报 不存在的东西").sees("没有叫「不存在的东西」的商品", "1. ", "5. ", "回复数字")
    assert "6. " not in str(li.heard[-1])
    li.says("海报 大米饭").sees("您是不是要", "大米")
    li.says("第一个")
    assert isinstance(li.heard[-1], bytes)


def test_numbers_may_be_written_out(shop: Shop) -> None:
    li = shop.person("李姐")
    for said in ("兑换 二", "兑换第二个", "兑换 2号"):
        li.says(said).sees("积分不够")
    assert li.poster("海报 三") == li.poster("海报 3")
    li.says("换风格").sees("回复数字")
    li.says("第二个")
    assert isinstance(li.heard[-1], bytes)


def test_hours_that_cannot_be_are_explained(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("晚上25点后别发").sees("没有「晚上25点」这个时间")
    li.says("全天别发").sees("几乎没有能发消息的时间", "「退订」")


def test_a_draw_without_points_is_refused_the_same_way_each_time(shop: Shop) -> None:
    li = shop.person("李姐")
    fated(shop, li, None)
    li.says("抽一次").sees("这次没有中")
    for _ in range(3):
        li.says("抽一次").sees("积分不够")


def test_nearly_the_words_of_leaving_are_asked_again(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("注销").sees("确认注销")
    li.says("确认").sees("一字不差", "确认注销")
    li.says("确认 注销吧").sees("一字不差")
    li.says("不要").sees("没有注销")
    li.says("取消注销").sees("没有登记注销")


def test_what_is_reached_is_not_offered_again(shop: Shop) -> None:
    """The second order came before the first was received."""
    li, wang = shop.person("李姐"), shop.person("王姐")
    for person, orders in ((li, 1), (wang, 2)):
        for n in range(orders):
            shop.paid(f"{person.name}{n}", by=person, fen=9_900)
        shop.received(f"{person.name}0")
    li.says("在吗").saw("30 天内再买一单")
    wang.says("在吗")
    assert "再买一单" not in str(wang.heard)
