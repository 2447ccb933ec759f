"""Callers who send a byte now and then: they are told so and hung up on, and nobody else waits for them."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest

from tests.e2e import wire
from tests.e2e.conftest import World
from tests.e2e.waiting import until

pytestmark = pytest.mark.timeout(120)

CALLERS = 40
LENGTH = b"Content-Length: 60000\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@dataclass
class Drips:
    """``CALLERS`` connections that drip a body each, and call again whenever they were hung up on."""

    port: int
    path: str
    header: bytes = LENGTH
    drop: bytes = b"x"
    told: list[bytes] = field(default_factory=list)
    calling: int = 0

    @contextmanager
    def falling(self) -> Iterator["Drips"]:
        over = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._all(over)))
        thread.start()
        try:
            until(lambda: self.calling == CALLERS, "all of them call")
            yield self
        finally:
            over.set()
            thread.join()

    async def _all(self, over: threading.Event) -> None:
        await asyncio.gather(*(self._one(over) for _ in range(CALLERS)))

    async def _one(self, over: threading.Event) -> None:
        while not over.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(f"POST {self.path} HTTP/1.1\r\nHost: shop\r\n".encode() + self.header + b"\r\n" + self.drop)
            self.calling += 1
            answer = asyncio.create_task(reader.read(-1))
            with suppress(OSError):
                while not over.is_set() and not answer.done():
                    await asyncio.sleep(0.05)
                    writer.write(self.drop)
                    await writer.drain()
            writer.close()
            with suppress(OSError):
                self.told.append(await answer)


@pytest.mark.parametrize(("path", "header", "drop"), [
    ("/wechat/main", LENGTH, b"x"), ("/wechat/main", CHUNKED, b"1\r\nx\r\n"), ("/api/v1/events/mall", LENGTH, b"{"),
    ("/api/v1/events/mall", CHUNKED, b"1\r\n{\r\n"), ("/pay/main/notify", LENGTH, b"{"), ("/nowhere", LENGTH, b"x"),
])
def test_nobody_waits_for_those_who_drip(world: World, path: str, header: bytes, drop: bytes) -> None:
    """A message is answered at its first try, in the platform's own five seconds, while forty callers drip."""
    li = world.person("李姐")
    with Drips(world.house.port, path, header, drop).falling() as drips:
        for _ in range(3):
            openid, xml, mark = li.written("佣金")
            assert "可提现" in li.reply(world.platform.deliver(openid, xml, mark, most=1))
        until(lambda: len(drips.told) >= CALLERS // 2, "they are hung up on")
    assert any(told.startswith(b"HTTP/1.1 408 ") for told in drips.told), drips.told[:3]
    assert "可提现" in li.says("佣金")


def test_who_is_slow_alone_is_waited_for(world: World) -> None:
    """A caller on a poor line hinders nobody."""
    li = world.person("李姐")
    openid, xml, mark = li.written("佣金")
    callback = wire.callback(world.platform.keys, xml, openid)
    head = (f"POST /wechat/main?{urlencode(callback.query)} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n"
            f"Content-Length: {len(callback.body)}\r\n\r\n")
    with socket.create_connection(("127.0.0.1", world.house.port), 5) as line:
        line.sendall(head.encode())
        for at in range(0, len(callback.body), 100):
            time.sleep(0.2)
            line.sendall(callback.body[at:at + 100])
        answer = b"".join(iter(lambda: line.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    world.platform.acknowledged[mark] = openid
