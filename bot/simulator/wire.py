"""XML and JSON on the wire: callbacks out, replies and calls in. Strict in both directions; no I/O, no state."""

import json
import re
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

Fields = list[tuple[str, Any]]
"""Elements in order: text becomes CDATA, a whole number stays bare, a list nests."""

MAX_ANSWER_BYTES = 64 * 1024
MAX_TEXT_BYTES = 2048
MAX_ARTICLES = 8
"""After an event; in answer to a message only one article is shown, which the sender checks."""
_MAYBE_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""An escaped surrogate: a whole character only beside its other half."""
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class BadAnswer(ValueError):
    """The service answered something WeChat would not understand."""


@dataclass(frozen=True, slots=True)
class PassiveReply:
    """A well-formed reply: kind text, image or news, addressed; ``body`` is what the phone shows."""

    to_user: str
    from_user: str
    kind: str
    body: dict[str, Any]


def json_of(raw: bytes) -> Any:
    """What JSON bytes say; None if they are none, not UTF-8, hold half characters or are nested too deep to read."""
    try:
        value = json.loads(raw.decode())
        if _MAYBE_HALF.search(raw):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except (ValueError, RecursionError):
        return None


def to_xml(fields: Fields) -> str:
    return f"<xml>{_elements(fields)}</xml>"


def _elements(fields: Fields) -> str:
    return "".join(f"<{name}>{_value(value)}</{name}>" for name, value in fields)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return _elements(value)
    if isinstance(value, int):
        return str(value)
    return "<![CDATA[" + str(value).replace("]]>", "]]]]><![CDATA[>") + "]]>"


def from_xml(source: str) -> ElementTree.Element:
    """The root, which must be ``xml``. Raises BadAnswer; document types are refused before parsing."""
    if "<!DOCTYPE" in source or "<!ENTITY" in source:
        raise BadAnswer("document types are not allowed")
    try:
        root = ElementTree.fromstring(source)  # noqa: S314 - no DTD can be in it, and its size is capped
    except (ElementTree.ParseError, ValueError) as error:
        raise BadAnswer(f"not XML: {error}") from error
    if root.tag != "xml":
        raise BadAnswer(f"the root is <{root.tag}>, not <xml>")
    return root


def one(root: ElementTree.Element, path: str) -> str:
    """Text of the only element at ``path``. Raises BadAnswer when it is missing, doubled or has children."""
    found = root.findall(path)
    if len(found) != 1:
        raise BadAnswer(f"{path} is there {len(found)} times")
    if len(found[0]):
        raise BadAnswer(f"{path} has elements inside")
    return found[0].text or ""


def parse_reply(source: str) -> PassiveReply:
    """A plain passive reply. Raises BadAnswer naming the first fault."""
    root = from_xml(source)
    if not _TIMESTAMP.fullmatch(one(root, "CreateTime")):
        raise BadAnswer("CreateTime is not a whole number")
    kind = one(root, "MsgType")
    body = _REPLIES[kind](root) if kind in _REPLIES else None
    if body is None:
        raise BadAnswer(f"MsgType {kind!r} cannot be shown")
    return PassiveReply(one(root, "ToUserName"), one(root, "FromUserName"), kind, body)


def _text(root: ElementTree.Element) -> dict[str, Any]:
    content = one(root, "Content")
    if not content:
        raise BadAnswer("Content is empty: silence is 'success' or nothing, not an empty text")
    if len(content.encode()) > MAX_TEXT_BYTES:
        raise BadAnswer(f"Content is longer than {MAX_TEXT_BYTES} bytes")
    return {"content": content}


def _image(root: ElementTree.Element) -> dict[str, Any]:
    media_id = one(root, "Image/MediaId")
    if not media_id:
        raise BadAnswer("MediaId is empty")
    return {"media_id": media_id}


def _news(root: ElementTree.Element) -> dict[str, Any]:
    items = root.findall("Articles/item")
    if not 1 <= len(items) <= MAX_ARTICLES or one(root, "ArticleCount") != str(len(items)):
        raise BadAnswer(f"{len(items)} articles where at most {MAX_ARTICLES} are allowed, or ArticleCount differs")
    names = (("title", "Title"), ("description", "Description"), ("picurl", "PicUrl"), ("url", "Url"))
    articles = [{key: one(item, tag) for key, tag in names} for item in items]
    if not articles[0]["title"]:
        raise BadAnswer("an article has no Title")
    return {"articles": articles}


def _human(root: ElementTree.Element) -> dict[str, Any]:
    return {}


_REPLIES = {"text": _text, "image": _image, "news": _news, "transfer_customer_service": _human}
