"""When the shop keeps quiet, and when it speaks all the same."""

from sqlalchemy import text

from tests.fakes.shop import Shop


def test_stop_and_resume(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    li.says("退订").sees("已退订")
    before = len(li.heard)
    shop.paid("A1", by=xin, fen=9_900)
    li.hears_nothing_new(before)
    assert refusals(shop) == {"no_consent"}
    li.says("恢复").sees("已恢复")
    shop.paid("A2", by=xin, fen=9_900)
    li.saw("佣金到账 ¥7.92")


def test_less_keeps_the_money_notices(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    li.says("少发点").sees("佣金和订单通知会保留")
    shop.paid("A1", by=xin, fen=9_900)
    li.saw("佣金到账")


def test_quiet_hours_hold_a_notice_until_morning(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    li.says("佣金")
    shop.wait(hours=13)  # 23:00
    before = len(li.heard)
    shop.paid("A1", by=xin, fen=9_900)
    li.hears_nothing_new(before)
    shop.wait(hours=9)  # 08:00
    li.hears_nothing_new(before)
    shop.wait(minutes=31)
    li.saw("佣金到账 ¥7.92")


def test_whoever_chats_is_awake(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    shop.wait(hours=13)
    li.says("佣金")
    shop.paid("A1", by=xin, fen=9_900)
    li.saw("佣金到账 ¥7.92")


def test_a_closed_window_keeps_the_notice_for_the_next_contact(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    shop.wait(days=3)  # 48 hours are over
    before = len(li.heard)
    shop.paid("A1", by=xin, fen=9_900)
    li.hears_nothing_new(before)
    li.says("佣金").saw("佣金到账 ¥7.92")


def test_five_messages_and_no_sixth(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    li.says("佣金")
    shop.wait(minutes=2)  # the follow's own minute is over
    for number in range(7):
        shop.paid(f"A{number}", by=xin, fen=10_000)
    assert sum("佣金到账" in said for said in li.heard if isinstance(said, str)) == 5
    li.says("佣金")
    assert sum("佣金到账" in said for said in li.heard if isinstance(said, str)) == 7


def test_typos_and_pinyin_are_understood_but_money_is_confirmed(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("yongjin").sees("待结算")
    li.says("海豹").saw("正在生成")
    li.says("体现").sees("您是想提现吗")
    li.says("不了").sees("没有办理")


def test_unknown_words_end_in_help(shop: Shop) -> None:
    shop.person("李姐").says("今天天气真不错呀").sees("没太听懂")


def refusals(shop: Shop) -> set[str]:
    with shop.runtime.sessions() as session:
        return set(session.scalars(text("select reason from outbox where state = 'refused'")))
