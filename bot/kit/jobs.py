"""What job handlers speak: an effect was claimed from the outbox; do it, and say what became of it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from bot.kit.context import Shop
from bot.kit.copy import Copy
from bot.kit.gateway import Gateway

T = TypeVar("T")

LAST_ATTEMPT = 5
"""An effect that fails this often is dead; its job may tell the person before it gives up."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """One effect under our lease. ``attempts`` counts this try. Times are business time."""

    id: int
    queue: str
    kind: str
    key: str
    person_id: int | None
    payload: dict[str, Any]
    attempts: int
    created_at: datetime
    expires_at: datetime | None
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Done:
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """An outcome, not a fault: it will not happen, for this reason."""

    reason: str
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: again at ``at`` (business time; None waits until something wakes it). Does not count as a try."""

    reason: str
    at: datetime | None


Ended = Done | Refused | Later


class JobContext(Protocol):
    """What a job may use."""

    copy: Copy
    shop: Shop
    app_ids: Mapping[str, str]
    """The Official Accounts: account name → app id."""

    def now(self) -> datetime:
        """Business time."""
        ...

    def real_now(self) -> datetime:
        """Real time, for what the platform dates (retry_at)."""
        ...

    def tool(self, kind: type[T]) -> T:
        """The one instance of ``kind`` that this process holds (the poster studio, the notice policy …)."""
        ...

    def begin(self) -> AbstractContextManager[Any]:
        """A transaction: yields the session for the domain; commits at the end, rolls back on an exception."""
        ...

    def gateway(self, account: str) -> Gateway: ...

    def note(self, effect: Claimed, **facts: object) -> None:
        """Record facts on the effect's row at once, in a transaction of its own (survives a crash)."""
        ...


@dataclass(frozen=True, slots=True)
class Ready:
    """Decided and recorded: ``act`` does the rest, which takes its time, on whatever thread."""

    act: Callable[[], Ended]


JobHandler = Callable[[JobContext, Claimed], Ended]
Lapse = Callable[[JobContext, Claimed], None]
"""Somebody waited for an effect that is not worth doing any more. May be told twice: it goes by the effect's key."""
Planner = Callable[[JobContext, Sequence[Claimed]], Mapping[int, Ended | Ready]]
"""Decides about many effects of different people at once, by their ids. What it leaves out goes to the handler."""
Listener = Callable[[JobContext, Claimed], None]
"""Takes note of a fact, whoever handles it. May be told twice: it goes by the effect's key."""
News = Callable[[JobContext], "Taken"]
"""Hands on a portion of facts that lie outside of the outbox. Whole, or not at all: nothing of it is claimed."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A portion of news: how many were ``taken`` (0: there are none left), and how many facts that were."""

    taken: int
    facts: int


class Jobs:
    """Job handlers by kind of effect."""

    def __init__(self) -> None:
        self._handlers: dict[str, JobHandler] = {}
        self._planners: dict[str, Planner] = {}
        self._lapses: dict[str, Lapse] = {}
        self.listeners: list[Listener] = []
        self.news: dict[str, News] = {}

    def on(self, kind: str) -> Callable[[JobHandler], JobHandler]:
        """Register the decorated function for effects of ``kind``; one handler a kind."""

        def register(handler: JobHandler) -> JobHandler:
            if kind in self._handlers:
                raise ValueError(f"two handlers for {kind}")
            self._handlers[kind] = handler
            return handler

        return register

    def together(self, kind: str) -> Callable[[Planner], Planner]:
        """Register the decorated function to decide about many effects of ``kind`` at once, before their handler."""

        def register(planner: Planner) -> Planner:
            self._planners[kind] = planner
            return planner

        return register

    def lapsed(self, kind: str) -> Callable[[Lapse], Lapse]:
        """Register the decorated function for effects of ``kind`` that expired before they were done."""

        def register(lapse: Lapse) -> Lapse:
            self._lapses[kind] = lapse
            return lapse

        return register

    def on_every_fact(self, listener: Listener) -> Listener:
        """Register the decorated function for every effect of the queue ``fact``, before its handler."""
        self.listeners.append(listener)
        return listener

    def on_news(self, kind: str) -> Callable[[News], News]:
        """Register the decorated function for facts of ``kind`` that come as news: before facts are claimed."""

        def register(news: News) -> News:
            self.news[kind] = news
            return news

        return register

    def include(self, other: "Jobs") -> None:
        self.listeners += other.listeners
        self.news |= other.news
        for kind, handler in other._handlers.items():
            self.on(kind)(handler)
        self._planners |= other._planners
        self._lapses |= other._lapses

    def planner(self, kind: str) -> Planner | None:
        return self._planners.get(kind)

    def lapse(self, kind: str) -> Lapse | None:
        return self._lapses.get(kind)

    def get(self, kind: str) -> JobHandler | None:
        return self._handlers.get(kind)

    def kinds(self) -> frozenset[str]:
        return frozenset(self._handlers)
