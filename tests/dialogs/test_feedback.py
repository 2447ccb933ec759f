"""反馈 is filed under a number, pictures join it, the shop answers; an adopted one is thanked for by name, once."""

from collections.abc import Callable
from typing import Any

import pytest

from bot.runtime import demo_team
from domain.feedback import queries, service
from domain.feedback.queries import FeedbackView
from domain.feedback.rules import FeedbackRules
from domain.shared.errors import Conflict, DomainError
from domain.workflows import forgetting
from domain.workflows.merging import MOVERS
from tests.dialogs.test_grants import person_id
from tests.dialogs.test_leaving import scan
from tests.fakes.shop import Person, Shop


def act(shop: Shop, what: Callable[..., FeedbackView], number: int, *given: Any) -> FeedbackView:
    with shop.runtime.sessions.begin() as session:
        boss = demo_team.hire(session, shop.clock.now())["owner"]
        done = what(session, number, *given, boss, shop.clock.now())
    shop.work()
    return done


def adopt(shop: Shop, number: int, outcome: str = "") -> FeedbackView:
    return act(shop, service.adopt, number, outcome, shop.runtime.context.tool(FeedbackRules))


def all_of(shop: Shop) -> list[FeedbackView]:
    with shop.runtime.sessions() as session:
        return queries.listed(session)[::-1]


def sends_picture(person: Person, name: str) -> Person:
    return person._post({"MsgType": "image", "MediaId": name, "PicUrl": f"https://img.example/{name}",
                         "MsgId": str(next(person.shop.numbers))})


def test_filed_in_one_breath_or_asked_for_with_pictures(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("反馈 米袋太薄，路上破了").sees("记下了，编号 1", "李姐")
    sends_picture(li, "one").sees("编号 1", "还可以再发 2 张")
    sends_picture(li, "two")
    sends_picture(li, "three")
    sends_picture(li, "four").sees("已经放满照片")
    li.says("反馈").sees("您请说")
    sends_picture(li, "five").sees("再用一两句话")
    li.says("佣金到账有点慢").sees("编号 2")
    li.says("反馈").says("取消").sees("已取消")
    li.says("反馈").says("不用了").sees("已取消")
    li.says("反馈").says("提现").sees("提现")
    first, second = all_of(shop)
    assert (first.words, [one["media_id"] for one in first.photos]) == ("米袋太薄，路上破了", ["one", "two", "three"])
    assert (second.words, [one["pic_url"] for one in second.photos]) == (
        "佣金到账有点慢", ["https://img.example/five"])


def test_the_same_again_a_long_one_and_a_flood(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("反馈 " + "好" * 1_200).sees("编号 1")
    assert (len(all_of(shop)[0].words), all_of(shop)[0].words[-2:]) == (1_000, "好…")
    li.says("反馈 太甜").says("反馈 太甜").sees("已经记下了，编号 2")
    for n in range(3):
        li.says(f"反馈 第 {n} 条")
    li.says("反馈 再来一条").sees("已经记下您的 5 条")
    shop.wait(days=1, minutes=1)
    li.says("反馈 再来一条").sees("记下了")
    assert len(all_of(shop)) == 6


def test_adopted_is_thanked_by_name_with_points_once(shop: Shop) -> None:
    shop.journeys("feedback")
    li = shop.person("李姐")
    li.says("反馈 米袋换厚一点，别再破了吧，谢谢各位店员啦，辛苦了大家")
    adopt(shop, 1, "下个月起改用加厚米袋")
    shop.wait(minutes=5)
    assert "被采纳了！" not in str(li.heard), "there is time for second thoughts"
    shop.wait(minutes=6)
    li.saw("李姐，您的反馈（编号 1，米袋换厚一点，别再破了吧，谢谢各位店员啦，辛苦…）被采纳了", "下个月起改用加厚米袋",
           "一点积分")
    li.says("积分").sees("20")
    with pytest.raises(Conflict):
        adopt(shop, 1)
    act(shop, service.withdraw, 1, "点错了")
    adopt(shop, 1)
    shop.wait(hours=1)
    assert str(li.heard).count("被采纳了！") == 1
    li.says("积分").sees("20")


def test_an_adoption_taken_back_in_time_thanks_nobody_and_the_next_one_does(shop: Shop) -> None:
    shop.journeys("feedback")
    li = shop.person("李姐")
    li.says("反馈 多上点水果")
    adopt(shop, 1)
    shop.wait(minutes=5)
    gone = act(shop, service.withdraw, 1, "点错了")
    assert (gone.state, gone.adopted_by, gone.thanked_at) == ("read", "", None)
    shop.wait(hours=1)
    assert "被采纳了！" not in str(li.heard)
    with pytest.raises(DomainError):
        act(shop, service.withdraw, 1, "再来")
    li.says("帮助")
    adopt(shop, 1)
    shop.wait(minutes=11)
    li.saw("李姐，您的反馈（编号 1，多上点水果）被采纳了")


def test_answered_at_once_or_when_they_write_again(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("反馈 物流太慢")
    act(shop, service.answer, 1, "已经换了快递，麻烦您再试试")
    li.saw("您的反馈（编号 1，物流太慢）有回音了", "已经换了快递")
    shop.wait(days=3)
    act(shop, service.answer, 1, "新快递还满意吗")
    assert "新快递" not in str(li.heard)
    li.says("佣金")
    li.saw("新快递还满意吗")
    with pytest.raises(DomainError):
        act(shop, service.answer, 1, " ")
    assert (all_of(shop)[0].state, all_of(shop)[0].answers) == ("read", 2)


def test_it_moves_with_a_merge_and_its_words_are_erased(shop: Shop) -> None:
    li, old = shop.person("李姐"), shop.person("旧号")
    old.says("反馈 我家住翠湖北路二号")
    act(shop, service.answer, 1, "翠湖北路已记下")
    kept, gone = person_id(shop, li), person_id(shop, old)
    with shop.runtime.sessions.begin() as session:
        for mover in MOVERS:
            if mover.__module__ == service.__name__:
                mover(session, kept, gone, shop.clock.now())
    assert [one.person_id for one in all_of(shop)] == [kept]
    with shop.runtime.sessions.begin() as session:
        forgetting.forget(session, forgetting.Leaver((kept, gone), (), ""), shop.clock.now())
    assert scan(shop, "翠湖北路") == []
