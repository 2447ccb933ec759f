"""Logs: one JSON object a line (text on a terminal), with a request id, without secrets and personal data.

Code logs with ``structlog.get_logger(__name__).info("topic.what", key=value)``. Redaction is the last thing before
a line is written: by key, by the shape of the value, and by the very secrets of the settings.
"""

import hashlib
import hmac
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from typing import Any

import structlog
from flask import Flask, Response, g, request
from structlog.typing import EventDict, Processor, WrappedLogger

from bot.runtime.secret import Secret
from bot.runtime.settings import Settings

HIDDEN = "[hidden]"

SECRET_KEYS = frozenset({
    "access_token", "api_key", "api_v3_key", "app_secret", "appsecret", "authorization", "cookie", "encoding_aes_key",
    "password", "private_key", "secret", "set_cookie", "suite_ticket", "token", "webhook_secret", "session_key",
})
"""Values under these keys never appear."""

PERSONAL_KEYS = frozenset({
    "address", "avatar_url", "birthday", "body", "content", "external_userid", "id_card", "id_number", "mall_user_id",
    "mobile", "nickname", "openid", "payload", "phone", "real_name", "sender", "text", "unionid",
})
"""Values under these keys appear as a short keyed hash: the same person can be followed, not known."""

_SECRET_SHAPES = re.compile(
    r"(?P<lead>(?:access_token|refresh_token|appsecret|app_secret|secret|ticket|sig|key)=)[^&\s\"'<>]+"
    r"|(?P<bearer>(?i:bearer) )[\w.~+/=-]{8,}"
    r"|(?P<url>\w+://[^\s:/@]*:)[^\s/@]+(?=@)"
    r"|whsec_[A-Za-z0-9+/=_-]+"
    r"|(?<![A-Za-z0-9+/])(?=[A-Za-z+/]*[0-9])(?=[a-z0-9+/]*[A-Z])[A-Za-z0-9+/]{43}(?![A-Za-z0-9+/])"
)
_PERSONAL_SHAPES = re.compile(
    r"(?<![\w-])o(?=[a-z_-]*[A-Z0-9])[A-Za-z0-9_-]{27}(?![\w-])"
    r"|(?<![\w-])w[mo](?=[a-z_-]*[A-Z0-9])[A-Za-z0-9_-]{30}(?![\w-])"
    r"|(?<![0-9A-Za-z])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])(?:\+?86[ -]?)?1[3-9][0-9]{9}(?![0-9A-Za-z])"
)
_MAX_DEPTH = 6


def configure(settings: Settings) -> None:
    """Set up structlog and the standard library's logging for this process. Calling it again replaces the set-up."""
    redact = Redactor(settings.key("logs"), secrets_of(settings))
    shared: list[Processor] = [
        _with_request_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    renderer: Processor = structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer(
        ensure_ascii=False, sort_keys=False)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,  # 2 µs a line; cached loggers could not be set up again, nor tested
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))
    for noisy in ("alembic", "urllib3", "rq", "PIL", "werkzeug"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def granian_config() -> dict[str, Any]:
    """A logging configuration under which the web server's own lines go through ours."""
    return {"version": 1, "disable_existing_loggers": False, "formatters": {}, "handlers": {}, "incremental": False,
            "loggers": {"_granian": {"propagate": True}, "granian.access": {"propagate": True}}}


def secrets_of(settings: object) -> Iterator[str]:
    """Every secret in the settings, however deep."""
    if isinstance(settings, Secret):
        yield settings.reveal()
    elif isinstance(settings, MutableMapping):
        for value in settings.values():
            yield from secrets_of(value)
    elif isinstance(settings, tuple):
        for value in settings:
            yield from secrets_of(value)
    elif is_dataclass(settings):
        for field in fields(settings):
            yield from secrets_of(getattr(settings, field.name))


class Redactor:
    """A structlog processor that hides what must not be written. ``key`` keeps its hashes apart from others'."""

    def __init__(self, key: bytes, secrets: Iterator[str] | list[str]) -> None:
        self._key = key
        known = sorted({secret for secret in secrets if len(secret) >= 8}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known)) or r"(?!)")

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return {self.text(key): self._value(key, value, 0) for key, value in event.items()}

    def text(self, text: str) -> str:
        """``text`` without secrets and personal data in it."""
        if len(text) < 8:
            return text
        text = self._known.sub(HIDDEN, text)
        text = _SECRET_SHAPES.sub(_keep_lead, text)
        return _PERSONAL_SHAPES.sub(lambda match: self._hash(match[0]), text)

    def _value(self, key: str, value: Any, depth: int) -> Any:
        name = key.lower().replace("-", "_")
        if isinstance(value, Secret) or (name in SECRET_KEYS and value not in (None, "", True, False)):
            return HIDDEN
        if name in PERSONAL_KEYS and value not in (None, ""):
            return self._hash(str(value))
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool | int | float):
            return value if not isinstance(value, int) or abs(value) < 10**10 else _number_or_hash(value, self.text)
        if depth >= _MAX_DEPTH:
            return HIDDEN
        if isinstance(value, dict):
            return {self.text(str(inner)): self._value(str(inner), one, depth + 1) for inner, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value("", one, depth + 1) for one in value]
        if isinstance(value, bytes):
            return f"<{len(value)} bytes>"
        return self.text(str(value))

    def _hash(self, text: str) -> str:
        return "#" + hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:10]


def _number_or_hash(value: int, redact: Callable[[str], str]) -> int | str:
    """A phone or identity number may come as a number."""
    text = redact(str(value))
    return value if text == str(value) else text


def _keep_lead(match: re.Match[str]) -> str:
    return (match["lead"] or match["bearer"] or match["url"] or "") + HIDDEN


_request: ContextVar[str] = ContextVar("request_id", default="")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
SLOW_SECONDS = 2.0
"""A request above this is logged as a warning: the platform gives up after five."""


def request_id(given: str) -> str:
    """The id of the request that begins now, for every line of log that it causes; a caller's own is kept."""
    name = given if given and _REQUEST_ID.fullmatch(given) else os.urandom(16).hex()
    _request.set(name)
    return name


def _with_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The only thing that all lines of a request share; structlog's own book of such things is read through and
    written anew with each request, whether a line follows or not."""
    if name := _request.get():
        event.setdefault("request_id", name)
    return event


def watch_requests(app: Flask) -> None:
    """Give every request an id (``X-Request-ID``, a caller's own is kept), and log the slow and the failed."""
    log = structlog.get_logger(__name__)

    @app.before_request
    def _begin() -> None:
        g.request_id = request_id(request.headers.get("X-Request-ID", ""))
        g.began = time.monotonic()

    @app.after_request
    def _end(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.get("request_id", "")
        seconds = time.monotonic() - g.get("began", time.monotonic())
        if response.status_code >= 500 or seconds > SLOW_SECONDS:
            rule = request.url_rule.rule if request.url_rule else "?"
            log.warning("web.request", method=request.method, route=rule, status=response.status_code,
                        milliseconds=int(seconds * 1000))
        return response
