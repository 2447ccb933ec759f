"""Bills of the merchant transfer: what makes one, the states it goes through, and the merchant's money behind it.

Functions take an open Connection and never commit. ``now`` is business time: a bill that nobody confirms closes
after 24 hours of it. States and refusals: pay.weixin.qq.com/docs/merchant/apis/mch-trans/transfer-bill.
"""

import hashlib
import json
import re
import secrets
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection

from bot.simulator import people, texts
from bot.simulator.config import SimMerchant
from bot.simulator.pay import crypto
from bot.simulator.pay.errors import PayError
from bot.simulator.store import Row, dump, row, rows, run

FIRST_BALANCE_FEN = 1_000_000
MIN_FEN, MAX_FEN, NAME_FROM_FEN, NAME_ALLOWED_FEN = 10, 20_000_000, 200_000, 30
OPEN_FOR = timedelta(hours=24)
FORGOTTEN_AFTER = timedelta(days=30)
SCENES = {"1005": ["岗位类型", "报酬说明"], "1000": ["活动名称", "奖励说明"]}
FINAL = ("SUCCESS", "FAIL", "CANCELLED")
_NUMBER = re.compile(r"[0-9A-Za-z]{1,32}")
_NEEDED = {"appid": str, "out_bill_no": str, "transfer_scene_id": str, "openid": str, "transfer_amount": int,
           "transfer_remark": str, "transfer_scene_report_infos": list}
_ALLOWED = {"user_name": str, "notify_url": str, "user_recv_perception": str}


def make(connection: Connection, merchant: SimMerchant, body: Any, now: datetime) -> tuple[Row, bool]:
    """Take a bill down, or find the one of the same number; whether it is new or moved. Raises PayError."""
    wanted = _checked(connection, merchant, body)
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    made = row(connection, """
        insert into sim.transfers (mch_id, out_bill_no, transfer_bill_no, digest, app_id, openid, amount_fen, remark,
            user_name, notify_url, state, created_at, updated_at)
        values (:mch_id, :number, :theirs, :digest, :appid, :openid, :amount, :remark, :name, :url, 'ACCEPTED', :now,
            :now) on conflict do nothing returning *""",
        mch_id=merchant.mch_id, number=wanted["out_bill_no"], digest=digest, appid=wanted["appid"],
        theirs=f"1330000{now:%Y%m%d}{secrets.randbelow(10**16):016d}", openid=wanted["openid"],
        amount=wanted["transfer_amount"], remark=wanted["transfer_remark"], name=wanted["user_name"],
        url=wanted["notify_url"], now=now)
    bill = made or get(connection, merchant.mch_id, wanted["out_bill_no"])
    if bill["digest"] != digest:
        raise PayError(400, "ALREADY_EXISTS", "商户单号已存在，且与原请求参数不一致")
    return reserve(connection, bill, now) if bill["state"] in ("ACCEPTED", "PROCESSING") else (bill, False)


def _checked(connection: Connection, merchant: SimMerchant, body: Any) -> dict[str, Any]:
    """The request's values, the name in plain. Raises PayError 400 for the first fault."""
    known = _NEEDED | _ALLOWED
    if not isinstance(body, dict) or set(body) - set(known) or set(_NEEDED) - set(body) or any(
            type(body[name]) is not kind for name, kind in known.items() if name in body):
        raise PayError(400, "PARAM_ERROR", "参数错误：缺少、多余或类型不对的字段")
    amount = body["transfer_amount"]
    infos = [one for one in body["transfer_scene_report_infos"] if isinstance(one, dict)]
    faults = {
        "out_bill_no": not _NUMBER.fullmatch(body["out_bill_no"]),
        "transfer_amount": not MIN_FEN <= amount <= MAX_FEN,
        "transfer_remark": not 1 <= len(body["transfer_remark"]) <= 32,
        "user_name": (amount >= NAME_FROM_FEN) > ("user_name" in body) or (
            "user_name" in body and amount < NAME_ALLOWED_FEN),
        "notify_url": "notify_url" in body and not _is_address(body["notify_url"]),
        "transfer_scene_report_infos": [one.get("info_type") for one in infos] != SCENES[merchant.scene] or any(
            set(one) != {"info_type", "info_content"} or not 1 <= len(str(one["info_content"])) <= 32 for one in infos),
    }
    if body["transfer_scene_id"] != merchant.scene:
        raise PayError(403, "NO_AUTH", "未开通该转账场景")
    for name, wrong in faults.items():
        if wrong:
            raise PayError(400, "PARAM_ERROR", f"参数错误：{name}")
    if body["appid"] != merchant.app_id:
        raise PayError(400, "APPID_MCHID_NOT_MATCH", "商户号与appid不匹配")
    if people.find(connection, body["openid"], account=merchant.account_of_people) is None:
        raise PayError(400, "INVALID_REQUEST", "openid与appid不匹配")
    try:
        name = crypto.unseal_name(merchant.platform_key, body["user_name"]) if "user_name" in body else ""
    except ValueError:
        raise PayError(400, "PARAM_ERROR", "user_name 解密失败") from None
    return {**body, "user_name": name, "notify_url": body.get("notify_url", "")}


def _is_address(url: str) -> bool:
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "localhost")
    return (parts.scheme == "https" or (parts.scheme == "http" and local)) and not parts.query and len(url) <= 256


def reserve(connection: Connection, bill: Row, now: datetime) -> tuple[Row, bool]:
    """Take the money out of the merchant's account; without enough of it the bill stays PROCESSING."""
    if not move(connection, bill, now, income=False):
        return _state(connection, bill, "PROCESSING", now), bill["state"] != "PROCESSING"
    waiting = _state(connection, bill, "WAIT_USER_CONFIRM", now, package=secrets.token_urlsafe(40))
    card = people.say(connection, bill["openid"], "system", "transfer", _card(waiting), now)
    run(connection, "update sim.transfers set bubble_id = :card where transfer_bill_no = :no", card=card,
        no=bill["transfer_bill_no"])
    return {**waiting, "bubble_id": card}, True


def move(connection: Connection, bill: Row, now: datetime, *, income: bool) -> bool:
    """Money out of or back to the merchant's account, with its line in the fund bill; False when it lacks."""
    amount = bill["amount_fen"] if income else -bill["amount_fen"]
    balance(connection, bill["mch_id"])
    left = row(connection, """
        update sim.merchants set balance_fen = balance_fen + :amount
        where mch_id = :mch_id and balance_fen + :amount >= 0 returning balance_fen""",
        mch_id=bill["mch_id"], amount=amount)
    if left is None:
        return False
    run(connection, """
        insert into sim.fund_lines (mch_id, at, transfer_bill_no, kind, income, amount_fen, balance_fen, remark,
            out_bill_no) values (:mch_id, :now, :theirs, :kind, :income, :amount, :left, :remark, :number)""",
        mch_id=bill["mch_id"], now=now, theirs=bill["transfer_bill_no"], income=income, amount=bill["amount_fen"],
        kind="转账退回" if income else "转账", left=left["balance_fen"], remark=bill["remark"],
        number=bill["out_bill_no"])
    return True


def balance(connection: Connection, mch_id: str, add_fen: int = 0) -> int:
    """What the merchant has, after ``add_fen`` was topped up. Opens the account with its first money."""
    run(connection, "insert into sim.merchants values (:mch_id, :first) on conflict do nothing", mch_id=mch_id,
        first=FIRST_BALANCE_FEN)
    found = row(connection, "update sim.merchants set balance_fen = balance_fen + :add where mch_id = :mch_id "
                "returning balance_fen", mch_id=mch_id, add=add_fen)
    return int(found["balance_fen"]) if found else 0


def get(connection: Connection, mch_id: str, number: str) -> Row:
    """The bill, locked. Raises PayError 404."""
    found = row(connection, "select * from sim.transfers where mch_id = :mch_id and out_bill_no = :number for update",
                mch_id=mch_id, number=number)
    if found is None:
        raise PayError(404, "NOT_FOUND", "记录不存在")
    return found


def query(connection: Connection, mch_id: str, number: str, now: datetime) -> Row:
    """As ``get``; the platform forgets after 30 days."""
    bill = get(connection, mch_id, number)
    if now - bill["created_at"] > FORGOTTEN_AFTER:
        raise PayError(404, "NOT_FOUND", "记录不存在")
    return bill


def cancel(connection: Connection, mch_id: str, number: str, now: datetime) -> Row:
    """Note the wish; the sweep ends the bill. Raises PayError when it is too late."""
    bill = query(connection, mch_id, number, now)
    if bill["state"] not in ("ACCEPTED", "PROCESSING", "WAIT_USER_CONFIRM", "CANCELING"):
        raise PayError(400, "INVALID_REQUEST", "当前单据状态不允许撤销")
    return _state(connection, bill, "CANCELING", now)


def confirm(connection: Connection, mch_id: str, number: str, now: datetime) -> Row | None:
    """The person takes the money; None when the bill does not wait for them (any more)."""
    bill = get(connection, mch_id, number)
    if bill["state"] != "WAIT_USER_CONFIRM" or now - bill["created_at"] >= OPEN_FOR:
        return None
    return _state(connection, bill, "SUCCESS", now)


def fail(connection: Connection, bill: Row, reason: str, now: datetime) -> Row:
    """The platform ends a bill that waits; the money goes back."""
    move(connection, bill, now, income=True)
    return _state(connection, bill, "FAIL", now, reason=reason)


def close_old(connection: Connection, now: datetime) -> list[Row]:
    """What time and wishes end: unconfirmed bills of yesterday, cancelled ones. Returns the bills that ended."""
    ended = []
    for bill in rows(connection, """
            select * from sim.transfers where state = 'CANCELING'
               or (state = 'WAIT_USER_CONFIRM' and created_at <= :old) order by position for update skip locked""",
            old=now - OPEN_FOR):
        if bill["state"] == "WAIT_USER_CONFIRM":
            ended.append(fail(connection, bill, "OVERDUE_CLOSE", now))
            continue
        if bill["package"] or _has_left(connection, bill):
            move(connection, bill, now, income=True)
        ended.append(_state(connection, bill, "CANCELLED", now))
    return ended


def _has_left(connection: Connection, bill: Row) -> bool:
    return row(connection, "select 1 as one from sim.fund_lines where transfer_bill_no = :no limit 1",
               no=bill["transfer_bill_no"]) is not None


def _state(connection: Connection, bill: Row, state: str, now: datetime, *, reason: str = "",
           package: str = "") -> Row:
    run(connection, """
        update sim.transfers set state = :state, fail_reason = :reason, package = :package,
            updated_at = case when state = :state then updated_at else :now end where transfer_bill_no = :no""",
        state=state, reason=reason, package=package, now=now, no=bill["transfer_bill_no"])
    changed = {**bill, "state": state, "fail_reason": reason, "package": package,
               "updated_at": bill["updated_at"] if bill["state"] == state else now}
    if bill["bubble_id"] is not None:
        run(connection, "update sim.bubbles set body = cast(:body as jsonb) where id = :id", id=bill["bubble_id"],
            body=dump(_card(changed)))
    return changed


def _card(bill: Row) -> dict[str, Any]:
    """What the phone shows of a bill."""
    return {"mch_id": bill["mch_id"], "out_bill_no": bill["out_bill_no"], "amount_fen": bill["amount_fen"],
            "remark": bill["remark"], "state": bill["state"], "content": texts.TRANSFER_CARD}


def told(bill: Row, mch_id: str, *, create: bool = False) -> dict[str, Any]:
    """A bill as the platform writes it in answers and notifications."""
    head = {"out_bill_no": bill["out_bill_no"], "transfer_bill_no": bill["transfer_bill_no"], "state": bill["state"],
            "create_time": _written(bill["created_at"])}
    if create:
        waits = bill["state"] == "WAIT_USER_CONFIRM"
        return {**head, "package_info": bill["package"]} if waits else head
    rest = {"mch_id": mch_id, "transfer_amount": bill["amount_fen"], "openid": bill["openid"],
            "update_time": _written(bill["updated_at"])}
    return {**head, **rest, **({"fail_reason": bill["fail_reason"]} if bill["fail_reason"] else {})}


def _written(at: datetime) -> str:
    return at.astimezone(texts.BEIJING).replace(microsecond=0).isoformat()
