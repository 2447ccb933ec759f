"""The words we teach always work, however they are dressed; so does their pinyin."""

import tomllib
from pathlib import Path

import opencc
import pytest
from pypinyin import lazy_pinyin

from bot.runtime.understanding import understand

INTENTS = tomllib.loads((Path(__file__).parents[3] / "assets" / "intents.toml").read_text("utf-8"))["intent"]
WORDS = [(intent["name"], word) for intent in INTENTS for word in intent["words"]]
CHAT_WORDS = {
    "海报", "换风格", "佣金", "余额", "明细", "为什么", "提现", "团队", "排行", "进度", "任务", "签到", "积分",
    "优惠券", "订单", "素材", "客户归属", "规则", "投票", "反馈", "退订", "TD", "恢复", "人工", "帮助",
}


def wide(text: str) -> str:
    """ASCII in full width, as some input methods leave it."""
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


DRESSES = {
    "bare": lambda word: word,
    "spaces": lambda word: f"  {word}\u3000 ",
    "line ends": lambda word: f"\r\n{word}\n",
    "emoji": lambda word: f"🌸👩‍👩‍👧{word}👍🏽❤️",
    "sticker": lambda word: f"{word}[微笑]",
    "punctuation": lambda word: f"“{word}！！”～",
    "full width": wide,
    "lower case": str.lower,
    "zero width": lambda word: "\ufeff" + "\u200b".join(word),
    "traditional": opencc.OpenCC("s2t").convert,
    "Taiwan": opencc.OpenCC("s2tw").convert,
    "Hong Kong": opencc.OpenCC("s2hk").convert,
    "polite": lambda word: f"请{word}，谢谢",
}


def test_every_chat_word_of_the_contract_is_taught():
    assert CHAT_WORDS.issubset(word for _, word in WORDS)


@pytest.mark.parametrize("dress", DRESSES)
def test_exact_words_work_in_every_dress(dress: str):
    """A greeting is no more than politeness, so nothing is left of it in a polite dress."""
    heard = [(name, understand(DRESSES[dress](word)).intent) for name, word in WORDS
             if dress != "polite" or not name.startswith("talk.")]
    assert [pair for pair in heard if pair[0] != pair[1]] == []


@pytest.mark.parametrize("dress", sorted(set(DRESSES) - {"polite"}))
def test_dress_does_not_make_a_word_less_exact(dress: str):
    heard = [understand(DRESSES[dress](word)) for _, word in WORDS]
    assert [each for each in heard if each.certainty != "exact" or each.confirm] == []


def test_synonyms_are_exact_too():
    pairs = [(i["name"], word) for i in INTENTS for word in (*i.get("synonyms", ()), *i.get("whole_words", ()))]
    heard = [(name, word, understand(word)) for name, word in pairs]
    assert [row for row in heard if (row[2].intent, row[2].certainty) != (row[0], "exact")] == []


def test_the_pinyin_of_every_word_is_understood():
    spoken = [
        (intent["name"], word)
        for intent in INTENTS
        if not intent.get("whole_only")
        for word in (*intent["words"], *intent.get("synonyms", ()))
        if not word.isascii()
    ]
    # pypinyin reads whole phrases and so settles 排行 (háng) by itself: an oracle for our table of readings.
    letters = [(name, word, "".join(lazy_pinyin(word))) for name, word in spoken]
    assert [row for row in letters if understand(row[2]).intent != row[0]] == []
    assert [row for row in letters if understand(row[2].upper()).intent != row[0]] == []


@pytest.mark.parametrize("text", ["退定", "tuiding", "怎么退订", "不想退订", "TD吗", "推订"])
def test_opting_out_is_never_guessed(text: str):
    assert understand(text).intent == ""


@pytest.mark.parametrize("text", ["退丁", "退定", "退叮！", "推订", "tuiding", "退丁谢谢"])
def test_opting_out_misspelt_is_asked_back(text: str):
    assert understand(text).candidates == ("notices.stop",)


@pytest.mark.parametrize("text", ["回复", "huifu", "恢复一下单子", "汇付"])
def test_consent_to_messages_is_never_guessed(text: str):
    assert understand(text).intent == ""


@pytest.mark.parametrize("text", ["确认过眼神", "好的很", "事", "shide", "是谁", "不好意思", "取消订单吗", "蒜了"])
def test_answers_to_questions_are_never_guessed(text: str):
    assert understand(text).intent not in {"yes", "no", "cancel"}


@pytest.mark.parametrize("text", ["1", "0", "12.5", "１００", "13800138000", "¥7.92", "50%", "①"])
def test_bare_numbers_are_left_to_the_conversation(text: str):
    heard = understand(text)
    assert (heard.intent, heard.certainty) == ("", "none")
    assert heard.normalised


@pytest.mark.parametrize(
    ("text", "normalised"),
    [("　１００ 吧！", "100"), ("請問，100元謝謝", "100元"), ("谢谢", "谢谢"), ("牛 奶\n🌸", "牛 奶"), ("🌸", "")],
)
def test_the_normalised_text_is_what_a_conversation_state_reads(text: str, normalised: str):
    assert understand(text).normalised == normalised
