"""The arithmetic of experiments against known tables, exact shares and repeated looks at nothing."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.experiments import rules
from domain.experiments.rules import Day, Sample, arm_of, bucket, chi_square_tail, compare, mismatch, thompson
from domain.shared.errors import DomainError

DOCUMENT = {
    "key": "restock-copy", "title": "补货提醒", "surface": "copy", "goal": {"metric": "order"},
    "arms": [{"name": "plain", "weight": 50}, {"name": "coupon", "weight": 50}],
}


@pytest.mark.parametrize(("x", "freedom", "p"), [  # quantiles of the printed tables
    (3.841459, 1, 0.05), (6.634897, 1, 0.01), (5.991465, 2, 0.05), (7.814728, 3, 0.05), (9.487729, 4, 0.05),
    (16.811894, 6, 0.01), (14.067140, 7, 0.05), (0.0, 3, 1.0),
])
def test_chi_square_has_the_values_of_the_tables(x: float, freedom: int, p: float) -> None:
    assert chi_square_tail(x, freedom) == pytest.approx(p, rel=1e-5)


@pytest.mark.parametrize(("counts", "alarms"), [((50_400, 49_600), False), ((50_700, 49_300), True)])
def test_sample_ratios_alarm_only_when_they_should(counts: tuple[int, int], alarms: bool) -> None:
    p = mismatch([({"a": 1, "b": 1}, dict(zip("ab", counts, strict=True)))])
    assert (p < rules.SRM_ALARM) is alarms


def test_a_change_of_weights_is_no_mismatch() -> None:
    even, skewed = ({"a": 1, "b": 1}, {"a": 5_000, "b": 5_000}), ({"a": 9, "b": 1}, {"a": 9_000, "b": 1_000})
    assert mismatch([even, skewed]) == pytest.approx(1.0)
    assert mismatch([({"a": 1, "b": 1}, {"a": 14_000, "b": 6_000})]) < rules.SRM_ALARM


def test_people_in_an_arm_of_weight_nothing_are_a_mismatch() -> None:
    assert mismatch([({"a": 1, "b": 0}, {"a": 100, "b": 1})]) == 0.0


def test_shares_follow_weights_and_experiments_are_independent() -> None:
    first = [arm_of("one", {"a": 70, "b": 30}, unit) for unit in range(20_000)]
    second = [arm_of("two", {"a": 50, "b": 50}, unit) for unit in range(20_000)]
    assert first.count("a") / 20_000 == pytest.approx(0.70, abs=0.012)
    both = sum(1 for one, two in zip(first, second, strict=True) if (one, two) == ("a", "a"))
    assert both / 20_000 == pytest.approx(0.35, abs=0.012)


@given(st.integers(0, 2**40), st.integers(1, 99))
def test_raising_a_weight_only_moves_people_towards_it(unit: int, weight: int) -> None:
    before = arm_of("one", {"a": weight, "b": 100 - weight}, unit)
    after = arm_of("one", {"a": weight + 1, "b": 99 - weight}, unit)
    assert (before, after) != ("a", "b")


def test_ranges_of_a_namespace_do_not_overlap() -> None:
    one = rules.parse(DOCUMENT | {"namespace": "restock", "until_bps": 4_000})
    two = rules.parse(DOCUMENT | {"key": "other", "namespace": "restock", "from_bps": 4_000})
    seen = [(rules.takes_part(one, unit), rules.takes_part(two, unit)) for unit in range(2_000)]
    assert all(a != b for a, b in seen)
    assert sum(a for a, _ in seen) / 2_000 == pytest.approx(0.4, abs=0.04)


def test_buckets_are_spread() -> None:
    tenths = [bucket("s", unit) * 10 // rules.SPACE for unit in range(10_000)]
    assert chi_square_tail(sum((tenths.count(n) - 1_000) ** 2 / 1_000 for n in range(10)), 9) > 1e-6


def test_looking_every_day_at_nothing_finds_nothing_too_rarely_to_matter() -> None:
    """20 looks at two equal arms: an ordinary test calls a winner in a quarter of the cases."""
    dice, alarms = random.Random(7), 0
    for _ in range(300):
        totals = {"a": [0, 0], "b": [0, 0]}
        found = False
        for _look in range(20):
            for counts in totals.values():
                counts[0] += 100
                counts[1] += sum(dice.random() < 0.1 for _ in range(100))
            arm, control = (Sample(n, hits, hits) for n, hits in totals.values())
            found |= compare(arm, control, 0.02).p < rules.ALPHA
        alarms += found
    assert alarms <= 15


def test_a_real_difference_is_found() -> None:
    found = compare(Sample(10_000, 1_200, 1_200), Sample(10_000, 1_000, 1_000), 0.02)
    assert found.p < 0.01
    assert 0 < found.low < 0.02 < found.high


def test_nothing_is_said_of_nobody() -> None:
    assert compare(Sample(1, 1, 1), Sample(0, 0, 0), 0.02).p == 1.0


def test_a_bandit_prefers_the_better_and_forgets_the_old() -> None:
    day = {"good": [Day(1, 400, 60)], "bad": [Day(1, 400, 20)]}
    weights = thompson(day, random.Random(1))
    assert weights["good"] > 9_000
    assert weights["bad"] >= 500
    old = {"good": [Day(700, 400, 60)], "bad": [Day(700, 400, 20)]}
    assert thompson(old, random.Random(1))["bad"] > 2_500


@pytest.mark.parametrize(("change", "said"), [
    ({"key": "Restock"}, "key"), ({"arms": [{"name": "a", "weight": 1}]}, "arms"),
    ({"arms": [{"name": "a", "weight": 1}, {"name": "a", "weight": 1}]}, "two of one name"),
    ({"arms": [{"name": "a", "weight": 0}, {"name": "b", "weight": 0}]}, "weights"),
    ({"kind": "bandit", "surface": "reward"}, "a bandit may only choose"), ({"surprise": 1}, "surprise"),
    ({"goal": {"metric": "order", "within_days": 0}}, "within_days"),
    ({"from_bps": 6_000, "until_bps": 5_000}, "range"), ({"goal": {"metric": "likes"}}, "likes"),
    ({"guards": [{"metric": "revenue", "worse_by": 1}]}, "revenue is no guard"),
])
def test_faults_are_named(change: dict[str, object], said: str) -> None:
    with pytest.raises(DomainError) as refused:
        rules.parse(DOCUMENT | change)
    assert any(said in fault for fault in refused.value.facts["faults"])


def test_all_faults_come_at_once() -> None:
    with pytest.raises(DomainError) as refused:
        rules.parse(DOCUMENT | {"key": "!", "title": "", "min_people": 1})
    assert len(refused.value.facts["faults"]) == 3


def test_edges_of_weights_keep_their_order() -> None:
    places = sorted(range(200), key=lambda unit: bucket("experiment:one", unit))
    arms = [arm_of("one", {"a": 1, "b": 1, "c": 1}, unit) for unit in places]
    assert [one for one, other in pairwise([*arms, ""]) if one != other] == ["a", "b", "c"]


def test_everybody_here_and_nobody_there_is_a_difference() -> None:
    """No variance at all: the surest harm must not be what is never seen."""
    everybody, nobody = Sample(40, 40, 40), Sample(40, 0, 0)
    found = compare(everybody, nobody, 0.03)
    assert found.p < 0.001 and found.low > 0.03 and rules.is_worse("opt_out", found, 0.03)
    assert compare(nobody, nobody, 0.03).p == 1.0
    assert compare(Sample(3, 3, 3), Sample(3, 0, 0), 0.03).p > 0.05, "three of three may be chance"
