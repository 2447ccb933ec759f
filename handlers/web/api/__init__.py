"""The doors of the shop's systems: events in, results out, the specification and its page."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from domain.shared import outbox
from handlers.web.api import bodies, docs, openapi
from handlers.web.api.auth import Keys
from handlers.web.api.context import ApiContext, Source
from handlers.web.api.event_door import FAULT, EventDoor
from handlers.web.api.problems import answer, missing
from handlers.web.api.reads import Asked
from handlers.web.api.serving import guard, published
from handlers.web.api.table import OPERATIONS, PREFIX, Operation

__all__ = ["FAULT", "ApiContext", "EventDoor", "Source", "blueprint"]


def blueprint(context: ApiContext, event_door: EventDoor | None = None) -> Blueprint:
    """Every route of the table, the specification and the docs page. ``event_door``: one that others lead to, too.

    Raises ValueError for a secret it cannot read."""
    doors = Blueprint("api", __name__)
    keys, event_door = Keys(context.sources), event_door or EventDoor(context)
    for operation in OPERATIONS:
        view = _keyed(operation, context, keys) if operation.call else _signed(event_door)
        doors.add_url_rule(PREFIX + operation.path, operation.name, view, methods=[operation.method])
    doors.add_url_rule(f"{PREFIX}/openapi.json", "specification", _specification, methods=["GET"])
    docs.add_to(doors)
    guard(doors)
    return doors


def _signed(door: EventDoor) -> Callable[..., Response]:
    def view(source: str) -> Response:
        if (fault := request.environ.get(FAULT)) is not None:
            raise fault
        return answer(door.take(request, source), 202)

    return view


def _keyed(operation: Operation, context: ApiContext, keys: Keys) -> Callable[..., Response]:
    call = operation.call
    assert call is not None

    def view(**path: Any) -> Response:
        keys.reader(request.headers.get("Authorization"))
        if not all(isinstance(value, int) or value.isprintable() for value in path.values()):
            raise missing("place")
        body = None
        if operation.read_body:
            body = operation.read_body(bodies.json_object(bodies.read(request, bodies.MAX_SMALL_BODY)))
        with context.sessions.begin() as session:
            done = call(Asked(session, context.now(), context.pepper, path, request.args, body))
        bells = outbox.rung(session)
        if bells:
            context.ring(bells)
        return answer(done, operation.status)

    return view


def _specification() -> Response:
    return published(openapi.specification())
