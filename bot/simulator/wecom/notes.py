"""What the application itself says to members of staff, and the pictures that it uploads."""

import secrets
from datetime import timedelta
from typing import Any

from bot.simulator import pictures
from bot.simulator.store import dump, row, run
from bot.simulator.wecom.endpoint import OK, Answer, Call, Endpoint
from bot.simulator.wecom.errors import CorpError

MAX_TO, MAX_TEXT = 1_000, 2_048
A_MINUTE, AN_HOUR = 30, 1_000
"""Messages to one member; what is more is dropped without a word."""


def send(call: Call) -> Answer:
    """POST message/send {touser, agentid, msgtype, ...}: 81013 when it reaches nobody, strangers in invaliduser."""
    if call.body.get("agentid") != call.corp.agent_id:
        raise CorpError(40056)
    kind = call.text("msgtype", 40008)
    part = call.body.get(kind)
    if kind not in _SHOWN or not isinstance(part, dict):
        raise CorpError(40008)
    shown = {"kind": kind, **_SHOWN[kind](part)}
    wanted = [one for one in call.maybe_text("touser").split("|") if one]
    if len(wanted) > MAX_TO:
        raise CorpError(40058, "touser")
    reached = list(call.corp.staff) if wanted == ["@all"] else [
        found for one in wanted if (found := call.corp.member(one)) is not None]
    if not reached:
        raise CorpError(81013)
    for one in reached:
        if _room(call, one.userid):
            run(call.connection, "insert into sim.staff_inbox (account, userid, body, at) "
                "values (:account, :userid, cast(:body as jsonb), :now)", account=call.corp.account,
                userid=one.userid, body=dump(shown), now=call.now)
    strangers = [] if wanted == ["@all"] else [one for one in wanted if call.corp.member(one) is None]
    return {**OK, "invaliduser": "|".join(strangers), "invalidparty": "", "invalidtag": "",
            "msgid": secrets.token_urlsafe(24)}


def _room(call: Call, userid: str) -> bool:
    had = row(call.connection, """
        select count(*) filter (where at > :minute) as a_minute, count(*) as an_hour from sim.staff_inbox
        where account = :account and userid = :userid and at > :hour""", account=call.corp.account, userid=userid,
        minute=call.now - timedelta(minutes=1), hour=call.now - timedelta(hours=1))
    return not had or (had["a_minute"] < A_MINUTE and had["an_hour"] < AN_HOUR)


def _text(part: dict[str, Any]) -> dict[str, str]:
    content = part.get("content")
    if not isinstance(content, str) or not content:
        raise CorpError(44004)
    return {"title": "", "content": content.encode()[:MAX_TEXT].decode(errors="ignore"), "url": ""}


def _card(part: dict[str, Any]) -> dict[str, str]:
    needed = [part.get(name) for name in ("title", "description", "url")]
    title, description, url = (one if isinstance(one, str) else "" for one in needed)
    if not title or not description or not url or len(title.encode()) > 128 or len(description.encode()) > 512:
        raise CorpError(40058, "textcard")
    return {"title": title, "content": description, "url": url}


_SHOWN = {"text": _text, "markdown": _text, "textcard": _card}


def upload(call: Call) -> Answer:
    """POST media/upload?type=image, one multipart part named media: it lives three days."""
    if call.query.get("type") != "image":
        raise CorpError(40004)
    if not call.upload:
        raise CorpError(44001)
    if len(call.upload) > pictures.MAX_IMAGE_BYTES:
        raise CorpError(40009)
    mime = pictures.mime_of(call.upload)
    if mime not in ("image/jpeg", "image/png"):
        raise CorpError(40005)
    media_id = pictures.keep(call.connection, call.corp.account, mime, call.upload, call.now)
    return {**OK, "type": "image", "media_id": media_id, "created_at": str(int(call.now.timestamp()))}


ENDPOINTS = {
    "message/send": Endpoint(send, customers=False),
    "media/upload": Endpoint(upload, upload=True, customers=False),
}
