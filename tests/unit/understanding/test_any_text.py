"""Any text at all gets an answer of the promised shape."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.runtime.understanding import understand
from tests.examples import examples

INTENTS = tomllib.loads((Path(__file__).parents[3] / "assets" / "intents.toml").read_text("utf-8"))["intent"]
NAMES = {intent["name"] for intent in INTENTS}
MONEY = {intent["name"] for intent in INTENTS if intent.get("money")}
PIECES = [word for i in INTENTS for word in (*i["words"], *i.get("synonyms", ()), *i.get("guards", ()))]

anything = st.text(st.characters(), max_size=300)  # surrogates and NULs included
mixture = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=8).map("".join)


def assert_well_formed(text: str) -> None:
    heard = understand(text)
    assert heard.intent in NAMES | {""}
    assert (heard.intent == "") == (heard.certainty in {"ask", "none"})
    if heard.intent and heard.candidates:  # what was taken for a name is a word of ours
        assert heard.argument and heard.candidates[0] == heard.intent and len(set(heard.candidates)) == 2
    else:
        assert bool(heard.candidates) == (heard.certainty == "ask")
    assert len(heard.candidates) <= 5
    assert set(heard.candidates) <= NAMES
    assert len(set(heard.candidates)) == len(heard.candidates)
    assert heard.confirm == (heard.intent in MONEY and heard.certainty != "exact")
    for value in (heard.argument, heard.normalised):
        assert "\x00" not in value
        assert len(value) <= 2048
        value.encode()


@examples(150)
@given(anything)
def test_any_text_is_answered(text: str):
    assert_well_formed(text)


@examples(150)
@given(mixture)
def test_any_mixture_of_words_is_answered(text: str):
    assert_well_formed(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "\x00", "\ud800", "\udfff提现\ud800", "\x00" * 2048, "提现" * 1024, "海" * 2048, "a" * 2048, "￥" * 2048,
        "我要" * 1024 + "提现", "ﷺ" * 2048, "e\u0301" * 1024, "e" + "\u0316\u0301" * 1023, "[" * 2048, "[a]" * 682,
        "提现 " + "1" * 2040, "提现 " + "一" * 2040, "为什么 " + "1块" * 1000, "/:" * 1024, "👨‍👩‍👧" * 400, " " * 2048,
        "反馈" + "\u200b" * 2000, "取消提现不要" * 340, "hai " * 512, "1" * 100_000, "海报 " * 30_000,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_hostile_texts_are_answered(text: str):
    assert_well_formed(text)


def test_the_same_text_is_understood_the_same():
    assert understand("麻烦给我发一张牛奶的海报") == understand("麻烦给我发一张牛奶的海报")
