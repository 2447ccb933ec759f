"""The fund bill (资金账单) of a day: asked for, downloaded within 30 seconds, in the platform's own columns.

Columns and rules: pay.weixin.qq.com/docs/merchant/products/bill-download/format-fundflow.html (read 2026-11-22).
"""

import gzip
import hashlib
import hmac
from datetime import date, datetime, time, timedelta

from sqlalchemy import Connection

from bot.simulator import texts
from bot.simulator.config import SimMerchant
from bot.simulator.pay.errors import PayError
from bot.simulator.store import Row, rows

MADE_FROM = time(9, 0)
KEPT_FOR = timedelta(days=92)
LIFE_SECONDS = 30


def text_of(connection: Connection, merchant: SimMerchant, asked: str, account: str, now: datetime) -> str:
    """The bill of the day ``asked``, plain. Raises PayError."""
    try:
        day = date.fromisoformat(asked)
    except ValueError:
        raise PayError(400, "PARAM_ERROR", "参数错误：bill_date") from None
    local = now.astimezone(texts.BEIJING)
    if account not in ("BASIC", "OPERATION", "FEES") or day >= local.date() or local.date() - day > KEPT_FOR:
        raise PayError(400, "PARAM_ERROR", "参数错误：bill_date 或 account_type")
    if day == local.date() - timedelta(days=1) and local.time() < MADE_FROM:
        raise PayError(400, "STATEMENT_CREATING", "账单生成中，请稍后再试")
    lines = [] if account != "OPERATION" else rows(connection, """
        select * from sim.fund_lines where mch_id = :mch_id and at >= :since and at < :until order by id""",
        mch_id=merchant.mch_id, since=datetime.combine(day, time(), texts.BEIJING),
        until=datetime.combine(day + timedelta(days=1), time(), texts.BEIJING))
    if not lines:
        raise PayError(400, "NO_STATEMENT_EXIST", "账单文件不存在")
    return _written(merchant, lines)


def _written(merchant: SimMerchant, lines: list[Row]) -> str:
    incomes = [line["amount_fen"] for line in lines if line["income"]]
    outgoes = [line["amount_fen"] for line in lines if not line["income"]]
    sums = (f"{len(lines)}.0", f"{len(incomes)}.0", _yuan(sum(incomes)), f"{len(outgoes)}.0", _yuan(sum(outgoes)))
    body = [_row((
        f"{line['at'].astimezone(texts.BEIJING):%Y-%m-%d %H:%M:%S}", line["transfer_bill_no"],
        f"{merchant.mch_id}{line['at']:%Y%m%d}{line['id']:014d}", "商家转账", line["kind"],
        "收入" if line["income"] else "支出", _yuan(line["amount_fen"]), _yuan(line["balance_fen"]),
        f"{merchant.mch_id}API", line["remark"], line["out_bill_no"])) for line in lines]
    return "\ufeff" + "\r\n".join([",".join(texts.FUND_COLUMNS), *body, ",".join(texts.FUND_SUMS), _row(sums)]) + "\r\n"


def _row(values: tuple[str, ...]) -> str:
    return ",".join(f"`{value}" for value in values)


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def token(merchant: SimMerchant, day: str, account: str, real: datetime) -> str:
    """What opens the file for the next seconds."""
    head = f"{day}.{account}.{int(real.timestamp()) + LIFE_SECONDS}"
    return f"{head}.{_seal(merchant, head)}"


def opened(merchant: SimMerchant, given: str, real: datetime) -> tuple[str, str]:
    """Day and account that a token is for. Raises PayError."""
    head, _, seal = given.rpartition(".")
    parts = head.split(".")
    if len(parts) != 3 or not hmac.compare_digest(seal, _seal(merchant, head)) or int(parts[2]) < real.timestamp():
        raise PayError(400, "INVALID_REQUEST", "下载地址无效或已过期")
    return parts[0], parts[1]


def _seal(merchant: SimMerchant, head: str) -> str:
    return hmac.new(merchant.api_v3_key.encode(), head.encode(), hashlib.sha256).hexdigest()


def sha1(text: str) -> str:
    """Of the file as it is before compression."""
    return hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 - the platform's own


def zipped(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)
