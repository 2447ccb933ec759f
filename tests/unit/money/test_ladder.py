"""The monthly ladder: brackets, whole amounts, and how far it is to the next step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.commissions.document import Ladder, Step
from domain.commissions.ladder import brackets, ladder_fen, position
from domain.shared.money import share

STEPS = (Step(0, 500), Step(5_000_000, 800))
MARGINAL, WHOLE = Ladder(STEPS), Ladder(STEPS, "whole")


@pytest.mark.parametrize(("volume", "marginal", "whole"), [
    (-5, 0, 0), (0, 0, 0), (10, 1, 1), (4_999_999, 250_000, 250_000), (5_000_000, 250_000, 400_000),
    (6_000_000, 330_000, 480_000),
])
def test_each_yuan_earns_at_its_own_bracket_or_all_at_the_one_reached(volume: int, marginal: int, whole: int) -> None:
    assert (ladder_fen(MARGINAL, volume), ladder_fen(WHOLE, volume)) == (marginal, whole)


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 3_000)), min_size=1, max_size=5,
                unique_by=lambda step: step[0]), st.integers(0, 2 * 10**7))
def test_brackets_are_the_volume_above_the_first_step_and_nobody_earns_above_the_top_rate(
    steps: list[tuple[int, int]], volume: int
) -> None:
    ladder = Ladder(tuple(Step(*step) for step in sorted(steps)))
    parts = brackets(ladder, volume)
    assert sum(part.volume_fen for part in parts) == max(volume - ladder.steps[0].from_fen, 0)
    assert ladder_fen(ladder, volume) <= share(volume, ladder.top_bps) + len(parts)
    assert ladder_fen(ladder, volume) <= ladder_fen(ladder, volume + 1)


def test_the_next_step_and_what_is_missing() -> None:
    low, high = position(MARGINAL, 4_000_000), position(MARGINAL, 5_000_000)
    assert (low.step, low.next_step, low.missing_fen) == (*STEPS, 1_000_000)
    assert (high.step, high.next_step, high.missing_fen) == (STEPS[1], None, 0)
    late = position(Ladder((Step(100, 500),)), -50)
    assert (late.step, late.missing_fen) == (None, 100)
