"""A tree of routers. Order is explicit: own handlers first, then children as included; the first match answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Event, Filter, Intent

Handler = Callable[[Context], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    filters: tuple[Filter, ...]
    handler: Handler

    def matches(self, ctx: Context) -> bool:
        return all(one.matches(ctx) for one in self.filters)

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
        self._by_intent: dict[str, tuple[Route, ...]] = {}

    def on(self, *filters: Filter) -> Callable[[Handler], Handler]:
        """Register the decorated handler for messages that pass every filter. At least one filter."""
        if not filters:
            raise ValueError(f"{self.name}: a handler without a filter would swallow everything")

        def register(handler: Handler) -> Handler:
            self._routes.append(Route(filters, handler))
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
        """The handler that should answer, or None. Routes for other intents are not even asked: most are."""
        routes = self._by_intent.get(ctx.intent)
        if routes is None:
            routes = tuple(route for route in self.routes() if route.intent in (None, ctx.intent))
            self._by_intent[ctx.intent] = routes
        return next((route.handler for route in routes if route.matches(ctx)), None)

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
            one._by_intent.clear()

    def _ancestors(self) -> list["Router"]:
        found: list[Router] = []
        node = self._parent
        while node is not None:
            found.append(node)
            node = node._parent
        return found
