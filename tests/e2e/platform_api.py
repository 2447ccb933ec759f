"""The platform's API side as our peer plays it: strict, remembers every send, and can stop a call at a known step."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fakes.wechat_api import Call, WeChatApi

MESSAGE_RIGHTS, MESSAGE_SECONDS = 5, 48 * 3600
TAP_RIGHTS, TAP_SECONDS = 3, 60
"""What a message, and what a follow, scan or menu tap, lets the shop send."""

Match = Callable[[Call], bool]


class HungUp(ConnectionError):
    """The peer drops the connection without an answer."""


@dataclass(frozen=True)
class Sent:
    """One customer message that reached a phone. ``content`` is the text, or the picture's bytes."""

    openid: str
    content: str | bytes
    at: float


@dataclass
class Gate:
    """Stops the first call that matches: before it is acted upon, or after, but always before its answer."""

    match: Match
    acted: bool
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)
    answers: bool = False

    def wait(self, seconds: float = 30) -> "Gate":
        assert self.reached.wait(seconds), "no such call came"
        return self

    def hang_up(self) -> None:
        """Let go; the caller gets no answer (it is dead anyway)."""
        self.opened.set()

    def answer(self) -> None:
        """Let go; the caller gets the answer it waited for."""
        self.answers = True
        self.opened.set()


class PlatformApi(WeChatApi):
    """Adds phones, rights to send, opaque scene codes and gates to the strict fake API.

    ``refusals`` lists sends that the platform had to refuse because no right was open: a service that keeps its own
    books has none.
    """

    def __init__(self, app_id: str, secret: str) -> None:
        super().__init__(app_id, secret)
        self.sent: list[Sent] = []
        self.scenes: dict[str, str] = {}
        self.refusals: list[str] = []
        self._gates: list[Gate] = []
        self._rights: dict[str, dict[str, tuple[float, int]]] = {}

    def __enter__(self) -> "PlatformApi":
        super().__enter__()
        return self

    def gate(self, match: Match, when: Literal["received", "acted"]) -> Gate:
        """Stop the next call that matches, as it is received (and never act on it) or when it is acted upon."""
        gate = Gate(match, when == "acted")
        self._gates.append(gate)
        return gate

    @contextmanager
    def gated(self, match: Match, when: Literal["received", "acted"]) -> Iterator[Gate]:
        gate = self.gate(match, when)
        try:
            yield gate
        finally:
            if gate in self._gates:
                self._gates.remove(gate)
            gate.hang_up()

    def touched(self, openid: str, by: Literal["message", "tap"]) -> None:
        """The person wrote or tapped: the shop may send again."""
        fresh = (MESSAGE_SECONDS, MESSAGE_RIGHTS) if by == "message" else (TAP_SECONDS, TAP_RIGHTS)
        with self._lock:
            self._rights.setdefault(openid, {})[by] = (time.time() + fresh[0], fresh[1])

    def act(self, call: Call) -> dict[str, Any]:
        gate = next((gate for gate in self._gates if gate.match(call)), None)
        if gate is None:
            return super().act(call)
        self._gates.remove(gate)
        answer = super().act(call) if gate.acted else {}
        gate.reached.set()
        gate.opened.wait(60)
        if gate.answers:
            return answer or super().act(call)
        raise HungUp

    def texts(self, openid: str = "") -> list[str]:
        return [sent.content for sent in list(self.sent)
                if isinstance(sent.content, str) and openid in ("", sent.openid)]

    def pictures(self, openid: str) -> list[bytes]:
        return [sent.content for sent in list(self.sent)
                if isinstance(sent.content, bytes) and sent.openid == openid]

    def _message_custom_send(self, call: Call) -> dict[str, Any]:
        openid = call.body["touser"]
        if not self._spend(openid):
            self.refusals.append(openid)
            return {"errcode": 45015, "errmsg": "response out of time limit or subscription is canceled"}
        answer = super()._message_custom_send(call)
        if answer["errcode"] == 0:
            body = call.body
            content = body["text"]["content"] if body["msgtype"] == "text" else self.media[body["image"]["media_id"]]
            self.sent.append(Sent(openid, content, time.monotonic()))
        return answer

    def _spend(self, openid: str) -> bool:
        rights = self._rights.get(openid, {})
        for kind in ("tap", "message"):
            ends, left = rights.get(kind, (0.0, 0))
            if left and ends > time.time():
                rights[kind] = (ends, left - 1)
                return True
        return False

    def _qrcode_create(self, call: Call) -> dict[str, Any]:
        answer = super()._qrcode_create(call)
        answer["url"] = f"http://weixin.qq.com/q/{secrets.token_urlsafe(16)}"
        self.scenes[answer["url"]] = call.body["action_info"]["scene"]["scene_str"]
        return answer


def api(name: str) -> Match:
    """Calls of this api."""
    return lambda call: call.api == name


def send_to(openid: str, kind: Literal["text", "image"] = "text") -> Match:
    """Customer messages of this kind to this person."""
    return lambda call: (call.api == "message/custom/send" and call.body["touser"] == openid
                         and call.body["msgtype"] == kind)
