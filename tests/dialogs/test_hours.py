"""Quiet hours by a word: understood, said back, kept, and obeyed over midnight."""

import pytest
from sqlalchemy import text

from tests.fakes.shop import Person, Shop


@pytest.fixture
def li(shop: Shop) -> Person:
    return shop.person("李姐")


def at(shop: Shop, hour: int, minute: int = 0) -> None:
    """Move on to the next such time in Shanghai."""
    local = shop.clock.now().hour * 60 + shop.clock.now().minute + 8 * 60
    shop.wait(minutes=(hour * 60 + minute - local) % (24 * 60))


def test_evening_hours_are_said_back_and_obeyed(shop: Shop, li: Person) -> None:
    xin = shop.person("新客", invited_by="李姐")
    li.says("晚上8点后别发").sees("每天 20:00 到第二天 08:30 不打扰您")
    at(shop, 20)
    before = len(li.heard)
    shop.paid("A1", by=xin, fen=9_900)
    at(shop, 8, 29)
    li.hears_nothing_new(before)
    at(shop, 9, 11)
    li.saw("佣金到账 ¥7.92")


def test_a_later_morning_keeps_the_evening_as_it_was(shop: Shop, li: Person) -> None:
    xin = shop.person("新客", invited_by="李姐")
    li.says("早上十点后再发").sees("每天 21:30 到第二天 10:00")
    at(shop, 9)
    before = len(li.heard)
    shop.paid("A1", by=xin, fen=9_900)
    li.hears_nothing_new(before)
    at(shop, 10, 41)
    li.saw("佣金到账 ¥7.92")


def test_a_nap_within_one_day(shop: Shop, li: Person) -> None:
    xin = shop.person("新客", invited_by="李姐")
    li.says("中午12点到2点别吵我").sees("每天 12:00 到 14:00 不打扰您")
    at(shop, 13)
    before = len(li.heard)
    shop.paid("A1", by=xin, fen=9_900)
    li.hears_nothing_new(before)
    at(shop, 14, 41)
    li.saw("佣金到账 ¥7.92")
    at(shop, 23)
    shop.paid("A2", by=xin, fen=6_600)
    li.saw("佣金到账 ¥5.28")


def test_the_usual_hours_again_let_go_what_was_held(shop: Shop, li: Person) -> None:
    xin = shop.person("新客", invited_by="李姐")
    li.says("免打扰 9点到11点").sees("09:00 到 11:00")
    li.says("免打扰 15点到9点").sees("15:00 到第二天 09:00")
    at(shop, 16)
    before = len(li.heard)
    shop.paid("A1", by=xin, fen=9_900)
    li.hears_nothing_new(before)
    li.says("恢复默认").sees("已恢复默认：每天 21:30 到第二天 08:30")
    li.saw("佣金到账 ¥7.92")
    li.says("恢复默认").sees("现在每天 21:30 到第二天 08:30")


def test_without_hours_the_present_ones_are_shown(shop: Shop, li: Person) -> None:
    li.says("免打扰").sees("现在每天 21:30 到第二天 08:30", "免打扰 21点到9点")
    li.says("免打扰 22:00-07:30")
    li.says("免打扰").sees("现在每天 22:00 到第二天 07:30")


def test_hours_that_leave_no_time_are_refused(shop: Shop, li: Person) -> None:
    li.says("免打扰 早上9点到8点半").sees("几乎没有能发消息的时间")
    with shop.runtime.sessions() as session:
        assert session.scalar(text("select count(*) from notice_preference where quiet_from is not null")) == 0


def test_what_can_be_read_two_ways_is_not_guessed(shop: Shop, li: Person) -> None:
    for said in ("免打扰 9点到9点", "9点到9点别发"):
        li.says(said).sees("分不清是早上还是晚上", "没有改动", "免打扰 21:00到09:00")
    li.says("免打扰").sees("21:30 到第二天 08:30")
    li.says("免打扰 21:00到09:00").sees("每天 21:00 到第二天 09:00")
    li.says("免打扰 晚上9点到早上9点").sees("每天 21:00 到第二天 09:00")


def test_every_day_is_the_whole_day(shop: Shop, li: Person) -> None:
    for said in ("每天都别发", "天天别打扰我", "全天别发"):
        li.says(said).sees("没有改动", "退订")
    li.says("每天晚上8点后别发").sees("每天 20:00 到第二天 08:30")
