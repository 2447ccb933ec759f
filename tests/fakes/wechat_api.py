"""A strict little Official Account API on loopback, with a script of faults; shares no code with the service."""

import email.parser
import email.policy
import json
import secrets
import socket
import struct
import threading
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

RID = "rid: 63f1a2b3-0c4d5e6f-11223344"


@dataclass(frozen=True)
class Code:
    """Answer an error code."""

    errcode: int
    errmsg: str = f"scripted fault {RID}"


@dataclass(frozen=True)
class Raw:
    """Answer these bytes, whatever was asked."""

    status: int
    body: bytes
    content_type: str = "text/html"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Slow:
    """Do it, but answer after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Hang:
    """Do it, then never answer (until the server stops)."""


@dataclass(frozen=True)
class Reset:
    """Reset the connection, having done it or not."""

    acted: bool = True


@dataclass(frozen=True)
class Drip:
    """Send the answer's first bytes slowly, for ever."""


Fault = Code | Raw | Slow | Hang | Reset | Drip

HTML = Raw(200, b"<html>busy</html>")
EMPTY = Raw(200, b"")


@dataclass
class Call:
    """One request as it came."""

    api: str
    query: dict[str, str]
    body: Any
    size: int
    connection: int
    headers: dict[str, str] = field(default_factory=dict)


class WeChatApi:
    """Start it with ``with WeChatApi("wx1", "secret") as peer``; ``peer.base`` is the api base."""

    def __init__(self, app_id: str, secret: str) -> None:
        self.app_id, self.secret = app_id, secret
        self.calls: list[Call] = []
        self.delivered: list[tuple[str, Any]] = []
        self.media: dict[str, bytes] = {}
        self.tokens: list[str] = []
        self.good: set[str] = set()
        self.expires_in = 7200
        self.forced = 0
        self.menu: dict[str, Any] | None = None
        self.delay = 0.0
        self._script: dict[str, deque[Fault]] = defaultdict(deque)
        self._always: dict[str, Fault] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        peer = self

        class Handler(_Handler):
            api = peer

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "WeChatApi":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def fail(self, api: str, *faults: Fault) -> None:
        """The next calls of ``api`` end like this, one fault each."""
        self._script[api].extend(faults)

    def fail_always(self, api: str, fault: Fault | None) -> None:
        """Every call of ``api`` ends like this from now on; None ends it."""
        if fault is None:
            del self._always[api]
        else:
            self._always[api] = fault

    def count(self, api: str = "") -> int:
        return sum(not api or call.api == api for call in self.calls)

    def counts(self) -> dict[str, int]:
        return dict(Counter(call.api for call in self.calls))

    def kill_token(self) -> None:
        """Somebody else forced a new token: ours is dead, theirs is what the next normal call gives."""
        with self._lock:
            self._mint(kill=True)

    def scripted(self, api: str) -> Fault | None:
        with self._lock:
            return self._script[api].popleft() if self._script[api] else self._always.get(api)

    def act(self, call: Call) -> "dict[str, Any] | Raw":
        """What the platform does and answers."""
        with self._lock:
            if call.api == "stable_token":
                return self._token(call.body)
            if call.query.get("access_token", "") not in self.good:
                return {"errcode": 40001, "errmsg": f"invalid credential, token is not latest {RID}"}
            return getattr(self, "_" + call.api.replace("/", "_"), _unknown)(call)

    def _token(self, body: Any) -> dict[str, Any]:
        if body.get("grant_type") != "client_credential":
            return {"errcode": 40002, "errmsg": "invalid grant_type"}
        if body.get("appid") != self.app_id:
            return {"errcode": 40013, "errmsg": f"invalid appid {RID}"}
        if body.get("secret") != self.secret:
            return {"errcode": 40125, "errmsg": f"invalid appsecret {body.get('secret')} {RID}"}
        if body.get("force_refresh"):
            self.forced += 1
        if body.get("force_refresh") or not self.good:
            self._mint(kill=True)
        return {"access_token": self.tokens[-1], "expires_in": self.expires_in}

    def _mint(self, kill: bool) -> None:
        if kill:
            self.good.clear()
        self.tokens.append(f"CANARYTOKEN-{len(self.tokens)}-" + "t" * 120)
        self.good.add(self.tokens[-1])

    def _message_custom_send(self, call: Call) -> dict[str, Any]:
        body = call.body
        if body["msgtype"] == "image" and body["image"]["media_id"] not in self.media:
            return {"errcode": 40007, "errmsg": f"invalid media_id {RID}"}
        if body["msgtype"] == "text" and len(body["text"]["content"].encode()) > 2048:
            return {"errcode": 45002, "errmsg": "content size out of limit"}
        self.delivered.append((body["touser"], body[body["msgtype"]]))
        return {"errcode": 0, "errmsg": "ok"}

    def _message_custom_typing(self, call: Call) -> dict[str, Any]:
        ok = call.body.get("command") in ("Typing", "CancelTyping")
        return {"errcode": 0 if ok else 45072, "errmsg": "ok"}

    def _media_upload(self, call: Call) -> dict[str, Any]:
        if not call.body or call.query.get("type") != "image":
            return {"errcode": 41005, "errmsg": f"media data missing {RID}"}
        media_id = f"media-{len(self.media)}"
        self.media[media_id] = call.body
        return {"type": "image", "media_id": media_id, "created_at": int(time.time())}

    def _media_get(self, call: Call) -> "dict[str, Any] | Raw":
        content = self.media.get(call.query.get("media_id", ""))
        if content is None:
            return {"errcode": 40007, "errmsg": f"invalid media_id {RID}"}
        return Raw(200, content, "image/jpeg")

    def _qrcode_create(self, call: Call) -> dict[str, Any]:
        scene = call.body["action_info"]["scene"]["scene_str"]
        seconds = call.body["expire_seconds"]
        return {"ticket": f"ticket-{scene}", "expire_seconds": seconds, "url": f"http://weixin.qq.com/q/{scene}"}

    def _user_info(self, call: Call) -> dict[str, Any]:
        return {"subscribe": 1, "openid": call.query["openid"], "unionid": "u-1", "nickname": ""}

    def _menu_create(self, call: Call) -> dict[str, Any]:
        self.menu = call.body
        return {"errcode": 0, "errmsg": "ok"}

    def _menu_get(self, call: Call) -> dict[str, Any]:
        return {"menu": self.menu} if self.menu else {"errcode": 46003, "errmsg": "menu no exist"}

    def _ticket_getticket(self, call: Call) -> dict[str, Any]:
        assert call.query["type"] == "jsapi"
        return {"errcode": 0, "errmsg": "ok", "ticket": f"CANARYTICKET{secrets.token_hex(20)}", "expires_in": 7200}


def _unknown(call: Call) -> dict[str, Any]:
    return {"errcode": 40066, "errmsg": f"invalid url {RID}"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    api: WeChatApi

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        peer = self.api
        url = urlsplit(self.path)
        if not url.path.startswith("/cgi-bin/"):
            self._answer(Raw(404, b"no such page"))
            return
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name = url.path.removeprefix("/cgi-bin/")
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        call = Call(name, query, self._decode(data), len(data), self.client_address[1], dict(self.headers))
        peer.calls.append(call)
        time.sleep(peer.delay)
        fault = peer.scripted(name)
        if isinstance(fault, Code):
            self._json({"errcode": fault.errcode, "errmsg": fault.errmsg})
        elif isinstance(fault, Raw):
            self._answer(fault)
        elif isinstance(fault, Reset) and not fault.acted:
            self._reset()
        else:
            self._finish(fault, peer.act(call))

    def _finish(self, fault: Fault | None, answer: dict[str, Any] | Raw) -> None:
        if isinstance(fault, Reset):
            self._reset()
        elif isinstance(fault, Hang):
            self.api._stopping.wait(30)
            self._reset()
        elif isinstance(fault, Drip):
            self._drip()
        else:
            if isinstance(fault, Slow):
                time.sleep(fault.seconds)
            self._json(answer)

    def _decode(self, data: bytes) -> Any:
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/form-data"):
            return json.loads(data.decode("utf-8")) if data else None
        head = f"Content-Type: {kind}\r\n\r\n".encode()
        parsed = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + data)
        (part,) = list(parsed.iter_parts())
        assert part.get_param("name", header="content-disposition") == "media"
        return part.get_payload(decode=True)

    def _json(self, answer: "dict[str, Any] | Raw") -> None:
        if isinstance(answer, Raw):
            self._answer(answer)
            return
        # The real platform answers JSON as text/plain now and then; clients must not ask the header.
        self._answer(Raw(200, json.dumps(answer, ensure_ascii=False).encode(), "text/plain"))

    def _answer(self, raw: Raw) -> None:
        self.send_response(raw.status)
        self.send_header("Content-Type", raw.content_type)
        self.send_header("Content-Length", str(len(raw.body)))
        self.send_header("Set-Cookie", "session=stay-out; Path=/")
        for name, value in raw.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw.body)

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while not self.api._stopping.wait(0.2):
            self.wfile.write(b" ")
            self.wfile.flush()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
