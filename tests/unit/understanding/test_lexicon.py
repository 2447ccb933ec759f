"""The file of words is checked as a whole, and every fault is told at once."""

from pathlib import Path

import pytest

from bot.runtime.understanding.lexicon import LexiconError, build, load
from bot.runtime.understanding.matcher import Matcher


def tables(*intents: dict[str, object], **others: object) -> dict[str, object]:
    empty = {"polite_before": [], "polite_after": [], "asking_before": [], "asking_after": []}
    return {
        "intent": list(intents),
        "fillers": empty,
        "negation": {"words": ["不要"], "open_questions": [], "money_only": []},
        "chatter": {"words": [], "questions": []},
        "amounts": {"everything": []},
        "readings": {},
        **others,
    }


def faults(raw: dict[str, object]) -> str:
    with pytest.raises(LexiconError) as caught:
        build(raw)
    return "\n".join(caught.value.faults)


def test_a_small_lexicon_is_enough():
    matcher = Matcher(build(tables({"name": "tea", "words": ["茶叶"]}, {"name": "rice", "words": ["大米"]})))
    assert matcher.understand("来点大米").intent == "rice"
    assert matcher.understand("chaye").intent == "tea"
    assert matcher.understand("不要大米").intent == ""


def test_all_faults_are_told_at_once():
    told = faults(
        tables(
            {"name": "a", "words": ["茶叶"], "synonyms": ["大米"]},
            {"name": "b", "words": ["大米"], "offered": True},
            {"name": "c", "words": ["查页"], "money": True, "whole_only": True},
            {"name": "d", "words": [], "doubts": ["没"]},
            {"name": "e", "words": ["豆"], "offer": ["nobody"]},
            {"name": "h", "words": ["盐"], "amount_words": ["称"]},
            {"name": "f", "words": ["豆子", "Ｔ", " 面 "], "colour": 3},
            {"name": "g", "words": ["報告", ""]},
            readings={"行行": "hang", "单": "DAN"},
            colours={},
        )
    )
    assert "word '大米' belongs to a and b" in told
    assert "b: offered has no meaning" in told
    assert "c: money is confirmed" in told
    assert "d: has no words" in told
    assert "d: doubts need something to offer" in told
    assert "e: offers nobody" in told
    assert "h: amount_words take an amount" in told
    assert "intent[6]" in told
    assert "'報告' is not in the form" in told
    assert "g: '' is not in the form" in told
    assert "readings: '行行'" in told
    assert "readings: '单'" in told
    assert "colours: no such table" in told


def test_two_intents_may_not_sound_alike():
    told = faults(tables({"name": "a", "words": ["茶叶"]}, {"name": "b", "words": ["查页"]}))
    assert "sound 'chaye' belongs to a and b" in told


def test_two_intents_may_not_have_one_name():
    told = faults(tables({"name": "a", "words": ["茶叶"]}, {"name": "a", "words": ["大米"]}))
    assert "same name" in told


def test_missing_tables_are_told():
    told = faults({"intent": [{"name": "a", "words": ["茶叶"]}]})
    assert all(name in told for name in ("fillers", "negation", "chatter", "amounts", "readings"))


def test_a_file_that_is_no_toml_is_told_by_name(tmp_path: Path):
    path = tmp_path / "words.toml"
    path.write_text("[[intent]\nname=", "utf-8")
    with pytest.raises(LexiconError, match=r"words\.toml"):
        load(path)
    with pytest.raises(LexiconError, match=r"nothing\.toml"):
        load(tmp_path / "nothing.toml")
