"""The account looks at itself: followers, addresses, quotas and request ids."""

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bot.simulator import people
from bot.simulator.errors import ApiError
from bot.simulator.store import row, run
from bot.simulator.weixin.endpoint import Answer, Call, Endpoint

OK = {"errcode": 0, "errmsg": "ok"}
CLEARS_A_MONTH = 10
_BEIJING = ZoneInfo("Asia/Shanghai")
_RID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}")


def count(connection: Connection, app_id: str, api: str, daily: int, now: datetime) -> None:
    """Count a call of today (Beijing). Raises ApiError 45009 beyond ``daily``; a refused call is not counted."""
    counted = run(connection, """
        insert into sim.quotas as q (app_id, api, day, used) values (:app_id, :api, :day, 1)
        on conflict (app_id, api, day) do update set used = q.used + 1 where q.used < :daily""",
        app_id=app_id, api=api, day=now.astimezone(_BEIJING).date(), daily=daily)
    if not counted or daily < 1:
        raise ApiError(45009)


def user_info(call: Call) -> Answer:
    """GET user/info: since 2021 without name and picture."""
    openid = call.query.get("openid", "")
    person = people.find(call.connection, openid, account=call.account.account)
    if person is None:
        raise ApiError(40003)
    if not person["following"]:
        return {"subscribe": 0, "openid": openid, "tagid_list": []}
    return {
        "subscribe": 1, "openid": openid, "nickname": "", "sex": 0, "language": "zh_CN", "city": "", "province": "",
        "country": "", "headimgurl": "", "subscribe_time": int(person["subscribed_at"].timestamp()), "remark": "",
        "groupid": 0, "tagid_list": [], "subscribe_scene": person["subscribe_scene"], "qr_scene": 0,
        "qr_scene_str": person["qr_scene"],
        **({"unionid": people.unionid_for(openid)} if call.peer.config.corps else {}),
    }


def callback_addresses(call: Call) -> Answer:
    return {"ip_list": ["127.0.0.1", "::1"]}


def clear_quota(call: Call) -> Answer:
    """POST clear_quota {appid}: ten a month together with v2."""
    if call.body.get("appid") != call.account.app_id:
        raise ApiError(40013)
    return _clear(call, call.account.app_id)


def clear_quota_by_secret(call: Call) -> Answer:
    """POST clear_quota/v2 {appid, appsecret}: works without a token."""
    account = call.peer.config.by_app_id(str(call.body.get("appid", "")))
    if account is None:
        raise ApiError(40013)
    if call.body.get("appsecret") != account.app_secret:
        raise ApiError(40125)
    return _clear(call, account.app_id)


def _clear(call: Call, app_id: str) -> Answer:
    cleared = run(call.connection, """
        insert into sim.clears as c (app_id, month, used) values (:app_id, :month, 1)
        on conflict (app_id, month) do update set used = c.used + 1 where c.used < :most""",
        app_id=app_id, month=call.real_now.astimezone(_BEIJING).strftime("%Y-%m"), most=CLEARS_A_MONTH)
    if not cleared:
        raise ApiError(48006)
    run(call.connection, "delete from sim.quotas where app_id = :app_id", app_id=app_id)
    return OK


def request_of(call: Call) -> Answer:
    """POST openapi/rid/get {rid}: what was asked, masked."""
    rid = call.text("rid", 76022)
    found = row(call.connection, "select * from sim.calls where rid = :rid", rid=rid) if _RID.fullmatch(rid) else None
    if found is None:
        raise ApiError(76022)
    detail: dict[str, Any] = found["detail"]
    return {**OK, "request": {
        "invoke_time": int(found["started_at"].timestamp()), "cost_in_ms": found["millis"],
        "request_url": detail["url"], "request_body": str(detail["request"]),
        "response_body": str(detail["response"]), "client_ip": detail["client"]}}


ENDPOINTS = {
    "user/info": Endpoint(user_info, method="GET", body="none", daily=5_000_000),
    "getcallbackip": Endpoint(callback_addresses, method="GET", body="none", daily=10_000),
    "get_api_domain_ip": Endpoint(callback_addresses, method="GET", body="none", daily=10_000),
    "clear_quota": Endpoint(clear_quota, daily=10**9),
    "clear_quota/v2": Endpoint(clear_quota_by_secret, daily=10**9, token=False),
    "openapi/rid/get": Endpoint(request_of, daily=10**9),
}
