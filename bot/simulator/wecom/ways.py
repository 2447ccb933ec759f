"""Codes that lead to a member of staff ("联系我"): made by the API, drawn as pictures, scanned by phones."""

import secrets
from typing import Any

from flask import Response
from sqlalchemy import Connection

from bot.simulator import pictures
from bot.simulator.store import Row, row, rows, run
from bot.simulator.wecom.endpoint import OK, Answer, Call, Endpoint
from bot.simulator.wecom.errors import CorpError

MAX_STATE, MAX_REMARK, MAX_USERS, MAX_WAYS = 30, 30, 100, 500_000
ADDRESS = "https://work.weixin.qq.com/u/vc"
"""What a code says; only the phones of the simulator know where it leads."""
_UNKNOWN = {"is_temp", "expires_in", "chat_expires_in", "unionid", "conclusions", "party", "style"}


def add(call: Call) -> Answer:
    """POST externalcontact/add_contact_way {type, scene, state?, remark?, skip_verify?, user}.

    Temporary codes, departments and buttons of mini programs are refused with 48002: this peer does not have them.
    """
    kind, scene = call.whole("type", 0, 1, 2), call.whole("scene", 0, 1, 2)
    if scene != 2 or _UNKNOWN & set(call.body):
        raise CorpError(48002, "only codes for members")
    state, remark = call.maybe_text("state", MAX_STATE), call.maybe_text("remark", MAX_REMARK)
    verify = call.body.get("skip_verify", True)
    users = [call.staff(one).userid for one in call.strings("user", MAX_USERS)]
    if not isinstance(verify, bool):
        raise CorpError(40058, "skip_verify")
    if not users or (kind == 1 and len(users) != 1):
        raise CorpError(41041)
    used = row(call.connection, "select count(*) as n from sim.contact_ways where account = :account",
               account=call.corp.account)
    if used and used["n"] >= MAX_WAYS:
        raise CorpError(41045)
    config_id, url = secrets.token_hex(16), ADDRESS + secrets.token_hex(10)
    run(call.connection, """
        insert into sim.contact_ways
            (config_id, account, url, kind, scene, state, remark, skip_verify, userids, created_at)
        values (:id, :account, :url, :kind, :scene, :state, :remark, :verify, :users, :now)""",
        id=config_id, account=call.corp.account, url=url, kind=kind, scene=scene, state=state, remark=remark,
        verify=verify, users=users, now=call.now)
    return {**OK, "config_id": config_id, "qr_code": _picture(call, config_id)}


def _picture(call: Call, config_id: str) -> str:
    return f"{call.peer.config.service_url()}/sim/wecom/qr/{config_id}.jpg"


def _mine(call: Call) -> Row:
    found = row(call.connection, "select * from sim.contact_ways where config_id = :id and account = :account "
                "for update", id=call.text("config_id", 41037), account=call.corp.account)
    if found is None:
        raise CorpError(41037)
    return found


def get(call: Call) -> Answer:
    """POST externalcontact/get_contact_way {config_id}."""
    found = _mine(call)
    return {**OK, "contact_way": {
        "config_id": found["config_id"], "type": found["kind"], "scene": found["scene"], "remark": found["remark"],
        "state": found["state"], "skip_verify": found["skip_verify"], "user": list(found["userids"]), "party": [],
        "qr_code": _picture(call, found["config_id"])}}


def listed(call: Call) -> Answer:
    """POST externalcontact/list_contact_way {start_time?, end_time?, cursor?, limit?}: ids only."""
    limit = call.whole("limit", 1_000, 1, 1_000)
    after = call.maybe_text("cursor") or "0"
    if not after.isdecimal() or len(after) > 18:
        raise CorpError(40058, "cursor")
    low, high = call.whole("start_time", 0, 0, 2**40), call.whole("end_time", 2**40, 0, 2**40)
    found = rows(call.connection, """
        select config_id, position from sim.contact_ways where account = :account and position > :after
           and extract(epoch from created_at) between :low and :high order by position limit :limit""",
        account=call.corp.account, after=int(after), limit=limit, low=low, high=high)
    return {**OK, "contact_way": [{"config_id": one["config_id"]} for one in found],
            "next_cursor": str(found[-1]["position"]) if len(found) == limit else ""}


def delete(call: Call) -> Answer:
    """POST externalcontact/del_contact_way {config_id}."""
    run(call.connection, "delete from sim.contact_ways where config_id = :id", id=_mine(call)["config_id"])
    return OK


def behind(connection: Connection, content: str) -> Row | None:
    """The code that says this, None if it is none of ours."""
    return row(connection, "select * from sim.contact_ways where url = :url", url=content) \
        if content.startswith(ADDRESS) else None


def picture(connection: Connection, config_id: str) -> Response:
    """The code as a JPEG: what ``qr_code`` leads to. 404 once it is deleted."""
    found: dict[str, Any] | None = row(connection, "select url from sim.contact_ways where config_id = :id",
                                       id=config_id)
    if found is None:
        return Response(status=404)
    return Response(pictures.draw_qr(found["url"]), mimetype="image/jpeg")


ENDPOINTS = {
    "externalcontact/add_contact_way": Endpoint(add),
    "externalcontact/get_contact_way": Endpoint(get),
    "externalcontact/list_contact_way": Endpoint(listed),
    "externalcontact/del_contact_way": Endpoint(delete),
}
