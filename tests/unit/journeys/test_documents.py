"""Journeys as documents: what can be written, what is refused, and every fault at once."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.runtime.bootstrap import ASSETS
from bot.runtime.journeys import shipped, vocabulary
from bot.runtime.voice import Voice
from domain.journeys.checking import Vocabulary, faults_of
from domain.journeys.conditions import AnyOf, BadCondition, Comparison, Not, explain, holds, read, write
from domain.journeys.reading import JourneyFaults, duration, load, written_duration
from domain.journeys.reading import read as read_journey
from domain.journeys.writing import canonical, checksum, dump
from tests.integration.journeys.forms import nudge, steps

ROOT = Path(__file__).parents[3]


def test_the_shipped_journeys_are_fit_to_be_used() -> None:
    words = vocabulary(Voice(ASSETS / "copy"))
    found = {journey.key: faults_of(journey, words) for journey in shipped()}
    assert len(found) >= 2
    assert found == {key: [] for key in found}


def test_the_examples_of_the_manual_are_fit_to_be_used() -> None:
    text = (ROOT / "docs" / "JOURNEYS.md").read_text("utf-8")
    examples = [part.split("```")[0] for part in text.split("```toml\n")[1:]]
    whole = [tomllib.loads(example) for example in examples if example.startswith("key =")]
    assert whole
    for raw in whole:
        assert faults_of(read_journey(raw), Vocabulary()) == []


@pytest.mark.parametrize("form", [nudge(), nudge(when={"any": ["event.sku = 'A'", {"not": ["orders.count > 1"]}]}),
                                  steps({"id": "a", "wait_for": "order.paid", "timeout": "1d12h"},
                                        {"id": "b", "split": "x", "arms": {"p": "c", "q": "end"}},
                                        {"id": "c", "untag": "t"}, {"id": "d", "emit": "consent.resumed"},
                                        {"id": "e", "repeat": "a", "max": 3, "while": "not orders.count is known"},
                                        {"id": "f", "wait": {"days": 3, "at": "07:05"}},
                                        {"id": "g", "wait": {"until": "anchor", "offset": "-36h"}})])
def test_what_is_written_is_read_back_the_same(form) -> None:
    journey = read_journey(form)
    again = read_journey(dump(journey))
    assert again == journey and canonical(again) == canonical(journey) and len(checksum(journey)) == 64


def test_the_order_of_fields_does_not_make_another_edition() -> None:
    form = nudge()
    assert checksum(read_journey(dict(reversed(form.items())))) == checksum(read_journey(form))
    assert checksum(read_journey(form | {"title": "别的"})) != checksum(read_journey(form))


def test_every_fault_of_a_form_is_named_at_once() -> None:
    form = {"key": "Bad Key", "title": 7, "on": "line.paid", "reentry": "sometimes", "holdout": "60%", "colour": "r",
            "cooldown": "soon", "when": "orders.count >> 3",
            "exits": [{"reason": "x"}, {"when": "a.b", "match": ["x"]}],
            "goal": {"on": "order.paid", "within": "10s"},
            "step": [{"id": "a", "wait": "1 day"}, {"id": "a", "say": "x", "grant": "y"}, {"say": "x"},
                     {"id": "end", "tag": "x"}, {"id": "s", "split": "e", "arms": {"one": "a"}},
                     {"id": "g", "grant": "no spaces", "amount": 0}, {"id": "w", "wait": {"days": 1}}]}
    with pytest.raises(JourneyFaults) as fault:
        read_journey(form)
    for part in ("key 'Bad Key'", "title must be of type str", "reentry 'sometimes' is none of", "holdout '60%'",
                 "unknown field colour", "cooldown 'soon' is no duration", "when: 'orders.count >> 3'",
                 "exits[1]: needs on, or when", "exits[2]: match compares with an event",
                 "goal: within must be between", "wait '1 day' is no duration", "needs exactly one of",
                 "id is missing", "no step may be called end", "arms needs two ways", "grant 'no spaces'",
                 "amount must be 1 or more", "days wants at"):
        assert any(part in one for one in fault.value.faults), (part, fault.value.faults)


def test_every_fault_of_meaning_is_named_at_once() -> None:
    journey = read_journey(steps(
        {"id": "w", "wait": {"until": "anchor", "plus": "restock.cycle_days"}},
        {"id": "b", "if": ["orders.cuont > 1", "person.nickname > 3", "orders.count = 'x'", "event.sku", "this.x"],
         "then": "nowhere", "else": "s"},
        {"id": "s", "say": "hello", "with": {"naem": "{person.name}"}, "picture": "cat", "next": "e"},
        {"id": "lost", "say": "gone"}, {"id": "e", "emit": "no.event"}, {"id": "f", "emit": "person.scanned"},
        {"id": "g", "grant": "house", "once": "{sku}"}, {"id": "h", "wait": "1d", "next": "w"},
        on="person.followed", run_key="{sku}{colour}", goal={"on": "order.paid", "match": ["sku"]}))
    words = Vocabulary({"hello": frozenset({"name"}), "gone": frozenset()}, frozenset(), frozenset({"coupon"}))
    found = faults_of(journey, words)
    for part in ("no fact 'orders.cuont'",
                 "person.nickname is a text: > compares only numbers", "orders.count is of type int, compared with 'x'",
                 "there is no this.x", "leads to 'nowhere'", "step lost: nothing leads there",
                 "there is no event 'no.event'", "no fact 'person.name'", "hello needs exactly: name",
                 "nothing draws the picture 'cat'", "person.scanned needs exactly",
                 "nothing gives 'house'; known: coupon", "comes round to itself", "has no field 'colour'",
                 "match 'sku' must be a field of"):
        assert any(part in one for one in found), (part, found)


def test_a_fact_about_a_product_needs_a_product() -> None:
    form = steps({"id": "w", "wait": {"until": "anchor", "plus": "product.cycle_days"}}, on="order.paid")
    assert faults_of(read_journey(form), Vocabulary()) == [
        "step w: plus wants a fact in days: product.cycle_days is about a sku, and order.paid has none"]


def test_a_circle_needs_a_repeat() -> None:
    circle = [{"id": "a", "wait": "1d"}, {"id": "b", "if": "person.follows", "then": "a"}]
    found = faults_of(read_journey(steps(*circle)), Vocabulary())
    assert [fault.split(":")[0] for fault in found] == ["step a", "step b"]
    bounded = [circle[0], {"id": "r", "repeat": "a", "max": 2}]
    assert faults_of(read_journey(steps(*bounded)), Vocabulary()) == []
    astray = [{"id": "r", "repeat": "z", "max": 2}, {"id": "z", "wait": "1d"}]
    assert "must name an earlier step" in faults_of(read_journey(steps(*astray)), Vocabulary())[0]


def test_a_file_that_is_no_toml_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("key = ")
    with pytest.raises(JourneyFaults, match=r"x\.toml"):
        load(tmp_path / "x.toml")


FACTS = {"orders.count": 2, "person.follows": True, "role.highest": "gold", "person.birthday_month": None}


@pytest.mark.parametrize(("said", "true"), [
    ("orders.count >= 2", True), ("orders.count > 2", False), ("orders.count != 2", False), ("person.follows", True),
    ("not person.follows", False), ("role.highest in ['gold', 'partner']", True), ("role.highest = 'member'", False),
    ("person.birthday_month = 3", False), ("person.birthday_month != 3", False),
    ("person.birthday_month is known", False), ("not person.birthday_month is known", True),
    (["orders.count = 2", "person.follows"], True), ({"any": ["orders.count = 9", "person.follows"]}, True),
    ({"not": ["orders.count = 2"]}, False), ([], True),
])
def test_conditions_hold_or_not_and_are_written_as_they_were_read(said, true: bool) -> None:
    condition = read(said)
    assert holds(condition, FACTS.__getitem__) is true
    assert read(write(condition)) == condition


@pytest.mark.parametrize("said", ["orders", "orders.count >", "orders.count = x", "orders.count in 3", 7,
                                  {"some": []}, {"any": "x.y"}, "__import__('os')", "a.b = 1.5"])
def test_what_is_no_condition(said) -> None:
    with pytest.raises(BadCondition):
        read(said)


def test_a_verdict_is_explained_by_what_decided_it() -> None:
    both = read(["orders.count >= 3", "person.follows"])
    assert explain(both, FACTS.__getitem__) == "orders.count = 2, wanted >= 3"
    assert explain(Comparison("person.birthday_month", "known"), FACTS.__getitem__) == (
        "person.birthday_month = unknown, wanted known")
    either = AnyOf((Comparison("orders.count", ">", 5), Comparison("person.follows", "=", True)))
    assert explain(Not(either), FACTS.__getitem__) == "not (person.follows = true, wanted true)"


@given(st.integers(-40_000_000, 40_000_000))
def test_durations_are_written_as_they_are_read(seconds: int) -> None:
    assert duration(written_duration(seconds)) == seconds
