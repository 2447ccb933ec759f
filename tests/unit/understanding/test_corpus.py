"""Phrases as people type them: how many are understood, and that money is never moved by mistake."""

import pytest

from tests.unit.understanding.corpus import Phrase, phrases

MONEY = "wallet.withdraw"
PHRASES = phrases()
TUNED = [phrase for phrase in PHRASES if not phrase.held_out]
HELD_OUT = [phrase for phrase in PHRASES if phrase.held_out]


def test_the_corpus_is_large_and_says_each_phrase_once():
    assert len(PHRASES) >= 260
    assert len({phrase.text for phrase in PHRASES}) == len(PHRASES)
    assert len(HELD_OUT) * 3 >= len(PHRASES)


@pytest.mark.parametrize("part", [TUNED, HELD_OUT], ids=["tuned", "held out"])
def test_at_least_95_percent_are_right(part: list[Phrase]):
    wrong = [(phrase.text, phrase.heard) for phrase in part if not phrase.is_right]
    assert len(wrong) * 20 <= len(part), wrong


def test_every_exact_chat_word_is_right():
    wrong = [(phrase.text, phrase.heard) for phrase in PHRASES if phrase.group == "exact" and not phrase.is_right]
    assert wrong == []


def test_no_phrase_is_taken_for_a_withdrawal_that_is_none():
    wrong = [p.text for p in PHRASES if p.heard.intent == MONEY and MONEY not in p.expected]
    assert wrong == []


def test_a_withdrawal_is_confirmed_unless_it_was_typed_exactly():
    unsure = [p for p in PHRASES if p.heard.intent == MONEY and p.group not in ("exact", "traditional", "dressed")]
    assert len(unsure) > 10
    assert [p.text for p in unsure if p.heard.certainty != "exact" and not p.heard.confirm] == []


def test_what_is_not_understood_ends_in_a_choice_or_in_none():
    unknown = [phrase.heard for phrase in PHRASES if not phrase.heard.intent]
    assert {heard.certainty for heard in unknown} == {"ask", "none"}
    assert all(bool(heard.candidates) == (heard.certainty == "ask") for heard in unknown)


def test_chit_chat_is_not_answered_with_a_choice_every_time():
    chat = [phrase.heard for phrase in PHRASES if phrase.group == "unrelated" and phrase.expected == ("?",)]
    asked = [heard for heard in chat if heard.certainty == "ask"]
    assert len(asked) * 5 <= len(chat), asked
