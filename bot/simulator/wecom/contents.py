"""What a welcome or a mass message says: a text and attachments, judged whole and shown as one bubble each."""

from typing import Any

from bot.simulator import people, pictures
from bot.simulator.store import Row
from bot.simulator.wecom.endpoint import Call
from bot.simulator.wecom.errors import CorpError

MAX_BYTES, MAX_ATTACHMENTS = 4_000, 9
_TITLE, _DESC, _URL, _MINI = 128, 512, 2_048, 64

Bubbles = list[dict[str, Any]]
"""Each {kind, body} as the phone shows it; in order."""


def read(call: Call) -> Bubbles:
    """The bubbles of ``text`` and ``attachments``. CorpError 44004 (both empty), 40058 or 40007."""
    said = _text(call.body.get("text"))
    raw = call.body.get("attachments", [])
    if not isinstance(raw, list) or len(raw) > MAX_ATTACHMENTS:
        raise CorpError(40058, "attachments")
    bubbles: Bubbles = [{"kind": "text", "body": {"content": said}}] if said else []
    bubbles += [_attachment(call, one) for one in raw]
    if not bubbles:
        raise CorpError(44004)
    return bubbles


def _text(part: Any) -> str:
    if part is None:
        return ""
    said = part.get("content", "") if isinstance(part, dict) else None
    if not isinstance(said, str) or len(said.encode()) > MAX_BYTES:
        raise CorpError(40058, "text.content")
    return said


def _attachment(call: Call, one: Any) -> dict[str, Any]:
    kind = one.get("msgtype") if isinstance(one, dict) else None
    part = one.get(kind) if isinstance(kind, str) else None
    if kind not in ("image", "link", "miniprogram", "video", "file") or not isinstance(part, dict):
        raise CorpError(40058, "attachments.msgtype")
    if kind == "link":
        return _article(_field(part, "title", _TITLE, True), _field(part, "desc", _DESC),
                        _field(part, "picurl", _URL), _field(part, "url", _URL, True))
    if kind == "miniprogram":
        for name in ("appid", "page", "pic_media_id"):
            _field(part, name, _URL, True)
        return _article(_field(part, "title", _MINI, True), part["page"], "", "")
    media_id = part.get("media_id")
    if not pictures.usable(call.connection, call.corp.account, media_id, call.now):
        raise CorpError(40007)
    return {"kind": "image", "body": {"media_id": media_id}}


def _article(title: str, description: str, picurl: str, url: str) -> dict[str, Any]:
    return {"kind": "news", "body": {"articles": [
        {"title": title, "description": description, "picurl": picurl, "url": url}]}}


def _field(part: dict[str, Any], name: str, most: int, needed: bool = False) -> str:
    value = part.get(name, "")
    if not isinstance(value, str) or (needed and not value) or len(value.encode()) > most:
        raise CorpError(40058, name)
    return value


def show(call_or_page: Any, contact: Row, bubbles: Bubbles, via: str) -> None:
    """Put them on the customer's phone, in the chat with the member. ``call_or_page`` has connection and now."""
    for one in bubbles:
        people.say(call_or_page.connection, contact["openid"], "staff", one["kind"], {**one["body"], "via": via},
                   call_or_page.now, chat=f"{contact['account']}:{contact['userid']}")
