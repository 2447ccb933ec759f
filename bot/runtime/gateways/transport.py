"""One try of one call: wechatpy's client, held on a short lead.

What it guards against: calls without a timeout, answers that drip or never end, redirects that carry a token
elsewhere, helpers with a host of their own, the SDK's endless token retry, and exceptions that hold the
request URL (token) or the client (secret). Nothing foreign is raised from here: a try ends in an answer or
in a ``Fault`` made of our own words.
"""

import http.client
import json
import logging
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from wechatpy.client import WeChatClient
from wechatpy.exceptions import WeChatClientException

from bot.runtime.gateways.account import RealTime
from bot.runtime.gateways.faults import OFFICIAL_ACCOUNT, Answer, Codes, Fault, Kind, from_errcode, from_status
from bot.runtime.gateways.lines import MAX_ANSWER, Endless, Lines, Timeouts, Unreached

MAX_PICTURE = 10 << 20
"""Bytes of the largest picture that the platform takes from a phone."""

ENDLESS = Fault(Kind.UNCERTAIN, detail="endless answer")
TOO_LARGE = Fault(Kind.ANSWERED, 40009, "picture too large")
NO_PICTURE = Fault(Kind.ANSWERED, 40004, "no picture")
"""What is wrong with one picture holds nobody else's back; the codes are those the platform has for it."""


class _Unreached(NewConnectionError):
    """No connection came about, so nothing was sent. ``why``: refused, timeout, name, tls or network."""

    def __init__(self, connection: HTTPConnection, why: str) -> None:
        super().__init__(connection, why)
        self.why = why


@contextmanager
def _connecting(connection: HTTPConnection) -> Iterator[None]:
    why = ""
    try:
        yield
    except (OSError, urllib3.exceptions.HTTPError) as fault:
        why = _why(fault)
    if why:
        raise _Unreached(connection, why)


def _why(fault: Exception) -> str:
    if isinstance(fault, ssl.SSLError | urllib3.exceptions.SSLError):
        return "tls"
    if isinstance(fault, urllib3.exceptions.NameResolutionError):
        return "name"
    if isinstance(fault.__cause__, ConnectionRefusedError):
        return "refused"
    # urllib3 counts a connection that failed at once among the timeouts.
    slow = isinstance(fault, ConnectTimeoutError | TimeoutError) and not isinstance(fault, NewConnectionError)
    return "timeout" if slow else "network"


class _Plain(HTTPConnection):
    def connect(self) -> None:
        with _connecting(self):
            super().connect()


class _Tls(HTTPSConnection):
    def connect(self) -> None:
        with _connecting(self):
            super().connect()


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Tls


class _Adapter(HTTPAdapter):
    """A connection pool that tells 'never sent' from 'maybe sent'. No retries of its own."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}


class _Unreadable(Exception):
    """The answer is not what the platform's api gives. Holds our fault only."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


class PlatformClient(WeChatClient):  # type: ignore[misc]
    """wechatpy's client for one thread: our base, our token, no secret, no retry, no redirect."""

    def __init__(self, app_id: str, api_base: str, adapter: HTTPAdapter, timeouts: Timeouts,
                 lines: Lines | None = None) -> None:
        super().__init__(app_id, "", timeout=(timeouts.connect, timeouts.read), auto_retry=False)
        self.API_BASE_URL = f"{api_base.rstrip('/')}/cgi-bin/"
        self.token = ""
        self._lines = lines or Lines(api_base, timeouts)
        self._path = "/" + self.API_BASE_URL.partition("://")[2].partition("/")[2]
        self._date: datetime | None = None
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._http.mount("http://", adapter)
        self._http.mount("https://", adapter)

    @property
    def access_token(self) -> str:
        """The token of this try; the base class reads it when a call brings none."""
        return self.token

    def take_date(self) -> datetime | None:
        """The platform's own time in the last answer, once."""
        date, self._date = self._date, None
        return date

    def fetch_access_token(self) -> None:
        raise NotImplementedError("tokens come from the token holder")

    def _request(self, method: str, url_or_endpoint: str, **kwargs: Any) -> Any:
        if "://" in url_or_endpoint or "api_base_url" in kwargs:
            raise ValueError("this helper of the SDK has a host of its own and ignores api_base")
        if method == "post" and isinstance(kwargs.get("data"), dict) and not kwargs.keys() - {"data", "params"}:
            return self._post_json(url_or_endpoint, kwargs["data"], kwargs.get("params", {}))
        return super()._request(method, url_or_endpoint, allow_redirects=False, stream=True, **kwargs)

    def download(self, endpoint: str, params: dict[str, str]) -> Answer:
        """A picture that the platform keeps: {"content": bytes, "type": its declared media type}. What is refused comes
        as JSON, and raises as the SDK does."""
        query = {"access_token": self.access_token, **params}
        res = self._http.get(f"{self.API_BASE_URL}{endpoint}", params=query, timeout=self.timeout,
                             allow_redirects=False, stream=True)
        kind = res.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if res.status_code == 200 and kind.startswith("image/"):
            self._date = _date_in(res.headers.get("Date", ""))
            return {"content": _body(res, self.timeout[1], MAX_PICTURE, TOO_LARGE), "type": kind}
        answer = self._decode_result(res)
        if answer.get("errcode", 0) != 0:
            raise WeChatClientException(answer["errcode"], answer.get("errmsg", answer["errcode"]), client=self)
        raise _Unreadable(NO_PICTURE)

    def _post_json(self, endpoint: str, data: dict[str, Any], params: Any) -> Answer:
        """What most calls are, without what the SDK, requests and urllib3 spend on it. Raises as the SDK does."""
        if isinstance(params, dict):
            params = {"access_token": self.access_token, **params}
        query = urlencode(params)
        said = self._lines.post(f"{self._path}{endpoint}{'?' if query else ''}{query}",
                                json.dumps(data, ensure_ascii=False).encode())
        self._date = _date_in(said.date)
        if said.status != 200:
            raise _Unreadable(from_status(said.status))
        answer = _object(said.body)
        if answer.get("errcode", 0) != 0:
            raise WeChatClientException(answer["errcode"], answer.get("errmsg", answer["errcode"]), client=self)
        return answer

    def _decode_result(self, res: requests.Response) -> Answer:
        """The JSON object of an answer. Raises _Unreadable for anything else."""
        self._date = _date_in(res.headers.get("Date", ""))
        if res.status_code != 200:
            res.close()
            raise _Unreadable(from_status(res.status_code))
        return _object(_body(res, self.timeout[1]))


def _object(body: bytes) -> Answer:
    """The JSON object of an answer. Raises _Unreadable for anything else."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise _Unreadable(Fault(Kind.UNCERTAIN, detail="unreadable answer"))
    if type(answer.get("errcode", 0)) is not int or "base_resp" in answer:
        raise _Unreadable(Fault(Kind.UNCERTAIN, detail="unreadable errcode"))
    return answer


Act = Callable[[PlatformClient], Answer]
"""One SDK call: takes the client, gives the answer as the SDK decoded it."""


class Transport:
    """Clients of one account: one per thread, because the SDK keeps state; one connection pool per process.

    After a fork (a worker's job) the child opens connections of its own.
    """

    def __init__(self, app_id: str, api_base: str, real: RealTime, timeouts: Timeouts,
                 codes: Codes = OFFICIAL_ACCOUNT) -> None:
        self._app_id = app_id
        self._codes = codes
        self._api_base = api_base
        self._real = real
        self._timeouts = timeouts
        self._lock = threading.Lock()
        self._pid = 0
        self._adapter = HTTPAdapter()
        self._lines = Lines(api_base, timeouts)
        self._local = threading.local()
        self.skew_seconds: float | None = None

    def attempt(self, act: Act, token: str) -> Answer | Fault:
        """Run ``act`` once with ``token``. Blocks as long as the timeouts say; never raises for the net."""
        client = self._client()
        client.token = token
        asked_at = self._real.now()
        try:
            outcome = _run(act, client, self._codes)
        finally:
            client.token = ""
        if date := client.take_date():
            self.skew_seconds = (date - asked_at).total_seconds()
        return outcome

    def close(self) -> None:
        """Drop the pooled connections."""
        self._adapter.close()
        self._lines.close()

    def _client(self) -> PlatformClient:
        with self._lock:
            if self._pid != os.getpid():
                self._adapter = _Adapter(pool_connections=1, pool_maxsize=16)
                self._lines = Lines(self._api_base, self._timeouts)
                self._local = threading.local()
                self._pid = os.getpid()
        client: PlatformClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = PlatformClient(
                self._app_id, self._api_base, self._adapter, self._timeouts, self._lines
            )
        return client


def _run(act: Act, client: PlatformClient, codes: Codes) -> Answer | Fault:
    """Every way a try can end. The foreign exceptions die here, with the URLs they hold."""
    try:
        answer = act(client)
    except _Unreadable as unreadable:
        return unreadable.fault
    except Unreached as unreached:
        return Fault(Kind.UNSENT, detail=f"no connection: {unreached.why}")
    except Endless:
        return ENDLESS
    except TimeoutError:
        return Fault(Kind.UNCERTAIN, detail="read timeout")
    except WeChatClientException as refused:
        if refused.errcode is not None:
            return from_errcode(refused.errcode, refused.errmsg, codes)
        status = refused.response.status_code
        refused.response.close()
        return from_status(status)
    except requests.RequestException as fault:
        return _net_fault(fault)
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as fault:
        return Fault(Kind.UNCERTAIN, detail=f"lost answer: {type(fault).__name__}")
    return answer


def _net_fault(fault: requests.RequestException) -> Fault:
    reason = getattr(fault.args[0], "reason", None) if fault.args else None
    if isinstance(reason, _Unreached):
        return Fault(Kind.UNSENT, detail=f"no connection: {reason.why}")
    if isinstance(fault, requests.Timeout):
        return Fault(Kind.UNCERTAIN, detail="read timeout")
    if isinstance(fault, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return Fault(Kind.UNSENT, detail="no connection: bad address")
    return Fault(Kind.UNCERTAIN, detail=f"lost answer: {type(fault).__name__}")


def _body(res: requests.Response, seconds: float, most: int = MAX_ANSWER, too_large: Fault = ENDLESS) -> bytes:
    """The whole answer, within the size and the time of one try. Raises _Unreadable beyond."""
    give_up = time.monotonic() + seconds
    parts: list[bytes] = []
    size = 0
    try:
        while part := res.raw.read1(1 << 16, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > most or time.monotonic() > give_up:
                raise _Unreadable(too_large if size > most else ENDLESS)
    finally:
        res.close()
    return b"".join(parts)


def _date_in(header: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _has_no_token(record: logging.LogRecord) -> bool:
    said = record.getMessage()
    return "access_token=" not in said and "corpsecret=" not in said


logging.getLogger("urllib3.connectionpool").addFilter(_has_no_token)
"""At debug level urllib3 writes request lines, and the platforms want token and secret in the query."""
