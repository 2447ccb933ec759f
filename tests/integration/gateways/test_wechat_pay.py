"""WeChat Pay's gaps, one by one, against a strict peer on loopback that shares no code with the wrapper."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from bot.kit.pay import (
    BadNotification,
    Bill,
    MalformedNotification,
    PayOutcome,
    PayState,
)
from bot.runtime.gateways.pay_core import Merchant, Patience
from bot.runtime.gateways.wechat_pay import WeChatPay
from tests.fakes import pay_keys
from tests.fakes.pay_peer import (
    APP_ID,
    MCH_ID,
    Cut,
    Drips,
    PayPeer,
    Says,
    Silent,
    notification,
    signature_headers,
    unsealed,
)

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
BILL = Bill("W1B1", "oCANARYOPENID_0123456789abcd", 12_345, "推广佣金")
HASTY = Patience(connect=0.5, read=0.3, whole=0.6)


@pytest.fixture
def peer() -> Iterator[PayPeer]:
    with PayPeer() as peer:
        yield peer
        assert not peer.complaints or "wrong" in peer.complaints[0], peer.complaints


Build = Callable[..., WeChatPay]


@pytest.fixture
def build(peer: PayPeer, engine: Engine) -> Build:
    """A gateway of public-key mode; ``keys=False`` is certificate mode."""

    def make(patience: Patience | None = None, keys: bool = True, real_now: Callable[[], datetime] | None = None,
             **changes: Any) -> WeChatPay:
        merchant = Merchant(
            "main", MCH_ID, APP_ID, pay_keys.merchant().serial, pay_keys.merchant().pem, pay_keys.API_V3_KEY,
            api_base=peer.base, notify_url="https://shop.example/pay/main/notify")
        if keys:
            merchant = replace(merchant, public_key=pay_keys.platform().public_pem, public_key_id=PUBLIC_ID)
        more = {"real_now": real_now} if real_now else {}
        return WeChatPay(replace(merchant, **changes), engine, lambda: NOW, patience=patience, **more)

    return make


PUBLIC_ID = "PUB_KEY_ID_0119000001092025"


@pytest.fixture
def pay(build: Build) -> WeChatPay:
    return build()


def says(body: Any, status: int = 200, **more: Any) -> Says:
    return Says(status, body, **more)


def view(state: str, **more: Any) -> dict[str, Any]:
    return {"mch_id": MCH_ID, "appid": APP_ID, "out_bill_no": "W1B1", "transfer_bill_no": "13300001", "state": state,
            "transfer_amount": 12_345, "openid": BILL.openid, "create_time": "2026-11-20T10:00:00+08:00",
            "update_time": "2026-11-20T10:05:00+08:00", **more}


def test_a_bill_is_sent_as_scene_1005_asks(pay: WeChatPay, peer: PayPeer) -> None:
    result = pay.transfer(BILL)
    assert (result.outcome, result.view and result.view.state) == (PayOutcome.ANSWERED, PayState.WAIT_USER_CONFIRM)
    assert result.view is not None and result.view.package_info == "package"
    assert peer.heard[0].body == {
        "out_bill_no": "W1B1", "transfer_scene_id": "1005", "openid": BILL.openid, "transfer_amount": 12_345,
        "transfer_remark": "推广佣金", "appid": APP_ID, "notify_url": "https://shop.example/pay/main/notify",
        "transfer_scene_report_infos": [{"info_type": "岗位类型", "info_content": "推广员"},
                                        {"info_type": "报酬说明", "info_content": "推广商品的佣金"}]}


def test_gap_6_without_an_address_none_is_sent(build: Build, peer: PayPeer) -> None:
    build(notify_url="").transfer(BILL)
    assert "notify_url" not in peer.heard[0].body


@pytest.mark.parametrize(("change", "field"), [
    ({"out_bill_no": "W5-_"}, "out_bill_no"), ({"out_bill_no": "W" * 33}, "out_bill_no"),
    ({"out_bill_no": "提现1"}, "out_bill_no"), ({"out_bill_no": ""}, "out_bill_no"),
    ({"amount_fen": 100.5}, "amount_fen"), ({"amount_fen": 0}, "amount_fen"), ({"amount_fen": 9}, "amount_fen"),
    ({"amount_fen": True}, "amount_fen"), ({"amount_fen": -1}, "amount_fen"), ({"openid": ""}, "openid"),
    ({"openid": "o/../x"}, "openid"), ({"remark": "字" * 33}, "remark"), ({"remark": " "}, "remark"),
    ({"remark": "a\nb"}, "remark"), ({"amount_fen": 200_000}, "user_name"),
    ({"amount_fen": 20, "user_name": "张三"}, "user_name"),
])
def test_gaps_6_and_7_what_would_be_refused_is_not_sent(change: dict[str, Any], field: str, pay: WeChatPay,
                                                        peer: PayPeer) -> None:
    result = pay.transfer(replace(BILL, **change))
    assert (result.outcome, result.code) == (PayOutcome.REFUSED, "NOT_SENT")
    assert result.detail.startswith(field) and "张三" not in repr(result)
    assert not peer.heard


def test_numbers_that_are_none_do_not_reach_a_path(pay: WeChatPay, peer: PayPeer) -> None:
    for number in ("", "../x", "a?b", "W5-_"):
        assert pay.query(number).outcome == pay.cancel(number).outcome == PayOutcome.REFUSED
    assert not peer.heard


def test_a_name_leaves_sealed_and_its_key_is_named(build: Build, peer: PayPeer) -> None:
    bill = replace(BILL, amount_fen=200_000, user_name="欧阳娜娜")
    build().transfer(bill)
    build(keys=False).transfer(bill)
    by_key, by_certificate = peer.of("transfer")
    assert by_key.headers["wechatpay-serial"] == PUBLIC_ID
    assert by_certificate.headers["wechatpay-serial"] == pay_keys.platform().serial
    for heard in (by_key, by_certificate):
        assert "欧阳" not in heard.raw.decode()
        assert unsealed(pay_keys.platform().private, heard.body["user_name"]) == "欧阳娜娜"


@pytest.mark.parametrize("answer", [Silent(), Cut(), Drips()])
def test_gap_4_no_call_lasts_and_no_answer_is_unknown(answer: Any, build: Build, peer: PayPeer) -> None:
    peer.will("transfer", answer)
    began = time.monotonic()
    result = build(HASTY).transfer(BILL)
    assert result.outcome == PayOutcome.UNKNOWN and result.view is None
    assert time.monotonic() - began < 10, "not the library's for ever"


def test_nobody_there_is_unknown_too(build: Build) -> None:
    assert build(api_base="http://127.0.0.1:9").query("W1B1").outcome == PayOutcome.UNKNOWN


@pytest.mark.parametrize(("status", "code", "outcome"), [
    (400, "PARAM_ERROR", "refused"), (400, "INVALID_REQUEST", "refused"), (401, "SIGN_ERROR", "config"),
    (403, "NO_AUTH", "config"), (403, "NOT_ENOUGH", "config"), (429, "FREQUENCY_LIMIT_EXCEED", "busy"),
    (429, "RATELIMIT_EXCEEDED", "busy"), (400, "ALREADY_EXISTS", "unknown"), (500, "SYSTEM_ERROR", "unknown"),
    (400, "A_CODE_OF_NEXT_YEAR", "unknown"), (500, "PARAM_ERROR", "unknown"), (404, "NOT_FOUND", "unknown"),
    (502, None, "unknown"), (302, None, "unknown"), (400, "<script>", "unknown"),
])
def test_gap_5_an_error_is_what_the_closed_table_says_and_never_a_failure(
    status: int, code: str | None, outcome: str, pay: WeChatPay, peer: PayPeer
) -> None:
    body: Any = {"code": code, "message": f"张三 {BILL.openid}"} if code else b"<html>"
    for signed in ("yes", "no"):
        peer.will("transfer", says(body, status, signed=signed))
        result = pay.transfer(BILL)
        assert (result.outcome, result.view) == (outcome, None)
        assert "张三" not in repr(result) and BILL.openid not in repr(result)
        assert (result.retry_at is not None) == (outcome == "busy")


@pytest.mark.parametrize(("status", "code", "outcome"), [
    (404, "NOT_FOUND", "not_found"), (404, "RESOURCE_NOT_EXISTS", "not_found"), (400, "NOT_FOUND", "unknown"),
    (500, "NOT_FOUND", "unknown"),
])
def test_a_query_knows_not_found(status: int, code: str, outcome: str, pay: WeChatPay, peer: PayPeer) -> None:
    peer.will("query", says({"code": code, "message": "x"}, status))
    assert pay.query("W1B1").outcome == outcome


@pytest.mark.parametrize("answer", [
    says(view("FAIL"), signed="no"), says(view("FAIL"), signed="wrong"),
    says(view("SUCCESS"), keys=pay_keys.stranger()),
    says(view("FAIL"), at=time.time() - 4000), says(view("SUCCESS"), at=time.time() + 4000),
    says(view("SUCCESS", out_bill_no="W1B2")), says(view("SUCCESS", mch_id="1900000110")),
    says(view("SUCCESS", appid="wxother")), says(view("PAID")), says(view("SUCCESS", transfer_amount=1.0)),
    says(view("SUCCESS", transfer_amount="1")), says([]), says(b"\xff\xfe"), says(b"{"),
    says({"code": "PARAM_ERROR"}, 400, signed="wrong"), says({"code": "NOT_FOUND"}, 404, signed="wrong"),
])
def test_gaps_1_and_5_what_is_not_signed_fresh_and_about_this_bill_is_unknown(
    answer: Says, pay: WeChatPay, peer: PayPeer
) -> None:
    peer.will("query", answer)
    result = pay.query("W1B1")
    assert (result.outcome, result.view) == (PayOutcome.UNKNOWN, None)


def test_a_query_tells_everything(pay: WeChatPay, peer: PayPeer) -> None:
    peer.will("query", says(view("FAIL", fail_reason="OVERDUE_CLOSE", package_info="old")))
    found = pay.query("W1B1").view
    assert found is not None
    assert (found.state, found.amount_fen, found.openid, found.fail_reason, found.package_info) == (
        PayState.FAIL, 12_345, BILL.openid, "OVERDUE_CLOSE", "")
    assert found.at == datetime(2026, 11, 20, 2, 5, tzinfo=UTC)


def test_a_cancel_is_only_taken_down(pay: WeChatPay, peer: PayPeer) -> None:
    peer.will("cancel", says({"out_bill_no": "W1B1", "transfer_bill_no": "13300001", "state": "CANCELING",
                              "update_time": "2026-11-20T10:05:00+08:00"}))
    result = pay.cancel("W1B1")
    assert result.view is not None and result.view.state == PayState.CANCELING
    assert peer.heard[0].raw == b"" and peer.heard[0].method == "POST"


# Certificates


def test_certificates_are_fetched_once_kept_and_shared(build: Build, peer: PayPeer) -> None:
    worker, web = build(keys=False), build(keys=False)
    assert worker.transfer(BILL).outcome == worker.transfer(BILL).outcome == PayOutcome.ANSWERED
    body = notification(view("SUCCESS"))
    assert web.read_notification(signature_headers(body), body).view.state == PayState.SUCCESS
    assert len(peer.of("certificates")) == 1, "the second process reads what the first one kept"


def test_certificates_are_fetched_again_after_half_a_day(build: Build, peer: PayPeer) -> None:
    clock = [datetime.now(UTC) - timedelta(hours=13)]
    build(keys=False, real_now=lambda: clock[0]).query("W1B1")
    assert not peer.of("query"), "an answer far off our clock brings no keys, so nothing was asked"
    clock[0] = datetime.now(UTC)
    pay = build(keys=False, real_now=lambda: clock[0])
    pay.query("W1B1")
    second = pay_keys.made(0x99, private=pay_keys.platform().private)
    peer.certificates.append(second)
    clock[0] += timedelta(hours=12, seconds=1)
    peer.will("certificates", lambda heard: replace(peer_default(peer, heard), at=clock[0].timestamp()))
    pay.query("W1B1")
    assert len(pay.keys.held()) == 2 and len(peer.of("certificates")) == 3


def peer_default(peer: PayPeer, heard: Any) -> Says:
    answer = peer.default(heard)
    assert isinstance(answer, Says)
    return answer


@pytest.mark.parametrize("answer", [Silent(), Says(500, b""), Says(200, {"data": []}), Says(200, b"{"),
                                    Says(200, {"data": [{"encrypt_certificate": {}}]})])
def test_without_keys_nothing_is_sent_and_nothing_is_unknown(answer: Any, build: Build, peer: PayPeer) -> None:
    peer.will("certificates", answer)
    result = build(HASTY, keys=False).transfer(BILL)
    assert (result.outcome, bool(result.retry_at)) == (PayOutcome.BUSY, True)
    assert not peer.of("transfer")


def test_foreign_certificates_are_not_taken(build: Build, peer: PayPeer) -> None:
    """Sealed under our key but signed by somebody else; or signed by one that did not come along."""
    peer.will("certificates", lambda heard: replace(peer_default(peer, heard), keys=pay_keys.stranger()))
    pay = build(keys=False)
    assert pay.transfer(BILL).outcome == PayOutcome.BUSY
    assert not pay.keys.held()


def test_a_refused_account_asks_for_a_person(build: Build, peer: PayPeer) -> None:
    peer.will("certificates", Says(401, {"code": "SIGN_ERROR"}, signed="no"))
    assert build(keys=False).transfer(BILL).outcome == PayOutcome.CONFIG


# Notifications


@pytest.fixture
def body() -> bytes:
    return notification(view("SUCCESS"), notice_id="n-1")


def test_a_notification_is_read(pay: WeChatPay, body: bytes) -> None:
    for fold in (str, str.lower, str.upper):
        headers = {fold(name): value for name, value in signature_headers(body, serial=PUBLIC_ID).items()}
        notice = pay.read_notification(headers, body)
        assert (notice.id, notice.view.state, notice.view.amount_fen) == ("n-1", PayState.SUCCESS, 12_345)
        assert notice.sent_at == datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


def test_gap_1_a_year_old_notification_is_refused(pay: WeChatPay, body: bytes) -> None:
    for age in (-400, 301, 31_536_000):
        with pytest.raises(BadNotification, match="not fresh"):
            pay.read_notification(signature_headers(body, serial=PUBLIC_ID, at=time.time() - age), body)


def test_gap_2_an_unknown_serial_makes_nobody_call_out(build: Build, peer: PayPeer, body: bytes) -> None:
    for pay in (build(), build(keys=False)):
        for serial in ("5157F09EFDC096DE15EBE81A47057A72", "", "zz", "0", "PUB_KEY_ID_X", "字"):
            headers = signature_headers(body, Serial=serial)
            with pytest.raises(BadNotification, match=r"serial|Serial"):
                pay.read_notification(headers, body)
    assert not peer.heard


@pytest.mark.parametrize("name", ["Signature-Type", "Signature", "Timestamp", "Nonce", "Serial"])
def test_gap_3_a_missing_header_is_a_refusal(name: str, pay: WeChatPay, body: bytes) -> None:
    headers = signature_headers(body, serial=PUBLIC_ID)
    del headers[f"Wechatpay-{name}"]
    with pytest.raises(BadNotification, match=f"no Wechatpay-{name}"):
        pay.read_notification(headers, body)


@pytest.mark.parametrize("changes", [
    {"Signature": "WECHATPAY/SIGNTEST/abc"}, {"Signature": "!!!"}, {"Signature": "A" * 344}, {"Signature": "A" * 5000},
    {"Signature_Type": "WECHATPAY2-SM2-WITH-SM3"}, {"Timestamp": "now"}, {"Timestamp": "9" * 40}, {"Timestamp": "²"},
    {"Nonce": "another"},
])
def test_what_the_platform_did_not_sign_is_refused(changes: dict[str, str], pay: WeChatPay, body: bytes) -> None:
    with pytest.raises(BadNotification) as caught:
        pay.read_notification(signature_headers(body, serial=PUBLIC_ID, **changes), body)
    assert not isinstance(caught.value, MalformedNotification)


def test_a_changed_body_or_anothers_key_is_refused(pay: WeChatPay, body: bytes) -> None:
    headers = signature_headers(body, serial=PUBLIC_ID)
    for other in (body.replace(b"n-1", b"n-2"), body + b" ", b"", b"\xff"):
        with pytest.raises(BadNotification):
            pay.read_notification(headers, other)
    with pytest.raises(BadNotification, match="wrong signature"):
        pay.read_notification(signature_headers(body, pay_keys.stranger(), serial=PUBLIC_ID), body)


@pytest.mark.parametrize("body", [
    b"{}", b"[]", b"null", b"not json", notification(view("SUCCESS"), event_type="TRANSACTION.SUCCESS"),
    notification(view("SUCCESS"), resource_type="plain"), notification(view("SUCCESS"), key="f" * 32),
    notification(view("PAID")), notification(view("SUCCESS", mch_id="1900000110")),
    notification(view("SUCCESS", transfer_amount=12_345.0)), notification({"state": "SUCCESS"}),
    notification(view("SUCCESS"), resource={"algorithm": "AEAD_AES_256_GCM"}),
    notification(view("SUCCESS"), resource=[]), notification(view("SUCCESS"), notice_id="x" * 65),
    b'{"a":' * 5000,
])
def test_what_is_signed_and_still_not_as_promised_is_told_apart(body: bytes, pay: WeChatPay) -> None:
    with pytest.raises(MalformedNotification) as caught:
        pay.read_notification(signature_headers(body, serial=PUBLIC_ID), body)
    assert BILL.openid not in str(caught.value)


def test_nothing_secret_shows(build: Build) -> None:
    pay = build()
    shown = repr(pay) + repr(vars(pay)) + repr(pay._merchant) + json.dumps(str(vars(pay._client)))
    for secret in (pay_keys.API_V3_KEY, "PRIVATE KEY"):
        assert secret not in shown
