"""A tree of routers. Order is explicit: own handlers first, then children as included; the first match answers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Early, Event, Filter, Intent, Moment

Handler = Callable[[Context], Answer]
Asks = Callable[[Sequence[int], datetime], Sequence[tuple[str, Any]]]
"""What a handler asks the database about each of some people at a time: it is asked while they are still met. Whoever
answers them asks the same about one. A question takes them as ``people``, and its rows begin with the person."""


def nothing(_people: Sequence[int], _now: datetime) -> Sequence[tuple[str, Any]]:
    """Of a handler that asks the database nothing at all."""
    return ()


MOMENTS = 5_000
"""For how many moments the routes that may match are kept: intents by places and kinds, of which few ever meet."""


@dataclass(frozen=True, slots=True)
class Route:
    filters: tuple[Filter, ...]
    handler: Handler
    asks: Asks | None = None

    def matches(self, ctx: Context) -> bool:
        for one in self.filters:  # noqa: SIM110 - several routes a message, and all() costs three times as much
            if not one.matches(ctx):
                return False
        return True

    def may_match(self, moment: Moment) -> bool:
        """False when no message of this moment can pass the filters."""
        return all(one.may_match(moment) for one in self.filters if isinstance(one, Early))

    @property
    def intent(self) -> str | None:
        """The one intent that it can be for; None when it may be for any, or none."""
        return next((one.name for one in self.filters if isinstance(one, Intent)), None)


class Router:
    """Handlers of one topic. Attaching a router twice, or into itself, is an error at start-up."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._routes: list[Route] = []
        self._children: list[Router] = []
        self._parent: Router | None = None
        self._events: frozenset[str] | None = None
        self._by_moment: dict[Moment, tuple[Route, ...]] = {}
        self._asks: dict[str, Asks | None] = {}

    def on(self, *filters: Filter, asks: Asks | None = None) -> Callable[[Handler], Handler]:
        """Register the decorated handler for messages that pass every filter. At least one filter. ``asks``: what it
        asks the database, where that can be told from the people and the time alone. Such a handler is first run on
        the answers alone, and again under the person's lock if it asks or changes anything else."""
        if not filters:
            raise ValueError(f"{self.name}: a handler without a filter would swallow everything")

        def register(handler: Handler) -> Handler:
            self._routes.append(Route(filters, handler, asks))
            self._forget()
            return handler

        return register

    def include(self, *children: "Router") -> None:
        """Hang routers below this one, in order. Raises ValueError for a second parent or a ring."""
        for child in children:
            if child._parent is not None:
                raise ValueError(f"{child.name} already hangs below {child._parent.name}")
            if child is self or child in self._ancestors():
                raise ValueError(f"{child.name} would hang below itself")
            child._parent = self
            self._children.append(child)
        self._forget()

    def find(self, ctx: Context) -> Handler | None:
        """The handler that should answer, or None. Most routes cannot match at this moment, and are not asked."""
        message = ctx.message
        for route in self._for(Moment(ctx.intent, message.kind, message.event, ctx.place.state)):
            if route.matches(ctx):
                return route.handler
        return None

    def asks(self, intent: str) -> Asks | None:
        """What the handler of ``intent`` will ask first, None where nobody knows: then it is not asked ahead."""
        if intent not in self._asks:
            own = (route.asks for route in self.routes() if intent and route.intent == intent)
            self._asks[intent] = next(own, None)
        return self._asks[intent]

    def _for(self, moment: Moment) -> tuple[Route, ...]:
        routes = self._by_moment.get(moment)
        if routes is None:
            if len(self._by_moment) >= MOMENTS:
                self._by_moment.clear()
            routes = self._by_moment[moment] = tuple(route for route in self.routes() if route.may_match(moment))
        return routes

    def events(self) -> frozenset[str]:
        """The platform events that some handler of the tree answers. Asked for each of them, so it is kept."""
        if self._events is None:
            filters = (one for route in self.routes() for one in route.filters)
            self._events = frozenset(one.name for one in filters if isinstance(one, Event))
        return self._events

    def routes(self) -> Iterator[Route]:
        """All routes of the tree in matching order."""
        yield from self._routes
        for child in self._children:
            yield from child.routes()

    def _forget(self) -> None:
        """What was worked out of the tree is worked out again."""
        for one in (self, *self._ancestors()):
            one._events = None
            one._by_moment.clear()
            one._asks.clear()

    def _ancestors(self) -> list["Router"]:
        found: list[Router] = []
        node = self._parent
        while node is not None:
            found.append(node)
            node = node._parent
        return found
