"""A poster while the platform refuses customer messages, for real: the shop's gateway, the simulator's fault switch.

What the platform has said is in the holds then, so nobody is promised seconds who asks later.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.kit.pay import PayGateways
from bot.runtime import bootstrap, settings
from bot.runtime.app import create_app
from bot.runtime.bell import SilentBell
from bot.runtime.demo import seed_runtime
from bot.runtime.gateways.account import AccountConfig, RealTime
from bot.runtime.gateways.wechat import WeChatGateway
from bot.simulator import SimAccount
from domain.shared.clock import FixedClock
from tests.fakes.gateway import FakeGateway
from tests.fakes.pay import FakePay
from tests.fakes.shop import ACCOUNT, Person, Shop, voice
from tests.fakes.sketches import sketch_studio
from tests.integration.simulator.conftest import Client
from tests.integration.simulator.echo import Server

SEND = "message/custom/send"


@dataclass
class Street:
    """A shop on the simulated platform, and two who follow it."""

    shop: Shop
    sim: Client
    li: Person
    wang: Person

    def asks(self, person: Person, words: str = "海报 2") -> str | bytes:
        """What the answer to these words is; then the workers do their work."""
        self.sim.act("/api/say", openid=person.openid, text=words)
        person.says(words)
        return person.heard[-1]

    def pictures(self, person: Person) -> int:
        """That were pushed to this phone."""
        bubbles = self.sim.get("/api/feed", after=0)["bubbles"]
        return sum(one["openid"] == person.openid and one["side"] == "account" and one["kind"] == "image"
                   for one in bubbles)

    def orders(self) -> list[str]:
        """The state of each poster that was asked for."""
        with self.shop.runtime.sessions() as session:
            return list(session.scalars(text("select state from outbox where kind = 'poster.make'")))

    def fault(self, api: str, kind: str) -> None:
        self.sim.act("/api/faults", api=api, fault=kind)

    def mended(self) -> None:
        """The switch is off, and real time has passed."""
        self.sim.act("/api/faults", off="all")
        with self.shop.runtime.sessions.begin() as session:
            session.execute(text("delete from platform_hold"))


@pytest.fixture
def street(tmp_path: Path, database_url: str, sim_database: str, clock: FixedClock) -> Iterator[Street]:
    config = settings.load({"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "HUITOU_DEMO": "1"}, tmp_path)
    own = config.wechat[ACCOUNT]
    server = Server(sim_database, account=SimAccount(ACCOUNT, own.app_id, own.app_secret.reveal(), "t", "k" * 43,
                                                     own.original_id, "李记"))
    sim = Client(server)
    engine = bootstrap.connect(config.database_url)
    way = AccountConfig(ACCOUNT, own.app_id, own.app_secret.reveal(), f"{server.url}/sim/weixin",
                        daily_rest=timedelta(hours=6))
    gateway = WeChatGateway(way, engine, b"k" * 32, RealTime(believes=timedelta(0)))
    pay = FakePay(clock, "main", own.app_id)
    runtime = bootstrap.build(config, clock=clock, bell=SilentBell(), studio=sketch_studio(), voice=voice(),
                              pay=PayGateways({"main": pay}), gateways={ACCOUNT: gateway}, engine=engine)
    seed_runtime(runtime)
    shop = Shop(runtime, create_app(runtime=runtime).test_client(), FakeGateway(ACCOUNT), clock, pay=pay)
    server.times.business = clock.now()
    people = []
    for name in ("李姐", "王姐"):
        openid = sim.act("/api/people", name=name)["openid"]
        sim.act("/api/follow", openid=openid)
        people.append(shop.people.setdefault(openid, Person(shop, name, openid)).happens("subscribe"))
    yield Street(shop, sim, *people)
    gateway.close()
    runtime.close()
    engine.dispose()
    sim.http.close()
    server.stop()


def test_while_the_days_messages_are_used_up_the_picture_is_the_answer(street: Street) -> None:
    street.fault(SEND, "45009")
    assert "约 3 秒" in street.asks(street.li), "nobody has been refused yet"
    told = street.asks(street.wang)
    assert "约 3 秒" not in told
    assert "再回复一次「海报」" in told
    for person in (street.li, street.wang):
        media_id = street.asks(person, "海报")
        assert isinstance(media_id, bytes)
        with street.shop.runtime.sessions() as session:
            assert session.scalar(text("select count(*) from platform_media where media_id = :id"),
                                  {"id": media_id.decode()}) == 1
    street.mended()
    street.shop.wait(hours=7)
    assert [street.pictures(street.li), street.pictures(street.wang)] == [0, 0], "nobody gets a second one"
    assert "约 3 秒" in street.asks(street.li, "海报 1")
    assert street.pictures(street.li) == 1


def test_who_does_not_ask_again_gets_it_when_the_quota_is_back(street: Street) -> None:
    street.fault(SEND, "45009")
    street.asks(street.li)
    street.mended()
    street.shop.wait(hours=7)
    assert street.pictures(street.li) == 1


@pytest.mark.parametrize("api", ["stable_token", "*"])
def test_an_address_that_is_not_listed_keeps_every_wish(street: Street, api: str) -> None:
    street.fault(api, "40164")
    with street.shop.runtime.sessions.begin() as session:
        session.execute(text("delete from platform_token"))
    street.asks(street.li)
    told = street.asks(street.wang)
    assert "约 3 秒" not in told
    assert "不会漏掉" in told
    assert "记下了" in street.asks(street.li, "海报")
    assert len(street.orders()) == 2
    street.mended()
    street.shop.wait(minutes=10)
    assert [street.pictures(street.li), street.pictures(street.wang)] == [1, 1]
