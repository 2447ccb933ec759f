"""Renders a passive reply as the platform's XML, whatever the words in it.

The models are wechatpy's. They put values into CDATA unescaped, so what could end a section or break the
document is taken care of here before they see it.
"""

import re
from datetime import datetime

from bot.kit.messages import Reply

MAX_TEXT_BYTES = 2_048
"""What a text reply may hold in UTF-8."""

_ELLIPSIS = "…"
# Everything the XML 1.0 production for Char leaves out, lone surrogates among it.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(reply: Reply, *, source: str, target: str, stamp: datetime) -> str:
    """The reply's XML from ``source`` (original id) to ``target`` (openid), or '' if there is nothing to say.

    ``stamp`` is its CreateTime. Channels give the message's own, so that a retry reads the very same answer.
    Text is cleaned and cut, never refused. An empty text counts as nothing: the platform takes only a plain
    acknowledgement for silence, not an empty message. Raises ValueError for a kind that does not exist.
    """
    now_ts = int(stamp.timestamp())
    if reply.kind == "text":
        content = fit(_NOT_XML.sub("", reply.text))
        said = f"<Content><![CDATA[{_cdata(content)}]]></Content>"
        return _reply("text", source, target, now_ts, said) if content.strip() else ""
    if reply.kind == "image":
        media_id = _NOT_XML.sub("", reply.media_id)
        shown = f"<Image>\n<MediaId><![CDATA[{_cdata(media_id)}]]></MediaId>\n</Image>"
        return _reply("image", source, target, now_ts, shown) if media_id else ""
    if reply.kind == "transfer":
        from wechatpy.replies import TransferCustomerServiceReply  # a megabyte, for a shop with a desk in the app

        return str(TransferCustomerServiceReply(source=source, target=target, time=now_ts).render())
    if reply.kind == "nothing":
        return ""
    raise ValueError(f"there is no passive reply of kind {reply.kind!r}")


def _reply(kind: str, source: str, target: str, now_ts: int, inner: str) -> str:
    return (f"<xml>\n<MsgType><![CDATA[{kind}]]></MsgType>\n<FromUserName><![CDATA[{source}]]></FromUserName>\n"
            f"<ToUserName><![CDATA[{target}]]></ToUserName>\n<CreateTime>{now_ts}</CreateTime>\n{inner}\n</xml>")


def fit(content: str, limit: int = MAX_TEXT_BYTES) -> str:
    """``content`` in at most ``limit`` (>= 3) UTF-8 bytes; cut between characters and ended with '…' if longer."""
    encoded = content.encode()
    if len(encoded) <= limit:
        return content
    room = limit - len(_ELLIPSIS.encode())
    # A joiner without what it joins would glue the ellipsis to the last picture.
    return encoded[:room].decode("utf-8", "ignore").rstrip("\u200d") + _ELLIPSIS


def _cdata(text: str) -> str:
    """``text`` as it may stand inside a CDATA section: one that would end early goes on in a second section."""
    return text.replace("]]>", "]]]]><![CDATA[>")
