"""Cards to one person: template/send for followers, subscribe/bizsend for who allowed it, once for each yes."""

import re
import secrets
from typing import Any

from bot.simulator import deliveries, people, permissions
from bot.simulator.config import SimTemplate
from bot.simulator.errors import ApiError
from bot.simulator.peer import Peer
from bot.simulator.store import Row
from bot.simulator.weixin.endpoint import Answer, Call, Endpoint
from bot.simulator.weixin.messages import recipient
from bot.simulator.wire import Fields

OK = {"errcode": 0, "errmsg": "ok"}
MAX_CLIENT_ID = 32


def template(call: Call) -> Answer:
    """POST message/template/send: a template the account owns, every field present and within its kind's rule."""
    person = recipient(call)
    if len(str(call.body.get("client_msg_id", ""))) > MAX_CLIENT_ID:
        raise ApiError(47003, "hint: client_msg_id")
    return _show(call, person, _known(call), "template")


def subscription(call: Call) -> Answer:
    """POST message/subscribe/bizsend: judged whole before the permission is used up; who left may still be told."""
    openid = call.body.get("touser")
    person = people.find(call.connection, openid, account=call.account.account) if isinstance(openid, str) else None
    if person is None:
        raise ApiError(40003)
    known = _known(call, subscription=True)
    _values(call, known)
    if not permissions.spend(call.connection, person["openid"], known.template_id):
        raise ApiError(43101)
    return _show(call, person, known, "subscription")


def _known(call: Call, *, subscription: bool = False) -> SimTemplate:
    found = next((one for one in call.peer.config.templates if one.template_id == call.body.get("template_id")), None)
    if found is None or (subscription and not found.offered):
        raise ApiError(40037)
    return found


def _show(call: Call, person: Row, known: SimTemplate, via: str) -> Answer:
    values = _values(call, known)
    page = call.body.get("page" if via == "subscription" else "url", "")
    if not isinstance(page, str) or (page and not page.startswith(("http://", "https://"))):
        raise ApiError(41030)
    body = {"title": known.title, "fields": [[known.fields[key], value] for key, value in values.items()], "url": page,
            "via": via}
    people.say(call.connection, person["openid"], "account", "template", body, call.now)
    return {**OK, "msgid": 10**18 + secrets.randbelow(10**18)}


def _values(call: Call, known: SimTemplate) -> dict[str, str]:
    data = call.body.get("data")
    if not isinstance(data, dict):
        raise ApiError(47001, "hint: [data] is not an object")
    if strange := set(data) - set(known.fields):
        raise ApiError(47003, f"hint: data.{min(strange)} is not in the template")
    return {key: _field(key, data.get(key)) for key in known.fields}


def _field(key: str, part: Any) -> str:
    value = part.get("value") if isinstance(part, dict) else None
    rule = _FIELD_RULES.get(key.rstrip("0123456789"))
    if not isinstance(value, str) or not value.strip() or (rule and not rule.fullmatch(value)):
        raise ApiError(47003, f"hint: data.{key}.value")
    return value


_FIELD_RULES = {kind: re.compile(rule) for kind, rule in {
    "thing": r".{1,20}", "short_thing": r".{1,10}", "character_string": r"[!-~]{1,32}",
    "number": r"[0-9.]{1,32}", "letter": r"[A-Za-z]{1,32}", "symbol": r"[^\w\s]{1,5}",
    "amount": r"[¥￥$€£]?[0-9]{1,10}(\.[0-9]{1,2})?元?", "phrase": r"[\u4e00-\u9fff]{1,5}",
    "name": r"[\u4e00-\u9fff]{1,10}|[A-Za-z ]{1,20}", "phone_number": r"[0-9+-]{1,17}",
    "car_number": r".{1,8}", "time": r"[0-9:年月日/~ -]{4,48}", "date": r"[0-9:年月日/~ -]{4,48}",
}.items()}


def _tell_template_result(peer: Peer, body: dict[str, Any], answer: dict[str, Any]) -> None:
    """WeChat reports the fate of a template message with an event of its own."""
    fields: Fields = [("MsgID", answer["msgid"]), ("Status", "success")]
    deliveries.announce(peer, body["touser"], "TEMPLATESENDJOBFINISH", fields)


def _tell_subscription_result(peer: Peer, body: dict[str, Any], answer: dict[str, Any]) -> None:
    one: Fields = [("TemplateId", body["template_id"]), ("MsgID", answer["msgid"]), ("ErrorCode", 0),
                   ("ErrorStatus", "success")]
    deliveries.announce(peer, body["touser"], "subscribe_msg_sent_event", [("SubscribeMsgSentEvent", [("List", one)])])


def listed(call: Call) -> Answer:
    """GET template/get_all_private_template: what the account has added, with the fields in their content."""
    return {"template_list": [
        {"template_id": one.template_id, "title": one.title, "primary_industry": "", "deputy_industry": "",
         "content": "\n".join(f"{label}:{{{{{key}.DATA}}}}" for key, label in one.fields.items()), "example": ""}
        for one in call.peer.config.templates]}


ENDPOINTS = {
    "message/template/send": Endpoint(template, daily=100_000, followup=_tell_template_result),
    "message/subscribe/bizsend": Endpoint(subscription, daily=500_000, followup=_tell_subscription_result),
    "template/get_all_private_template": Endpoint(listed, method="GET", body="none", daily=1_000),
}
