"""Numbers of a measurement: medians with the lowest and the highest, rounds in turns, and what a row looks like."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Figure = dict[str, float]
"""``median``, ``lo`` and ``hi`` of the rounds."""

Round = dict[str, float]
"""What one side did in one round; ``value`` is what the row is about."""


def figure(values: Sequence[float]) -> Figure:
    """Median, lowest and highest."""
    return {"median": round(statistics.median(values), 4), "lo": round(min(values), 4), "hi": round(max(values), 4)}


def taking_turns(sides: Mapping[str, Callable[[], Round]], rounds: int) -> dict[str, list[Round]]:
    """Every side once a round, so that a busy moment is busy for all. The order is reversed every other round: nobody
    always runs after the same neighbour."""
    taken: dict[str, list[Round]] = {name: [] for name in sides}
    for number in range(rounds):
        names = list(sides) if number % 2 == 0 else list(sides)[::-1]
        for name in names:
            taken[name].append(sides[name]())
    return taken


def row(name: str, unit: str, taken: Mapping[str, Sequence[Round]], *, more_is_better: bool) -> dict[str, Any]:
    """A row from the rounds of ``ours``, ``floor`` and perhaps ``peer``.

    ``ratio_floor`` is ours / floor. ``ratio_peer`` says how many times better ours is, so it is ours / peer of rates
    and peer / ours of times. Ratios are taken within a round, then the median over the rounds.
    """
    values = {side: [one["value"] for one in turns] for side, turns in taken.items()}
    extras = {key for turns in taken.values() for one in turns for key in one} - {"value"}
    made: dict[str, Any] = {"row": name, "unit": unit, "ratio_peer": None, "peer": None}
    made |= {side: figure(turns) for side, turns in values.items()}
    made["ratio_floor"] = figure(_ratios(values["ours"], values["floor"]))
    if "peer" in values:
        pair = (values["ours"], values["peer"]) if more_is_better else (values["peer"], values["ours"])
        made["ratio_peer"] = figure(_ratios(*pair))
    for key in sorted(extras):
        made[key] = {side: figure([one[key] for one in turns]) for side, turns in taken.items() if key in turns[0]}
    return made


def _ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(ours, theirs, strict=True)]
