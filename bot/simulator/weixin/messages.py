"""Messages to one person: custom/send and custom/typing, with the rights they need."""

from datetime import timedelta
from typing import Any

from bot.simulator import people, pictures
from bot.simulator.errors import ApiError
from bot.simulator.store import Row
from bot.simulator.weixin.endpoint import Answer, Call, Endpoint
from bot.simulator.wire import MAX_TEXT_BYTES

OK = {"errcode": 0, "errmsg": "ok"}
TYPING_LASTS = timedelta(seconds=15)
MAX_MENU_ENTRIES = 10
_NEED_MEDIA = ("voice", "video", "music", "mpnews", "mpnewsarticle")
_NOT_GRANTED = ("wxcard", "miniprogrampage")


def send(call: Call) -> Answer:
    """POST message/custom/send. The message is judged before the right is spent."""
    person = recipient(call)
    kind = call.text("msgtype", 40008)
    if kind in _NOT_GRANTED:
        raise ApiError(48001)
    if kind in _NEED_MEDIA:
        raise ApiError(40007)
    if kind not in _CONTENT:
        raise ApiError(40008)
    if "customservice" in call.body:
        raise ApiError(65401)
    part = call.body.get(kind)
    if not isinstance(part, dict):
        raise ApiError(47001, f"hint: [{kind}] is not an object")
    body = _CONTENT[kind](call, part)
    people.spend(call.connection, person["openid"], call.now)
    people.set_typing(call.connection, person["openid"], None)
    people.say(call.connection, person["openid"], "account", kind, {**body, "via": "custom"}, call.now)
    return OK


def recipient(call: Call) -> Row:
    """Who it is for. 40003 for a stranger or another account's openid, 43004 for somebody who left."""
    openid = call.body.get("touser")
    person = people.find(call.connection, openid, account=call.account.account) if isinstance(openid, str) else None
    if person is None:
        raise ApiError(40003)
    if not person["following"]:
        raise ApiError(43004 if person["subscribed_at"] else 40003)
    return person


def _text(call: Call, part: dict[str, Any]) -> dict[str, Any]:
    content = part.get("content")
    if content is None or content == "":
        raise ApiError(44004)
    if not isinstance(content, str):
        raise ApiError(47001, "hint: [content] is not a string")
    if len(content.encode()) > MAX_TEXT_BYTES:
        raise ApiError(45002)
    return {"content": content}


def _image(call: Call, part: dict[str, Any]) -> dict[str, Any]:
    media_id = part.get("media_id")
    if not media_id:
        raise ApiError(41006)
    if not pictures.usable(call.connection, call.account.account, media_id, call.now):
        raise ApiError(40007)
    return {"media_id": media_id}


def _news(call: Call, part: dict[str, Any]) -> dict[str, Any]:
    articles = part.get("articles")
    if not isinstance(articles, list) or not all(isinstance(article, dict) for article in articles):
        raise ApiError(47001, "hint: [articles] is not an array of objects")
    if not articles:
        raise ApiError(44003)
    if len(articles) > 1:
        raise ApiError(45008)
    article = {name: articles[0].get(name, "") for name in ("title", "description", "picurl", "url")}
    if not article["title"] or not all(isinstance(value, str) for value in article.values()):
        raise ApiError(44003, "hint: an article needs a title, and strings only")
    return {"articles": [article]}


def _menu(call: Call, part: dict[str, Any]) -> dict[str, Any]:
    entries = part.get("list")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_MENU_ENTRIES:
        raise ApiError(47001, "hint: [list] needs one to ten entries")
    chosen: list[dict[str, Any]] = []
    for entry in entries:
        known = entry if isinstance(entry, dict) else {}
        choice = {name: known.get(name) for name in ("id", "content")}
        if not all(isinstance(value, str) and value for value in choice.values()):
            raise ApiError(47001, "hint: every entry needs the strings id and content")
        chosen.append(choice)
    edges = {name: part.get(name, "") for name in ("head_content", "tail_content")}
    if not all(isinstance(value, str) for value in edges.values()):
        raise ApiError(47001, "hint: head_content and tail_content are strings")
    if len("".join([*edges.values(), *(entry["content"] for entry in chosen)]).encode()) > MAX_TEXT_BYTES:
        raise ApiError(45002)
    return {**edges, "list": chosen}


_CONTENT = {"text": _text, "image": _image, "news": _news, "msgmenu": _menu}


def typing(call: Call) -> Answer:
    """POST message/custom/typing: only within 48 h of the person's own message."""
    person = recipient(call)
    command = call.body.get("command")
    if command not in ("Typing", "CancelTyping"):
        raise ApiError(45072)
    if not people.has_message_window(call.connection, person["openid"], call.now):
        raise ApiError(45080)
    is_typing = person["typing_until"] is not None and person["typing_until"] > call.real_now
    if (command == "Typing") == is_typing:
        raise ApiError(45081)
    until = call.real_now + TYPING_LASTS if command == "Typing" else None
    people.set_typing(call.connection, person["openid"], until)
    return OK


ENDPOINTS = {
    "message/custom/send": Endpoint(send, daily=500_000),
    "message/custom/typing": Endpoint(typing, daily=500_000),
}
