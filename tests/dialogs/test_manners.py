"""When the shop keeps quiet, and when it speaks all the same."""

from datetime import timedelta

from sqlalchemy import text

from bot.kit.gateway import Outcome, SendResult
from domain.notices import service as notices
from tests.dialogs.test_rules import person_id
from tests.fakes.shop import Person, Shop


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
    shop.wait(minutes=71)  # 09:11: everybody has their own minute within forty after half past eight
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


def test_unasked_messages_stop_before_the_last_right(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    li.says("佣金")
    shop.wait(minutes=2)  # the follow's own minute is over
    for number in range(7):
        shop.paid(f"A{number}", by=xin, fen=10_000)
    assert sum("佣金到账" in said for said in li.heard if isinstance(said, str)) == 4
    li.says("佣金")
    li.saw("3 笔佣金到账，共 ¥24.00")
    assert sum("佣金到账" in said for said in li.heard if isinstance(said, str)) == 5


def test_what_was_asked_for_comes_before_a_backlog_of_notices(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    shop.wait(days=3)
    for number in range(10):
        shop.paid(f"A{number}", by=xin, fen=10_000)
    assert pictures(li.says("海报")) == 1


def test_a_picture_that_had_no_right_comes_with_the_next_contact(shop: Shop) -> None:
    li = shop.person("李姐")
    li.poster("海报 2")
    shop.gateway.refusals.append(SendResult(Outcome.QUOTA_USED, 45047))
    assert pictures(li.says("海报 2")) == 0
    assert pictures(li.says("佣金")) == 1


def test_a_picture_nobody_could_send_in_time_ends_with_its_reason(shop: Shop) -> None:
    li = shop.person("李姐")
    li.poster("海报 2")
    shop.gateway.refusals.append(SendResult(Outcome.QUOTA_USED, 45047))
    li.says("海报 2")
    shop.wait(hours=48)
    assert refusals(shop) == {"expired"}
    assert pictures(li.says("海报 2")) == 1


def pictures(person: Person) -> int:
    """Pictures since the person's last act."""
    return sum(isinstance(said, bytes) for said in person.heard[person.acted_at:])


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


def test_what_was_promised_comes_before_what_we_only_want_to_tell(shop: Shop) -> None:
    """A poster that is given keeps a right, which nothing else unasked takes; nor does the text that promises it."""
    li, wang = shop.person("李姐").says("佣金"), shop.person("王姐").says("佣金")
    shop.wait(minutes=2)  # five rights are left, of this message
    for one, nudges in ((li, 1), (wang, 4)):
        shop.paid(f"A{nudges}", by=one, fen=9_900)
        with shop.runtime.sessions.begin() as session:
            for n in range(nudges):
                notices.tell(session, notices.Notice(person_id(one), "service", f"nudge:{one.name}:{n}", "role.calmed",
                                                     {"title": f"第{n}"}), shop.clock.now() + timedelta(seconds=1))
    shop.clock.advance(2)
    shop.events([{"id": f"evt_{order}", "type": "order.received", "occurred_at": shop.clock.now().isoformat(), "data": {
        "order_id": order, "channel": "mall", "received_at": shop.clock.now().isoformat()}} for order in ("A1", "A4")])
    li.saw("专属海报随后送到")
    assert pictures(li) == 1
    assert pictures(wang) == 1
    wang.says("你好").saw("专属海报随后送到")
