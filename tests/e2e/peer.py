"""The platform and its phones: posts callbacks as WeChat does, repeats them as WeChat does, reads what comes back."""

import asyncio
import http.client
import io
import itertools
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

import zxingcpp
from PIL import Image

from tests.e2e import wire
from tests.e2e.platform_api import PlatformApi
from tests.e2e.waiting import until
from tests.e2e.wire import Callback, Keys

PATIENCE = 5.0
"""Seconds that the platform waits for an answer, and between the starts of its tries."""
TRIES = 3


@dataclass(frozen=True)
class Answer:
    """What the service answered to one message. ``status`` 0: nobody answered in time, three times."""

    status: int
    body: bytes = b""
    tries: int = 1
    seconds: float = 0.0


@dataclass
class Platform:
    """One Official Account's platform, pointed at the service's port.

    ``acknowledged`` has the dedupe facts of everything that the service answered with 200: message ids, and
    (openid, CreateTime, event, key) of events. None of it may ever be lost.
    """

    keys: Keys
    api: PlatformApi
    port: int
    acknowledged: dict[str, str] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)
    failures: "list[int]" = field(default_factory=list)
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(24_000_000_000_000_000))
    _seconds: "dict[str, int]" = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def phone(self, name: str) -> "Phone":
        return Phone(self, name, "o" + secrets.token_urlsafe(20))

    def message_id(self) -> str:
        with self._lock:
            return str(next(self._ids))

    def second_of(self, openid: str) -> int:
        """A CreateTime that no other event of this person has."""
        with self._lock:
            self._seconds[openid] = max(int(time.time()), self._seconds.get(openid, 0) + 1)
            return self._seconds[openid]

    def deliver(
        self, openid: str, xml: str, mark: str, most: int = TRIES, every: float = PATIENCE
    ) -> Answer:
        """Post until a 200 comes: three times, one try every five seconds, as the platform does, or as told."""
        begun = time.monotonic()
        for n in range(1, most + 1):
            time.sleep(max(0.0, begun + (n - 1) * every - time.monotonic()))
            answer = self.post(wire.callback(self.keys, xml, openid))
            if answer.status == 200:
                self.acknowledged[mark] = openid
                return Answer(200, answer.body, n, time.monotonic() - begun)
            self.failures.append(answer.status)
        self.unanswered.append(mark)
        return Answer(0, tries=most, seconds=time.monotonic() - begun)

    def post(self, callback: Callback, method: str = "POST") -> Answer:
        """One try. ``status`` 0 when there was no answer within five seconds."""
        begun = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, f"/wechat/{self.keys.account}?{urlencode(callback.query)}", callback.body,
                               {"Content-Type": "text/xml"})
            response = connection.getresponse()
            return Answer(response.status, response.read(), 1, time.monotonic() - begun)
        except (OSError, http.client.HTTPException):
            return Answer(0, seconds=time.monotonic() - begun)
        finally:
            connection.close()

    def storm(self, messages: Sequence[tuple[str, str, str]], seconds: float) -> list[Answer]:
        """Post (openid, xml, mark) each at its own moment within ``seconds``; repeat each as ``deliver`` does.

        Arrivals do not wait for answers: a slow service must not slow its own load down.
        """
        return asyncio.run(self._storm(messages, seconds))

    async def _storm(self, messages: Sequence[tuple[str, str, str]], seconds: float) -> list[Answer]:
        requests = [self._raw(wire.callback(self.keys, xml, openid)) for openid, xml, _ in messages]
        start = time.monotonic()

        async def one(n: int) -> Answer:
            openid, xml, mark = messages[n]
            begun = start + n * seconds / len(messages)
            for tries in range(1, TRIES + 1):
                await asyncio.sleep(begun + (tries - 1) * PATIENCE - time.monotonic())
                request = requests[n] if tries == 1 else self._raw(wire.callback(self.keys, xml, openid))
                status, body = await _exchange(self.port, request)
                if status == 200:
                    self.acknowledged[mark] = openid
                    return Answer(200, body, tries, time.monotonic() - begun)
                self.failures.append(status)
            self.unanswered.append(mark)
            return Answer(0, tries=TRIES, seconds=time.monotonic() - begun)

        return list(await asyncio.gather(*(one(n) for n in range(len(messages)))))

    def _raw(self, callback: Callback) -> bytes:
        head = (f"POST /wechat/{self.keys.account}?{urlencode(callback.query)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Content-Type: text/xml\r\nContent-Length: {len(callback.body)}\r\nConnection: close\r\n\r\n")
        return head.encode() + callback.body


async def _exchange(port: int, request: bytes) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own; (0, b"") when there was no answer in time."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, family=socket.AF_INET)
            try:
                writer.write(request)
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
            return int(head.split(b" ", 2)[1]), body
    except (TimeoutError, OSError, IndexError):
        return 0, b""


@dataclass
class Phone:
    """One person with a phone. Replies are what came as passive reply; pushes are what the API side was told."""

    platform: Platform
    name: str
    openid: str

    @property
    def identity(self) -> dict[str, str]:
        return {"openid": self.openid, "app_id": self.platform.keys.app_id}

    def says(self, text: str, message_id: str = "") -> str:
        """Send a text; returns the passive reply's text, '' for silence. Fails when nobody answers."""
        return self.reply(self.sends(text, message_id))

    def sends(self, text: str, message_id: str = "") -> Answer:
        openid, xml, mark = self.written(text, message_id)
        return self.platform.deliver(openid, xml, mark)

    def insists(self, text: str) -> Answer:
        """As ``sends``, tried every second until somebody answers: a slow machine needs its time to start things."""
        openid, xml, mark = self.written(text)
        return self.platform.deliver(openid, xml, mark, most=40, every=1.0)

    def written(self, text: str, message_id: str = "") -> tuple[str, str, str]:
        """A message as ``Platform.storm`` takes it; the right to answer is open from now."""
        message_id = message_id or self.platform.message_id()
        self.platform.api.touched(self.openid, "message")
        fields = {"MsgType": "text", "Content": text, "MsgId": message_id}
        return self.openid, wire.message_xml(self.platform.keys, self.openid, fields), f"msg:{message_id}"

    def follows(self, scene: str = "") -> str:
        return self._event("subscribe", f"qrscene_{scene}" if scene else "")

    def unfollows(self) -> str:
        return self._event("unsubscribe")

    def taps(self, key: str) -> str:
        return self._event("CLICK", key)

    def scans(self, jpeg: bytes) -> str:
        """Read the QR of a picture as a phone does, and arrive by it (a newcomer follows in the same step)."""
        return self.follows(self.platform.api.scenes[read_qr(jpeg)])

    def reply(self, answer: Answer) -> str:
        assert answer.status == 200, f"{self.name} got no answer: {answer}"
        return wire.open_reply(self.platform.keys, answer.body, self.openid).get("Content", "")

    def gets(self, *parts: str, seconds: float = 30.0) -> str:
        """The first pushed text that holds every part; waits for it."""
        def look() -> str:
            return next((text for text in self.platform.api.texts(self.openid) if all(p in text for p in parts)), "")

        return until(look, f"{self.name} is told {parts}; was told {self.platform.api.texts(self.openid)}", seconds)

    def gets_picture(self, number: int = 1, seconds: float = 30.0) -> bytes:
        pictures = self.platform.api.pictures
        until(lambda: len(pictures(self.openid)) >= number, f"picture {number} for {self.name}", seconds)
        return pictures(self.openid)[number - 1]

    def _event(self, event: str, key: str = "") -> str:
        if event != "unsubscribe":
            self.platform.api.touched(self.openid, "tap")
        created = self.platform.second_of(self.openid)
        fields = {"MsgType": "event", "Event": event, "EventKey": key}
        xml = wire.message_xml(self.platform.keys, self.openid, fields, created)
        return self.reply(self.platform.deliver(self.openid, xml, f"event:{self.openid}:{created}:{event}:{key}"))


def read_qr(jpeg: bytes) -> str:
    """The text of the picture's one QR code."""
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(jpeg)))
    assert len(found) == 1, f"{len(found)} codes in the picture"
    return str(found[0].text)
