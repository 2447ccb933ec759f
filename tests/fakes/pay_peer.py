"""A strict WeChat Pay on loopback, scripted by tests. Its RSA is arithmetic of its own: it shares no code with ours.

Every request must carry a right Authorization (method, path with query, time, nonce, body); what is wrong is kept in
``complaints`` and answered 401. Answers are taken from ``script`` by kind of call, signed unless they say otherwise.
"""

import base64
import gzip
import hashlib
import json
import re
import secrets
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.fakes.pay_keys import API_V3_KEY, Keys, merchant, platform

MCH_ID, APP_ID = "1900000109", "wx0123456789abcdef"
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
_FIELD = re.compile(r'(\w+)="([^"]*)"')


def padded(text: bytes, size: int) -> int:
    """EMSA-PKCS1-v1_5 of a SHA-256 (RFC 8017 §9.2), as a number."""
    tail = _SHA256 + hashlib.sha256(text).digest()
    return int.from_bytes(b"\0\1" + b"\xff" * (size - len(tail) - 3) + b"\0" + tail)


def sign(key: RSAPrivateKey, text: bytes) -> str:
    size = (key.key_size + 7) // 8
    return base64.b64encode(_private(key, padded(text, size)).to_bytes(size)).decode()


def _private(key: RSAPrivateKey, number: int) -> int:
    """RSADP (RFC 8017 §5.1.2) by the two primes, which takes a quarter of the time."""
    numbers = key.private_numbers()
    first, second = pow(number, numbers.dmp1, numbers.p), pow(number, numbers.dmq1, numbers.q)
    return second + numbers.q * ((first - second) * numbers.iqmp % numbers.p)


def is_signed(key: RSAPublicKey, text: bytes, signature: str) -> bool:
    numbers, size = key.public_numbers(), (key.key_size + 7) // 8
    with suppress(ValueError):
        raw = base64.b64decode(signature, validate=True)
        return len(raw) == size and pow(int.from_bytes(raw), numbers.e, numbers.n) == padded(text, size)
    return False


def unsealed(key: RSAPrivateKey, sealed: str) -> str:
    """RSA-OAEP with SHA-1 (RFC 8017 §7.1.2), by hand."""
    size = (key.key_size + 7) // 8
    block = _private(key, int.from_bytes(base64.b64decode(sealed))).to_bytes(size)
    seed = _xor(block[1:21], _mask(block[21:], 20))
    data = _xor(block[21:], _mask(seed, size - 21))
    assert block[0] == 0 and data[:20] == hashlib.sha1(b"").digest()
    return data[data.index(b"\1", 20) + 1:].decode()


def _mask(seed: bytes, length: int) -> bytes:
    return b"".join(hashlib.sha1(seed + number.to_bytes(4)).digest() for number in range(length // 20 + 1))[:length]


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def sealed(plain: str, associated: str, key: str = API_V3_KEY) -> dict[str, str]:
    """AEAD_AES_256_GCM as in certificates and notifications."""
    nonce = secrets.token_hex(6)
    text = AESGCM(key.encode()).encrypt(nonce.encode(), plain.encode(), associated.encode())
    return {"algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "associated_data": associated,
            "ciphertext": base64.b64encode(text).decode()}


def signature_headers(raw: bytes, keys: Keys | None = None, *, at: float | None = None, serial: str = "",
                      **other: str) -> dict[str, str]:
    """What the platform puts beside a body. ``other`` replaces values: Signature="…"."""
    keys = keys or platform()
    stamp, nonce = str(int(time.time() if at is None else at)), secrets.token_hex(16)
    told = {"Timestamp": stamp, "Nonce": nonce, "Serial": serial or keys.serial,
            "Signature": sign(keys.private, f"{stamp}\n{nonce}\n".encode() + raw + b"\n"),
            "Signature-Type": "WECHATPAY2-SHA256-RSA2048"}
    told |= {name.replace("_", "-"): value for name, value in other.items()}
    return {f"Wechatpay-{name}": value for name, value in told.items() if value}


def notification(bill: dict[str, Any], *, notice_id: str = "", key: str = API_V3_KEY, **other: Any) -> bytes:
    """The body of a notification about ``bill``. Halves of characters are escaped, as JSON alone can hold them."""
    resource = sealed(_json(bill), "mch_payment", key) | {"original_type": "mch_payment"}
    return _json({"id": notice_id or secrets.token_hex(18), "create_time": "2026-11-20T10:00:00+08:00",
                  "resource_type": "encrypt-resource", "event_type": "MCHTRANSFER.BILL.FINISHED",
                  "summary": "商家转账单据终态通知", "resource": resource, **other}).encode()


def _json(content: Any) -> str:
    whole = json.dumps(content, ensure_ascii=False)
    return whole if whole.isprintable() else json.dumps(content)


@dataclass(frozen=True)
class Says:
    """An answer. ``body`` bytes are sent as they are. ``signed``: rightly, wrongly ('no' gives none at all)."""

    status: int = 200
    body: Any = None
    signed: str = "yes"
    keys: Keys | None = None
    at: float | None = None


@dataclass(frozen=True)
class Silent:
    """Hear the request, then nothing, until the server stops."""


@dataclass(frozen=True)
class Cut:
    """Hear the request, then break the line."""


@dataclass(frozen=True)
class Drips:
    """A byte now and then, for ever."""


Answer = Says | Silent | Cut | Drips
Script = Answer | Callable[["Heard"], Answer]


@dataclass
class Heard:
    """A request as it came."""

    kind: str
    method: str
    path: str
    raw: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> Any:
        return json.loads(self.raw) if self.raw else None


class PayPeer:
    """``with PayPeer() as peer``: ``peer.base`` is the api base, with a path, as a proxy might have."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.complaints: list[str] = []
        self.script: dict[str, deque[Script]] = defaultdict(deque)
        self.certificates: list[Keys] = [platform()]
        self.nonces: set[str] = set()
        self.stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"peer": self}))
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_port}/proxy"

    def __enter__(self) -> "PayPeer":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def of(self, kind: str) -> list[Heard]:
        return [one for one in self.heard if one.kind == kind]

    def will(self, kind: str, *answers: Script) -> None:
        self.script[kind].extend(answers)

    def offers_bill(self, text: str, **changes: Any) -> None:
        """The fund bill of the next asking: address and hash, then the file."""
        raw = text.encode()
        told = {"hash_type": "SHA1", "hash_value": hashlib.sha1(raw).hexdigest(),
                "download_url": "https://api.mch.weixin.qq.com/v3/billdownload/file?token=abc", **changes}
        self.will("fundflowbill", Says(body=told))
        self.will("billdownload", Says(body=gzip.compress(raw), signed="no"))

    def complaint(self, heard: Heard) -> str:
        """'' when the request is signed as the platform demands, else what is wrong."""
        kind, _, rest = heard.headers.get("authorization", "").partition(" ")
        told = dict(_FIELD.findall(rest))
        if kind != "WECHATPAY2-SHA256-RSA2048" or set(told) != {"mchid", "nonce_str", "signature", "timestamp",
                                                                "serial_no"}:
            return "no authorization"
        if told["mchid"] != MCH_ID or told["serial_no"] != merchant().serial:
            return "another merchant"
        if abs(time.time() - int(told["timestamp"])) > 300 or told["nonce_str"] in self.nonces:
            return "stale or repeated"
        self.nonces.add(told["nonce_str"])
        text = f"{heard.method}\n{heard.path}\n{told['timestamp']}\n{told['nonce_str']}\n".encode() + heard.raw + b"\n"
        if not is_signed(merchant().private.public_key(), text, told["signature"]):
            return "wrong signature"
        if heard.headers.get("accept") != "application/json":
            return "wrong accept"
        if b"null" in heard.raw:
            return "null in the body"
        return ""

    def default(self, heard: Heard) -> Answer:
        if heard.kind == "certificates":
            return Says(body={"data": [
                {"serial_no": one.serial, "effective_time": "2026-01-01T00:00:00+08:00",
                 "expire_time": "2036-01-01T00:00:00+08:00",
                 "encrypt_certificate": sealed(one.certificate_pem, "certificate")} for one in self.certificates]})
        if heard.kind == "transfer":
            return Says(body={"out_bill_no": heard.body["out_bill_no"], "transfer_bill_no": "13300001",
                              "create_time": "2026-11-20T10:00:00+08:00", "state": "WAIT_USER_CONFIRM",
                              "package_info": "package"})
        return Says(404, {"code": "NOT_FOUND", "message": "记录不存在"})


class _Handler(BaseHTTPRequestHandler):
    peer: PayPeer
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.removeprefix("/proxy")
        headers = {name.lower(): value for name, value in self.headers.items()}
        heard = Heard(_kind(path), self.command, path, raw, headers)
        self.peer.heard.append(heard)
        if complaint := self.peer.complaint(heard):
            self.peer.complaints.append(complaint)
            return self._say(heard, Says(401, {"code": "SIGN_ERROR", "message": complaint}, signed="no"))
        queue = self.peer.script[heard.kind]
        answer = queue.popleft() if queue else self.peer.default(heard)
        answer = answer if isinstance(answer, Says | Silent | Cut | Drips) else answer(heard)
        return self._say(heard, answer) if isinstance(answer, Says) else self._misbehave(answer)

    do_GET = do_POST = _serve

    def _say(self, heard: Heard, answer: Says) -> None:
        """Signed under the name that the merchant knows us by: our public key's id if it named that."""
        raw = answer.body if isinstance(answer.body, bytes) else (
            json.dumps(answer.body, ensure_ascii=False).encode() if answer.body is not None else b"")
        serial = heard.headers.get("wechatpay-serial", "")
        headers = {} if answer.signed == "no" else signature_headers(
            raw, answer.keys, at=answer.at, serial=serial if serial.startswith("PUB_KEY_ID") else "")
        if answer.signed == "wrong":
            headers["Wechatpay-Signature"] = base64.b64encode(b"x" * 256).decode()
        self.send_response(answer.status)
        for name, value in {**headers, "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _misbehave(self, answer: Answer) -> None:
        self.close_connection = True
        if isinstance(answer, Cut):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif isinstance(answer, Silent):
            self.peer.stopping.wait(20)
        else:
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            for piece in _drips(self.peer.stopping):
                with suppress(OSError):
                    self.wfile.write(piece)
                    self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


def _drips(stopping: threading.Event) -> Iterator[bytes]:
    while not stopping.wait(0.05):
        yield b" "


def _kind(path: str) -> str:
    if path.startswith("/v3/fund-app/mch-transfer/transfer-bills"):
        return "cancel" if path.endswith("/cancel") else "query" if "out-bill-no" in path else "transfer"
    return path.split("?")[0].split("/")[2 if "certificates" in path or "billdownload" in path else 3]
