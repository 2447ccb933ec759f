"""Words inside sentences: which one is meant, and when it is better to ask."""

import pytest

from bot.runtime.understanding import understand


@pytest.mark.parametrize(
    ("text", "intent"),
    [("团队的积分", "points.show"), ("任务 进度", "progress.show"), ("看看我的团队优惠券", "coupons.show")],
)
def test_in_a_noun_phrase_the_last_word_is_the_head(text: str, intent: str):
    heard = understand(text)
    assert (heard.intent, heard.certainty) == (intent, "contained")


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("我要看明细和团队", ("wallet.lines", "team.show")),
        ("积分还有优惠券", ("points.show", "coupons.show")),
        ("任务，团队，积分", ("tasks.show", "team.show", "points.show")),
    ],
)
def test_two_wishes_are_asked_back_in_the_order_named(text: str, candidates: tuple[str, ...]):
    heard = understand(text)
    assert (heard.certainty, heard.candidates) == ("ask", candidates)


def test_a_human_is_called_whatever_else_is_named():
    assert understand("佣金和订单都不对，人工").intent == "human"


def test_a_word_lost_in_an_essay_is_offered_not_done():
    heard = understand("昨天邻居跟我讲她家孩子做完了老师布置的任务以后才去睡觉")
    assert (heard.certainty, heard.candidates) == ("ask", ("tasks.show",))


@pytest.mark.parametrize("text", ["不要海报", "别给我发海报", "不想看团队"])
def test_a_refused_word_is_not_done(text: str):
    assert understand(text).intent == ""


@pytest.mark.parametrize("text", ["如何体现爱心", "怎样才能体现诚意", "要体现公平"])
def test_the_sound_of_money_inside_a_sentence_says_nothing(text: str):
    assert understand(text).certainty == "none"


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("佣经", "wallet.balance"),
        ("素柴", "materials.show"),
        ("叔柴", "materials.show"),
        ("鸡风", "points.show"),
        ("搬组", "help"),
    ],
)
def test_sounds_that_many_speakers_do_not_tell_apart_are_close(text: str, intent: str):
    heard = understand(text)
    assert (heard.intent, heard.certainty) == (intent, "close")


def test_a_likely_sound_is_offered():
    heard = understand("害臊")
    assert (heard.certainty, heard.candidates) == ("ask", ("poster.make",))
