"""Kept connections to one host: a JSON body there, an answer back, within the time and the size of one try.

The platform's calls are small JSON posts, and thousands may leave in a minute: over http.client one costs 0.2 ms of
CPU, through requests and urllib3 1.4. What matters to a message that must not be sent twice is told apart:
``Unreached`` means that nothing was sent, any other fault that nobody knows.
"""

import http.client
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from urllib.parse import urlsplit

import certifi

from domain.shared.records import record

MAX_ANSWER = 1 << 20
"""Bytes of the longest answer we read; the platform's JSON is a few hundred."""


@record
class Timeouts:
    """Seconds of one try: to connect, and to read the whole answer once it begins."""

    connect: float = 3
    read: float = 8


class Unreached(Exception):
    """No connection came about, so nothing was sent. ``why``: refused, timeout, name, tls, network or bad address."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Endless(Exception):
    """The answer is longer, or takes longer, than any of the platform's."""


@record
class Answered:
    """``date`` is the header as it was given, '' without one."""

    status: int
    date: str
    body: bytes


class Lines:
    """The free connections to one host, for any number of threads. After a fork the child opens its own."""

    def __init__(self, base: str, timeouts: Timeouts) -> None:
        self._base = base
        self._timeouts = timeouts
        self._free: deque[http.client.HTTPConnection] = deque()
        self._lock = threading.Lock()

    def post(self, path: str, body: bytes) -> Answered:
        """One POST of JSON, no redirects, no cookies, no proxies. Raises Unreached, Endless, OSError, HTTPException."""
        line = self._kept() or self._opened()
        try:
            line.request("POST", path, body, {"Content-Type": "application/json", "Accept-Encoding": "identity"})
            response = line.getresponse()
            answered = Answered(response.status, response.headers.get("Date", ""), self._body(response))
            kept = not response.will_close and (response.isclosed() or response.length == 0)
            response.close()
        except BaseException:
            line.close()
            raise
        if kept:
            self._free.append(line)
        else:
            line.close()
        return answered

    def close(self) -> None:
        """Drop the free connections."""
        while (line := self._kept()) is not None:
            line.close()

    def _kept(self) -> http.client.HTTPConnection | None:
        """A free connection that the other side has not hung up on meanwhile."""
        while True:
            try:
                line = self._free.pop()
            except IndexError:
                return None
            if line.sock is not None and not select.select([line.sock], [], [], 0)[0]:
                return line
            line.close()

    def _opened(self) -> http.client.HTTPConnection:
        try:
            parts = urlsplit(self._base)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise Unreached("bad address") from None
        if parts.scheme not in ("http", "https") or not host:
            raise Unreached("bad address")
        with _connecting():
            line: http.client.HTTPConnection
            if parts.scheme == "https":
                line = http.client.HTTPSConnection(host, port, timeout=self._timeouts.connect,
                                                   context=_trusting())
            else:
                line = http.client.HTTPConnection(host, port, timeout=self._timeouts.connect)
            line.connect()
        assert line.sock is not None
        line.sock.settimeout(self._timeouts.read)
        return line

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        """The whole answer, within the size and the time of one try."""
        give_up = time.monotonic() + self._timeouts.read
        parts: list[bytes] = []
        size = 0
        while part := response.read1(1 << 16):
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER or time.monotonic() > give_up:
                raise Endless
        return b"".join(parts)


@contextmanager
def _connecting() -> Iterator[None]:
    try:
        yield
    except ssl.SSLError:
        why = "tls"
    except socket.gaierror:
        why = "name"
    except ConnectionRefusedError:
        why = "refused"
    except TimeoutError:
        why = "timeout"
    except (OSError, ValueError, UnicodeError, http.client.HTTPException):
        why = "network"
    else:
        return
    raise Unreached(why)


@cache
def _trusting() -> ssl.SSLContext:
    """Whom requests trusts. One a process: reading the bundle takes 30 ms."""
    return ssl.create_default_context(cafile=certifi.where())
