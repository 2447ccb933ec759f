"""A gateway against the fake platform, on a fresh database, with waits that cost no time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from bot.runtime.gateways.account import AccountConfig, RealTime
from bot.runtime.gateways.transport import Timeouts
from bot.runtime.gateways.wechat import WeChatGateway
from tests.fakes.wechat_api import WeChatApi

APP_ID, SECRET = "wxCANARYAPP", "CANARYSECRET0123456789abcdef0123"
KEY = b"k" * 32
OPENID = "oCANARYOPENID_0123456789abcd"
JPEG = b"\xff\xd8\xff" + bytes(range(256)) * 20


@dataclass
class Watch:
    """Real time that a test moves: sleeping only moves it."""

    at: datetime = datetime(2026, 11, 20, 2, 0, 30, tzinfo=UTC)
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    @property
    def real(self) -> RealTime:
        return RealTime(self.now, self.sleep, lambda: 1.0)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def peer() -> Iterator[WeChatApi]:
    with WeChatApi(APP_ID, SECRET) as peer:
        yield peer


def build(
    base: str, engine: Engine, watch: Watch, *, secret: str = SECRET, app_id: str = APP_ID, key: bytes = KEY
) -> WeChatGateway:
    config = AccountConfig("main", app_id, secret, base)
    return WeChatGateway(config, engine, key, watch.real, timeouts=Timeouts(connect=0.5, read=0.5))


@pytest.fixture
def gateway(peer: WeChatApi, engine: Engine, watch: Watch) -> Iterator[WeChatGateway]:
    gateway = build(peer.base, engine, watch)
    yield gateway
    gateway.close()
