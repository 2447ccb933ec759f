"""What a rehearsed year is made of: the plan, and everything there is while it is played."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from bot.runtime.replay.auditor import Manners, Texts
from bot.runtime.replay.house import House
from bot.runtime.replay.script import Human, Script
from domain.shared.records import record

START = datetime(2027, 3, 1, 16, tzinfo=UTC)
"""2 March 2027, midnight in Shanghai: a year from here holds a 29 February and a New Year."""


@record
class Plan:
    """What to rehearse. ``quota_days``: days of the year on which the platform takes few messages."""

    customers: int = 400
    orders: int = 2_000
    days: int = 365
    seed: int = 1
    start: datetime = START
    busy: float = 0.004
    lost: float = 0.001
    quota_days: tuple[int, ...] = (100, 200)
    quota: int = 5


@dataclass
class Year:
    """A rehearsed year while it is played, and after. ``luck``: the shop's own people's."""

    plan: Plan
    house: House
    script: Script
    texts: Texts
    manners: Manners
    watch: Session
    """Asks again and again what is due, each time anew: without transactions."""
    shelf: list[dict[str, Any]]
    luck: random.Random = field(default_factory=lambda: random.Random(0))
    people: dict[str, Human] = field(default_factory=dict)
    told: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    """Events of orders since the last stop, to be told in this order."""
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    returned: set[str] = field(default_factory=set)
    """Orders that went back whole before they were told."""
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    read: int = 0
    """How far the log of the phones was looked at."""
    stops: int = 0
    seconds: float = 0.0

    @property
    def now(self) -> datetime:
        return self.house.clock.now()
