"""WeChat Pay's fund bill, read to the fen or not at all, from the strict peer on loopback."""

from datetime import UTC, date, datetime

import pytest

from bot.kit.pay import FundBillNotReady
from bot.runtime.gateways.wechat_pay import WeChatPay
from tests.fakes.pay_peer import PayPeer, Says
from tests.integration.gateways.test_wechat_pay import build, pay, peer, says

__all__ = ["build", "pay", "peer"]
DAY = date(2026, 11, 19)
HEAD = ("记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额（元）,账户结余（元）,"
        "资金变更提交申请人,备注,业务凭证号")
SUMS = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
LINES = ("`2026-11-19 10:00:00,`13300001,`F1,`商家转账,`转账,`支出,`123.45,`876.55,`1900000109API,`佣金,十一月,`W1B1",
         "`2026-11-19 11:00:00,`13300002,`F2,`商家转账,`退回,`收入,`0.10,`876.65,`system,`,`W1B2")


def fund_text(*lines: str, sums: str = "`2.0,`1.0,`0.10,`1.0,`123.45", end: str = "\r\n") -> str:
    return "\ufeff" + end.join((HEAD, *lines, SUMS, sums)) + end


def test_the_fund_bill_is_read_to_the_fen(pay: WeChatPay, peer: PayPeer) -> None:
    peer.offers_bill(fund_text(*LINES))
    paid, back = pay.fund_bill(DAY)
    assert (paid.voucher_no, paid.flow_no, paid.amount_fen, paid.income, paid.balance_fen, paid.note) == (
        "W1B1", "F1", 12_345, False, 87_655, "佣金,十一月")
    assert paid.at == datetime(2026, 11, 19, 2, 0, tzinfo=UTC)
    assert (back.voucher_no, back.amount_fen, back.income) == ("W1B2", 10, True)
    asked = peer.of("fundflowbill")[0].path
    assert asked == "/v3/bill/fundflowbill?bill_date=2026-11-19&account_type=OPERATION&tar_type=GZIP"


@pytest.mark.parametrize("text", [
    fund_text(*LINES, sums="`1.0,`1.0,`0.10,`1.0,`123.45"), fund_text(LINES[0]), fund_text(LINES[0], LINES[0]),
    fund_text(*LINES).replace("2026-11-19", "2026-11-18"), fund_text(*LINES).replace("`支出", "`其他"),
    fund_text(*LINES).replace("`123.45,", "`123.456,"), fund_text(*LINES).replace("`0.10,`876", "`-0.10,`876"),
    fund_text(*LINES).replace("业务凭证号", "凭证"), HEAD, "", "<html>",
])
def test_a_bill_that_does_not_add_up_is_not_taken(text: str, pay: WeChatPay, peer: PayPeer) -> None:
    peer.offers_bill(text)
    with pytest.raises(FundBillNotReady):
        pay.fund_bill(DAY)


def test_a_bill_is_taken_whole_or_not_at_all(pay: WeChatPay, peer: PayPeer) -> None:
    for changes in ({"hash_value": "0" * 40}, {"hash_type": "MD5"}, {"download_url": "https://evil.example/x"},):
        peer.script.clear()
        peer.offers_bill(fund_text(*LINES), **changes)
        with pytest.raises(FundBillNotReady):
            pay.fund_bill(DAY)
    for raw in (b"", b"plain", b"\x1f\x8b\x08\x00broken"):
        peer.script.clear()
        peer.offers_bill(fund_text(*LINES))
        peer.script["billdownload"][0] = Says(body=raw, signed="no")
        with pytest.raises(FundBillNotReady):
            pay.fund_bill(DAY)
    assert all(heard.headers["host"].startswith("127.0.0.1") for heard in peer.heard)


def test_an_unsigned_address_is_not_followed(pay: WeChatPay, peer: PayPeer) -> None:
    peer.will("fundflowbill", Says(body={"hash_type": "SHA1"}, signed="no"))
    with pytest.raises(FundBillNotReady):
        pay.fund_bill(DAY)
    assert not peer.of("billdownload")


def test_a_quiet_day_is_empty_and_a_bill_in_the_making_is_asked_for_later(pay: WeChatPay, peer: PayPeer) -> None:
    peer.will("fundflowbill", says({"code": "NO_STATEMENT_EXIST"}, 400), says({"code": "STATEMENT_CREATING"}, 400))
    assert pay.fund_bill(DAY) == []
    with pytest.raises(FundBillNotReady, match="STATEMENT_CREATING"):
        pay.fund_bill(DAY)
