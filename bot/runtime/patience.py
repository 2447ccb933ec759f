"""Whoever sends a request slowly is not waited for at everybody's expense.

A request's body is read by one of WEB_THREADS threads, and the server has no timeout for it: as many callers as there
are threads, each dripping a byte now and then, would stop the shop. A watchman ends a read that lasts too long: the
caller is answered 408, the connection is hung up, and the thread that read it is free. How long is too long depends on
who else is waiting.

An ordinary request pays for this with one entry in a dictionary while its body is read. Under another server than
granian, and anywhere but on Linux, bodies are waited for as before.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, TypeVar

import structlog
from werkzeug.exceptions import RequestTimeout

from bot.runtime import inbound

PATIENCE_SECONDS = 30.0
"""As long as others find threads: a megabyte at a quarter of a megabit a second."""
CROWDED_SECONDS = 0.5
"""When half of the threads wait for bodies. What a platform or a proxy sends arrives in one piece."""
TICK_SECONDS = 0.25

MARK_BYTES = 9_973
"""The size of our refusal, by which its connection is known; other answers of just this size are few in any second."""
HEADER_BYTES = 400
_TRIES, _PAUSE_SECONDS = 100, 0.02
REFUSAL = b"408 Request Timeout\n".ljust(MARK_BYTES)
_HEADERS = [("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close")]

log = structlog.get_logger(__name__)

StartResponse = Callable[..., Any]
Wsgi = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
Taken = TypeVar("Taken")


class Read:
    """One body that is waited for: since when, and whether the watchman ended it."""

    __slots__ = ("began", "ended")

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.ended = False


class Patience:
    """A WSGI application in front of all others: bodies come to ``beyond`` in time, or not at all."""

    def __init__(self, beyond: Wsgi, threads: int) -> None:
        self.beyond = beyond
        self._watchman = Watchman(threads)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        empty = environ.get("CONTENT_LENGTH", "0") == "0" and "HTTP_TRANSFER_ENCODING" not in environ
        if empty or environ.get("SERVER_SOFTWARE") != "Granian" or not environ["SERVER_PORT"].isdecimal():
            return self.beyond(environ, start_response)
        environ["wsgi.input"] = Body(environ["wsgi.input"], self._watchman)
        self._watchman.awake(environ)
        try:
            return self.beyond(environ, start_response)
        except RequestTimeout:  # outside of Flask, which answers it in the same words
            start_response("408 Request Timeout", _HEADERS)
            return [REFUSAL]


class Body:
    """A request's body that somebody watches. What is read after the watchman came raises ``RequestTimeout``."""

    __slots__ = ("_body", "_read", "_watchman")

    def __init__(self, body: IO[bytes], watchman: "Watchman") -> None:
        self._body = body
        self._watchman = watchman
        self._read: Read | None = None

    def read(self, size: int = -1, /) -> bytes:
        return self._watched(self._body.read, size)

    def readline(self, size: int = -1, /) -> bytes:
        return self._watched(self._body.readline, size)

    def readlines(self, hint: int = -1, /) -> list[bytes]:
        return self._watched(self._body.readlines, hint)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def _watched(self, take: Callable[[int], Taken], size: int) -> Taken:
        read = self._read = self._read or Read()
        me, reading = threading.get_ident(), self._watchman.reading
        reading[me] = read
        try:
            return take(size)
        finally:
            del reading[me]
            if read.ended:
                raise RequestTimeout


class Watchman:
    """Looks four times a second who is still reading. ``reading``: by thread."""

    def __init__(self, threads: int) -> None:
        self.reading: dict[int, Read] = {}
        self._crowd = max(1, threads // 2)
        self._port = 0
        self._lock = threading.Lock()

    def awake(self, environ: dict[str, Any]) -> None:
        """Begin, with the first request: before it, the process may still be forked."""
        if not self._port:
            with self._lock:
                if not self._port:
                    self._port = int(environ["SERVER_PORT"])
                    threading.Thread(target=self._watch, name="patience", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(TICK_SECONDS)
            try:
                if late := self._late(time.monotonic()):
                    self._end(late)
            except Exception:
                log.exception("web.patience")

    def _late(self, now: float) -> dict[int, Read]:
        waiting = {thread: read for thread, read in list(self.reading.items()) if not read.ended}
        slow = {thread: read for thread, read in waiting.items() if now - read.began > CROWDED_SECONDS}
        if len(slow) >= self._crowd:
            return slow
        return {thread: read for thread, read in slow.items() if now - read.began > PATIENCE_SECONDS}

    def _end(self, late: dict[int, Read]) -> None:
        """Answer those who are late, and hang up where the answers went."""
        before = inbound.written(self._port)
        told = {thread: read for thread, read in late.items() if self._tell(thread, read)}
        left = len(told)
        for turn in range(_TRIES):
            if not left:
                break
            time.sleep(_PAUSE_SECONDS)
            inbound.hang_up(self._port, before, MARK_BYTES, HEADER_BYTES, wholly=turn > 0)
            left = sum(1 for thread, read in told.items() if self.reading.get(thread) is read)
        log.warning("web.slow_bodies", ended=len(told) - left, left=left)

    def _tell(self, thread: int, read: Read) -> bool:
        """Answer 408 on behalf of ``thread`` while it reads. False when it has read all meanwhile."""
        answer = _answer_of(thread)
        if answer is None or self.reading.get(thread) is not read:
            return False
        read.ended = True  # from here on the thread makes nothing of what it read
        if self.reading.get(thread) is not read:
            return False
        answer(408, _HEADERS, REFUSAL)
        return True


def _answer_of(thread: int) -> Callable[[int, list[tuple[str, str]], bytes], None] | None:
    """How granian is told the answer of the request that ``thread`` is busy with: its runner's own way."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code.co_name == "_runner" and frame.f_globals.get("__name__") == "granian.wsgi":
            answer: Callable[..., None] = frame.f_locals["proto"].response_bytes
            return answer
        frame = frame.f_back
    return None
