"""The door of the platform's API: fault switches, method, token, quota, body, then the endpoint; all recorded.

Mounted below /sim/weixin, so that ``api_base = <base>/sim/weixin`` reaches it as api.weixin.qq.com.
"""

import json
import logging
import re
import time
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Response, request
from sqlalchemy import Connection

from bot.simulator import faults
from bot.simulator.config import SimAccount
from bot.simulator.errors import ApiError, new_rid
from bot.simulator.peer import Peer
from bot.simulator.store import KEPT_CALLS, dump, row, run
from bot.simulator.weixin import account, cards, media, menus, messages, tokens
from bot.simulator.weixin.endpoint import Answer, Call, Endpoint
from bot.simulator.wire import json_of

_log = logging.getLogger(__name__)
_SECRET = re.compile(r"(access_token|secret)$")
_SHOWN = 4_000


def _quota_of(call: Call) -> Answer:
    """POST openapi/quota/get {cgi_path}."""
    api = call.text("cgi_path", 76021).removeprefix("/cgi-bin/").strip("/")
    endpoint = ENDPOINTS.get(api)
    if endpoint is None:
        raise ApiError(76021)
    found = row(call.connection, """
        select coalesce(sum(used), 0) as used from sim.quotas
        where app_id = :app_id and api = :api and day = cast(:now at time zone 'Asia/Shanghai' as date)""",
        app_id=call.account.app_id, api=api, now=call.real_now)
    limit = call.peer.config.quotas.get(api, endpoint.daily)
    used = int(found["used"]) if found else 0
    return {**account.OK, "quota": {"daily_limit": limit, "used": used, "remain": max(0, limit - used)}}


ENDPOINTS: dict[str, Endpoint] = {
    **tokens.ENDPOINTS, **messages.ENDPOINTS, **cards.ENDPOINTS, **media.ENDPOINTS, **menus.ENDPOINTS,
    **account.ENDPOINTS,
    "openapi/quota/get": Endpoint(_quota_of, daily=10**9),
}


def answer(peer: Peer, api: str) -> Response:
    """Handle the current Flask request as the platform would."""
    began, real = time.monotonic(), peer.real_now()
    rid = new_rid()
    with peer.store.begin() as connection:
        fault = faults.take(connection, api)
    if fault and fault.kind == "slow":
        time.sleep(fault.seconds)
    sent = _sent()
    try:
        result = _faulty(fault) or _run(peer, api, sent)
    except ApiError as error:
        result = {"errcode": error.errcode, "errmsg": f"{error.errmsg} rid: {rid}"}
    response = _as_response(result)
    _record(peer, api, rid, sent, result, response, round((time.monotonic() - began) * 1000), real)
    endpoint = ENDPOINTS.get(api)
    if endpoint and endpoint.followup and isinstance(result, dict) and result.get("errcode") == 0:
        endpoint.followup(peer, sent, result)
    return cut(response) if fault and fault.kind == "lost" else response


def _faulty(fault: faults.Fault | None) -> Answer | None:
    """What a fault puts in place of the work; None when the work is to be done."""
    if fault is None:
        return None
    if fault.errcode is not None:
        raise ApiError(fault.errcode, "hint: [fault switch]")
    if fault.kind in faults.HTTP_FAULTS:
        return Response("upstream error", status=faults.HTTP_FAULTS[fault.kind], mimetype="text/plain")
    if fault.kind == "html":
        return Response("<html><body><h1>502 Bad Gateway</h1></body></html>", mimetype="text/html")
    return None


def _run(peer: Peer, api: str, sent: Any) -> Answer:
    endpoint = ENDPOINTS.get(api)
    if endpoint is None:
        raise ApiError(40066)
    if endpoint.method != "ANY" and request.method != endpoint.method:
        raise ApiError(43001 if endpoint.method == "GET" else 43002)
    if _too_large():
        raise ApiError(40009)
    real = peer.real_now()
    limit = peer.config.quotas.get(api, endpoint.daily)
    with peer.store.begin() as connection:
        who = _authenticate(peer, connection, endpoint, sent, real)
        if who is not None:
            account.count(connection, who.app_id, api, limit, real)
    if endpoint.body == "json" and not isinstance(sent, dict):
        raise ApiError(47001 if request.get_data().strip() else 44002)
    body = sent if endpoint.body == "json" else {}
    upload = request.files.get("media") if endpoint.body == "multipart" else None
    content = upload.read() if upload is not None else None
    with peer.store.begin() as connection:
        return endpoint.run(Call(peer, connection, who, request.args.to_dict(), body, content, peer.now(), real))


def _too_large() -> bool:
    return (request.content_length or 0) > (request.max_content_length or 0)


def _authenticate(peer: Peer, connection: Connection, endpoint: Endpoint, sent: Any,
                  real: datetime) -> SimAccount | None:
    """The caller. Endpoints without a token count against the app id they name, if it is known."""
    if endpoint.token:
        return tokens.authenticate(connection, peer, request.args.get("access_token", ""), real)
    named = sent.get("appid") if isinstance(sent, dict) else request.args.get("appid")
    return peer.config.by_app_id(named) if isinstance(named, str) else None


def _as_response(result: Answer) -> Response:
    if isinstance(result, Response):
        return result
    return Response(json.dumps(result, ensure_ascii=False), mimetype="application/json")


def cut(response: Response) -> Response:
    """The work is done, but the answer ends before it is whole: more is promised than is sent."""
    whole = response.get_data()
    _log.warning("the answer of %s is lost on purpose", request.path)
    cut = Response(iter([whole[: len(whole) // 2]]), mimetype=response.mimetype)
    cut.headers["Content-Length"] = str(len(whole) + 64)
    cut.headers["Connection"] = "close"
    return cut


def _record(peer: Peer, api: str, rid: str, sent: Any, result: Answer, response: Response, millis: int,
            real: datetime) -> None:
    """Keep the call for the inspector, with tokens and secrets masked."""
    query = masked(request.args.to_dict())
    received: Any = masked(result) if isinstance(result, dict) else f"{response.mimetype}, {response.status_code}"
    openid = str(sent.get("touser", "")) if isinstance(sent, dict) else ""
    detail = {
        "method": request.method, "url": f"/cgi-bin/{api}" + (f"?{urlencode(query, safe='•')}" if query else ""),
        "request": shortened(masked(sent)), "response": shortened(received), "client": request.remote_addr or ""}
    with peer.store.begin() as connection:
        made = row(connection, """
            insert into sim.calls (rid, openid, api, errcode, status, millis, detail, started_at)
            values (:rid, :openid, :api, :errcode, :status, :millis, cast(:detail as jsonb), :real) returning id""",
            rid=rid, openid=openid[:64], api=api[:100], status=response.status_code, millis=millis, real=real,
            errcode=int(result.get("errcode", 0)) if isinstance(result, dict) else 0, detail=dump(detail))
        if made and made["id"] % 100 == 0:
            run(connection, "delete from sim.calls where id <= :old", old=made["id"] - KEPT_CALLS)


def _sent() -> Any:
    """The request's body: what its JSON says, the parts of a multipart body by name, or None if it cannot be read."""
    if _too_large():
        return f"{request.content_length} bytes"
    if request.mimetype == "multipart/form-data":
        return {part.name: f"{part.filename} ({part.content_type})" for part in request.files.values()}
    return json_of(request.get_data())


def masked(value: Any) -> Any:
    """A copy in which tokens and secrets show only their last four characters."""
    if isinstance(value, dict):
        return {key: _mask(part) if _SECRET.search(str(key)) and isinstance(part, str) else masked(part)
                for key, part in value.items()}
    if isinstance(value, list):
        return [masked(part) for part in value]
    return value


def _mask(secret: str) -> str:
    return "••••" + secret[-4:] if len(secret) >= 16 else "••••"


def shortened(value: Any) -> Any:
    """Long bodies are cut, so that one poster's worth of text cannot fill the inspector."""
    return value if len(json.dumps(value, ensure_ascii=False)) <= _SHOWN else \
        json.dumps(value, ensure_ascii=False)[:_SHOWN] + "…"
