"""Records are dataclasses like any other to whoever compares, hashes, copies or writes them."""

from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.kit import records
from bot.kit.conversation import Answer, State
from bot.kit.messages import Incoming, Reply
from domain.commissions.ladder import Position
from domain.shared import records as of_the_domain


@pytest.mark.parametrize("record", [records.record, of_the_domain.record])
def test_a_record_is_what_a_frozen_dataclass_is_but_for_the_guard(record: Any) -> None:
    def made(decorated: Any) -> Any:
        class One:
            name: str
            more: dict[str, int] = field(default_factory=dict, compare=False)
            secret: str = field(default="x", repr=False)

        return decorated(One)

    ours, theirs = made(record), made(dataclass(frozen=True, slots=True))
    assert [one.name for one in fields(ours)] == [one.name for one in fields(theirs)]
    one, same = ours("a"), theirs("a")
    assert (repr(one), hash(one), asdict(one)) == (repr(same), hash(same), asdict(same))
    assert one == ours("a", {"b": 1}) != ours("b") and {one: 1}[ours("a")] == 1
    assert replace(one, name="b") == ours("b") and one.name == "a"
    assert is_dataclass(one) and not hasattr(one, "__dict__") and one.more is not ours("a").more
    with pytest.raises(FrozenInstanceError):
        same.name = "b"
    with pytest.raises(AttributeError):
        one.other = "b"


def test_a_record_keeps_what_its_class_says_itself() -> None:
    @of_the_domain.record
    class Nothing:
        pass

    @of_the_domain.record
    class Loud:
        word: str
        times: int = 1

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Loud) and self.word.lower() == other.word.lower()

        def __hash__(self) -> int:
            return hash(self.word.lower())

        def __repr__(self) -> str:
            return self.word

    @of_the_domain.record
    class Louder(Loud):
        more: tuple[Any, ...] = ()

    assert Nothing() == Nothing() and {Nothing(): 1}[Nothing()] == 1 and repr(Nothing()).endswith("Nothing()")
    assert Loud("A") == Loud("a", 2) and len({Loud("A"), Loud("a")}) == 1 and repr(Loud("A")) == "A"
    assert Louder("A", 1) != Louder("a", 1) and Louder("A", 1, (2,)) == Louder("A", more=(2,))


def test_a_record_in_a_circle_can_be_shown() -> None:
    @of_the_domain.record
    class Round:
        things: list[Any]

    one = Round([])
    one.things.append(one)
    assert repr(one).endswith("Round(things=[...])")


def test_the_hot_values_are_records() -> None:
    assert Incoming("wechat", "main", "o1", "text", "k", datetime(2026, 1, 1, tzinfo=UTC)) == Incoming(
        "wechat", "main", "o1", "text", "k", datetime(2026, 1, 1, tzinfo=UTC))
    assert hash(State("a", "b")) == hash(State("a", "b")) and {Reply("text", "x"), Reply("text", "x")} == {
        Reply("text", "x")}
    assert Answer(Reply("nothing")).remember == {} and Position(None, None, 0) == Position(None, None, 0)


def test_a_message_is_written_with_all_its_fields() -> None:
    message = Incoming("wechat", "main", "o1", "text", "k", datetime(2026, 1, 1, tzinfo=UTC), "hi", data={"a": 1})
    assert message.to_json() == asdict(message) | {"sent_at": "2026-01-01T00:00:00+00:00"}
    assert Incoming.from_json(message.to_json()) == message
    assert Reply("image", media_id="m").to_json() == asdict(Reply("image", media_id="m"))
