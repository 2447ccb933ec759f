"""WeChat Pay's notifications at our door: taken once, believed only about what we know, never answered with a 5xx."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from bot.kit.pay import PayGateways
from bot.runtime import pay_notify
from bot.runtime.gateways.pay_core import Merchant
from bot.runtime.gateways.wechat_pay import WeChatPay
from domain.paychannel import service as channel
from domain.payouts import queries
from domain.shared.clock import FixedClock
from tests.dialogs.test_withdrawals import earner, held
from tests.fakes import pay_keys
from tests.fakes.frozen import Frozen, frozen
from tests.fakes.pay_peer import MCH_ID, notification, signature_headers
from tests.fakes.shop import Shop

KEY_ID = "PUB_KEY_ID_0119000001092025"


class Door:
    """A shop that ``asks_for_150`` was told of, and the door that hears how it ended."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.li = shop.people["李姐"]
        (self.number,) = shop.pay.waiting()
        runtime = shop.runtime
        merchant = Merchant("main", MCH_ID, shop.pay.app_id, pay_keys.merchant().serial, pay_keys.merchant().pem,
                            pay_keys.API_V3_KEY, pay_keys.platform().public_pem, KEY_ID, api_base="http://127.0.0.1:9")
        gateways = PayGateways({"main": WeChatPay(merchant, runtime.engine, runtime.clock.now)})
        self.app = Flask("door")
        self.app.register_blueprint(pay_notify.blueprint(gateways, runtime.sessions, runtime.clock.now,
                                                         runtime.bell.ring))
        self.client: FlaskClient = self.app.test_client()

    def bill(self, state: str = "SUCCESS", **more: Any) -> dict[str, Any]:
        return {"mch_id": MCH_ID, "out_bill_no": self.number, "state": state, "transfer_amount": 15_000,
                "openid": self.li.openid, "transfer_bill_no": self.shop.pay.view(self.number).transfer_bill_no,
                "create_time": "2026-11-28T10:00:00+08:00", "update_time": "2026-11-28T10:05:00+08:00", **more}

    def hears(self, body: bytes, account: str = "main", client: FlaskClient | None = None, **headers: str) -> int:
        signed = signature_headers(body, serial=KEY_ID, **headers)
        return (client or self.client).post(f"/pay/{account}/notify", data=body, headers=signed).status_code

    def told(self) -> list[tuple[str, int, str]]:
        with self.shop.runtime.sessions() as session:
            rows = session.execute(text("select state, times, reason from pay_notification order by received_at, id"))
            return [(row.state, row.times, row.reason) for row in rows]

    def paid(self) -> int:
        with self.shop.runtime.sessions() as session:
            return int(session.execute(
                text("select count(*) from journal where kind = 'withdrawal.paid'")).scalar_one())

    def stopped(self) -> list[str]:
        with self.shop.runtime.sessions() as session:
            kinds = [one.kind for one in channel.open_incidents(session)]
            assert bool(kinds) == (queries.switch(session).stopped_at is not None)
            return kinds


def asks_for_150(shop: Shop) -> None:
    """李姐 has a bill of 150 yuan that waits for her."""
    li = earner(shop, "李姐", 198_000)
    li.says("提现 150").sees("请阅读")
    li.says("同意")
    li.says("张三丰")
    li.says("确认").sees("已申请")


@pytest.fixture(scope="module")
def asked(new_shop: Frozen, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    with frozen(new_shop.postgres, tmp_path_factory.mktemp("asked"), asks_for_150, new_shop) as shop:
        yield shop


@pytest.fixture
def door(tmp_path: Path, asked: Frozen, clock: FixedClock) -> Iterator[Door]:
    with asked.shop(tmp_path, clock) as shop:
        yield Door(shop)


def test_the_end_of_a_bill_is_taken_once_however_often_it_comes(door: Door) -> None:
    body = notification(door.bill(), notice_id="n1")
    with ThreadPoolExecutor(6) as pool:
        clients = [door.app.test_client() for _ in range(6)]
        assert list(pool.map(lambda client: door.hears(body, client=client), clients)) == [200] * 6
    assert door.hears(notification(door.bill(), notice_id="n2")) == 200, "told anew: nothing new"
    door.shop.work()
    door.li.saw("提现到账 ¥150.00")
    assert door.paid() == 1 and not door.stopped()
    assert door.told() == [("applied", 6, ""), ("applied", 1, "")]
    assert held(door.shop) == []


def test_what_is_not_our_bill_is_kept_not_believed_and_stops_paying(door: Door) -> None:
    changes: list[dict[str, Any]] = [
        {"transfer_amount": 15_001}, {"openid": "oSomebodyElse"}, {"transfer_bill_no": "13300009999"},
        {"out_bill_no": "HTunknown"}]
    for number, change in enumerate(changes, 1):
        assert door.hears(notification(door.bill(**change))) == 200
        state, _, reason = door.told()[-1]
        assert len(door.told()) == number and state == "refused" and reason
    assert door.stopped() == ["bill_contradicted", "bill_contradicted"], "one for our bill, one for the unknown"
    assert door.paid() == 0
    assert door.hears(notification(door.bill())) == 200
    assert door.paid() == 1, "what is true is still taken"


def test_an_end_after_another_end_stops_paying(door: Door) -> None:
    assert door.hears(notification(door.bill("FAIL", fail_reason="OVERDUE_CLOSE"))) == 200
    assert door.hears(notification(door.bill())) == 200
    assert door.paid() == 0 and door.stopped() == ["bill_contradicted"]


def test_strangers_are_refused_and_nothing_is_written(door: Door) -> None:
    body = notification(door.bill())
    assert door.hears(body, at=time.time() - 400) == 403  # type: ignore[arg-type]
    assert door.hears(body, Signature="WECHATPAY/SIGNTEST/x") == 403
    assert door.hears(body, Serial="5157F09EFDC096DE15EBE81A47057A72") == 403
    assert door.client.post("/pay/main/notify", data=body).status_code == 403
    assert door.client.post("/pay/main/notify").status_code == 403
    assert door.client.post("/pay/other/notify", data=body).status_code == 404
    assert door.client.get("/pay/main/notify").status_code == 405
    assert door.client.post("/pay/main/notify", data=b"x" * 70_000).status_code == 413
    assert door.told() == [] and door.paid() == 0


def test_what_is_signed_and_cannot_be_read_is_quarantined(door: Door) -> None:
    bodies = [b"{}", b"[]", b"\x00", b"{" * 3_000, notification({"state": "SUCCESS"}), notification({}, key="f" * 32)]
    for body in bodies:
        assert door.hears(body) == door.hears(body) == 200
    assert [(state, times) for state, times, _ in door.told()] == [("quarantined", 2)] * len(bodies)
    door.hears(notification(door.bill("FAIL", user_name="张三丰", openid="oSomebodyElse")))
    with door.shop.runtime.sessions() as session:
        kept = str(session.execute(text("select * from pay_notification")).all())
        kept += str(session.execute(text("select * from pay_incident")).all())
    assert "张三丰" not in kept and door.li.openid not in kept and "oSomebodyElse" not in kept, "no personal data"


ODD_FIELDS: list[dict[str, Any]] = [
    {"out_bill_no": "HT\x001"}, {"out_bill_no": "HT\ud800"}, {"out_bill_no": "9" * 10_000}, {"out_bill_no": ""},
    {"transfer_bill_no": "1330\x00"}, {"transfer_bill_no": "\udfff"}, {"transfer_bill_no": 7}, {"openid": "o\x00"},
    {"openid": "\ud800"}, {"fail_reason": "A\x00B", "state": "FAIL"}, {"fail_reason": "\ud800", "state": "FAIL"},
    {"transfer_amount": 10**30}, {"transfer_amount": 0}, {"transfer_amount": -1}, {"transfer_amount": 15_000.0},
    {"transfer_amount": "15000"}, {"transfer_amount": True}, {"state": "success"}, {"state": "\x00"}, {"state": ["x"]},
    {"mch_id": "1900000000"}, {"mch_id": None},
]
ODD_ENVELOPES: list[dict[str, Any]] = [
    {"id": "n\x00"}, {"id": "\ud800"}, {"id": "x" * 65}, {"id": ""}, {"id": None}, {"id": ["n"]},
    {"event_type": "MCHTRANSFER.BILL.\x00"}, {"event_type": ["MCHTRANSFER.BILL.FINISHED"]}, {"resource_type": "plain"},
    {"resource": None}, {"resource": []}, {"resource": {"algorithm": "AEAD_AES_256_GCM"}},
]
ODD_SEALS: list[dict[str, Any]] = [
    {"nonce": ""}, {"nonce": "1"}, {"nonce": "x" * 12}, {"nonce": "\ud800"}, {"nonce": 1}, {"nonce": "n" * 10_000},
    {"ciphertext": ""}, {"ciphertext": "%%%"}, {"ciphertext": None}, {"associated_data": "other"},
    {"associated_data": None}, {"associated_data": ["mch_payment"]}, {"algorithm": "AES"},
]


def odd_bodies(door: Door) -> Iterator[bytes]:
    for n, field in enumerate(ODD_FIELDS):
        yield notification(door.bill(**field), notice_id=f"odd{n}")
    for outer in ODD_ENVELOPES:
        yield notification(door.bill(), **outer)
    for inner in ODD_SEALS:
        content = json.loads(notification(door.bill()))
        content["resource"] |= inner
        yield json.dumps(content).encode()


def test_no_field_that_is_odd_books_anything_or_is_a_fault_of_ours(door: Door) -> None:
    for number, body in enumerate(odd_bodies(door), 1):
        assert door.hears(body) == door.hears(body) == 200, "a repeat would change nothing"
        told = door.told()
        assert len(told) == number and told[-1][0] in ("quarantined", "refused") and told[-1][1] == 2, body[:300]
    assert door.paid() == 0 and held(door.shop) == []
    assert door.hears(notification(door.bill())) == 200
    assert door.paid() == 1, "what is true is still taken"


@pytest.mark.parametrize("at", [
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1970-01-01T00:00:00+08:00", "2199-01-01T00:00:00+08:00"])
def test_a_time_that_cannot_be_is_none(door: Door, at: str) -> None:
    """The money is there all the same; the day of its tax is then the day on which we heard of it."""
    body = notification(door.bill(create_time=at, update_time=at), create_time=at)
    assert door.hears(body) == 200
    assert door.paid() == 1 and not door.stopped()
    with door.shop.runtime.sessions() as session:
        assert session.execute(text("select paid_at from transfer_bill")).scalar_one() == door.shop.clock.now()
