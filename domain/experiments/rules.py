"""Experiments as documents, and the arithmetic of their readings. Pure.

Assignment is a hash, so it needs no memory to be the same tomorrow; the arm is written down at the first exposure all
the same, because weights may change and people may not move. Readings may be looked at every day: the test is valid
whenever one stops (mixture sequential test, Johari, Koomen, Pekelis, Walsh: Always Valid Inference, 2017).
"""

import math
import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import field
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from domain.shared.errors import DomainError
from domain.shared.money import BPS
from domain.shared.records import record

Kind = Literal["ab", "bandit"]
Surface = Literal["copy", "hour", "picture", "reward", "journey"]
Metric = Literal["order", "revenue", "refund", "unfollow", "opt_out", "margin", "notices"]

SOFT_SURFACES: frozenset[Surface] = frozenset({"copy", "hour", "picture"})
"""Where a bandit may choose: harm is small and the answer quick. Never rates, prices or rewards of a person."""

GUARDS: frozenset[Metric] = frozenset({"refund", "unfollow", "opt_out", "margin", "notices"})
LESS_IS_WORSE: frozenset[Metric] = frozenset({"margin", "order", "revenue"})

SRM_ALARM = 0.001
"""A sample ratio mismatch this unlikely means that the assignment or its log is broken; nothing is read then."""
ALPHA = 0.05
BANDIT_FLOOR = 0.05
BANDIT_DISCOUNT = 0.99
"""What a day's evidence is worth a day later: tastes change."""
BANDIT_DRAWS = 2_000
BANDIT_UNIFORM_BPS = 1_000
"""A tenth of the people are served without the bandit's preference: only from them is its gain estimated."""


@record
class Arm:
    name: str
    weight: int


@record
class Goal:
    """What is counted, for each person exposed, within so many days of the exposure."""

    metric: Metric
    within_days: int = 7


@record
class Guard:
    """``worse_by``: how much worse than the control an arm may be before it is stopped; a share in bps for what either
    happens or not, fen for margin, a thousandth of a message for notices."""

    metric: Metric
    worse_by: int
    within_days: int = 7


@record
class Experiment:
    """One document. The first arm is the control. Experiments of one ``namespace`` share people by their ranges."""

    key: str
    title: str
    surface: Surface
    arms: tuple[Arm, ...]
    goal: Goal
    kind: Kind = "ab"
    guards: tuple[Guard, ...] = ()
    namespace: str = ""
    from_bps: int = 0
    until_bps: int = BPS
    min_people: int = 200
    smallest_effect_bps: int = 200
    """The difference that would matter, as a share of the control's value: the test is tuned to see it soonest."""
    audience: Mapping[str, Any] = field(default_factory=dict)

    @property
    def control(self) -> str:
        return self.arms[0].name

    def weights(self) -> dict[str, int]:
        return {arm.name: arm.weight for arm in self.arms}

    def document(self) -> dict[str, Any]:
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built


def load(toml: str) -> Experiment:
    """An experiment from a TOML text. Raises DomainError("experiment_invalid", faults=[…])."""
    try:
        return parse(tomllib.loads(toml))
    except tomllib.TOMLDecodeError as fault:
        raise DomainError("experiment_invalid", faults=[str(fault)]) from fault


def parse(document: Mapping[str, Any]) -> Experiment:
    """Check a document; everything that is wrong is named at once. Raises DomainError("experiment_invalid")."""
    unknown = [f"unknown field {name}" for name in sorted(set(document) - set(Experiment.__dataclass_fields__))]
    try:
        found = msgspec.convert(dict(document), Experiment, strict=True)
    except msgspec.ValidationError as fault:
        raise DomainError("experiment_invalid", faults=[str(fault), *unknown]) from fault
    faults = unknown + _faults(found)
    if faults:
        raise DomainError("experiment_invalid", faults=faults)
    return found


def _faults(one: Experiment) -> list[str]:
    names = [arm.name for arm in one.arms]
    checks = [
        (not _is_key(one.key), "key: 1 to 40 of a-z, 0-9, - and _"),
        (not 1 <= len(one.title) <= 60, "title: 1 to 60 characters"),
        (not 2 <= len(names) <= 8, "arms: 2 to 8 of them"),
        (len(set(names)) != len(names), "arms: two of one name"),
        (not all(map(_is_key, names)), "arms: names have a-z, 0-9, - and _"),
        (any(arm.weight < 0 for arm in one.arms) or sum(arm.weight for arm in one.arms) <= 0,
         "arms: weights are 0 or more, and not all 0"),
        (not 0 <= one.from_bps < one.until_bps <= BPS, "from_bps, until_bps: a range within 0 to 10000"),
        (one.min_people < 2, "min_people: at least 2"),
        (not 1 <= one.smallest_effect_bps <= 100_000, "smallest_effect_bps: 1 to 100000"),
        (one.kind == "bandit" and one.surface not in SOFT_SURFACES,
         f"a bandit may only choose {', '.join(sorted(SOFT_SURFACES))}"),
        (one.kind == "bandit" and one.goal.metric != "order", "a bandit's goal is order: it needs a yes or no"),
    ]
    faults = [message for wrong, message in checks if wrong]
    windows = [one.goal.within_days, *(guard.within_days for guard in one.guards)]
    if not all(1 <= days <= 90 for days in windows):
        faults.append("within_days: 1 to 90")
    for guard in one.guards:
        if guard.metric not in GUARDS:
            faults.append(f"guards: {guard.metric} is no guard; there are {', '.join(sorted(GUARDS))}")
        if guard.worse_by < 0:
            faults.append(f"guards: {guard.metric}: worse_by is 0 or more")
    return faults


def _is_key(text: str) -> bool:
    return 1 <= len(text) <= 40 and all(c.isascii() and (c.islower() or c.isdigit() or c in "-_") for c in text)


# Assignment

SPACE = 2**53


def bucket(salt: str, unit: int) -> int:
    """Where ``unit`` falls, 0 to 2^53 - 1. One salt says nothing of another."""
    return int.from_bytes(blake2b(f"{salt}:{unit}".encode(), digest_size=8).digest(), "big") % SPACE


def takes_part(one: Experiment, unit: int) -> bool:
    """Whether the experiment's range of its namespace holds the unit."""
    if one.from_bps == 0 and one.until_bps == BPS:
        return True
    place = bucket(f"namespace:{one.namespace or one.key}", unit)
    return one.from_bps * SPACE <= place * BPS < one.until_bps * SPACE


def arm_of(key: str, weights: Mapping[str, int], unit: int) -> str:
    """The arm of a unit that was not exposed before. Names keep their order, so equal weights keep people in place."""
    total, place = sum(weights.values()), bucket(f"experiment:{key}", unit)
    edge = 0
    for name, weight in weights.items():
        edge += weight
        if place * total < edge * SPACE:
            return name
    raise AssertionError("weights are not all 0")


# Readings

@record
class Sample:
    """What was measured in one arm: people, the sum of their values and of the squares."""

    people: int
    total: int
    squares: int

    @property
    def mean(self) -> float:
        return self.total / self.people if self.people else 0.0

    @property
    def variance(self) -> float:
        """Of one value; unbiased."""
        if self.people < 2:
            return 0.0
        return max(0.0, (self.squares - self.total * self.total / self.people) / (self.people - 1))


def tuning(one: Experiment, samples: Sequence[Sample]) -> float:
    """The effect that the test sees soonest: the smallest that matters, but not less than what ``min_people`` an arm
    could show at all; tuned to less, the test would be blind for years."""
    people = sum(sample.people for sample in samples)
    if people < 2:
        return 1.0
    mean = sum(sample.total for sample in samples) / people
    variance = sum(sample.variance * sample.people for sample in samples) / people
    return max(abs(mean) * one.smallest_effect_bps / BPS, math.sqrt(2 * variance / one.min_people), 1e-9)


@record
class Comparison:
    """An arm against the control: the difference of means, an interval that holds at all times at once, and p."""

    effect: float
    low: float
    high: float
    p: float


def compare(arm: Sample, control: Sample, tuned_to: float, alpha: float = ALPHA) -> Comparison:
    """Difference of means with an always-valid interval; ``tuned_to`` is the effect it should see soonest (> 0)."""
    effect = arm.mean - control.mean
    if min(arm.people, control.people) < 2:
        return Comparison(effect, -math.inf, math.inf, 1.0)
    v = arm.variance / arm.people + control.variance / control.people
    if v <= 0:
        if not effect:
            return Comparison(effect, -math.inf, math.inf, 1.0)
        # Everybody here, nobody there: as if one more of each had done the other thing (Agresti and Caffo, 2000).
        v = sum(effect**2 * (n + 1) / (n + 2) ** 2 / n for n in (arm.people, control.people))
    t = max(tuned_to, 1e-12) ** 2
    spread = math.sqrt(v * (v + t) / t * (2 * math.log(1 / alpha) + math.log((v + t) / v)))
    log_ratio = 0.5 * math.log(v / (v + t)) + t * effect * effect / (2 * v * (v + t))
    return Comparison(effect, effect - spread, effect + spread, min(1.0, math.exp(-min(log_ratio, 700.0))))


def is_worse(metric: Metric, found: Comparison, worse_by: float) -> bool:
    """Whether the arm is surely worse than the control by more than ``worse_by``, whenever one looks."""
    return found.high < -worse_by if metric in LESS_IS_WORSE else found.low > worse_by


def mismatch(periods: Sequence[tuple[Mapping[str, int], Mapping[str, int]]]) -> float:
    """p of the sample ratio: how likely counts this far from the weights are. ``periods``: (weights, people by arm).

    Expected numbers are added over the periods, so that a change of weights is no mismatch.
    """
    expected: dict[str, float] = {}
    seen: dict[str, int] = {}
    for weights, people in periods:
        total, weight = sum(people.values()), sum(weights.values())
        for name in weights:
            expected[name] = expected.get(name, 0.0) + total * weights[name] / weight
            seen[name] = seen.get(name, 0) + people.get(name, 0)
    cells = [name for name, number in expected.items() if number > 0]
    if any(seen[name] for name in seen if expected[name] == 0):
        return 0.0
    if len(cells) < 2:
        return 1.0
    statistic = sum((seen[name] - expected[name]) ** 2 / expected[name] for name in cells)
    return chi_square_tail(statistic, len(cells) - 1)


def chi_square_tail(x: float, freedom: int) -> float:
    """P(X > x) for ``freedom`` degrees: the finite sums of Abramowitz and Stegun, 26.4.4 and 26.4.5."""
    if x <= 0:
        return 1.0
    half = x / 2
    if freedom % 2 == 0:
        term = total = math.exp(-half)
        for i in range(1, freedom // 2):
            term *= half / i
            total += term
        return min(1.0, total)
    total = math.erfc(math.sqrt(half))
    term = math.exp(-half) * math.sqrt(half) / math.gamma(1.5)
    for i in range(1, freedom // 2 + 1):
        total += term
        term *= half / (i + 0.5)
    return min(1.0, total)


@record
class Day:
    """What became of those who were shown an arm so many days ago."""

    age: int
    people: int
    successes: int


def thompson(seen: Mapping[str, Sequence[Day]], dice: random.Random) -> dict[str, int]:
    """Weights in bps from how likely each arm is the best: Beta(1 + successes, 1 + failures), older days discounted,
    no arm below its floor. (Thompson sampling in batches; Russo and others, A Tutorial on Thompson Sampling, 2018.)
    """
    beliefs = {}
    for name, days in seen.items():
        good = sum(day.successes * BANDIT_DISCOUNT**day.age for day in days)
        bad = sum((day.people - day.successes) * BANDIT_DISCOUNT**day.age for day in days)
        beliefs[name] = (1 + good, 1 + bad)
    wins = dict.fromkeys(beliefs, 0)
    for _ in range(BANDIT_DRAWS):
        drawn = {name: dice.betavariate(*belief) for name, belief in beliefs.items()}
        wins[max(drawn, key=drawn.__getitem__)] += 1
    spare = 1 - BANDIT_FLOOR * len(wins)
    return {name: round(BPS * (BANDIT_FLOOR + spare * won / BANDIT_DRAWS)) for name, won in wins.items()}
