"""话题, and whoever does not want to be shown any more: words taken back, and people who leave or are forgotten."""

import pytest

from domain.shared.errors import DomainError
from domain.topics import service
from domain.workflows import forgetting
from tests.dialogs.test_grants import person_id
from tests.dialogs.test_leaving import scan
from tests.dialogs.test_topics import act, opened, pick, wallet, words
from tests.fakes.shop import Shop


def test_the_words_of_who_left_are_not_picked_while_the_erasure_waits(shop: Shop) -> None:
    """Their grace has passed and something is still open: as good as gone."""
    li, wang = shop.person("李姐"), shop.person("小王")
    opened(shop)
    li.says("话题 翠湖边的米线")
    pick(shop, 1)
    li.happens("unsubscribe")
    wang.says("话题").sees("翠湖")
    shop.wait(days=29)
    shop.paid("A3", by=li, fen=9_900)
    shop.wait(days=2)
    wang.says("话题")
    assert "翠湖" not in str(wang.heard[-1])
    act(shop, service.pass_over, 1)
    with pytest.raises(DomainError, match="topic_word_leaving"):
        pick(shop, 1)


def test_the_words_of_who_is_forgotten_are_gone_and_never_shown(shop: Shop) -> None:
    li, wang, zhou = shop.person("李姐"), shop.person("小王"), shop.person("周周")
    opened(shop)
    li.says("话题 我家在翠湖北路")
    zhou.says("话题 翠湖边的米线")
    pick(shop, 1)
    leavers = (person_id(shop, li), person_id(shop, zhou))
    with shop.runtime.sessions.begin() as session:
        forgetting.forget(session, forgetting.Leaver(leavers, (), ""), shop.clock.now())
    wang.says("话题").sees("已有 2 人聊过")
    assert "精选\n" not in str(wang.heard[-1]) and scan(shop, "翠湖") == []
    for number in (1, 2):
        with pytest.raises(DomainError, match="topic_word_erased"):
            pick(shop, number)


@pytest.mark.parametrize("said", ["撤回话题", "删除我的话题", "撤回我说的话", "别展示我的话",
                                  "我想撤回我在话题里说的话"])
def test_whoever_takes_their_word_back_is_shown_no_more(shop: Shop, said: str) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    li.says(said).sees("没有找到您在话题里说的话")
    opened(shop)
    li.says("话题 我家在翠湖北路")
    pick(shop, 1)
    wang.says("话题").sees("翠湖北路")
    before = len(li.heard)
    li.says(said).sees("已撤回", "周末早餐吃什么", "我家在翠湖北路", "积分还是您的")
    assert len(li.heard) == before + 1
    wang.says("话题")
    assert "翠湖" not in str(wang.heard[-1])
    li.says("话题").sees("直接回复您的想法")
    assert "送 10 积分" not in str(li.heard[-1]), "it was given"
    assert (wallet(shop, li), words(shop)[0].words, words(shop)[0].judged_by) == (10, "…", "author")
    with pytest.raises(DomainError, match="topic_word_erased"):
        pick(shop, 1)
    li.says(said).sees("没有找到您在话题里说的话")


def test_a_word_in_place_of_one_taken_back_is_judged_anew_and_earns_nothing_again(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    opened(shop)
    li.says("话题 豆浆油条")
    pick(shop, 1)
    li.says("撤回话题").says("话题 小笼包").sees("记下了")
    assert "积分" not in str(li.heard[-1])
    wang.says("话题")
    assert "小笼包" not in str(wang.heard)
    pick(shop, 1)
    wang.says("话题").sees("李*：小笼包")
    assert wallet(shop, li) == 10


def test_a_word_of_a_topic_that_is_over_is_taken_back_too(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    topic = opened(shop)
    li.says("话题 翠湖边的米线")
    wang.says("话题 包子")
    pick(shop, 1)
    pick(shop, 2)
    act(shop, service.close, topic.id)
    wang.says("话题").sees("上一个话题", "翠湖")
    li.says("请别展示我的话了").sees("已撤回")
    wang.says("话题").sees("上一个话题", "小*：包子")
    assert "翠湖" not in str(wang.heard[-1])


def test_whoever_has_asked_to_be_erased_is_shown_no_more_and_again_if_they_stay(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    opened(shop)
    li.says("话题 翠湖边的米线")
    pick(shop, 1)
    li.says("注销")
    wang.says("话题").sees("翠湖")
    li.says("确认注销").sees("已登记注销")
    wang.says("话题")
    assert "翠湖" not in str(wang.heard[-1])
    act(shop, service.pass_over, 1)
    with pytest.raises(DomainError, match="topic_word_leaving"):
        pick(shop, 1)
    li.says("取消注销").sees("一切照旧")
    pick(shop, 1)
    wang.says("话题").sees("翠湖")


def test_a_bare_word_of_taking_back_inside_the_question_takes_back(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    opened(shop)
    li.says("话题").says("撤回").sees("没有找到您在话题里说的话")
    assert words(shop) == []
    li.says("话题 翠湖边的米线").sees("记下了")
    wang.says("话题").sees("已有 1 人聊过")
    li.says("话题").says("收回。").sees("已撤回", "翠湖边的米线")
    assert words(shop)[0].words == "…"
    wang.says("话题").sees("还没有人聊")
    wang.says("包子").sees("记下了")
    li.says("话题").sees("已有 1 人聊过").says("小笼包").sees("记下了")
    wang.says("话题").sees("已有 2 人聊过")
