"""Withdrawals: exact words act, everything else is confirmed, and look-alikes are left alone."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.runtime.understanding import understand

MONEY = "wallet.withdraw"


@pytest.mark.parametrize(
    "text", ["提现", "提现 100", "提现100元", "提现￥100.5", "提現 一百块", "提现 全部", "🌸提现！"]
)
def test_the_exact_word_needs_no_second_question(text: str):
    heard = understand(text)
    assert (heard.intent, heard.certainty, heard.confirm) == (MONEY, "exact", False)


@pytest.mark.parametrize(
    "text", ["我要提现", "请提现 100", "体现", "体现100", "tixian", "tixian 100", "帮我把100块提现"]
)
def test_anything_else_is_confirmed(text: str):
    heard = understand(text)
    assert (heard.intent, heard.confirm) == (MONEY, True)


@pytest.mark.parametrize(("text", "argument"), [
    ("提100", "100"), ("提 200元", "200元"), ("我要提三百", "三百"), ("帮我提150块5", "150块5"), ("提两千出来", "两千"),
    ("取五百块钱", "五百块钱"), ("提¥50.5", "¥50.5"), ("取100", "100"),
])
def test_a_short_word_with_an_amount_behind_it_is_confirmed(text: str, argument: str):
    heard = understand(text)
    assert (heard.intent, heard.confirm, heard.argument) == (MONEY, True, argument)


@pytest.mark.parametrize(("text", "argument"), [
    ("提一半", "一半"), ("把一半提现", "一半"), ("提三分之一", "三分之一"), ("提百分之五十", "百分之五十"),
    ("提现一半吧", "一半"), ("全部提现吧", "全部"), ("把所有佣金提现", "所有"), ("提 50 块", "50 块"),
    ("我想把钱取出来", ""), ("能不能先提一部分", ""),
])
def test_all_or_a_share_of_it_is_confirmed(text: str, argument: str):
    heard = understand(text)
    assert (heard.intent, heard.confirm, heard.argument) == (MONEY, True, argument)


@pytest.mark.parametrize("text", [
    "提", "提一半路", "提半箱牛奶", "提 3 箱", "提 2 块肉", "不想把佣金提出来", "别把钱取出来", "他把钱取出来了",
    "提三分之四", "提-100", "提10%", "提100斤大米", "提3箱牛奶", "提2个问题", "提前3天", "提高10%", "提到100",
    "别提100", "不提100了", "取3个快递", "取2件", "他提100", "提了100怎么没到", "提100干嘛",
])
def test_a_short_word_with_anything_else_is_left_alone(text: str):
    assert understand(text).intent != MONEY


@pytest.mark.parametrize(("text", "argument"), [
    ("为什么只有八块一单", "八块"), ("为什么扣了三块五个", "三块"), ("为什么这单只有八块五", "八块五"),
])
def test_what_is_counted_is_no_mao(text: str, argument: str):
    assert understand(text).argument == argument


@pytest.mark.parametrize("text", ["替现", "帮我体现", "tixain", "tixan 100", "题先"])
def test_a_slip_is_confirmed_or_offered_and_never_close_enough(text: str):
    heard = understand(text)
    assert heard.certainty in {"sound", "ask", "none"}
    assert heard.intent == "" or heard.confirm


@pytest.mark.parametrize(
    "text",
    [
        "体现价值", "体現價值", "这体现了什么", "充分体现", "提醒", "提前", "提线木偶", "体检报告",
        "取现在的", "提款机坏了",
        "不要提现", "别提现", "先不提现", "不想提现了", "我没说要提现", "谁提现了", "提现失败", "为什么不能提现",
        "取消提现", "提现，算了", "提现 100 不要了", "提现 别提现", "bu tixian", "骗子说提现就返钱",
    ],
)
def test_look_alikes_refusals_and_complaints_move_nothing(text: str):
    assert understand(text).intent != MONEY


@pytest.mark.parametrize("text", ["要不要提现", "能不能提现", "可不可以提现100"])
def test_an_open_question_is_not_a_refusal(text: str):
    heard = understand(text)
    assert (heard.intent, heard.confirm) == (MONEY, True)


@pytest.mark.parametrize(
    ("text", "argument"),
    [
        ("提现 -100", "-100"),
        ("提现-100", "-100"),
        ("提现 50%", "50%"),
        ("提现 .5", ".5"),
        ("提现.5", ".5"),
        ("提现 1.2.3", "1.2.3"),
        ("提现 $5", "$5"),
    ],
)
def test_signs_reach_the_one_who_reads_amounts(text: str, argument: str):
    assert understand(text).argument == argument


@given(st.text(max_size=12), st.text(max_size=12))
def test_money_in_any_surroundings_is_exact_only_alone(before: str, after: str):
    heard = understand(before + "提现" + after)
    assert heard.confirm == (heard.intent == MONEY and heard.certainty != "exact")


def everyday_words() -> list[str]:
    """Every fifth word of pypinyin's dictionary: real Chinese that nobody meant as a command."""
    package = find_spec("pypinyin")
    assert package is not None
    assert package.origin is not None
    words = json.loads(Path(package.origin).with_name("phrases_dict.json").read_text("utf-8"))
    return sorted(words)[::5]


def test_real_words_of_the_language_are_left_alone():
    words = everyday_words()
    heard = [understand(word) for word in words]
    assert len(words) > 5_000
    assert sum(each.certainty != "none" for each in heard) * 100 <= len(words)
    assert {word for word, each in zip(words, heard, strict=True) if each.intent == MONEY} <= {"提款", "提现", "体现"}
