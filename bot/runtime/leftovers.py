"""What a refused request still sends is taken off the line, so that its sender reads the answer.

A door refuses a body that is too large, or a caller it does not know, before it has read everything. The server then
closes the connection while the caller is still writing, and many a client reports a broken pipe instead of the answer.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

MOST_BYTES = 16 * 1024 * 1024
"""Whoever announces more than this will not be waited for."""
CHUNK = 64 * 1024
PATIENCE_SECONDS = 3.0

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Leftovers:
    """A WSGI application that reads what ``beyond`` has left of a body before the answer goes out."""

    def __init__(self, beyond: Wsgi) -> None:
        self._beyond = beyond

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = self._beyond(environ, start_response)
        length = environ.get("CONTENT_LENGTH") or "0"
        # Only where the server itself knows the end of a body: anywhere else a read could wait for ever.
        if (environ["REQUEST_METHOD"] not in ("GET", "HEAD") and environ.get("wsgi.input_terminated")
                and length.isdecimal() and int(length) <= MOST_BYTES):
            _take_off(environ["wsgi.input"].read)
        return answer


def _take_off(read: Callable[[int], bytes]) -> None:
    left, until = MOST_BYTES, time.monotonic() + PATIENCE_SECONDS
    while left > 0 and time.monotonic() < until and (chunk := read(min(CHUNK, left))):
        left -= len(chunk)
