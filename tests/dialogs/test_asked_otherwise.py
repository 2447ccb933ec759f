"""What people ask in words that nobody taught them, or at a moment when nobody expects it: a right answer, or at least
what to do next."""

import pytest

from tests.fakes.shop import Person, Shop


@pytest.fixture
def li(shop: Shop) -> Person:
    """Somebody with ten postings: two pages of them."""
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    for n in range(10):
        shop.paid(f"A{n}", by=xin, fen=9_900 + 100 * n)
    return li.says("你好")


@pytest.mark.parametrize(("said", "seen"), [
    ("骗子", ("只按真实订单计算", "「规则」", "「人工」")), ("你是机器人吗", ("小助手", "「人工」")),
    ("怎么没到账", ("还没有提现记录", "「佣金」")), ("手续费", ("不收手续费", "收货 7 天后可提现")),
    ("牛奶多少钱", ("牛奶", "¥59.80")), ("晚上别发", ("21:30", "免打扰")), ("知道了", ("好的", "「帮助」")),
    ("明细 1999年1月", ("1999年1月没有收支记录",)), ("明细 2999年1月", ("2999年1月还没到",)),
    ("为什么 13月", ("没有找到「13月」", "月份")), ("没人教过的话", ("没太听懂", "「人工」")),
])
def test_untaught_words_are_answered(shop: Shop, said: str, seen: tuple[str, ...]) -> None:
    shop.person("李姐").says(said).sees(*seen)


def test_a_bare_order_number_or_amount_is_explained(li: Person) -> None:
    for said in ("A3", "a3", "¥8.16", "8.16", "8.16元", "8块1毛6", "八块一毛六", "8块1毛6咋来的",
                 "为什么只有八块一毛六"):
        li.says(said).sees("A3", "¥102.00 × 8% = ¥8.16")


def test_what_is_no_posting_of_theirs_is_not_understood(li: Person) -> None:
    for said in ("A99", "8.99", "816", "3", "AB"):
        li.says(said).sees("没太听懂")


def test_behind_the_last_page_there_is_no_more(li: Person) -> None:
    li.says("明细").sees("A9", "回复「更多」")
    li.says("下一页").sees("A0")
    assert "回复「更多」" not in str(li.heard[-1])
    for said in ("更多", "还有吗"):
        li.says(said).sees("最早的一笔", "「明细」")
    li.says("明细").sees("A9")
    li.says("更多").says("随便说说").sees("没太听懂")


def test_cancelling_nothing_does_not_say_that_something_was(li: Person) -> None:
    """Somebody whose withdrawal is under way must not believe that it was cancelled."""
    li.says("取消").sees("没有正在办的事", "「取消提现」")
    li.says("换风格").says("取消").sees("已取消")


def test_of_several_wishes_one_is_chosen_after_all(li: Person) -> None:
    li.says("海报和佣金").sees("1. 生成海报", "2. 查看佣金")
    for said in ("9", "两个都要"):
        li.says(said).sees("一次办一件", "1. 生成海报", "2. 查看佣金")
    li.says("2").sees("我的佣金")
    li.says("海报和佣金").says("今天天气不错").sees("没太听懂")
    li.says("2").sees("没太听懂")


def test_an_offered_meaning_may_be_chosen_by_a_yes_or_by_its_place(li: Person) -> None:
    """Of one meaning a yes is enough; of several it is not, and none of them is no dead end."""
    only = "嗯那个我想问一下就是我那个佣金有多少了"
    for said in ("是", "对", "好的", "1", "第一个"):
        li.says(only).sees("1. 查看佣金", "回复「是」").says(said).sees("我的佣金")
    li.says(only).says("不是").sees("换个说法", "「人工」")
    li.says("海报和佣金").says("是").sees("一次办一件", "2. 查看佣金").says("后面那个吧").sees("我的佣金")
    li.says("海报和佣金").says("前面那个").sees("海报")


def test_who_asks_for_something_else_instead_of_confirming_is_answered(li: Person) -> None:
    """The money stays where it is all the same."""
    li.says("我要提现").sees("请先确认")
    li.says("看一下明细吧").sees("最近的收益明细")
    li.says("是").sees("没有要您确认的事")
    for said in ("随便", "不", "我要提现"):
        li.says("我要提现").says(said).sees("没有办理", "一分未动")


def test_who_has_nothing_to_ask_a_human_after_all_opens_no_ticket(li: Person) -> None:
    for said in ("好了", "没事了。"):
        li.says("人工").sees("请说是什么事")
        li.says(said).sees("已取消")
    li.says("发票").sees("请说是什么事")
    li.says("要一张增值税发票").sees("已转给店员（编号 1）")


def test_behind_poster_a_word_of_ours_may_be_a_second_wish(shop: Shop, li: Person) -> None:
    for said in ("海报 佣金", "海报，提现"):
        li.says(said).sees("1. 生成海报", "2. ")
    li.says("2").sees("提现")
    li.says("海报 牛奶").sees("正在生成「高原牧场纯牛奶 12盒」")
    li.says("海报 好的").sees("没有叫「好的」的商品")


def test_after_a_list_money_is_still_confirmed_and_several_wishes_are_still_asked_about(li: Person) -> None:
    """The statement, a choice of goods, a choice of prizes and a second guess wait for an answer; what comes instead is
    heard as if nothing had been asked."""
    for question in ("明细", "海报 不存在的东西", "兑换", "为什么 8.99", "再卖", "换风格"):
        li.says(question).says("我要提现").sees("您是想提现吗", "涉及资金")
        li.says("不").sees("没有办理")
        li.says(question).says("佣金和订单都看看").sees("1. 查看佣金", "2. 查看订单")
        li.says("取消")


def test_what_was_earned_in_a_month_is_that_months(li: Person) -> None:
    for said in ("上个月赚了多少", "佣金 10月", "10月份的佣金有多少", "上个月提现了多少"):
        li.says(said).sees("2026年10月没有收支记录")


def test_what_was_earned_this_month_is_its_statement_and_a_month_to_come_is_not_there_yet(li: Person) -> None:
    li.says("11月赚了多少").sees("2026年11月", "A9")
    li.says("2999年1月的佣金").sees("还没到")
    li.says("本月佣金").sees("我的佣金", "可提现")


def test_nobody_is_kept_in_a_question(li: Person) -> None:
    li.says("海报 不存在的东西").says("上个月一共赚了多少").sees("10月没有收支记录")
    li.says("海报 不存在的东西").says("鸡蛋").sees("正在生成「林下散养土鸡蛋 30枚」")
    for said, title in (("护眼", "护眼学习台灯"), ("度会员卡", "年度会员卡")):  # they sound or look like words
        li.says("海报 不存在的东西").says(said).sees(f"正在生成「{title}")
    li.says("换风格").says("我推荐的人里谁排第几名").sees("销售排行")
    li.says("为什么 8.99").says("营业执照拿来瞧瞧").sees("没太听懂")
    li.says("为什么 8.99").says("8.98").sees("没有找到「8.98」")
    li.says("8块1毛6").sees("¥102.00 × 8% = ¥8.16")
