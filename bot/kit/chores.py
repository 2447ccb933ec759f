"""Recurring work, as handlers declare it: what, how often, and a function that does a bounded piece of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.kit.jobs import JobContext

SHOP_ZONE = ZoneInfo("Asia/Shanghai")

Work = Callable[[JobContext], bool]
"""Does one bounded piece (well under a minute) in transactions of its own; True when more is left to do at once."""


@dataclass(frozen=True, slots=True)
class Chore:
    """``next_after`` gives the next due time after a moment of business time."""

    name: str
    work: Work
    next_after: Callable[[datetime], datetime]


class Chores:
    """Chores by name. What was missed while nobody ran is done once: a chore looks itself for what is open.

    It is begun only when the database's function ``chores_wanted`` names it: whoever adds one adds its question there.
    """

    def __init__(self) -> None:
        self._chores: dict[str, Chore] = {}

    def every(self, name: str, pause: timedelta) -> Callable[[Work], Work]:
        """Run the decorated function ``pause`` after each run."""
        return self._register(name, lambda now: now + pause)

    def daily(self, name: str, at: time, zone: ZoneInfo = SHOP_ZONE) -> Callable[[Work], Work]:
        """Run the decorated function once a day, at a local time."""
        return self._register(name, lambda now: _next_daily(now, at, zone))

    def _register(self, name: str, next_after: Callable[[datetime], datetime]) -> Callable[[Work], Work]:
        def register(work: Work) -> Work:
            if name in self._chores:
                raise ValueError(f"two chores named {name}")
            self._chores[name] = Chore(name, work, next_after)
            return work

        return register

    def include(self, other: "Chores") -> None:
        for name, chore in other._chores.items():
            self._register(name, chore.next_after)(chore.work)

    def slower(self, rest: Callable[[str], timedelta]) -> "Chores":
        """The same chores, each at least ``rest`` of its name apart."""
        found = Chores()
        for name, chore in self._chores.items():
            found._register(name, _no_sooner(chore.next_after, rest(name)))(chore.work)
        return found

    def names(self) -> list[str]:
        return sorted(self._chores)

    def get(self, name: str) -> Chore:
        return self._chores[name]


def _no_sooner(next_after: Callable[[datetime], datetime], rest: timedelta) -> Callable[[datetime], datetime]:
    return lambda now: max(next_after(now), now + rest)


def _next_daily(now: datetime, at: time, zone: ZoneInfo) -> datetime:
    local = now.astimezone(zone)
    today = datetime.combine(local.date(), at, zone)
    return today if today > local else datetime.combine(local.date() + timedelta(days=1), at, zone)
