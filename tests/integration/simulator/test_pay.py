"""The simulator's WeChat Pay and our gateway, written apart: they understand each other, and both are strict."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine

from bot.kit.pay import BadNotification, Bill, FundBillNotReady, PayOutcome, PayState
from bot.runtime.gateways.pay_core import Merchant, Patience
from bot.runtime.gateways.wechat_pay import WeChatPay
from bot.simulator import SimMerchant
from bot.simulator.pay.bills import FIRST_BALANCE_FEN
from tests.fakes import pay_keys
from tests.integration.simulator.conftest import Client
from tests.integration.simulator.echo import ACCOUNT, Server

MCH_ID = "1900000109"
DAY = date(2026, 11, 20)


def merchant(public_key_id: str = "") -> SimMerchant:
    return SimMerchant(
        MCH_ID, ACCOUNT.app_id, ACCOUNT.account, pay_keys.merchant().serial, pay_keys.merchant().public_pem,
        pay_keys.API_V3_KEY, pay_keys.platform().pem, pay_keys.platform().certificate_pem, pay_keys.platform().serial,
        public_key_id)


@dataclass
class Till:
    """A merchant's side and a person's phone."""

    sim: Client
    pay: WeChatPay
    openid: str

    def bill(self, number: str = "HT1", fen: int = 12_345, **more: Any) -> Bill:
        return Bill(number, self.openid, fen, "推广佣金", **more)

    def state(self, number: str = "HT1") -> PayState | None:
        view = self.pay.query(number).view
        return view.state if view else None

    def fault(self, api: str, kind: str, times: int = 1, **more: Any) -> None:
        self.sim.act("/api/faults", api=f"pay/{api}", fault=kind, next=times, **more)

    def confirm(self, number: str = "HT1", take: bool = True) -> Any:
        return self.sim.post("/api/pay/confirm", openid=self.openid, out_bill_no=number, take=take)

    def notices(self, wanted: int) -> list[Any]:
        """What was notified so far, read by the gateway; waits for ``wanted`` of them."""
        heard = self.sim.echo.payments
        self.sim.wait(lambda: len(heard) >= wanted)
        return [self.pay.read_notification(*one) for one in heard]

    def card(self) -> dict[str, Any]:
        return next(one for one in self.sim.bubbles(self.openid) if one["kind"] == "transfer")["body"]


@pytest.fixture
def till(request: pytest.FixtureRequest, sim_database: str, database_url: str) -> Iterator[Till]:
    """Certificate mode; public-key mode where a test asks for it with the id of the key."""
    public_key_id = getattr(request, "param", "")
    server = Server(sim_database, merchants=(merchant(public_key_id),))
    client, engine = Client(server), create_engine(database_url)
    config = Merchant("main", MCH_ID, ACCOUNT.app_id, pay_keys.merchant().serial, pay_keys.merchant().pem,
                      pay_keys.API_V3_KEY, api_base=f"{server.url}/sim/pay", notify_url=f"{server.url}/pay/main/notify")
    if public_key_id:
        config = replace(config, public_key=pay_keys.platform().public_pem, public_key_id=public_key_id)
    pay = WeChatPay(config, engine, lambda: server.times.business, patience=Patience(3, 5, 8))
    yield Till(client, pay, client.person())
    engine.dispose()
    client.http.close()
    server.stop()


@pytest.mark.parametrize("till", ["", "PUB_KEY_ID_0119000001092025"], ids=["certificates", "key"], indirect=True)
def test_a_bill_from_the_first_call_to_the_fund_bill(till: Till) -> None:
    made = till.pay.transfer(till.bill(fen=250_000, user_name="李四"))
    assert made.view is not None and made.view.state == PayState.WAIT_USER_CONFIRM and made.view.package_info
    assert till.pay.transfer(till.bill(fen=250_000, user_name="李四")).view == made.view, "the same number is the same"
    assert till.card()["state"] == "WAIT_USER_CONFIRM" and till.card()["amount_fen"] == 250_000
    assert till.confirm().json() == {"state": "SUCCESS"}
    assert till.state() == PayState.SUCCESS and till.card()["state"] == "SUCCESS"
    (notice,) = till.notices(1)
    assert (notice.view.state, notice.view.amount_fen, notice.view.openid) == (PayState.SUCCESS, 250_000, till.openid)
    till.sim.times.advance(86_400)
    (line,) = till.pay.fund_bill(DAY)
    assert (line.voucher_no, line.amount_fen, line.income, line.balance_fen) == (
        "HT1", 250_000, False, FIRST_BALANCE_FEN - 250_000)
    assert till.confirm().status_code == 409, "nobody is paid twice"
    shown = [one["label"] for one in till.sim.get("/api/inspector")["entries"]]
    assert {"pay/transfer", "pay/query", "pay/fundflowbill", "pay/notify"} <= set(shown)


def test_nobody_confirms_and_the_money_comes_back(till: Till) -> None:
    till.pay.transfer(till.bill())
    assert till.confirm(take=False).json() == {"state": "WAIT_USER_CONFIRM"}
    till.sim.times.advance(24 * 3600 - 1)
    assert till.state() == PayState.WAIT_USER_CONFIRM
    till.sim.times.advance(1)
    view = till.pay.query("HT1").view
    assert view is not None and (view.state, view.fail_reason) == (PayState.FAIL, "OVERDUE_CLOSE")
    assert till.confirm().status_code == 409
    assert [one.view.state for one in till.notices(1)] == [PayState.FAIL]
    till.sim.times.advance(86_400)
    assert [(line.income, line.amount_fen) for line in till.pay.fund_bill(DAY + timedelta(days=1))] == [(True, 12_345)]


def test_a_cancel_before_and_after(till: Till) -> None:
    till.pay.transfer(till.bill())
    taken = till.pay.cancel("HT1").view
    assert taken is not None and taken.state == PayState.CANCELING
    assert till.state() == PayState.CANCELLED
    till.pay.transfer(till.bill("HT2"))
    till.confirm("HT2")
    assert till.pay.cancel("HT2").outcome == PayOutcome.REFUSED
    assert till.pay.cancel("HT3").outcome == till.pay.query("HT3").outcome == PayOutcome.NOT_FOUND


def test_without_money_a_bill_waits_for_the_same_number_again(till: Till) -> None:
    till.sim.act("/api/pay/empty")
    first = till.pay.transfer(till.bill()).view
    assert first is not None and first.state == PayState.PROCESSING and not first.package_info
    assert till.sim.act("/api/pay/top-up", fen=12_345) == {"balance_fen": 12_345}
    assert till.state() == PayState.PROCESSING
    second = till.pay.transfer(till.bill()).view
    assert second is not None and second.state == PayState.WAIT_USER_CONFIRM


def test_another_body_under_the_same_number_is_never_a_second_payment(till: Till) -> None:
    till.pay.transfer(till.bill())
    result = till.pay.transfer(till.bill(fen=12_346))
    assert (result.outcome, result.code) == (PayOutcome.UNKNOWN, "ALREADY_EXISTS")
    view = till.pay.query("HT1").view
    assert view is not None and view.amount_fen == 12_345


def test_lost_and_failed_answers_after_acting(till: Till) -> None:
    for number, kind in (("HT1", "lost"), ("HT2", "500_after"), ("HT3", "unsigned")):
        till.fault("transfer", kind)
        assert till.pay.transfer(till.bill(number)).outcome == PayOutcome.UNKNOWN
        assert till.state(number) == PayState.WAIT_USER_CONFIRM, "it was made all the same"
    for kind, outcome in (("429", PayOutcome.BUSY), ("500", PayOutcome.UNKNOWN), ("not_enough", PayOutcome.CONFIG)):
        till.fault("transfer", kind)
        assert till.pay.transfer(till.bill("HT4")).outcome == outcome
        assert till.pay.query("HT4").outcome == PayOutcome.NOT_FOUND


def test_notifications_never_late_five_times_wrong_and_as_a_probe(till: Till) -> None:
    heard = till.sim.echo.payments
    for number, kind in enumerate(("never", "late", "five", "wrong_amount", "probe"), 1):
        till.fault("notify", kind)
        till.pay.transfer(till.bill(f"HT{number}"))
        till.confirm(f"HT{number}")
    till.sim.wait(lambda: len(heard) >= 7)
    good, refused = [], 0
    for one in heard:
        try:
            good.append(till.pay.read_notification(*one))
        except BadNotification:
            refused += 1
    assert refused == 1, "the probe"
    told = [one.view.out_bill_no for one in good]
    assert sorted(told) == ["HT3"] * 5 + ["HT4"] and len({one.id for one in good}) == 2
    assert {one.view.amount_fen for one in good if one.view.out_bill_no == "HT4"} == {12_346}
    till.sim.times.advance(301)
    till.sim.get("/api/feed")
    till.sim.wait(lambda: len(heard) >= 8)
    assert "HT2" in [till.pay.read_notification(*one).view.out_bill_no for one in heard[7:]]


def test_a_notification_is_repeated_until_it_is_taken(till: Till) -> None:
    heard = till.sim.echo.payments
    till.sim.echo.payment_status = 503
    till.pay.transfer(till.bill())
    till.confirm()
    till.sim.wait(lambda: len(heard) == 1)
    till.sim.wait(lambda: _tries(till) == ("sending", 1, "503"))
    till.sim.echo.payment_status = 200
    till.sim.act("/clock", advance_seconds=16)
    assert {one.id for one in till.notices(2)} == {till.notices(2)[0].id}
    till.sim.wait(lambda: _tries(till)[0] == "done")
    till.sim.act("/clock", advance_seconds=86_400)
    assert len(heard) == 2
    till.sim.act("/api/pay/notify", out_bill_no="HT1")
    assert len({one.id for one in till.notices(3)}) == 2


def _tries(till: Till) -> tuple[str, int, str]:
    (bill,) = till.sim.get("/api/pay")["merchants"][0]["bills"]
    return bill["notices"][0]["state"], bill["notices"][0]["tries"], bill["notices"][0]["status"]


def test_the_platform_ends_a_bill(till: Till) -> None:
    till.pay.transfer(till.bill())
    till.sim.act("/api/pay/fail", out_bill_no="HT1", reason="REAL_NAME_CHECK_FAIL")
    view = till.pay.query("HT1").view
    assert view is not None and (view.state, view.fail_reason) == (PayState.FAIL, "REAL_NAME_CHECK_FAIL")
    assert till.sim.get("/api/pay")["merchants"][0]["balance_fen"] == FIRST_BALANCE_FEN


def test_the_fund_bill_comes_the_next_morning(till: Till) -> None:
    till.pay.transfer(till.bill())
    with pytest.raises(FundBillNotReady):
        till.pay.fund_bill(DAY)
    till.sim.times.advance(22 * 3600)
    with pytest.raises(FundBillNotReady, match="STATEMENT_CREATING"):
        till.pay.fund_bill(DAY)
    till.sim.times.advance(2 * 3600)
    assert len(till.pay.fund_bill(DAY)) == 1
    assert till.pay.fund_bill(DAY - timedelta(days=1)) == []


GOOD = {"appid": ACCOUNT.app_id, "out_bill_no": "HT1", "transfer_scene_id": "1005", "transfer_amount": 100,
        "transfer_remark": "佣金", "transfer_scene_report_infos": [
            {"info_type": "岗位类型", "info_content": "推广员"}, {"info_type": "报酬说明", "info_content": "佣金"}]}


@pytest.mark.parametrize(("change", "code"), [
    ({"out_bill_no": "W5-_"}, "PARAM_ERROR"), ({"transfer_amount": 9}, "PARAM_ERROR"),
    ({"transfer_amount": 100.0}, "PARAM_ERROR"), ({"transfer_amount": 200_000}, "PARAM_ERROR"),
    ({"notify_url": None}, "PARAM_ERROR"), ({"notify_url": "http://shop.example/x"}, "PARAM_ERROR"),
    ({"notify_url": "https://shop.example/x?a=1"}, "PARAM_ERROR"), ({"transfer_remark": "字" * 33}, "PARAM_ERROR"),
    ({"transfer_scene_report_infos": []}, "PARAM_ERROR"), ({"extra": 1}, "PARAM_ERROR"),
    ({"transfer_scene_report_infos": [{"info_type": "活动名称", "info_content": "x"}]}, "PARAM_ERROR"),
    ({"transfer_scene_id": "1000"}, "NO_AUTH"), ({"appid": "wxother"}, "APPID_MCHID_NOT_MATCH"),
    ({"openid": "oNobody"}, "INVALID_REQUEST"), ({"user_name": "张三"}, "PARAM_ERROR"),
])
def test_what_the_platform_refuses_is_refused(change: dict[str, Any], code: str, strict: Till) -> None:
    from wechatpayv3.type import RequestType

    body = {**GOOD, "openid": strict.openid, **change}
    core = strict.pay._core
    raw = core._exchange("POST", *_signed(strict, RequestType.POST, body))
    assert raw.believed and raw.json()["code"] == code


@pytest.fixture(scope="module")
def strict(postgres: Any) -> Iterator[Till]:
    from tests.integration.simulator.conftest import new_database

    with new_database(postgres) as url:
        server = Server(url, merchants=(merchant("PUB_KEY_ID_1"),))
        client, engine = Client(server), create_engine(url)
        config = Merchant("main", MCH_ID, ACCOUNT.app_id, pay_keys.merchant().serial, pay_keys.merchant().pem,
                          pay_keys.API_V3_KEY, pay_keys.platform().public_pem, "PUB_KEY_ID_1",
                          api_base=f"{server.url}/sim/pay")
        yield Till(client, WeChatPay(config, engine, lambda: server.times.business), client.person())
        engine.dispose()
        client.http.close()
        server.stop()


def _signed(till: Till, method: Any, body: Any) -> tuple[str, bytes, dict[str, str], bool]:
    """A request that our gateway would never send, signed all the same."""
    import json

    from wechatpayv3.utils import build_authorization

    raw, path = json.dumps(body), "/v3/fund-app/mch-transfer/transfer-bills"
    header = build_authorization(path, method.value, MCH_ID, pay_keys.merchant().serial, pay_keys.merchant().private,
                                 data=raw)
    return till.pay._merchant.api_base + path, raw.encode(), {
        "Authorization": header, "Content-Type": "application/json", "Accept": "application/json", "User-Agent": "x",
        "Wechatpay-Serial": "PUB_KEY_ID_1"}, False


def test_an_unsigned_stale_or_changed_request_is_nobodys(strict: Till) -> None:
    url, raw, headers, _ = _signed(strict, type("M", (), {"value": "POST"}), {**GOOD, "openid": strict.openid})
    for change in ({"Authorization": ""}, {"Authorization": "x"},
                   {"Authorization": headers["Authorization"].replace(MCH_ID, "1900000110")},
                   {"Authorization": headers["Authorization"].replace('timestamp="1', 'timestamp="0')},
                   {"Authorization": headers["Authorization"].replace('signature="', 'signature="AAAA')}):
        answer = strict.sim.http.post(url, data=raw, headers={**headers, **change}, timeout=5)
        assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")
        assert "Wechatpay-Signature" not in answer.headers
    assert strict.sim.http.post(url, data=raw + b" ", headers=headers, timeout=5).status_code == 401
