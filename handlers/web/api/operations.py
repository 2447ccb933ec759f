"""What an API is made of: operations in a table. Routes, specification and docs page are all made from such tables."""

from collections.abc import Callable
from typing import Any, Literal

from domain.shared.records import record


@record
class Parameter:
    """A query parameter; all are optional. ``most``: it is a whole number from 1 to that, ``usual`` if not given."""

    name: str
    description: str
    most: int = 0
    usual: int = 0

    @property
    def schema(self) -> dict[str, Any]:
        """As the specification says it."""
        if not self.most:
            return {"type": "string"}
        return {"type": "integer", "minimum": 1, "maximum": self.most, "default": self.usual}


@record
class Operation:
    """One path and method. ``path`` is a Flask rule under the API's prefix. ``call`` None: the event door, which is
    signed instead of keyed. ``body``: the shapes it may have. ``refusals``: statuses beside those of every operation,
    with their meaning. ``places``: what the variables of the path mean, where the API does not say it for all.
    ``media``: the content type of an answer that is not JSON (``answer`` is not looked at then)."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    tag: str
    summary: str
    description: str
    answer: type[Any]
    call: Callable[[Any], Any] | None = None
    status: int = 200
    query: tuple[Parameter, ...] = ()
    body: tuple[Any, ...] = ()
    read_body: Callable[[dict[str, Any]], Any] | None = None
    refusals: tuple[tuple[int, str], ...] = ()
    places: tuple[tuple[str, str], ...] = ()
    media: str = "application/json"


AWAY = (503, "The database is away; try again after Retry-After seconds.")
BAD = (422, "Something in the request is wrong; every fault is listed with its place.")
TOO_LARGE = (413, "The body is larger than 16 KiB.")
"""Of every POST, also where no body is taken: it is read to see that it is empty. An operation may say otherwise."""
