"""A gateway against the fake platform, on a fresh database, with waits that cost no time."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, create_engine, text

from bot.runtime import embedded
from bot.runtime.gateways.account import AccountConfig, RealTime
from bot.runtime.gateways.lines import Timeouts
from bot.runtime.gateways.wechat import WeChatGateway
from tests.fakes.wechat_api import Drip, Fault, Hang, WeChatApi

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
        return RealTime(self.now, self.sleep, lambda: 1.0, believes=timedelta(0))


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def peer() -> Iterator[WeChatApi]:
    with WeChatApi(APP_ID, SECRET) as peer:
        yield peer


HASTY = Timeouts(connect=0.4, read=0.4)
"""For answers that never come. Everything else keeps the timeouts of production, so that a busy machine may dawdle."""


def build(
    base: str,
    engine: Engine,
    watch: Watch,
    *,
    secret: str = SECRET,
    key: bytes = KEY,
    timeouts: Timeouts | None = None,
) -> WeChatGateway:
    return WeChatGateway(AccountConfig("main", APP_ID, secret, base), engine, key, watch.real, timeouts=timeouts)


@pytest.fixture
def gateway(peer: WeChatApi, engine: Engine, watch: Watch) -> Iterator[WeChatGateway]:
    gateway = build(peer.base, engine, watch)
    yield gateway
    gateway.close()


@pytest.fixture
def patient(peer: WeChatApi, engine: Engine, watch: Watch) -> Iterator[Callable[[Fault], WeChatGateway]]:
    """The gateway for a fault: one that soon gives up where no answer will come."""
    built: list[WeChatGateway] = []

    def choose(fault: Fault) -> WeChatGateway:
        built.append(build(peer.base, engine, watch, timeouts=HASTY if isinstance(fault, Hang | Drip) else None))
        return built[-1]

    yield choose
    for gateway in built:
        gateway.close()


@pytest.fixture(scope="package")
def shared_engine(postgres: embedded.Server) -> Iterator[Engine]:
    """One database for the many small tests here; ``engine`` empties it."""
    name = f"gateways_{os.getpid()}"
    admin = create_engine(postgres.url.replace("/huitou?", "/postgres?"), isolation_level="AUTOCOMMIT")
    with admin.connect() as db:
        db.execute(text(f"create database {name} template huitou strategy file_copy"))
    engine = create_engine(postgres.url.replace("/huitou?", f"/{name}?"), pool_size=20, max_overflow=40)
    yield engine
    engine.dispose()
    with admin.connect() as db:
        db.execute(text(f"drop database {name} with (force)"))
    admin.dispose()


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    with shared_engine.begin() as db:
        for table in ("platform_token", "platform_ticket", "platform_hold", "platform_media", "send_right",
                      "pay_certificate"):
            db.execute(text(f"delete from {table}"))
    return shared_engine
