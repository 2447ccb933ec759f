"""What the APIs share in Flask: refusals in one shape whatever refused, and how a specification is served."""

from typing import Any

from flask import Blueprint, Response
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from handlers.web.api.problems import Refusal, answer, away


def guard(doors: Blueprint) -> None:
    """Answer refusals, what Flask itself refuses, and a database that is away, all in our shape."""
    doors.register_error_handler(Refusal, Refusal.response)
    doors.register_error_handler(HTTPException, _http_error)
    for fault in (OperationalError, InterfaceError, PoolTimeout):
        doors.register_error_handler(fault, _away)


def published(specification: dict[str, Any]) -> Response:
    """A specification for whoever asks, from any page."""
    response = answer(specification)
    response.headers["Cache-Control"] = "public, max-age=300"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _http_error(fault: HTTPException) -> Response:
    """What Flask itself refuses (a sender that went away, a method not allowed), in our shape."""
    code = fault.name.lower().replace(" ", "_")
    return Refusal(fault.code or 500, code, fault.description or fault.name).response()


def _away(fault: DBAPIError | PoolTimeout) -> Response:
    return away().response()
