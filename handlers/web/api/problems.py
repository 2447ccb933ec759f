"""How the API says no: one JSON shape for every refusal, never a stack, never a 5xx for bad input."""

from collections.abc import Mapping, Sequence

import msgspec
from flask import Response

from handlers.web.api.shapes import ErrorBody, Fault, Problem

RETRY_AFTER_SECONDS = 5


class Refusal(Exception):
    """Ends a request with ``status`` and ``{"error": {code, message, faults}}``. ``code`` is stable for machines."""

    def __init__(
        self, status: int, code: str, message: str, faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code, self.message = status, code, message
        self.faults, self.headers = list(faults), dict(headers or {})

    def response(self) -> Response:
        problem = Problem(ErrorBody(self.code, self.message, self.faults))
        return answer(problem, self.status, self.headers)


def answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that no cache keeps: these are money and people."""
    response = Response(msgspec.json.encode(content), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response


def unsigned() -> Refusal:
    """The same for an unknown source, a bad signature and a stale one: nobody learns which."""
    return Refusal(401, "unauthorized", "The signature does not hold. See /api/docs#signing.")


def keyless(*, given: bool) -> Refusal:
    challenge = 'Bearer realm="huitou"' + (', error="invalid_token"' if given else "")
    message = "Send Authorization: Bearer <api_key>."
    return Refusal(401, "unauthorized", message, headers={"WWW-Authenticate": challenge})


def missing(what: str) -> Refusal:
    return Refusal(404, "not_found", f"There is no such {what}.")


def invalid(faults: Sequence[Fault], more: bool = False) -> Refusal:
    """422 with every fault at its place; ``more``: the list was cut."""
    count = f"More than {len(faults)} things are" if more else f"{len(faults)} things are"
    if len(faults) == 1:
        count = "One thing is"
    return Refusal(422, "invalid", f"{count} wrong; nothing was taken.", faults)


def away() -> Refusal:
    """The database cannot be reached now. Nothing was lost: the sender still has it."""
    return Refusal(503, "unavailable", "Try again shortly; nothing was taken.",
                   headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
