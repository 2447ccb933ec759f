"""The express lanes: callbacks of the platform and events of the shop reach their doors without Flask's routing,
context and response objects.

A callback is one small POST to one fixed path, and thousands may come in a second. Flask's way from the server to the
view and back costs 150 µs, more than verifying, decrypting, parsing and sealing together; this costs 15. Everything
else goes Flask's way, and so does every fault that this lane meets: Flask's view raises it again, where the handlers of
the application know what to answer.
"""

import io
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import structlog

from bot.runtime.logs import SLOW_SECONDS, request_id
from bot.runtime.webhook import FAULT, Door, Said
from handlers.web import api
from handlers.web.api import EventDoor
from handlers.web.api.bodies import MAX_EVENT_BODY

PREFIX = "/wechat/"
EVENTS = "/api/v1/events/"
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+").fullmatch
_SIGNED = ("HTTP_WEBHOOK_ID", "HTTP_WEBHOOK_TIMESTAMP", "HTTP_WEBHOOK_SIGNATURE")
MAX_BUFFERED = 65 * 1024
"""A longer body is none of this lane's; Flask's way refuses it in the same words."""

STATUS = {200: "200 OK", 403: "403 FORBIDDEN", 404: "404 NOT FOUND", 413: "413 REQUEST ENTITY TOO LARGE"}

log = structlog.get_logger(__name__)

StartResponse = Callable[..., Any]
Wsgi = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class ExpressLane:
    """A WSGI application in front of Flask's own."""

    def __init__(self, door: Door, beyond: Wsgi) -> None:
        self._door = door
        self._beyond = beyond

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        length = environ.get("CONTENT_LENGTH", "")
        if (environ["REQUEST_METHOD"] != "POST" or not path.startswith(PREFIX) or not length.isdecimal()
                or int(length) > MAX_BUFFERED):
            return self._beyond(environ, start_response)
        body = environ["wsgi.input"].read(int(length))
        began, name = time.monotonic(), request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        try:
            said = self._door.receive(path[len(PREFIX):], query(environ.get("QUERY_STRING", "")), len(body),
                                      io.BytesIO(body))
        except Exception as fault:  # noqa: BLE001 - raised again where it is answered
            environ[FAULT] = fault
            return self._beyond(environ, start_response)
        if time.monotonic() - began > SLOW_SECONDS:
            log.warning("web.request", method="POST", route="/wechat/<account>", status=said.status,
                        milliseconds=int((time.monotonic() - began) * 1000))
        start_response(STATUS[said.status], _headers(said, name))
        return [said.body]


class EventLane:
    """The same for signed events of the shop's systems (``POST /api/v1/events/<source>``) that say their length."""

    def __init__(self, door: EventDoor, beyond: Wsgi) -> None:
        self._door = door
        self._beyond = beyond

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        length, source = environ.get("CONTENT_LENGTH", ""), path[len(EVENTS):]
        if (environ["REQUEST_METHOD"] != "POST" or not path.startswith(EVENTS) or not _PLAIN(source)
                or not length.isdecimal() or int(length) > MAX_EVENT_BODY):
            return self._beyond(environ, start_response)
        body = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = io.BytesIO(body)
        if len(body) < int(length):  # the sender went away: Flask's way says so
            return self._beyond(environ, start_response)
        began = time.monotonic()
        try:
            accepted = self._door.receive(source, body, *(environ.get(name) for name in _SIGNED))
        except Exception as fault:  # noqa: BLE001 - raised again where it is answered
            environ[api.FAULT] = fault
            return self._beyond(environ, start_response)
        if time.monotonic() - began > SLOW_SECONDS:
            log.warning("web.request", method="POST", route=EVENTS + "<source>", status=202,
                        milliseconds=int((time.monotonic() - began) * 1000))
        answer = msgspec.json.encode(accepted)
        start_response("202 ACCEPTED", [
            ("Content-Type", "application/json"), ("Content-Length", str(len(answer))), ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"), ("X-Request-ID", request_id(environ.get("HTTP_X_REQUEST_ID", "")))])
        return [answer]


def _headers(said: Said, name: str) -> list[tuple[str, str]]:
    return [("Content-Type", said.content_type), ("Content-Length", str(len(said.body))), ("X-Request-ID", name)]


def query(text: str) -> Mapping[str, str]:
    """The first value of each name, as Flask's ``request.args.get`` gives it. ``text`` is WSGI's (bytes as latin-1)."""
    if "%" in text or "+" in text or not text.isascii():
        raw = text.encode("latin-1").decode("utf-8", "replace")
        pairs = parse_qsl(raw, keep_blank_values=True, errors="werkzeug.url_quote")
        return {name: value for name, value in reversed(pairs) if name}
    parts = [part.partition("=") for part in text.split("&")]
    parts.reverse()
    return {name: value for name, _, value in parts if name}
