"""人工 opens a ticket; while one is open, what the bot does not understand is the human's, and commands still work."""

from collections.abc import Callable
from datetime import datetime, time
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.runtime import backlog, demo_team
from domain.helpdesk import queries, service
from domain.helpdesk.queries import ChatLine, TicketView
from domain.helpdesk.rules import HelpdeskRules, attendance, load
from domain.shared.clock import SHANGHAI
from domain.shared.errors import DomainError
from domain.workflows import forgetting
from domain.workflows.merging import MOVERS
from tests.dialogs.test_feedback import sends_picture
from tests.dialogs.test_grants import person_id
from tests.dialogs.test_leaving import scan
from tests.fakes.shop import Shop


def act(shop: Shop, what: Callable[..., TicketView], number: int, *given: Any, role: str = "owner") -> TicketView:
    with shop.runtime.sessions.begin() as session:
        actor = demo_team.hire(session, shop.clock.now())[role]
        done = what(session, number, *given, actor, shop.clock.now())
    shop.work()
    return done


def lines(shop: Shop, number: int) -> list[ChatLine]:
    with shop.runtime.sessions() as session:
        return queries.lines(session, queries.one(session, number), shop.clock.now())


def queue(shop: Shop) -> list[TicketView]:
    with shop.runtime.sessions() as session:
        return queries.queue(session)


def test_asked_answered_talked_and_ended(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("人工 我的快递丢了").sees("已转给店员（编号 1）", "现在有人在，一般 30 分钟内回复", "「好了」")
    li.says("单号是 SF1002003").sees("收到，已转给店员（编号 1）")
    heard = len(li.heard)
    li.says("昨天就该到了").hears_nothing_new(heard)
    sends_picture(li, "parcel").hears_nothing_new(heard)
    li.says("佣金").sees("我的佣金")
    assert [(one.id, one.question, one.waits_for) for one in queue(shop)] == [(1, "人工 我的快递丢了", "shop")]
    shop.wait(minutes=3)
    act(shop, service.answer, 1, "已经补发，明天到")
    shop.wait(minutes=3)
    li.saw("店员回复（编号 1）", "已经补发，明天到")
    heard = len(li.heard)
    li.says("太好啦谢谢你们").hears_nothing_new(heard)
    assert [(line.by, line.words, line.delivery) for line in lines(shop, 1) if line.kind == "text"][-7:] == [
        ("person", "单号是 SF1002003", ""), ("bot", "收到，已转给店员（编号 1）。解决了回复「好了」。", ""),
        ("person", "昨天就该到了", ""), ("person", "佣金", ""),
        ("bot", li.heard[-2], ""), ("shop", "已经补发，明天到", "sent"), ("person", "太好啦谢谢你们", "")]
    assert ("person", "image", "https://img.example/parcel") in [
        (line.by, line.kind, line.words) for line in lines(shop, 1)]
    li.says("好了！").sees("这次就到这里")
    li.says("单号是 SF1002003").sees("没太听懂")
    assert queue(shop) == []
    li.says("人工 还有一件事").sees("编号 2")


def test_what_it_is_about_is_asked_once(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("退款").sees("您请说是什么事")
    li.says("我要退货").sees("已转给店员（编号 1）")
    assert [one.question for one in queue(shop)] == ["我要退货"]


@pytest.mark.parametrize("question", ["你们店里几点下班", "大米的保质期是多久？", "do you ship to Hong Kong"])
def test_a_sentence_that_is_not_understood_is_brought_to_a_human_as_it_was_said(shop: Shop, question: str) -> None:
    li = shop.person("李姐")
    li.says(question).sees("没太听懂", "回复「是」", "「人工」")
    assert queue(shop) == [], "nobody is asked before the person wants it"
    li.says("好的").sees("已转给店员（编号 1）", "30 分钟内回复")
    assert [one.question for one in queue(shop)] == [question]


def test_who_wants_no_human_is_not_kept_and_a_lone_word_is_no_question(shop: Shop) -> None:
    li = shop.person("李姐")
    ask = "你们店里几点下班"
    li.says(ask).says("不用").sees("换个说法", "「人工」")
    li.says(ask).says("看一下佣金吧").sees("我的佣金")
    li.says(ask).says("那几点上班呢").sees("没太听懂", "回复「是」").says("是").sees("编号 1")
    assert [one.question for one in queue(shop)] == ["那几点上班呢"]
    li.says("好了")
    li.says("乱码").sees("没太听懂", "「海报」").says("是").sees("没有要您确认的事")


def test_a_bare_yes_is_no_question_for_a_human(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("人工").says("好的").sees("您请说是什么事")
    li.says("没事").sees("已取消")
    li.says("滚").sees("哪里没做好").says("确认").sees("您请说是什么事")
    assert queue(shop) == []
    li.says("米坏了").sees("编号 1")
    assert [one.question for one in queue(shop)] == ["米坏了"]


def test_asked_for_the_question_and_out_of_hours(shop: Shop) -> None:
    li = shop.person("李姐")
    shop.wait(hours=12)
    li.says("人工").sees("您请说是什么事")
    li.says("佣金少了 3 块").sees("编号 1", "现在没有人在，11月21日 09:00 开始回复", "服务时间每天 09:00–21:00")
    li.says("我要退货").sees("已加到您的问题里（编号 1）", "11月21日 09:00 开始回复")
    li.says("人工").sees("已加到您的问题里（编号 1）")
    wang = shop.person("小王")
    wang.says("人工").says("不用了").sees("已取消")
    wang.says("人工").says("取消").sees("已取消")
    wang.says("转人工")
    sends_picture(wang, "broken").sees("编号 2")
    assert [one.question for one in queue(shop)] == ["佣金少了 3 块", ""]


def test_money_words_and_choices_go_on_while_a_ticket_is_open(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("人工 问个事")
    shop.wait(minutes=31)
    li.says("在吗在吗").sees("收到，已转给店员（编号 1）")
    li.says("好的").hears_nothing_new(len(li.heard))
    li.says("反馈").says("米袋太薄").sees("记下了")
    li.says("好了").sees("这次就到这里")
    li.says("好了").sees("没太听懂")


def test_an_answer_without_a_right_comes_when_they_write(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("人工 我的快递丢了")
    shop.wait(days=2, hours=1)
    act(shop, service.answer, 1, "已经补发")
    assert lines(shop, 1)[-1] == ChatLine(shop.clock.now(), "shop", "text", "已经补发", "lin", "waits", "no_right")
    li.says("退订")
    li.saw("店员回复", "已经补发")
    assert [line.delivery for line in lines(shop, 1) if line.by == "shop"] == ["sent"]


def test_at_night_and_to_who_wants_no_messages_an_answer_still_comes(shop: Shop) -> None:
    li = shop.person("李姐")
    shop.wait(hours=11)
    li.says("退订").says("人工 急事")
    shop.wait(hours=3)
    act(shop, service.answer, 1, "在的，您说")
    li.saw("在的，您说")


def test_silence_closes_what_was_answered_and_never_what_waits(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    li.says("人工 甲")
    wang.says("人工 乙")
    act(shop, service.answer, 1, "办好了")
    shop.wait(hours=47)
    assert [one.id for one in queue(shop)] == [2, 1]
    shop.wait(hours=2)
    assert [one.id for one in queue(shop)] == [2]
    with shop.runtime.sessions() as session:
        assert queries.one(session, 1).closed_why == "silence"
    with shop.runtime.engine.connect() as db:
        found, = backlog._tickets(db, shop.clock.now())
    assert (found.state, found.check) == ("yellow", "helpdesk") and "1 person waits" in found.cause
    shown = shop.client.get("/metrics").text.splitlines()
    assert 'huitou_tickets_open{waits_for="shop"} 1.0' in shown
    assert f'huitou_ticket_oldest_seconds{{waits_for="shop"}} {49 * 3600}.0' in shown, "by the shop's clock"
    with pytest.raises(DomainError):
        act(shop, service.answer, 1, "还有")


def test_taken_handed_on_and_closed_under_names(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("人工 甲")
    assert act(shop, service.take, 1, role="finance").taken_by != ""
    assert act(shop, service.answer, 1, "稍等").taken_by == act(shop, service.take, 1, role="finance").taken_by
    assert act(shop, service.take, 1).taken_by == "lin"
    assert act(shop, service.close, 1, "已补发").closed_by == "lin"
    with shop.runtime.sessions() as session:
        log = session.execute(text("select act, detail::text as d from audit_event where act like 'helpdesk%'"
                                   " order by id")).all()
    assert [row.act for row in log] == ["helpdesk.take", "helpdesk.answer", "helpdesk.take", "helpdesk.close"]
    assert "稍等" not in str(log)
    with pytest.raises(DBAPIError, match="was closed"), shop.runtime.sessions.begin() as session:
        session.execute(text("update ticket set state = 'open', closed_at = null, closed_why = '', closed_by = ''"))


def test_a_merge_leaves_one_open_and_leaving_erases_the_words(shop: Shop) -> None:
    li, old = shop.person("李姐"), shop.person("旧号")
    li.says("人工 甲")
    old.says("人工 我住翠湖北路")
    act(shop, service.answer, 2, "翠湖北路收到")
    kept, gone = person_id(shop, li), person_id(shop, old)
    with shop.runtime.sessions.begin() as session:
        for mover in MOVERS:
            if mover.__module__ == service.__name__:
                mover(session, kept, gone, shop.clock.now())
    assert [(one.id, one.person_id) for one in queue(shop)] == [(1, kept)]
    with shop.runtime.sessions.begin() as session:
        forgetting.forget(session, forgetting.Leaver((kept, gone), (), ""), shop.clock.now())
    assert scan(shop, "翠湖北路") == [] and queue(shop) == []


def test_or_wechat_itself_takes_over(shop: Shop) -> None:
    rules = shop.runtime.context.tool(HelpdeskRules)
    shop.runtime.dispatcher.tools[HelpdeskRules] = structs.replace(rules, by_wechat=True)  # type: ignore[index]
    li = shop.person("李姐")
    li.says("人工 我的快递丢了")
    assert li.transfers == 1 and queue(shop) == []
    li.says("人工").sees("您请说是什么事")
    li.says("快递丢了")
    assert li.transfers == 2 and queue(shop) == []


@pytest.mark.parametrize(("day", "hour", "there", "next_"), [
    (20, 9, True, (20, 9)), (20, 8, False, (20, 9)), (20, 18, False, (23, 9)), (21, 10, False, (23, 9)),
    (22, 23, False, (23, 9)), (23, 17, True, (23, 17))])
def test_hours(day: int, hour: int, there: bool, next_: tuple[int, int]) -> None:
    """The 20th of November 2026 is a Friday."""
    rules = HelpdeskRules(time(9), time(18), (1, 2, 3, 4, 5))
    found = attendance(rules, datetime(2026, 11, day, hour, tzinfo=SHANGHAI))
    assert (found.there, (found.next.day, found.next.hour), found.daily) == (there, next_, False)


@pytest.mark.parametrize("toml", ["opens = 18:00:00\ncloses = 09:00:00", "days = []", "days = [8]", "what = 1",
                                  "closes_after_hours = 0", "days = "])
def test_a_wrong_file_is_refused(toml: str) -> None:
    with pytest.raises(DomainError):
        load(toml)
