"""Reads a fund bill (资金账单) of WeChat Pay: CSV with a grave accent before each value, two lines of sums below.

Columns: pay.weixin.qq.com/docs/merchant/products/bill-download/format-fundflow.html (read 2026-11-22). The remark may
hold whatever its author wrote; the separator is the comma *with* the accent, so a comma inside a value does no harm.
"""

import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from bot.kit.pay import FundLine

SHANGHAI = ZoneInfo("Asia/Shanghai")
_COLUMNS = ("记账时间", "微信支付业务单号", "资金流水单号", "业务名称", "业务类型", "收支类型", "收支金额(元)",
            "账户结余(元)", "资金变更提交申请人", "备注", "业务凭证号")
_SUMS = ("资金流水总笔数", "收入笔数", "收入金额", "支出笔数", "支出金额")
_DIRECTIONS = {"收入": True, "支出": False}
_FEN = re.compile(r"-?[0-9]{1,13}(\.[0-9]{1,2})?")


class NotAFundBill(ValueError):
    """The text is not a whole fund bill of the day; the message names the line, never its content."""


def parse(text: str, day: date) -> list[FundLine]:
    """The lines of the bill of a Shanghai ``day``. Raises NotAFundBill when anything in it does not add up."""
    rows = [row for row in text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n") if row.strip()]
    if len(rows) < 3 or _names(rows[0]) != _COLUMNS or _names(rows[-2]) != _SUMS:
        raise NotAFundBill("the headings are not those of a fund bill")
    lines = [_line(row, number, day) for number, row in enumerate(rows[1:-2], 2)]
    _check_sums(_values(rows[-1], len(_SUMS), len(rows)), lines)
    if len({line.flow_no for line in lines}) != len(lines):
        raise NotAFundBill("a flow number is there twice")
    return lines


def _names(row: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in row.replace("（", "(").replace("）", ")").strip().rstrip(",").split(","))


def _values(row: str, wanted: int, number: int) -> list[str]:
    values = row.strip().removeprefix("`").split(",`")
    if not row.lstrip().startswith("`") or len(values) != wanted:
        raise NotAFundBill(f"line {number} has {len(values)} values, not {wanted}")
    return [value.strip() for value in values]


def _line(row: str, number: int, day: date) -> FundLine:
    values = _values(row, len(_COLUMNS), number)
    when, business_no, flow_no, business, kind, direction, amount, balance, _, note, voucher_no = values
    try:
        at = datetime.strptime(when, "%Y-%m-%d %H:%M:%S").replace(tzinfo=SHANGHAI)
    except ValueError:
        raise NotAFundBill(f"line {number} has no time") from None
    if at.date() != day or direction not in _DIRECTIONS or not flow_no:
        raise NotAFundBill(f"line {number} is of another day, or has no direction or number")
    fen = _fen(amount, number)
    if fen <= 0:
        raise NotAFundBill(f"line {number} moves nothing")
    return FundLine(at, business_no, flow_no, business, kind, _DIRECTIONS[direction], fen, _fen(balance, number),
                    voucher_no, note)


def _fen(yuan: str, number: int) -> int:
    if not _FEN.fullmatch(yuan):
        raise NotAFundBill(f"line {number} has no amount")
    return int(Decimal(yuan) * 100)


def _check_sums(told: list[str], lines: list[FundLine]) -> None:
    incomes = [line.amount_fen for line in lines if line.income]
    outgoes = [line.amount_fen for line in lines if not line.income]
    ours = (len(lines), len(incomes), sum(incomes), len(outgoes), sum(outgoes))
    try:
        total, income_count, income, outgo_count, outgo = (Decimal(value) for value in told)
    except InvalidOperation:
        raise NotAFundBill("the sums are no numbers") from None
    if tuple(map(Decimal, ours)) != (total, income_count, income * 100, outgo_count, outgo * 100):
        raise NotAFundBill("the sums below do not fit the lines: the bill is not whole")
