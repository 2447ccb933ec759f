"""A month as people see it: the estimate, the ranking, the close, the statement in chat, on the page and as a file."""

import csv
import io
import re

import pytest

from tests.dialogs.test_withdrawals import agreed
from tests.fakes.shop import Shop

DAYS_TO_DECEMBER = 10.7


def link_in(said: str) -> str:
    found = re.search(r"https?://\S+?(/me/statements/\S+)", said)
    assert found, said
    return found[1]


def test_a_month_from_estimate_to_statement(shop: Shop) -> None:
    li = shop.person("李姐")
    wang, xin = shop.person("小王", invited_by="李姐"), shop.person("新客", invited_by="李姐")
    shop.paid("A1", by=xin, fen=4_900_000)
    shop.paid("A2", by=wang, fen=300_000)
    li.says("佣金").sees("本月直销 ¥52000.00，阶梯奖预计 ¥2660.00")
    shop.refunded("A2", fen=250_000)
    li.says("佣金").sees("本月直销 ¥49500.00，阶梯奖预计 ¥2475.00", "再卖 ¥500.00，超出部分按 8% 计")
    shop.refunded("A1", fen=0)
    li.says("排行").sees("🥇 李*（我）", "¥49500.00", "第 1 名（共 1 人上榜）")
    wang.says("排行").sees("🥇 李*　¥49500.00", "您本月还没有销售")
    li.says("本月明细").sees("最近的收益明细")
    li.says("11月账单").sees("2026年11月账单（进行中）", "期初 ¥0.00", "收入 ¥4160.00", "退款扣回 ¥200.00",
                          "期末 ¥3960.00")

    shop.wait(days=DAYS_TO_DECEMBER)  # ten to three at night: the news waits for the morning, and for a word of hers
    shop.wait(hours=7)
    li.says("上个月明细").sees("2026年11月账单\n", "收入 ¥6635.00", "期末 ¥6435.00", "阶梯奖合计 ¥2475.00", "2026-11")
    li.saw("2026年11月结算完成", "阶梯奖 ¥2475.00", "¥49500.00 × 5% = ¥2475.00")

    shop.refunded("A2", fen=50_000)
    shop.wait(minutes=6)
    li.saw("2026年11月阶梯奖调整 -¥25.00，该月合计 ¥2450.00", "有退款")
    li.says("明细 11月").sees("期末 ¥6435.00")
    li.says("明细 12月").sees("期初 ¥6435.00", "退款扣回 ¥65.00", "期末 ¥6370.00", "月结调整 2026-11")
    li.says("明细 三月").sees("2026年3月没有收支记录")

    shop.wait(days=8)
    li.says("佣金").sees("可提现 ¥2450.00").saw("2026年11月阶梯奖可提现了：¥2450.00")


def test_an_adjustment_tells_what_is_under_way_from_what_was_paid(shop: Shop) -> None:
    """Base and ladder of one order: a return takes more than is there while 200 yuan wait for a tap."""
    li = shop.person("李姐")
    shop.paid("A1", by=shop.person("新客", invited_by="李姐"), fen=200_000)
    shop.received("A1")
    shop.wait(days=DAYS_TO_DECEMBER)
    shop.wait(days=8)
    shop.wait(hours=7)
    li.says("佣金").sees("可提现 ¥260.00")
    agreed(li, "提现 200").says("确认").sees("已申请提现 ¥200.00")
    shop.refunded("A1", fen=60_000)
    shop.wait(minutes=6)
    li.saw("阶梯奖调整 -¥30.00", "其中 ¥18.00 正在提现中、还没到账")
    assert not any("此前已提现" in str(said) for said in li.heard), "nothing was"
    shop.wait(minutes=2)
    li.says("佣金").sees("可提现 ¥182.00")


def test_the_statement_is_a_page_and_a_file(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    shop.paid("=1+1", by=xin, fen=10_000)
    li.says("账单 2026年11月")
    said = li.heard[-1]
    assert isinstance(said, str)
    address = link_in(said)
    page = shop.client.get(address)
    assert page.status_code == 200
    for part in ("2026年11月账单", "进行中", "+¥8.00", "佣金（待结算）", "· =1+1<", "期末余额"):
        assert part in page.text
    file = shop.client.get(f"{address}&as=csv")
    assert file.headers["Content-Disposition"].endswith("2026-11.csv") and file.data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(file.data.decode("utf-8-sig"))))
    assert rows[0][-1] == "金额（元）" and rows[1][-1] == "0.00" and rows[-1][-1] == "8.00"
    assert rows[2][2:] == ["收入", "佣金（待结算）", "'=1+1", "8.00"]
    for wrong in ("2026-13", "2027-01", "x", "2026-1"):
        assert shop.client.get(address.replace("2026-11", wrong, 1)).status_code == 404
    assert shop.client.get(address.replace("t=", "t=x")).status_code == 403


def test_nobody_has_sold_yet(shop: Shop) -> None:
    shop.person("李姐").says("排行").sees("本月还没有人开单")


@pytest.mark.parametrize(("said", "month"), [
    ("25年1月账单", "2025年1月"), ("明细 25年1月", "2025年1月"), ("去年10月账单", "2025年10月"),
    ("明细 去年十月", "2025年10月"), ("今年3月明细", "2026年3月"), ("前年2月份账单", "2024年2月"),
    ("1月账单", "2026年1月"), ("明细 2025-01", "2025年1月")])
def test_a_year_is_heard_however_it_is_said(shop: Shop, said: str, month: str) -> None:
    shop.person("李姐").says(said).sees(f"{month}没有收支记录")


def test_a_month_that_no_year_has_is_not_another(shop: Shop) -> None:
    shop.person("李姐").says("明细 25年13月").sees("没有「25年13月」这个月")
