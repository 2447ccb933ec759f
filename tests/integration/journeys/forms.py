"""Journeys as forms, for tests to change."""

from typing import Any

Json = dict[str, Any]


def nudge(**change: Any) -> Json:
    """Two messages after a paid line, with a goal and an exit; nobody is held out."""
    return {
        "key": "nudge", "title": "提醒", "on": "line.paid", "run_key": "{sku}", "reentry": "after_exit",
        "holdout": "0%",
        "goal": {"on": "line.paid", "match": ["sku"], "within": "30d"},
        "exits": [{"on": "order.refunded", "match": ["order_id"], "when": "this.full", "reason": "returned"}],
        "step": [
            {"id": "d8", "wait": "8d"}, {"id": "n1", "say": "nudge.soon", "expires": "1d"},
            {"id": "d12", "wait": "4d"}, {"id": "n2", "say": "nudge.out", "expires": "1d"},
        ],
    } | change


def steps(*given: Json, **change: Any) -> Json:
    """A journey of these steps that begins when somebody follows."""
    return {"key": "walk", "title": "走", "on": "person.followed", "holdout": "0%", "step": list(given)} | change
