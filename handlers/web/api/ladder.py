"""The repurchase ladder of assets/ladders.toml: which step somebody is on and what the next one gives. Pure."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

RewardKind = Literal["red_packet", "coupon", "tier"]


@dataclass(frozen=True, slots=True)
class Step:
    """``repurchases`` orders after the first reach it. ``amount_fen`` None: the reward is not money."""

    repurchases: int
    kind: RewardKind
    title: str
    amount_fen: int | None = None
    within_days: int | None = None

    def open_at(self, first_paid_at: datetime | None, now: datetime) -> bool:
        """Whether an order now would still earn it."""
        if self.within_days is None or first_paid_at is None:
            return True
        return now <= first_paid_at + timedelta(days=self.within_days)


@dataclass(frozen=True, slots=True)
class Standing:
    """``current``: repurchases of the step reached, 0 before the first; ``next`` None at the top."""

    repurchases: int
    current: int
    next: Step | None
    remaining: int


def load(toml: str) -> tuple[Step, ...]:
    """The steps of the table ``see_order``, lowest first. Raises ValueError naming what is wrong."""
    steps = []
    for raw in tomllib.loads(toml).get("see_order", {}).get("step", []):
        try:
            order, kind = raw.pop("order"), raw["kind"]
            step = Step(repurchases=order - 1, **raw)
        except (KeyError, TypeError) as fault:
            raise ValueError(f"a ladder step is incomplete or has an unknown field: {fault}") from None
        numbers = [n for n in (step.amount_fen, step.within_days) if n is not None]
        whole = all(type(n) is int and n > 0 for n in [order - 1, *numbers])
        if not whole or kind not in get_args(RewardKind) or not step.title or (kind == "tier") != (not step.amount_fen):
            raise ValueError(f"ladder step for order {order}: kind, title or a number is wrong")
        steps.append(step)
    if not steps or [s.repurchases for s in steps] != sorted({s.repurchases for s in steps}):
        raise ValueError("ladder steps must be given, each order once, lowest first")
    return tuple(steps)


def standing(steps: Sequence[Step], repurchases: int, first_paid_at: datetime | None, now: datetime) -> Standing:
    """Where ``repurchases`` stands. A step whose days have passed is not offered any more."""
    current = max((step.repurchases for step in steps if step.repurchases <= repurchases), default=0)
    ahead = next((s for s in steps if s.repurchases > repurchases and s.open_at(first_paid_at, now)), None)
    return Standing(repurchases, current, ahead, ahead.repurchases - repurchases if ahead else 0)
