"""From 提现 in the chat to the money in WeChat, over the real doors: our gateway, the simulator's WeChat Pay, its
notifications and its fund bill, with what goes wrong between them."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text
from werkzeug.serving import make_server

from bot.kit.pay import Bill, PayGateways
from bot.runtime.gateways.wechat_pay import WeChatPay
from bot.simulator import openid_for
from domain.audit import service as audit
from domain.paychannel import service as channel
from domain.payouts import queries, reconcile
from domain.shared.clock import FixedClock
from domain.shared.errors import DomainError
from domain.workflows import acts
from tests.dialogs.test_grants import granted
from tests.dialogs.test_withdrawals import held
from tests.fakes.frozen import Frozen, frozen
from tests.fakes.shop import Person, Shop

NAME = "阿珍"


@dataclass
class Street:
    """A shop that is served, the WeChat Pay beside it, and 阿珍 with 158.40 yuan to withdraw."""

    shop: Shop
    url: str
    zhen: Person

    def sim(self, path: str, **body: Any) -> Any:
        answer = requests.post(f"{self.url}/sim{path}", json=body, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def fault(self, api: str, kind: str) -> None:
        self.sim("/api/faults", api=f"pay/{api}", fault=kind, next=1)

    def bills(self) -> list[dict[str, Any]]:
        found = requests.get(f"{self.url}/sim/api/pay", timeout=10).json()["merchants"][0]["bills"]
        return list(found)

    def ask(self, fen: str = "150") -> None:
        self.zhen.says(f"提现 {fen}").sees("请阅读")
        self.zhen.says("同意").sees("真实姓名")
        self.zhen.says("张三丰").sees("实际到账")
        self.zhen.says("确认").sees("已申请提现")

    def confirm(self, at: int = 0) -> None:
        self.sim("/api/pay/confirm", openid=self.zhen.openid, out_bill_no=self.bills()[at]["out_bill_no"], take=True)

    def wait(self, seconds: int) -> None:
        """Business time moves for both sides."""
        self.sim("/clock", advance_seconds=seconds)
        self.shop.work()

    def notified(self, times: int) -> None:
        """Until so many notifications were answered; then what follows from them is done."""
        until(lambda: self.count("select coalesce(sum(times), 0) from pay_notification") >= times)
        self.shop.work()

    def count(self, sql: str) -> int:
        with self.shop.runtime.sessions() as session:
            return int(session.execute(text(sql)).scalar_one())

    @property
    def gateway(self) -> WeChatPay:
        found = self.shop.runtime.context.tool(PayGateways).by_account["main"]
        assert isinstance(found, WeChatPay)
        return found


def until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(shop: Shop, port: int) -> Iterator[Street]:
    server = make_server("127.0.0.1", port, shop.client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    zhen = Person(shop, NAME, openid_for(shop.runtime.settings.wechat["demo"].app_id, NAME))
    yield Street(shop, f"http://127.0.0.1:{port}", shop.people.setdefault(NAME, zhen))
    server.shutdown()
    thread.join()
    server.server_close()


def _zhen_earns(shop: Shop, port: int) -> None:
    with served(shop, port) as street:
        street.sim("/api/people", name=NAME)
        until(lambda: street.count("select count(*) from sim.deliveries where state = 'sending'") == 0)
    street.zhen.happens("subscribe")
    buyer = shop.person("小芳", invited_by=NAME)
    shop.paid("A1", by=buyer, fen=198_000)
    shop.received("A1")
    shop.wait(days=8)


@pytest.fixture(scope="module")
def earned(new_shop: Frozen, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    home, port = tmp_path_factory.mktemp("earned"), _free_port()
    with frozen(new_shop.postgres, home, partial(_zhen_earns, port=port), new_shop, pay_port=port) as shop:
        yield shop


@pytest.fixture
def street(earned: Frozen, tmp_path: Path, clock: FixedClock) -> Iterator[Street]:
    port = _free_port()
    with earned.shop(tmp_path, clock, pay_port=port) as shop, served(shop, port) as street:
        yield street


def test_from_the_first_word_to_the_fund_bill(street: Street) -> None:
    street.fault("notify", "five")
    street.ask()
    street.zhen.saw("¥150.00 等您确认收款")
    street.confirm()
    street.notified(5)
    street.zhen.saw("提现到账 ¥150.00")
    street.zhen.says("佣金").sees("可提现 ¥8.40", "已提现 ¥150.00")
    assert street.count("select count(*) from pay_notification where state = 'applied'") == 1
    assert street.count("select count(*) from journal where kind = 'withdrawal.paid'") == 1
    street.wait(24 * 3600)
    assert street.count("select count(*) from fund_day where open_incidents = 0 and outgo_fen = 15000") == 1
    assert street.count("select count(*) from pay_incident") == 0
    assert held(street.shop) == []


def test_an_answer_that_is_lost_pays_once(street: Street) -> None:
    street.fault("transfer", "lost")
    street.ask()
    street.wait(60)
    street.zhen.saw("¥150.00 等您确认收款")
    street.confirm()
    street.notified(1)
    street.zhen.saw("提现到账 ¥150.00")
    assert [bill["state"] for bill in street.bills()] == ["SUCCESS"], "one number, one payment"
    assert held(street.shop) == []


def test_nobody_confirms_and_the_money_is_back(street: Street) -> None:
    street.ask()
    street.wait(24 * 3600 + 60)
    street.notified(1)
    street.zhen.says("佣金").sees("可提现 ¥158.40")
    assert [bill["state"] for bill in street.bills()] == ["FAIL"]
    street.wait(2 * 24 * 3600)
    assert street.count("select count(*) from fund_day where open_incidents > 0") == 0
    assert held(street.shop) == []


def test_a_query_comes_first_and_the_notification_changes_nothing(street: Street) -> None:
    street.fault("notify", "late")
    street.ask()
    street.confirm()
    street.wait(120)
    street.zhen.saw("提现到账 ¥150.00")
    heard = len(street.zhen.heard)
    street.wait(400)
    street.notified(1)
    assert len(street.zhen.heard) == heard
    assert street.count("select count(*) from journal where kind = 'withdrawal.paid'") == 1


def test_a_wrong_amount_is_not_believed_and_stops_everything(street: Street) -> None:
    street.fault("notify", "wrong_amount")
    street.ask()
    street.confirm()
    street.notified(1)
    with street.shop.runtime.sessions() as session:
        (incident,) = channel.open_incidents(session)
        assert (incident.kind, incident.theirs_fen) == ("bill_contradicted", 15_001)
        assert queries.switch(session).stopped_at is not None
    street.wait(120)
    street.zhen.saw("提现到账 ¥150.00")
    assert held(street.shop) == [], "the query told the truth; only new payments wait"


def test_payments_that_we_forgot_come_back_through_the_fund_bill(street: Street) -> None:
    """As after the restore of an older backup: the provider paid what our books do not know."""
    street.gateway.transfer(Bill("HTforgotten", street.zhen.openid, 4_000, "推广佣金"))
    street.confirm()
    street.notified(1)
    with street.shop.runtime.sessions() as session:
        assert [one.kind for one in channel.open_incidents(session)] == ["bill_contradicted"], "told at once"
    street.ask()
    assert len(street.bills()) == 1, "nothing leaves while it is not explained"
    street.wait(24 * 3600)
    with street.shop.runtime.sessions.begin() as session:
        now = street.shop.runtime.clock.now()
        day = reconcile.business_date(now) - reconcile.timedelta(days=1)
        report = reconcile.compare(session, "main", day, street.gateway.fund_bill(day), now)
        assert [(one.kind, one.theirs_fen) for one in report.differences] == [("line_without_bill", 4_000)]
    explain_all(street)
    street.wait(60)
    assert len(street.bills()) == 2
    street.confirm()
    street.notified(2)
    street.zhen.saw("提现到账 ¥150.00")


def explain_all(street: Street) -> None:
    """Two people look at every incident. One alone, or a bare go, is not enough."""
    now = street.shop.runtime.clock.now()
    with street.shop.runtime.sessions.begin() as session:
        first = session.scalar(text("select name from operator where role = 'owner' order by id limit 1"))
        boss = audit.operator(session, first) if first else audit.add_operator(session, "boss", "owner", None, now)
        audit.add_operator(session, "asker", "owner", boss, now)
        audit.add_operator(session, "checker", "finance", boss, now)
    with street.shop.runtime.sessions.begin() as session:
        asker, checker = audit.operator(session, "asker"), audit.operator(session, "checker")
        from domain.payouts import service

        with pytest.raises(DomainError, match="incidents_open"):
            service.go(session, asker, "go on", now)
        for one in channel.open_incidents(session):
            asked = reconcile.explain(session, one.id, "restored from the backup of yesterday", asker, now)
            with pytest.raises(DomainError, match="second_person"), session.begin_nested():
                acts.decide(session, asked.id, True, asker, now)
            acts.decide(session, asked.id, True, checker, now)
        assert queries.switch(session).stopped_at is None
        day = reconcile.business_date(now) - reconcile.timedelta(days=1)
        again = reconcile.compare(session, "main", day, street.gateway.fund_bill(day), now)
        assert again.opened == 0, "what was explained does not stop us twice"


def test_a_red_packet_goes_by_the_account_for_gifts(street: Street) -> None:
    """The simulator takes scene 1000 of that merchant only, with its two items."""
    street.zhen.says("帮助")
    assert granted(street.shop, street.zhen, "red_packet", 666) == "done"
    street.zhen.saw("送您的红包 ¥6.66 到了", "/me/withdrawals/")
    main, gift = requests.get(f"{street.url}/sim/api/pay", timeout=10).json()["merchants"]
    assert (main["bills"], [one["amount_fen"] for one in gift["bills"]]) == ([], [666])
    street.sim("/api/pay/confirm", openid=street.zhen.openid, out_bill_no=gift["bills"][0]["out_bill_no"], take=True)
    street.notified(1)
    street.zhen.says("明细").sees("红包已收进微信零钱")
    street.wait(24 * 3600)
    assert street.count("select count(*) from fund_day where account = 'gift' and open_incidents = 0") == 1
    assert street.count("select count(*) from pay_incident") == 0
