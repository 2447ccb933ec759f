"""The doors of the shop's operators: keyed by person, allowed by role, logged by name. JSON in, JSON out."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import structlog
from flask import Blueprint, Response, request
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.ledger.service import retrying
from domain.shared import outbox
from domain.shared.errors import Conflict, DomainError, NotFound
from handlers.web.api import bodies
from handlers.web.api.auth import bearer
from handlers.web.api.problems import Refusal, answer, invalid, keyless, missing
from handlers.web.api.serving import guard, published
from handlers.web.api.shapes import Fault
from handlers.web.api.specification import Api, document
from handlers.web.ops.context import Asked, Download, OpsContext, OpsOperation
from handlers.web.ops.table import EVERY_OPERATION, OPERATIONS, PREFIX

__all__ = ["OpsContext", "blueprint", "specification"]

FORBIDDEN = frozenset({"not_permitted", "second_person", "one_hand", "operator_disabled"})
"""Refusals because of who asks: 403. What is wrong in itself (a list of faults) is 422, everything else 409."""

log = structlog.get_logger(__name__)


def blueprint(context: OpsContext) -> Blueprint:
    """Every route of the table, and its specification."""
    doors = Blueprint("ops", __name__)
    for operation in OPERATIONS:
        doors.add_url_rule(PREFIX + operation.path, operation.name, _view(operation, context),
                           methods=[operation.method])
    doors.add_url_rule(f"{PREFIX}/openapi.json", "specification", lambda: published(specification()), methods=["GET"])
    guard(doors)
    return doors


@cache
def specification() -> dict[str, Any]:
    """The whole document. Callers must not change it."""
    return document(Api(
        title="Huitou operator API", version="1.0.0", description=(
            "For the people who run the shop. Every act is logged under the name of the key's operator. Messages of "
            "refusals are in the operators' language, codes are stable. Money is integer fen, rates are basis "
            "points, times are ISO 8601 with an offset. Answers may gain fields; ignore what you do not know."),
        prefix=PREFIX, operations=OPERATIONS, every=EVERY_OPERATION,
        schemes={"operatorKey": {"type": "http", "scheme": "bearer",
                                 "description": "An operator's key: python -m bot operator key NAME --as NAME."}},
        security=lambda _operation: [{"operatorKey": []}],
    ))


def _view(operation: OpsOperation, context: OpsContext) -> Callable[..., Response]:
    call = operation.call
    assert call is not None

    def view(**path: Any) -> Response:
        actor = _actor(context, operation)
        if not all(isinstance(value, int) or value.isprintable() for value in path.values()):
            raise missing("place")
        if faults := _unknown(operation, request.args):
            raise invalid(faults)
        body = None
        if operation.read_body:
            raw = bodies.read(request, bodies.MAX_SMALL_BODY)
            body = operation.read_body(bodies.json_object(raw or b"{}"))
        elif operation.method == "POST" and bodies.json_object(bodies.read(request, bodies.MAX_SMALL_BODY) or b"{}"):
            raise invalid([Fault("", "this path takes no body: nothing of it would count")])

        def work(session: Session) -> tuple[Any, Session]:
            return call(Asked(session, context.now(), actor, path, request.args, body, context)), session

        try:
            done, session = retrying(context.sessions, work)  # an act may meet the workers' locks in another order
        except DomainError as refusal:
            raise _refused(context, refusal) from None
        except DBAPIError as fault:
            raise _by_database(fault) from fault
        if bells := outbox.rung(session):
            context.ring(bells)
        return _download(done) if isinstance(done, Download) else answer(done, operation.status)

    return view


def _unknown(operation: OpsOperation, given: MultiDict[str, str]) -> list[Fault]:
    """What stands in the query and would not be read: a filter or a page that is passed by in silence shows somebody
    something else than they asked for."""
    known = [one.name for one in operation.query]
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    return [*(Fault(f"/{name}", f"is no parameter of this path: {takes}") for name in given if name not in known),
            *(Fault(f"/{name}", "is given twice") for name, all_of in given.lists() if len(all_of) > 1)]


def _actor(context: OpsContext, operation: OpsOperation) -> Actor:
    """Whose key that is, if the role may do this. Raises Refusal 401 and 403."""
    key = bearer(request.headers.get("Authorization"))
    with context.sessions.begin() as session:
        actor = audit.holder(session, key)
    if actor is None:
        raise keyless(given=True)
    if not actor.may(operation.roles):
        facts = {"act": operation.name, "role": actor.role}
        raise Refusal(403, "not_permitted", context.copy.explain("not_permitted", facts))
    return replace(actor, via="api")


def _refused(context: OpsContext, refusal: DomainError) -> Refusal:
    faults = refusal.facts.get("faults")
    message = context.copy.explain(refusal.code, refusal.facts)
    code = refusal.code.replace(".", "_")
    if isinstance(refusal, NotFound):
        return Refusal(404, code, message)
    if refusal.code in FORBIDDEN:
        return Refusal(403, code, message)
    if isinstance(faults, list | tuple) and not isinstance(refusal, Conflict):
        return invalid([Fault("", str(fault)) for fault in faults])
    return Refusal(409, code, message)


def _by_database(fault: DBAPIError) -> Exception:
    """What the database refuses by itself is a refusal too; a database that is away stays what it is."""
    if isinstance(fault, DataError):
        return invalid([Fault("", "holds a character or a number that cannot be stored")])
    state = str(getattr(fault.orig, "sqlstate", None) or "")
    if not state.startswith(("HT", "23")):
        return fault
    log.warning("ops.database_refused", sqlstate=state, detail=str(fault.orig).splitlines()[0])
    return Refusal(409, "refused", "The database refused it; nothing was changed.")


def _download(file: Download) -> Response:
    pieces: Iterator[bytes] = file.pieces
    return Response(pieces, content_type=file.media, headers={
        "Content-Disposition": f'attachment; filename="{file.name}"', "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    })
