"""wechatpayv3, held on a short lead: its signing, sealing and request shapes, our wire and our doubts.

The library calls out without a timeout, asks for certificates because an unsigned request named a serial, believes
answers of any age, returns answers outside 2xx unread, and raises bare exceptions. ``PayCore`` replaces what touches
the network and what decides to believe; the rest of the library is used as it is. Nothing that is raised from here
holds a header, a body, a key or a name.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Any

import requests
import urllib3
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from wechatpayv3 import WeChatPay
from wechatpayv3.core import Core
from wechatpayv3.type import RequestType, WeChatPayType
from wechatpayv3.utils import build_authorization, rsa_encrypt, rsa_verify

from bot.runtime import pem
from domain.shared.records import record

FRESH_SECONDS = 300
"""How far the time of an answer or a notification may be from ours: what WeChat Pay's own guide asks."""
MAX_ANSWER = 256 * 1024
MAX_FILE = 32 * 1024 * 1024
SIGNATURE_TYPE = "WECHATPAY2-SHA256-RSA2048"
PROBE = "WECHATPAY/SIGNTEST/"
"""The platform sends wrong signatures that begin so, to see whether they are refused."""


@record
class Merchant:
    """What a gateway must know of its merchant account; see ``accounts.PayAccount``. ``notify_url`` '' sends none."""

    account: str
    mch_id: str
    app_id: str
    serial_no: str
    private_key: str = field(repr=False)
    api_v3_key: str = field(repr=False)
    public_key: str | None = None
    public_key_id: str | None = None
    scene: str = "1005"
    scene_job: str = "推广员"
    scene_reward: str = "推广商品的佣金"
    fund_account: str = "OPERATION"
    api_base: str = "https://api.mch.weixin.qq.com"
    notify_url: str = ""


@record
class Patience:
    """Seconds of one call: to connect, between two pieces of the answer, and for all of it."""

    connect: float = 3.05
    read: float = 8.0
    whole: float = 12.0


@record
class Reply:
    """An answer over HTTP. ``believed``: signed by the platform. ``doubt``: why not; '' when it has no signature."""

    status: int
    raw: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    believed: bool = False
    doubt: str = ""

    def json(self) -> Any:
        """What the body says, None if it is no JSON in UTF-8."""
        try:
            return json.loads(self.raw.decode())
        except (ValueError, RecursionError):
            return None


class Unanswered(Exception):
    """No whole answer came. ``code`` says why, in our own words."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Unsigned(Exception):
    """A signature that does not hold. ``reason`` is safe for logs."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@record
class PlatformKey:
    """A key of the platform under the name it signs with: a public key id, or a certificate's serial in upper hex."""

    name: str
    key: RSAPublicKey = field(repr=False)
    until: datetime | None = None


class PayCore(Core):  # type: ignore[misc]
    """One merchant's side of the wire. ``keys`` gives the platform's keys that we hold, without calling out."""

    def __init__(self, merchant: Merchant, keys: Callable[[], tuple[PlatformKey, ...]], patience: Patience,
                 real_now: Callable[[], datetime]) -> None:
        super().__init__(merchant.mch_id, merchant.serial_no, "", merchant.api_v3_key)
        self._private_key = pem.private_key(merchant.private_key)  # the library proves its primes, at every start
        self._merchant, self._keys, self._patience, self._real_now = merchant, keys, patience, real_now
        self._sealing = threading.local()

    def _init_certificates(self) -> None:
        """The library would call out here, without a timeout; see ``pay_certificates``."""

    def _update_certificates(self) -> None:
        """And here, because of what an unsigned request says."""

    def encrypt(self, text: str) -> str:
        """Seal personal data with the platform's newest key; the request that follows in this thread names it."""
        newest = max(self._keys(), key=lambda one: one.until or datetime.max.replace(tzinfo=UTC), default=None)
        if newest is None:
            raise Unanswered("NO_PLATFORM_KEY")
        self._sealing.name = newest.name
        return str(rsa_encrypt(text, newest.key))

    def request(
        self, path: str, method: RequestType = RequestType.GET, data: dict[str, Any] | None = None,
        skip_verify: bool = False, sign_data: Any = None, files: Any = None, cipher_data: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Sign, send, read, and judge the answer whatever its status. Raises Unanswered."""
        body = "" if data is None else json.dumps({key: value for key, value in data.items() if value is not None})
        sent = {
            "Accept": "application/json", "User-Agent": "huitou", "Accept-Encoding": "identity",
            "Authorization": build_authorization(path, method.value, self._mchid, self._cert_serial_no,
                                                 self._private_key, data=body or None),
        }
        if body:
            sent["Content-Type"] = "application/json"
        if name := (getattr(self._sealing, "name", None) if cipher_data else self._merchant.public_key_id):
            sent["Wechatpay-Serial"] = name
        # What is signed is the platform's path; a local peer or a proxy may have it below a path of its own.
        return self._exchange(method.value, self._merchant.api_base + path, body.encode() or None, sent, skip_verify)

    def _exchange(self, method: str, url: str, body: bytes | None, headers: dict[str, str], plain: bool) -> Reply:
        limit = MAX_FILE if plain else MAX_ANSWER
        give_up = time.monotonic() + self._patience.whole
        try:
            with requests.Session() as http:
                http.trust_env = False
                with http.request(method, url, data=body, headers=headers, stream=True, allow_redirects=False,
                                  timeout=(self._patience.connect, self._patience.read)) as answer:
                    raw = _read(answer, limit, give_up)
                    status, told = answer.status_code, answer.headers
        except Unanswered:
            raise
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            code = "TIMEOUT"
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
            code = "CONNECTION"
        else:
            return self._judged(status, told, raw)
        raise Unanswered(code)

    def _judged(self, status: int, headers: Mapping[str, str], raw: bytes) -> Reply:
        if "Wechatpay-Signature" not in headers:
            return Reply(status, raw, headers)
        try:
            self.verify(headers, raw)
        except Unsigned as doubt:
            return Reply(status, raw, headers, doubt=doubt.reason)
        return Reply(status, raw, headers, believed=True)

    def verify(self, headers: Mapping[str, str], raw: bytes, keys: tuple[PlatformKey, ...] | None = None) -> None:
        """Raise Unsigned unless the platform signed ``raw`` within the last minutes, with ``keys`` or those we hold.

        Never calls out. The serial is asked for before any mathematics: a flood of inventions costs nothing.
        """
        told = {name: headers.get(f"Wechatpay-{name}", "")
                for name in ("Serial", "Signature", "Timestamp", "Nonce", "Signature-Type")}
        if missing := [name for name, value in told.items() if not value]:
            raise Unsigned(f"no Wechatpay-{missing[0]}")
        if told["Signature-Type"] != SIGNATURE_TYPE:
            raise Unsigned("another kind of signature")
        if told["Signature"].startswith(PROBE):
            raise Unsigned("a probe of the platform")
        held = self._keys() if keys is None else keys
        key = next((one.key for one in held if one.name.upper() == told["Serial"].upper()), None)
        if key is None:
            raise Unsigned("a serial that is not ours")
        stamp = told["Timestamp"]
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12) or (
                abs(self._real_now().timestamp() - int(stamp)) > FRESH_SECONDS):
            raise Unsigned("not fresh")
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise Unsigned("not UTF-8") from None
        if len(told["Signature"]) > 1024 or not rsa_verify(stamp, told["Nonce"], text, told["Signature"], key):
            raise Unsigned("a wrong signature")


def _read(answer: requests.Response, limit: int, give_up: float) -> bytes:
    """The body, if it ends below ``limit`` bytes and before ``give_up``. Raises Unanswered."""
    pieces, size = [], 0
    # One receive at a time: iter_content would wait for a full piece, which an answer that drips never gives.
    while piece := answer.raw.read1(64 * 1024, decode_content=True):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise Unanswered("TOO_LONG")
        if time.monotonic() > give_up:
            raise Unanswered("TIMEOUT")
    return b"".join(pieces)


class PayClient(WeChatPay):  # type: ignore[misc]
    """The library's calls on our core."""

    def __init__(self, merchant: Merchant, core: PayCore) -> None:
        self._core = core
        self._type, self._partner_mode = WeChatPayType.JSAPI, False
        self._mchid, self._appid, self._notify_url = merchant.mch_id, merchant.app_id, merchant.notify_url or None


