"""Relations are a fold of dated events: whatever the order in which they are told, the end is the same."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.contacts.rules import Known, added, ended

START = datetime(2026, 11, 20, tzinfo=UTC)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def fold(events: list[tuple[int, str]]) -> tuple[Known | None, int]:
    """What is known in the end, and how many stints began."""
    known, fresh = None, 0
    for second, what in events:
        done = ended(known, at(second), "customer") if what == "end" else added(known, at(second), half=what == "half")
        known, fresh = done.known, fresh + done.fresh
    return known, fresh


@given(st.lists(st.sampled_from(["full", "end"]), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_end_the_same(kinds, random):
    told = list(enumerate(kinds))
    right, _ = fold(told)
    shuffled = told + [random.choice(told) for _ in range(3)]
    random.shuffle(shuffled)
    found, _ = fold(shuffled)
    assert found is not None and right is not None
    assert found.open == right.open == (kinds[-1] == "full")
    assert found.ended_at == right.ended_at
    assert found.added_at == right.added_at


def test_each_stint_begins_once():
    assert fold([(1, "full"), (1, "full"), (5, "full")])[1] == 1
    assert fold([(1, "full"), (2, "end"), (3, "full")])[1] == 2
    assert fold([(2, "end"), (1, "full")]) == (Known(at(1), at(2), "customer"), 0)
    assert fold([(2, "end"), (2, "full")])[0].ended_at == at(2)


def test_an_edit_tells_of_no_beginning():
    assert added(Known(), at(1), half=False).fresh
    assert ended(Known(), at(1), "staff").known == Known(None, at(1), "staff")


def test_half_becomes_full_and_not_by_an_older_word():
    known, _ = fold([(1, "half")])
    assert (known.half, added(known, at(1), half=False).completed) == (True, True)
    assert added(known, at(3), half=True).known.half
    late = added(fold([(5, "half")])[0], at(1), half=False)
    assert (late.known.half, late.completed) == (True, False)
    assert not fold([(1, "full"), (2, "half")])[0].half
