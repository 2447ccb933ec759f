"""``python -m bench``: measure rows side by side, print their ratios against the goals, keep them in var/bench.json."""

import argparse
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import platform
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

RECORD = Path(__file__).resolve().parents[1] / "var" / "bench.json"
PACKAGES = ("flask", "granian", "sqlalchemy", "psycopg", "pillow", "wechatpy", "rq")


@dataclass(frozen=True, slots=True)
class Goal:
    """What a ratio should be: at least or at most ``bound``."""

    ratio: Literal["ratio_floor", "ratio_peer"]
    sign: Literal["≥", "≤"]
    bound: float

    def is_met(self, row: dict[str, Any]) -> bool | None:
        """None when the ratio was not measured."""
        measured = row.get(self.ratio)
        if measured is None:
            return None
        return bool(measured["median"] >= self.bound if self.sign == "≥" else measured["median"] <= self.bound)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a row is measured and what it should reach. ``module`` '' : there is nothing yet to measure it with."""

    module: str
    about: str
    goals: tuple[Goal, ...]


def _goals(floor: str = "", peer: str = "") -> tuple[Goal, ...]:
    """``"≥ 0.6"`` for the floor, ``"≥ 2"`` for the peer; '' for none."""
    given: tuple[tuple[Literal["ratio_floor", "ratio_peer"], str], ...] = (("ratio_floor", floor), ("ratio_peer", peer))
    return tuple(Goal(ratio, "≥" if said.startswith("≥") else "≤", float(said[1:])) for ratio, said in given if said)


PLAN = {
    "B1": Plan("bench.webhook", "chat answer", _goals("≥ 0.6", "≥ 2")),
    "B2": Plan("bench.webhook", "callback without work", _goals("≥ 0.5", "≥ 1.5")),
    "B3": Plan("bench.poster", "poster, steady state", _goals("≤ 1.0", "≥ 20")),
    "B4": Plan("bench.poster", "poster, cold", _goals("≤ 6", "≥ 1")),
    "B5": Plan("bench.orders", "order booked, single", _goals("≥ 0.25", "≥ 5")),
    "B6": Plan("bench.orders", "orders booked, batch", _goals("≥ 1.2", "≥ 15")),
    "B7": Plan("bench.event_door", "event door", _goals("≥ 0.4")),
    "B8": Plan("bench.journeys", "journey step", _goals("≥ 0.3", "≥ 20")),
    "B9": Plan("bench.journeys", "growth", _goals("≤ 1.3")),
    "B10": Plan("bench.effects", "effects out", _goals("≥ 0.9", "≥ 10")),
    "B11": Plan("", "team board", _goals("≤ 3", "≥ 20")),
    "B12": Plan("bench.month_close", "month close", _goals("≤ 5")),
    "B13": Plan("bench.start", "start", _goals("≤ 3")),
    "B14": Plan("bench.memory", "memory", _goals("≤ 2")),
    "B15": Plan("bench.journeys", "order event heard", ()),
    "B16": Plan("bench.withdrawals", "withdrawal", ()),
}
"""Ratios to the floor are ours / floor; ratios to the peer say how many times better ours is."""


def key(row: dict[str, Any]) -> str:
    """``B5`` of the row ``B5 x1``."""
    return str(row["row"]).split()[0]


def measure(wanted: Sequence[str], rounds: int, seconds: float | None) -> list[dict[str, Any]]:
    """The rows that are wanted, in order. What cannot be measured is a row that says why, never a figure."""
    found: dict[str, list[dict[str, Any]]] = {}
    for module in dict.fromkeys(PLAN[name].module for name in wanted if PLAN[name].module):
        names = [name for name in wanted if PLAN[name].module == module]
        print(f"… {', '.join(names)}", file=sys.stderr, flush=True)
        for row in _run(module, names, rounds, seconds):
            found.setdefault(key(row), []).append(row)
    return [row for name in wanted for row in found.get(name, [_missing(name, "nothing measures it yet")])]


def _run(module: str, names: Sequence[str], rounds: int, seconds: float | None) -> list[dict[str, Any]]:
    if importlib.util.find_spec(module) is None:
        return [_missing(name, f"{module} is missing") for name in names]
    try:
        run = importlib.import_module(module).run
        options = {"seconds": seconds, "only": tuple(names)}
        known = inspect.signature(run).parameters
        return list(run(rounds, **{name: value for name, value in options.items() if name in known and value}))
    except Exception as fault:  # one row that cannot be measured must not cost the others
        traceback.print_exc()
        return [_missing(name, f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}")
                for name in names]


def _missing(name: str, why: str) -> dict[str, Any]:
    return {"row": f"{name} {PLAN[name].about}", "not_measured": why}


def line(row: dict[str, Any]) -> str:
    """One row as people read it."""
    if "not_measured" in row:
        return f"{row['row']:<36} not measured: {row['not_measured']}"
    parts = [f"{row['row']:<36}"]
    goals = {goal.ratio: goal for goal in PLAN[key(row)].goals}
    for ratio, against in (("ratio_floor", "× floor"), ("ratio_peer", "× peer")):
        measured, goal = row.get(ratio), goals.get(ratio)  # type: ignore[call-overload]
        if measured is None:
            parts.append(f"{'no peer' if ratio == 'ratio_peer' and not goal else 'not measured':<44}")
            continue
        said = f"{measured['median']:>7.2f} {against:<7} ({measured['lo']:.2f}–{measured['hi']:.2f})"
        if goal:
            said += f" goal {goal.sign} {goal.bound:g}: {'ok' if goal.is_met(row) else 'misses'}"
        parts.append(f"{said:<44}")
    return "  ".join(parts).rstrip()


def machine() -> dict[str, Any]:
    """Where it was measured, and how busy it was."""
    cpu = next((text.partition(":")[2].strip() for text in _lines("/proc/cpuinfo") if text.startswith("model name")),
               platform.processor())
    versions = {"python": platform.python_version()}
    versions |= {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"cpu": cpu, "cores": os.cpu_count(), "system": platform.platform(), "load": list(os.getloadavg()),
            "versions": versions}


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds of each row (default 5)")
    parser.add_argument("--only", default="", help="rows to measure, as B1,B5 (default: all)")
    parser.add_argument("--quick", action="store_true", help="two short rounds: does it run? No record is kept")
    parser.add_argument("--json", action="store_true", help="print the record as JSON")
    asked = parser.parse_args()
    wanted = [name.strip().upper() for name in asked.only.split(",") if name.strip()] or list(PLAN)
    if unknown := [name for name in wanted if name not in PLAN]:
        parser.error(f"no such row: {', '.join(unknown)}")
    before = machine()
    rows = measure(wanted, 2 if asked.quick else asked.rounds, 0.5 if asked.quick else None)
    record = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "rounds": asked.rounds, **before,
              "load_after": list(os.getloadavg()), "rows": rows}
    if not asked.quick:
        RECORD.parent.mkdir(parents=True, exist_ok=True)
        RECORD.write_text(json.dumps(record, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, ensure_ascii=False, indent=2) if asked.json else "\n".join(map(line, rows)))


if __name__ == "__main__":
    main()
