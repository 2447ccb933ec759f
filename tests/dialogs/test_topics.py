"""话题: people say something in their own words; what the shop picked is shown, thanked by name and rewarded once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.runtime import demo_team
from domain.audit.rules import Actor
from domain.points import queries as points
from domain.points.rules import PointRules
from domain.shared.errors import Conflict, DomainError
from domain.shared.wording import Wording
from domain.topics import queries, service
from domain.topics.queries import TopicView, WordView
from domain.topics.rules import TopicRules, clean, load
from domain.workflows import picking
from domain.workflows.merging import MOVERS
from tests.dialogs.test_feedback import sends_picture
from tests.dialogs.test_grants import person_id
from tests.fakes.shop import Person, Shop


def act(shop: Shop, what: Any, *given: Any) -> Any:
    with shop.runtime.sessions.begin() as session:
        boss = demo_team.hire(session, shop.clock.now())["owner"]
        done = what(session, *given, boss, shop.clock.now())
    shop.work()
    return done


def opened(shop: Shop, title: str = "周末早餐吃什么", intro: str = "", worth: int = 10, days: int = 0) -> TopicView:
    done: TopicView = act(shop, service.open_topic, title, intro, worth, days, shop.runtime.context.tool(Wording))
    return done


def pick(shop: Shop, number: int) -> WordView:
    tool = shop.runtime.context.tool
    done: WordView = act(shop, picking.pick, number, tool(Wording), tool(PointRules).life)
    return done


def words(shop: Shop, topic: int = 1, state: str = "") -> list[WordView]:
    with shop.runtime.sessions() as session:
        return queries.words(session, topic, state)[::-1]


def wallet(shop: Shop, who: Person) -> int:
    with shop.runtime.sessions() as session:
        return points.of(session, person_id(shop, who), shop.clock.now()).active


def test_asked_answered_picked_and_shown_to_the_others(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    li.says("话题").sees("现在没有正在聊的话题")
    opened(shop, intro="说说您家的拿手早餐", days=7)
    li.says("话题").sees("周末早餐吃什么", "说说您家的拿手早餐", "还没有人聊", "送 10 积分", "200 字以内", "截止")
    li.says("小米粥配提现——不，配咸菜，提现的话晚上再说").sees("李姐，记下了", "选为精选")
    wang.says("话题").sees("已有 1 人聊过")
    assert "小米粥" not in str(wang.heard), "nobody reads what the shop has not picked"
    assert pick(shop, words(shop)[0].id).points == 10
    li.saw("李姐，您在话题「周末早餐吃什么」里说的「小米粥配提现——不，配咸菜", "送您 10 积分")
    wang.says("话题").sees("🌟 精选", "李*：小米粥配提现——不，配咸菜", "已有 1 人聊过")
    assert wallet(shop, li) == 10
    li.says("积分").sees("10")
    li.says("话题").sees("您说的是：「小米粥配提现", "已选为精选")


def test_a_word_is_replaced_judged_anew_and_rewarded_once(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    opened(shop)
    li.says("话题 豆浆油条").sees("记下了")
    pick(shop, 1)
    with pytest.raises(Conflict):
        pick(shop, 1)
    li.says("话题").says("豆浆油条").sees("已经记下了")
    li.says("话题").says("改成 小笼包").sees("换好啦")
    assert [(one.words, one.state, one.changes) for one in words(shop)] == [("改成 小笼包", "new", 1)]
    wang.says("话题")
    assert "小笼包" not in str(wang.heard) and "豆浆" not in str(wang.heard[-1])
    pick(shop, 1)
    wang.says("话题").sees("李*：改成 小笼包")
    act(shop, service.pass_over, 1)
    wang.says("话题")
    assert "小笼包" not in str(wang.heard[-1])
    assert (str(li.heard).count("被选为精选，大家都能看到"), wallet(shop, li)) == (1, 10)
    for n in range(9):
        li.says("话题").says(f"第 {n} 个主意").sees("换好啦")
    li.says("话题").says("再来一个").sees("已经改了好几次")


def test_bad_answers_are_asked_for_again_and_nobody_is_trapped(shop: Shop) -> None:
    li = shop.person("李姐")
    opened(shop)
    li.says("话题").says("粥").sees("至少 2 个字")
    li.says("好" * 201).sees("您写了 201 个字", "最多 200 个字")
    sends_picture(li, "one").sees("话题先收文字")
    li.says("好" * 200).sees("记下了")
    li.says("话题").says("佣金").sees("待结算")
    li.says("话题").says("算了").sees("已取消")
    li.says("话题").says("不用了").sees("想聊的时候")
    li.says("话题").says('看 <a href="https://x.example">这里</a>\n\n第二行\u202e').sees("换好啦")
    assert words(shop)[0].words == '看 ＜a href="https://x.example"＞这里＜/a＞ 第二行'


def test_closed_by_hand_or_by_time_it_shows_how_it_ended(shop: Shop) -> None:
    li = shop.person("李姐")
    topic = opened(shop, worth=0)
    li.says("话题").sees("直接回复您的想法")
    assert "积分" not in str(li.heard[-1])
    act(shop, service.close, topic.id)
    li.says("包子").sees("刚刚结束")
    li.says("话题").sees("现在没有正在聊的话题")
    opened(shop, "最想囤的一样", days=3)
    li.says("话题 大米").sees("记下了")
    shop.wait(days=3, minutes=1)
    li.says("话题").sees("现在没有正在聊的话题")
    pick(shop, 1)
    li.says("话题").sees("上一个话题：最想囤的一样", "李*：大米", "1 人聊过")
    with pytest.raises(Conflict):
        act(shop, service.close, 2)
    opened(shop, "第三个")
    with shop.runtime.sessions() as session:
        assert [(one.id, one.closed_by) for one in queries.listed(session)] == [(3, ""), (2, "time"), (1, "lin")]


def test_one_is_open_at_a_time_and_titles_are_checked(shop: Shop) -> None:
    for title, intro, worth, days in (("x", "", 0, 0), ("题" * 61, "", 0, 0), ("好题", "介" * 121, 0, 0),
                                      ("好题", "", 501, 0), ("好题", "", 0, 91), ("谁家的米全国第一", "", 0, 0)):
        with pytest.raises(DomainError):
            opened(shop, title, intro, worth, days)
    opened(shop)
    with pytest.raises(Conflict):
        opened(shop, "再来一个")
    with pytest.raises(DBAPIError, match="ix_topic_open"), shop.runtime.sessions.begin() as session:
        session.execute(text("insert into topic (title, points, opened_at, opened_by) values ('好题', 0, now(), 'x')"))
    with pytest.raises(DomainError, match="not_permitted"), shop.runtime.sessions.begin() as session:
        service.close(session, 1, Actor("x", "finance", "x"), shop.clock.now())


def test_words_that_the_law_forbids_are_not_shown(shop: Shop) -> None:
    li = shop.person("李姐")
    opened(shop)
    li.says("话题 喝了包治百病").sees("记下了")
    with pytest.raises(DomainError, match="topic_words"):
        pick(shop, 1)
    assert words(shop, state="new") and wallet(shop, li) == 0


def test_people_are_told_of_it_within_the_policy(shop: Shop) -> None:
    li, wang = shop.person("李姐").says("帮助"), shop.person("小王").says("退订")
    opened(shop, intro="说说看")
    act(shop, picking.announce, 1, shop.runtime.voice.render, "", shop.runtime.context.tool(Wording))
    shop.wait(minutes=1)
    li.saw("💬 新话题：周末早餐吃什么", "说说看", "回复「话题」聊聊")
    assert "新话题" not in str(wang.heard)
    act(shop, service.close, 1)
    with pytest.raises(Conflict):
        act(shop, picking.announce, 1, shop.runtime.voice.render, "", shop.runtime.context.tool(Wording))


def test_two_who_are_one_keep_the_later_word_and_one_reward(shop: Shop) -> None:
    li, old, alone = shop.person("李姐"), shop.person("旧号"), shop.person("另一个")
    opened(shop)
    li.says("话题 小米粥")
    shop.wait(minutes=1)
    old.says("话题 肉包子")
    act(shop, service.close, 1)
    opened(shop, "第二个")
    alone.says("话题 只有这里")
    pick(shop, 2)
    with shop.runtime.sessions.begin() as session:
        for gone in (old, alone):
            for mover in MOVERS:
                if mover.__module__ == service.__name__:
                    mover(session, person_id(shop, li), person_id(shop, gone), shop.clock.now())
    (kept,), (moved,) = words(shop), words(shop, 2)
    assert (kept.person_id, kept.words, kept.state, kept.points) == (person_id(shop, li), "肉包子", "picked", 10)
    assert moved.person_id == kept.person_id
    act(shop, service.pass_over, kept.id)
    pick(shop, kept.id)
    assert wallet(shop, li) + wallet(shop, old) == 10


@pytest.mark.parametrize("said", ["话题积分", "话题 积分", "话题1", "话题 12", "话题 三", "话题 取消"])
def test_a_word_of_ours_or_a_lone_number_is_no_word_of_theirs(shop: Shop, said: str) -> None:
    li = shop.person("李姐")
    opened(shop)
    li.says(said).sees("💬 话题：周末早餐吃什么", "还没有人聊")
    assert words(shop) == []
    li.says("小米粥").sees("记下了")


@pytest.mark.parametrize("said", ["13812345678", "1381 2345 678", "２０２６１１２２１２３４", "11010519491231002X",
                                  "+8613812345678", "13812345678。", "（021）6123 4567", "📱138.1234.5678！"])
def test_a_long_number_is_not_told_to_everybody(shop: Shop, said: str) -> None:
    """Typed in answer to the question: somebody's phone, order or ID card."""
    li = shop.person("李姐")
    opened(shop)
    li.says("话题").says(said).sees("像是一串号码", "没有记下")
    assert words(shop) == []
    li.says("12 斤").sees("记下了")


def test_the_database_rewards_once(shop: Shop) -> None:
    shop.person("李姐")
    opened(shop)
    shop.people["李姐"].says("话题 小米粥")
    pick(shop, 1)
    for change in ("thanked_at = null, points = 0", "points = 20", "thanked_at = now()"):
        with pytest.raises(DBAPIError, match="was thanked"), shop.runtime.sessions.begin() as session:
            session.execute(text(f"update topic_word set {change} where id = 1"))
    with pytest.raises(DBAPIError, match="uq_topic_word"), shop.runtime.sessions.begin() as session:
        session.execute(text("insert into topic_word (topic_id, person_id, words, said_at)"
                             " select topic_id, person_id, 'x', said_at from topic_word"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["say", "pick", "pass", "back", "merge"]), st.integers(0, 2)), max_size=12))
def test_whatever_happens_a_word_earns_once(shop: Shop, history: list[tuple[str, int]]) -> None:
    """TP-1: points of a topic = words rewarded × its points, and nobody who stayed one person got them twice."""
    tool, now = shop.runtime.context.tool, shop.clock.now()
    with shop.runtime.sessions() as session:
        boss = Actor("x", "owner", "test")
        topic = service.open_topic(session, "题目", "", 7, 0, tool(Wording), boss, now)
        people = [session.execute(text("insert into person (referral_code, joined_at) values (:code, :now)"
                                       " returning id"), {"code": f"zz{n}", "now": now}).scalar_one() for n in range(3)]
        alive = dict(enumerate(people))
        for step, (what, who) in enumerate(history):
            at = now + timedelta(seconds=step)
            own = queries.own(session, topic.id, alive[who]) if who in alive else None
            if what == "say" and who in alive:
                service.say(session, topic.id, alive[who], f"第 {step} 句", TopicRules(), at)
            elif what == "pick" and own and own.state != "picked" and own.words != service.ERASED:
                picking.pick(session, own.id, tool(Wording), tool(PointRules).life, boss, at)
            elif what == "pass" and own and own.state != "passed":
                service.pass_over(session, own.id, boss, at)
            elif what == "back" and who in alive:
                service.take_back(session, alive[who], at)
            elif what == "merge" and who and who in alive:
                service.move(session, alive[0], alive.pop(who), at)
        causes = session.execute(text("select cause, amount from point_lot where cause like 'topic:%'"
                                      " and person_id = any(:ids)"), {"ids": people}).all()
        kept = queries.words(session, topic.id)
        assert {row.amount for row in causes} <= {7} and len({row.cause for row in causes}) == len(causes)
        before = {one.person_id for one in kept if one.thanked_at}
        for one in kept:
            if one.state != "picked" and one.words != service.ERASED:
                picking.pick(session, one.id, tool(Wording), tool(PointRules).life, boss, now + timedelta(minutes=1))
        again = session.execute(text("select count(*) from point_lot where cause like 'topic:%'"
                                     " and person_id = any(:ids)"), {"ids": people}).scalar_one()
        assert again == len(causes) + len(
            [one for one in kept if one.person_id not in before and one.words != service.ERASED])
        session.rollback()


def test_eight_operators_pick_one_word_at_once(shop: Shop) -> None:
    li = shop.person("李姐")
    opened(shop)
    li.says("话题 小米粥")
    tool, now = shop.runtime.context.tool, shop.clock.now()

    def try_it(number: int) -> str:
        with shop.runtime.sessions() as session:
            try:
                picking.pick(session, 1, tool(Wording), tool(PointRules).life, Actor(f"x{number}", "owner", "x"), now)
                session.commit()
            except Conflict:
                return "late"
        return "picked"

    with ThreadPoolExecutor(8) as hands:
        assert sorted(hands.map(try_it, range(8))) == ["late"] * 7 + ["picked"]
    shop.work()
    assert (wallet(shop, li), str(li.heard).count("被选为精选，大家")) == (10, 1)


def test_an_answer_with_everything_in_it_fits_one_message(shop: Shop) -> None:
    topic = opened(shop, "题" * 60, "介" * 120, 500, 90)
    for number in range(4):
        shop.person(f"顾客{number}").says("话题 " + "话" * 200)
        pick(shop, number + 1)
    first = shop.people["顾客0"].says("话题")
    assert len(str(first.heard[-1]).encode()) <= 2_048 and str(first.heard[-1]).endswith("就行。"), topic


@pytest.mark.parametrize("toml", ["longest = 9999", "wrong = 1", "shown = ", "shown = 7", "points = -1"])
def test_a_wrong_file_is_refused(toml: str) -> None:
    with pytest.raises(DomainError):
        load(toml)


@given(st.text())
def test_cleaned_words_stand_on_one_line_without_markup(junk: str) -> None:
    said = clean(junk)
    assert clean(said) == said and not set(said) & set("<>\n\r\x00\u202e\u2066") and said == said.strip()
