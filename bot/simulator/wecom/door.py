"""The door of WeCom's API: fault switches, method, token, rights, concurrency, body, then the endpoint; all recorded.

Mounted below /sim/qyapi, so that ``api_base = <base>/sim/qyapi`` reaches it as qyapi.weixin.qq.com.
"""

import json
import re
import time
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Response, request
from sqlalchemy import Connection

from bot.simulator import faults
from bot.simulator.config import SimCorp
from bot.simulator.peer import Peer
from bot.simulator.store import dump, row, run
from bot.simulator.wecom import contacts, mass, notes, tags, tokens, ways, welcome
from bot.simulator.wecom.endpoint import Answer, Call, Endpoint
from bot.simulator.wecom.errors import CorpError
from bot.simulator.weixin.door import cut, masked, shortened
from bot.simulator.wire import json_of

ENDPOINTS: dict[str, Endpoint] = {
    **tokens.ENDPOINTS, **contacts.ENDPOINTS, **tags.ENDPOINTS, **ways.ENDPOINTS, **welcome.ENDPOINTS,
    **mass.ENDPOINTS, **notes.ENDPOINTS,
}
APIS = tuple(f"{faults.WECOM}{name}" for name in ENDPOINTS)
"""Their names in the inspector and in the fault switches."""
FORBIDDEN = ("kf/", "externalcontact/customer_acquisition", "externalcontact/transfer", "externalcontact/groupchat",
             "externalcontact/add_moment", "appchat/", "user/", "department/")
"""APIs that exist and that this application is not allowed to use."""
A_MINUTE = 10_000
_ESCAPE = re.compile(rb"\\u[0-9a-fA-F]{4}")
_SLOT_CLASS = 0x51_4D_10


def answer(peer: Peer, api: str) -> Response:
    """Handle the current Flask request as WeCom would."""
    began, real = time.monotonic(), peer.real_now()
    with peer.store.begin() as connection:
        fault = faults.take(connection, faults.WECOM + api)
    sent = _sent()
    try:
        result = _faulty(fault) or _run(peer, api, sent, fault.seconds if fault and fault.kind == "slow" else 0.0)
    except CorpError as error:
        result = {"errcode": error.errcode, "errmsg": error.errmsg(request.remote_addr or "")}
    response = result if isinstance(result, Response) else Response(
        json.dumps(result, ensure_ascii=False), mimetype="application/json")
    _record(peer, api, sent, result, response, round((time.monotonic() - began) * 1000), real)
    return cut(response) if fault and fault.kind == "lost" else response


def _faulty(fault: faults.Fault | None) -> Answer | None:
    if fault is None:
        return None
    if fault.kind in faults.HTTP_FAULTS:
        return Response("upstream error", status=faults.HTTP_FAULTS[fault.kind], mimetype="text/plain")
    if fault.kind == "html":
        return Response("<html><body><h1>502 Bad Gateway</h1></body></html>", mimetype="text/html")
    if fault.kind.removeprefix("-").isdecimal():
        raise CorpError(int(fault.kind), "fault switch")
    return None


def _run(peer: Peer, api: str, sent: Any, delay: float) -> Answer:
    endpoint = ENDPOINTS.get(api)
    if endpoint is None and not api.startswith(FORBIDDEN):
        return Response("404 page not found", status=404, mimetype="text/plain")
    if endpoint is not None and endpoint.post and request.method != "POST":
        raise CorpError(43002)
    real = peer.real_now()
    with peer.store.begin() as connection:
        token = request.args.get("access_token", "")
        corp = tokens.authenticate(connection, peer, token, real) if endpoint is None or endpoint.token else None
    if endpoint is None or (endpoint.customers and corp is not None and not corp.customers):
        raise CorpError(48002)
    if corp is not None:
        _count(peer, corp, api, real)
    body = _body(sent) if endpoint.post and not endpoint.upload else {}
    upload = request.files.get("media") if endpoint.upload else None
    with peer.store.begin() as connection:
        if endpoint.at_once and corp is not None:
            _take_slot(connection, corp, api, endpoint.at_once)
        time.sleep(delay)
        return endpoint.run(Call(peer, connection, corp, request.args.to_dict(), body,
                                 upload.read() if upload is not None else None, peer.now(), real))


def _count(peer: Peer, corp: SimCorp, api: str, real: datetime) -> None:
    """Calls of one API in this minute of real time. CorpError 45009."""
    name = faults.WECOM + api
    with peer.store.begin() as connection:
        run(connection, "delete from sim.corp_calls where minute < :old", old=real.replace(second=0, microsecond=0))
        made = row(connection, """
            insert into sim.corp_calls as c (account, api, minute, used) values (:account, :api, :minute, 1)
            on conflict (account, api, minute) do update set used = c.used + 1 returning used""",
            account=corp.account, api=api, minute=real.replace(second=0, microsecond=0))
    if made and made["used"] > peer.config.quotas.get(name, A_MINUTE):
        raise CorpError(45009)


def _take_slot(connection: Connection, corp: SimCorp, api: str, most: int) -> None:
    """One of the few calls of an API that a corp may have open; held until the transaction ends. CorpError 45033."""
    for slot in range(most):
        taken = row(connection, "select pg_try_advisory_xact_lock(:class, hashtext(:name)) as taken",
                    **{"class": _SLOT_CLASS}, name=f"{corp.account}/{api}/{slot}")
        if taken and taken["taken"]:
            return
    raise CorpError(45033)


def _sent() -> Any:
    if request.mimetype == "multipart/form-data":
        return {part.name: f"{part.filename} ({part.content_type})" for part in request.files.values()}
    return json_of(request.get_data()) if request.method == "POST" else None


def _body(sent: Any) -> dict[str, Any]:
    """The JSON object of a POST. CorpError 44002 (empty), 40033 (escapes instead of UTF-8) or 47001."""
    raw = request.get_data()
    if not raw.strip():
        raise CorpError(44002)
    if _ESCAPE.search(raw.replace(b"\\\\", b"")):
        raise CorpError(40033)
    if not isinstance(sent, dict):
        raise CorpError(47001)
    return sent


def _record(peer: Peer, api: str, sent: Any, result: Answer, response: Response, millis: int, real: datetime) -> None:
    """Keep the call for the inspector, with tokens and secrets masked."""
    query = masked(request.args.to_dict())
    received: Any = masked(result) if isinstance(result, dict) else f"{response.mimetype}, {response.status_code}"
    external = sent.get("external_userid", "") if isinstance(sent, dict) else request.args.get("external_userid", "")
    detail = {
        "method": request.method, "url": f"/cgi-bin/{api}" + (f"?{urlencode(query, safe='•')}" if query else ""),
        "request": shortened(masked(sent)), "response": shortened(received), "client": request.remote_addr or ""}
    with peer.store.begin() as connection:
        run(connection, """
            insert into sim.calls (rid, openid, api, errcode, status, millis, detail, started_at)
            values ('', coalesce((select openid from sim.contacts where external_userid = :external limit 1), ''),
                :api, :errcode, :status, :millis, cast(:detail as jsonb), :real)""",
            external=external if isinstance(external, str) else "", api=f"{faults.WECOM}{api}"[:100], real=real,
            errcode=int(result.get("errcode", 0)) if isinstance(result, dict) else 0, status=response.status_code,
            millis=millis, detail=dump(detail))
