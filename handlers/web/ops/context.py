"""What the operator API's topics are given and give: an operator's request, an operation with its roles, an answer."""

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.datastructures import MultiDict

from bot.kit.copy import Copy
from domain.audit.rules import ROLES, Actor, Role
from domain.shared.records import record
from handlers.web.api.operations import Operation
from handlers.web.api.problems import invalid
from handlers.web.api.shapes import Fault

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

ANYBODY: frozenset[Role] = frozenset(ROLES)
OWNER: frozenset[Role] = frozenset({"owner"})
MONEY: frozenset[Role] = frozenset({"owner", "finance"})
OPERATOR: frozenset[Role] = frozenset({"owner", "operator"})

BIGGEST_ID = 2**63 - 1
NO_SUCH = (404, "There is no such thing.")
REFUSED = (409, "A rule refused it; the message says which, in the operators' language.")


@record
class OpsContext:
    """``now`` is business time. ``ring`` is called with names of queues after a commit. ``tool`` gives the one
    instance of a kind that this process holds."""

    sessions: sessionmaker[Session]
    now: Callable[[], datetime]
    ring: Callable[[frozenset[str]], object]
    copy: Copy
    tool: Callable[[type[Any]], Any]


@record
class OpsOperation(Operation):
    """An operation for operators: ``roles`` may use it; owners always may."""

    roles: frozenset[Role] = ANYBODY


@record
class Asked:
    """One request of an operator who may make it, in a transaction that is committed when the call returns.

    ``body`` is what ``read_body`` made of the JSON. What a domain function refuses becomes 403, 404, 409 or 422.
    """

    session: Session
    now: datetime
    actor: Actor
    path: dict[str, Any]
    query: MultiDict[str, str]
    body: Any
    context: OpsContext

    @property
    def copy(self) -> Copy:
        return self.context.copy

    def tool(self, kind: type[T]) -> T:
        found: T = self.context.tool(kind)
        return found

    def number(self, name: str, otherwise: int, most: int, least: int = 1) -> int:
        """A whole number of the query. Raises Refusal 422."""
        given = self.query.get(name, "")
        if not given:
            return otherwise
        if not (given.isascii() and given.isdecimal() and len(given) < 20 and least <= int(given) <= most):
            raise invalid([Fault(f"/{name}", f"must be a whole number from {least} to {most}")])
        return int(given)

    def day(self, name: str) -> date:
        """A day of the query, which must be there. Raises Refusal 422."""
        try:
            given = self.query.get(name, "")
            if len(given) != len("2026-11-01"):
                raise ValueError
            return date.fromisoformat(given)
        except ValueError:
            raise invalid([Fault(f"/{name}", "must be a day, as in 2026-11-01")]) from None

    def choice(self, name: str, options: tuple[str, ...], otherwise: str) -> str:
        """One of ``options`` of the query. Raises Refusal 422."""
        given = self.query.get(name, otherwise)
        if given not in options:
            raise invalid([Fault(f"/{name}", f"must be one of {', '.join(options)}")])
        return given


@record
class Download:
    """A file as the answer, sent piece by piece after the transaction of the request has ended."""

    name: str
    media: str
    pieces: Iterator[bytes]


def shaped(kind: type[S]) -> Callable[[dict[str, Any]], S]:
    """``read_body`` for an operation: the body as a ``kind``, or Refusal 422 with the fault of every field."""

    def read(content: dict[str, Any]) -> S:
        faults, values = [], {}
        for one in msgspec.structs.fields(kind):
            if one.encode_name not in content:
                if one.required:
                    faults.append(Fault(f"/{one.encode_name}", "is missing"))
                continue
            try:
                values[one.encode_name] = msgspec.convert(content[one.encode_name], one.type)
            except msgspec.ValidationError as wrong:
                said, _, place = str(wrong).partition(" - at `$")
                inner = place.rstrip("`").replace("[", "/").replace("]", "").replace(".", "/")
                faults.append(Fault(f"/{one.encode_name}{inner}", said[:1].lower() + said[1:]))
        if faults:
            raise invalid(faults)
        return msgspec.convert(values, kind)

    return read
