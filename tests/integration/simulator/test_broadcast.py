"""A day that ends in the middle of a broadcast, for real: the shop's own gateway against the simulated platform.

Real time cannot be moved on our side, so midnight is made where it is kept: in the hold that it ends. Both sides count
the day as if the test had begun in the morning: near the real midnight a used-up quota is soon back, and is waited for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.kit.pay import PayGateways
from bot.runtime import bootstrap, settings
from bot.runtime.app import create_app
from bot.runtime.bell import SilentBell
from bot.runtime.demo import seed_runtime
from bot.runtime.gateways.account import AccountConfig
from bot.runtime.gateways.wechat import WeChatGateway
from bot.simulator import SimAccount, SimTemplate
from domain.audit.rules import Actor
from domain.notices import broadcasts
from domain.notices import service as notices
from domain.shared.clock import FixedClock
from domain.shared.wording import Wording
from domain.subscriptions.rules import Catalogue
from tests.fakes.gateway import FakeGateway
from tests.fakes.pay import FakePay
from tests.fakes.shop import ACCOUNT, Person, Shop, studio, voice
from tests.integration.simulator.conftest import Client
from tests.integration.simulator.echo import Server

PEOPLE, A_DAY, PIECE = 14, 6, 4
BOSS = Actor("lin", "owner")
SAID = "今年的新米到了"
DAY_LEFT = timedelta(hours=14)
"""From ten in the morning to midnight."""


@dataclass
class Town:
    """A shop whose followers have phones on the simulated platform, which grants few messages a day."""

    shop: Shop
    sim: Client
    openids: list[str]

    def tell_many(self) -> None:
        with self.shop.runtime.sessions.begin() as session:
            broadcasts.start(session, "新米", SAID, "", self.shop.runtime.context.tool(Wording), BOSS,
                             self.shop.clock.now())

    def pieces(self) -> None:
        """What the clock and the workers do, in small pieces."""
        for _ in range(PEOPLE):
            with self.shop.runtime.sessions.begin() as session:
                more = broadcasts.step(session, self.shop.clock.now(), PIECE)
            self.shop.runtime.outbox.run("notice")
            if not more:
                return

    def heard(self, what: str) -> list[int]:
        bubbles = self.sim.get("/api/feed", after=0)["bubbles"]
        return [sum(what in str(one["body"]) for one in bubbles if one["openid"] == openid and one["side"] == "account")
                for openid in self.openids]

    def midnight(self) -> None:
        """The platform counts anew, and so do we; the next morning nobody sleeps any more."""
        self.sim.server.times.real_offset += timedelta(days=1)
        with self.shop.runtime.sessions.begin() as session:
            session.execute(text("delete from platform_hold"))
        self.shop.clock.advance(24 * 3_600)
        self.sim.server.times.business = self.shop.clock.now()

    def write(self) -> None:
        """Everybody writes: a window of 48 hours opens here and there."""
        for openid in self.openids:
            self.sim.act("/api/say", openid=openid, text="在吗")
            self.shop.people[openid].says("在吗")


@pytest.fixture
def town(tmp_path: Path, database_url: str, sim_database: str, clock: FixedClock) -> Iterator[Town]:
    config = settings.load({"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "HUITOU_DEMO": "1"}, tmp_path)
    own = config.wechat[ACCOUNT]
    known = SimAccount(ACCOUNT, own.app_id, own.app_secret.reveal(), "t", "k" * 43, own.original_id, "李记")
    table = Catalogue.load((bootstrap.ASSETS / "notice_templates.toml").read_text("utf-8")).templates
    server = Server(sim_database, account=known, quotas={"message/custom/send": A_DAY}, templates=tuple(
        SimTemplate(one, table[name].title, table[name].fields) for name, one in own.templates.items()))
    sim = Client(server)
    engine = bootstrap.connect(config.database_url)
    server.times.real_offset = clock.now() - datetime.now(UTC)
    own_way = AccountConfig(ACCOUNT, own.app_id, own.app_secret.reveal(), f"{server.url}/sim/weixin",
                            daily_rest=DAY_LEFT)
    gateway = WeChatGateway(own_way, engine, b"k" * 32)
    pay = FakePay(clock, "main", own.app_id)
    runtime = bootstrap.build(config, clock=clock, bell=SilentBell(), studio=studio(), voice=voice(),
                              pay=PayGateways({"main": pay}), gateways={ACCOUNT: gateway}, engine=engine)
    seed_runtime(runtime)
    shop = Shop(runtime, create_app(runtime=runtime).test_client(), FakeGateway(ACCOUNT), clock, pay=pay)
    server.times.business = clock.now()
    openids = []
    for number in range(PEOPLE):
        made = sim.act("/api/people", name=f"客{number}")["openid"]
        sim.act("/api/follow", openid=made)
        openids.append(made)
        shop.people[made] = Person(shop, made, made)
        shop.people[made].happens("subscribe")
    yield Town(shop, sim, openids)
    gateway.close()
    runtime.close()
    sim.http.close()
    server.stop()


def test_a_day_that_ends_in_the_middle_of_a_broadcast(town: Town) -> None:
    town.write()
    town.tell_many()
    town.pieces()
    assert sum(town.heard(SAID)) == A_DAY, "the platform said 45009 in the middle of the second piece"
    with town.shop.runtime.sessions() as session:
        row = session.execute(text("select state, cursor, last_person from notice_broadcast")).one()
        waiting = session.execute(text("select reason, count(*) as number from outbox where state = 'waiting'"
                                       " and payload ? 'broadcast' group by 1")).all()
    assert {one.reason for one in waiting} <= {"back_off:45009", "budget_closed"}
    assert row.state in ("running", "done")

    with town.shop.runtime.sessions.begin() as session:
        who = session.scalar(text("select person_id from identity where value = :v"), {"v": town.openids[0]})
        assert who is not None
        paid = {"no": "W1", "gross_fen": 10_000, "tax_fen": 0, "net_fen": 10_000}
        notices.tell(session, notices.Notice(who, "money", "paid", "payout.told.paid", paid), town.shop.clock.now())
    town.shop.runtime.outbox.run("notice")
    assert town.heard("提现结果通知")[0] == 1, "money goes on, as a card with a quota of its own"

    for _ in range(4):
        town.midnight()
        town.write()
        town.pieces()
        assert max(town.heard(SAID)) == 1, "nobody twice"
        if sum(town.heard(SAID)) == PEOPLE:
            break
    assert town.heard(SAID) == [1] * PEOPLE
