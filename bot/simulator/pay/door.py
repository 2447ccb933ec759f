"""The door of WeChat Pay's API: fault switches, signature, the call, a signed answer; all recorded.

Mounted below /sim/pay, so that ``api_base = <base>/sim/pay`` reaches it as api.mch.weixin.qq.com. The signature
counts for the path that the real host would see (from /v3 on).
"""

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Response, request
from sqlalchemy import Connection

from bot.simulator import faults
from bot.simulator.config import SimMerchant
from bot.simulator.pay import bills, crypto, fund_bills, notices
from bot.simulator.pay.errors import PayError
from bot.simulator.peer import Peer
from bot.simulator.store import dump, row, run
from bot.simulator.weixin.door import cut
from bot.simulator.wire import json_of

TRANSFERS = "fund-app/mch-transfer/transfer-bills"
APIS = ("pay/transfer", "pay/query", "pay/cancel", "pay/fundflowbill", "pay/billdownload", "pay/certificates")
ERRORS = {"429": (429, "FREQUENCY_LIMIT_EXCEED", "频率超限"), "500": (500, "SYSTEM_ERROR", "系统错误"),
          "not_enough": (403, "NOT_ENOUGH", "资金不足"), "500_after": (500, "SYSTEM_ERROR", "系统错误")}
FRESH_SECONDS = 300
Answer = dict[str, Any] | bytes


def answer(peer: Peer, path: str) -> Response:
    """Handle the current Flask request as the platform would."""
    began, real = time.monotonic(), peer.real_now()
    api = _api(path)
    with peer.store.begin() as connection:
        fault = faults.take(connection, api)
    if fault and fault.kind == "slow":
        time.sleep(fault.seconds)
    merchant: SimMerchant | None = None
    status, result = 200, {}  # type: tuple[int, Answer]
    try:
        merchant = _authenticated(peer, path, real)
        if fault and fault.kind in ("429", "500", "not_enough"):
            raise PayError(*ERRORS[fault.kind])
        result = _run(peer, merchant, api, path)
        if fault and fault.kind == "500_after":
            raise PayError(*ERRORS["500_after"])
    except PayError as error:
        status, result = error.status, {"code": error.code, "message": error.message}
    response = _response(merchant, status, result, real, api, unsigned=bool(fault and fault.kind == "unsigned"))
    _record(peer, api, path, status, result, round((time.monotonic() - began) * 1000), real)
    notices.send_due(peer)
    return cut(response) if fault and fault.kind == "lost" else response


def _api(path: str) -> str:
    if not path.startswith(TRANSFERS):
        return f"pay/{path.split('/')[-1] if path != 'billdownload/file' else 'billdownload'}"
    return "pay/transfer" if path == TRANSFERS else "pay/cancel" if path.endswith("/cancel") else "pay/query"


def _authenticated(peer: Peer, path: str, real: datetime) -> SimMerchant:
    """The merchant whose signature the request carries. Raises PayError 401."""
    target = f"/v3/{path}" + (f"?{request.query_string.decode()}" if request.query_string else "")
    try:
        parts = crypto.authorization(request.headers.get("Authorization", ""))
        merchant = peer.config.merchant(parts["mchid"])
        if merchant is None or parts["serial_no"].upper() != merchant.serial_no.upper():
            raise crypto.BadSignature("商户号或证书序列号不对")
        stamp = parts["timestamp"]
        if not stamp.isdecimal() or len(stamp) > 12 or abs(real.timestamp() - int(stamp)) > FRESH_SECONDS:
            raise crypto.BadSignature("时间戳已过期")
        crypto.verify(merchant.public_key, request.method, target, parts, request.get_data())
    except crypto.BadSignature as fault:
        raise PayError(401, "SIGN_ERROR", f"签名错误：{fault}") from None
    if request.headers.get("Accept") != "application/json" or not request.headers.get("User-Agent"):
        raise PayError(406, "PARAM_ERROR", "请求头 Accept 或 User-Agent 不对")
    return merchant


def _run(peer: Peer, merchant: SimMerchant, api: str, path: str) -> Answer:
    handler, method = _CALLS.get(api, (None, ""))
    if handler is None or request.method != method:
        raise PayError(404 if handler is None else 405, "RESOURCE_NOT_EXISTS", "接口不存在")
    with peer.store.begin() as connection:
        for ended in bills.close_old(connection, peer.now()):
            notices.queue(peer, connection, ended)
    with peer.store.begin() as connection:
        return handler(peer, connection, merchant, path)


def _transfer(peer: Peer, connection: Connection, merchant: SimMerchant, path: str) -> Answer:
    sealed_as = request.headers.get("Wechatpay-Serial", merchant.signs_as)
    body = json_of(request.get_data())
    if request.mimetype != "application/json" or sealed_as.upper() != merchant.signs_as.upper():
        raise PayError(400, "PARAM_ERROR", "Content-Type 或 Wechatpay-Serial 不对")
    bill, _ = bills.make(connection, merchant, body, peer.now())
    return bills.told(bill, merchant.mch_id, create=True)


def _number(path: str) -> str:
    return path.removeprefix(f"{TRANSFERS}/out-bill-no/").removesuffix("/cancel")


def _query(peer: Peer, connection: Connection, merchant: SimMerchant, path: str) -> Answer:
    bill = bills.query(connection, merchant.mch_id, _number(path), peer.now())
    return {**bills.told(bill, merchant.mch_id), "appid": bill["app_id"], "transfer_remark": bill["remark"]}


def _cancel(peer: Peer, connection: Connection, merchant: SimMerchant, path: str) -> Answer:
    bill = bills.cancel(connection, merchant.mch_id, _number(path), peer.now())
    told = bills.told(bill, merchant.mch_id)
    return {name: told[name] for name in ("out_bill_no", "transfer_bill_no", "state", "update_time")}


def _certificates(peer: Peer, connection: Connection, merchant: SimMerchant, path: str) -> Answer:
    return {"data": [{
        "serial_no": merchant.platform_serial, "effective_time": "2026-01-01T00:00:00+08:00",
        "expire_time": "2031-01-01T00:00:00+08:00",
        "encrypt_certificate": crypto.seal(merchant.api_v3_key, merchant.platform_certificate, "certificate")}]}


def _fund_bill(peer: Peer, connection: Connection, merchant: SimMerchant, path: str) -> Answer:
    day, account = request.args.get("bill_date", ""), request.args.get("account_type", "BASIC")
    text = fund_bills.text_of(connection, merchant, day, account, peer.now())
    token = fund_bills.token(merchant, day, account, peer.real_now())
    return {"hash_type": "SHA1", "hash_value": fund_bills.sha1(text),
            "download_url": f"https://api.mch.weixin.qq.com/v3/billdownload/file?token={token}&tartype=gzip"}


def _download(peer: Peer, connection: Connection, merchant: SimMerchant, path: str) -> Answer:
    day, account = fund_bills.opened(merchant, request.args.get("token", ""), peer.real_now())
    return fund_bills.zipped(fund_bills.text_of(connection, merchant, day, account, peer.now()))


_CALLS: dict[str, tuple[Callable[[Peer, Connection, SimMerchant, str], Answer], str]] = {
    "pay/transfer": (_transfer, "POST"), "pay/query": (_query, "GET"), "pay/cancel": (_cancel, "POST"),
    "pay/certificates": (_certificates, "GET"), "pay/fundflowbill": (_fund_bill, "GET"),
    "pay/billdownload": (_download, "GET"),
}


def _response(merchant: SimMerchant | None, status: int, result: Answer, real: datetime, api: str, *,
              unsigned: bool) -> Response:
    """Signed, except a file, whose hash was, and what nobody could be told apart for."""
    raw = result if isinstance(result, bytes) else json.dumps(result, ensure_ascii=False).encode()
    response = Response(raw, status, mimetype="application/x-gzip" if isinstance(result, bytes) else "application/json")
    if merchant is not None and not unsigned and api != "pay/billdownload" and status < 500:
        serial = merchant.platform_serial if api == "pay/certificates" else merchant.signs_as
        response.headers.update(crypto.signed(merchant.platform_key, serial, raw, int(real.timestamp())))
    return response


def _record(peer: Peer, api: str, path: str, status: int, result: Answer, millis: int, real: datetime) -> None:
    """Keep the call for the inspector. A name comes sealed; the certificate and a file are cut short."""
    sent = json_of(request.get_data()) if request.get_data() else None
    received: Any = f"{len(result)} bytes" if isinstance(result, bytes) else result
    if api == "pay/certificates" and "data" in received:
        received = {"data": [{"serial_no": one["serial_no"], "encrypt_certificate": "…"} for one in received["data"]]}
    query = f"?{request.query_string.decode()}" if request.query_string else ""
    detail = {"method": request.method, "url": f"/v3/{path}{query}"[:400], "request": sent, "response": received,
              "client": request.remote_addr or ""}
    openid = str(sent.get("openid", "")) if isinstance(sent, dict) else ""
    code = 0 if status == 200 else -1
    with peer.store.begin() as connection:
        if not openid and isinstance(result, dict) and "out_bill_no" in result:
            found = row(connection, "select openid from sim.transfers where out_bill_no = :no limit 1",
                        no=result["out_bill_no"])
            openid = found["openid"] if found else ""
        run(connection, """
            insert into sim.calls (rid, openid, api, errcode, status, millis, detail, started_at)
            values ('', :openid, :api, :code, :status, :millis, cast(:detail as jsonb), :real)""",
            openid=openid[:64], api=api[:100], code=code, status=status, millis=millis, detail=dump(detail), real=real)
