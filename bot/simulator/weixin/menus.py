"""The account's menu at the foot of the chat: checked to the byte, stored whole, found again when tapped."""

from typing import Any

from sqlalchemy import Connection

from bot.simulator.errors import ApiError
from bot.simulator.store import Row, dump, row, run
from bot.simulator.weixin.endpoint import Answer, Call, Endpoint

OK = {"errcode": 0, "errmsg": "ok"}
_NEEDED = {
    "click": "key", "scancode_push": "key", "scancode_waitmsg": "key", "pic_sysphoto": "key",
    "pic_photo_or_album": "key", "pic_weixin": "key", "location_select": "key", "view": "url",
    "miniprogram": "pagepath",
}
"""Types of entries the simulator can tap, and the field each cannot do without."""
_MAX_KEY, _MAX_URL = 128, 1024
_TOP = {"count": 40016, "type": 40017, "name": 40018, "key": 40019, "url": 40020}
_SUB = {"count": 40023, "type": 40024, "name": 40025, "key": 40026, "url": 40027}


def create(call: Call) -> Answer:
    """POST menu/create: the whole menu replaces the one before."""
    buttons = call.body.get("button")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
        raise ApiError(40016)
    menu = [_top(button) for button in buttons]
    run(call.connection, """
        insert into sim.menus (account, menu) values (:account, cast(:menu as jsonb))
        on conflict (account) do update set menu = excluded.menu, version = excluded.version""",
        account=call.account.account, menu=dump(menu))
    return OK


def _top(button: Any) -> dict[str, Any]:
    if not isinstance(button, dict):
        raise ApiError(47001)
    subs = button.get("sub_button")
    if not subs:
        return _entry(button, _TOP, 16)
    if not isinstance(subs, list) or len(subs) > 5:
        raise ApiError(_SUB["count"])
    if any(isinstance(sub, dict) and sub.get("sub_button") for sub in subs):
        raise ApiError(40022)
    return {"name": _name(button, _TOP, 16), "sub_button": [_entry(sub, _SUB, 60) for sub in subs]}


def _entry(button: Any, codes: dict[str, int], name_bytes: int) -> dict[str, Any]:
    if not isinstance(button, dict):
        raise ApiError(47001)
    kind = button.get("type")
    if kind not in _NEEDED:
        raise ApiError(codes["type"])
    entry = {"type": kind, "name": _name(button, codes, name_bytes)}
    limits = (("key", _MAX_KEY), ("url", _MAX_URL), ("appid", _MAX_KEY), ("pagepath", _MAX_URL))
    for field, limit in limits:
        value = button.get(field)
        if value is None and field != _NEEDED[kind]:
            continue
        if not isinstance(value, str) or not 1 <= len(value.encode()) <= limit:
            raise ApiError(codes["key" if field == "key" else "url"])
        entry[field] = value
    if kind in ("view", "miniprogram") and not entry.get("url", "").startswith(("http://", "https://")):
        raise ApiError(codes["url"])
    return entry


def _name(button: dict[str, Any], codes: dict[str, int], limit: int) -> str:
    name = button.get("name")
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= limit:
        raise ApiError(codes["name"])
    return name


def current(connection: Connection, account: str) -> Row | None:
    """``{"version", "menu": [buttons]}`` or None."""
    return row(connection, "select version, menu from sim.menus where account = :account", account=account)


def fetch(call: Call) -> Answer:
    """GET menu/get: 46003 when there is none."""
    found = current(call.connection, call.account.account)
    if found is None:
        raise ApiError(46003)
    return {"menu": {"button": found["menu"], "menuid": found["version"]}}


def delete(call: Call) -> Answer:
    run(call.connection, "delete from sim.menus where account = :account", account=call.account.account)
    return OK


ENDPOINTS = {
    "menu/create": Endpoint(create, daily=1_000),
    "menu/get": Endpoint(fetch, method="GET", body="none", daily=10_000),
    "menu/delete": Endpoint(delete, method="GET", body="none", daily=1_000),
}
