"""Turns an opened WeCom message into the neutral ``Incoming``, or says why it cannot be one.

``sender`` is the customer (external_userid) for what happened to a contact, the employee (userid, in small letters, as
the platform's API writes it) for what an employee wrote or tapped, and '' where nobody did anything.
``data`` holds, only where present:
  contact_…      userid (of the employee), welcome_code, source, fail_reason; the state is ``key``
  text and media as in ``wechat_incoming``: media_id, pic_url, format, title, description, url, latitude, longitude …
  other          raw_event, change, and the remaining fields
"""

import hashlib
import re
from typing import Any

from bot.kit.messages import Incoming
from bot.runtime.channels.faults import Unusable
from bot.runtime.channels.fields import LAST_ID, Names, integer, leaf, pick, required, stamp
from bot.runtime.channels.strict_xml import Node

CHANNEL = "wecom"

_USERID = re.compile(r"[A-Za-z0-9_@.-]{1,64}")
_EXTERNAL = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_STATE = 64
"""Bytes of the longest state: the channel of an acquisition link; a contact way has 30 characters at most."""

_MESSAGES: dict[str, tuple[str, Names]] = {
    "text": ("text", ()),
    "image": ("image", (("MediaId", "media_id"), ("PicUrl", "pic_url"))),
    "voice": ("voice", (("MediaId", "media_id"), ("Format", "format"))),
    "video": ("video", (("MediaId", "media_id"), ("ThumbMediaId", "thumb_media_id"))),
    "location": ("location", (("Location_X", "latitude"), ("Location_Y", "longitude"), ("Label", "label"))),
    "link": ("link", (("Title", "title"), ("Description", "description"), ("Url", "url"))),
}
CONTACT_CHANGES = {
    "add_external_contact": "contact_added",
    "add_half_external_contact": "contact_half_added",
    "edit_external_contact": "contact_edited",
    "del_external_contact": "contact_removed",
    "del_follow_user": "contact_left",
    "transfer_fail": "contact_transfer_failed",
}
"""What happened between an employee and a customer, and what we call it. removed: by the employee; left: by the
customer."""

_OF_EMPLOYEES = {"enter_agent": "enter", "click": "menu", "view": "view"}
_CONTACT_FIELDS: Names = (("WelcomeCode", "welcome_code"), ("Source", "source"), ("FailReason", "fail_reason"))
_ENVELOPE_TAGS = frozenset({"ToUserName", "FromUserName", "CreateTime", "MsgType", "Event", "ChangeType", "AgentID"})


def to_incoming(account: str, plain: bytes, message: Node) -> Incoming:
    """The neutral form of ``message``, which is ``plain`` parsed. Raises Unusable for what no handler could rely on."""
    raw_type = required(message, "MsgType")
    if raw_type == "event":
        return _event(account, plain, message)
    kind, names = _MESSAGES.get(raw_type, ("other", ()))
    text = required(message, "Content") if raw_type == "text" else ""
    key = f"msg:{integer(message, 'MsgId', LAST_ID)}"
    data: dict[str, Any] = pick(message, names)
    return Incoming(CHANNEL, account, _userid(message, "FromUserName"), kind, key, stamp(message), text, data=data)


def _event(account: str, plain: bytes, message: Node) -> Incoming:
    """An event has no MsgId, and its sender is always ``sys``: two customers of one second differ in the text only. So
    the text itself is the key; a resend carries the same text, if in another cipher."""
    raw_event, change = required(message, "Event"), leaf(message, "ChangeType")
    name, sender, key = "other", "", ""
    data: dict[str, Any] = {}
    if raw_event == "change_external_contact" and change in CONTACT_CHANGES:
        name, sender = CONTACT_CHANGES[change], _external(message)
        key, data = _state(message), {"userid": _userid(message, "UserID"), **pick(message, _CONTACT_FIELDS)}
    elif raw_event in _OF_EMPLOYEES:
        name, sender, key = _OF_EMPLOYEES[raw_event], _userid(message, "FromUserName"), leaf(message, "EventKey")
    else:
        rest = {tag: value for tag, value in message.items() if tag not in _ENVELOPE_TAGS}
        data = {"raw_event": raw_event, "change": change, "fields": rest}
    return Incoming(CHANNEL, account, sender, "event", "event:" + hashlib.sha256(plain).hexdigest()[:40],
                    stamp(message), event=name, key=key, data=data)


def _userid(message: Node, tag: str) -> str:
    userid = leaf(message, tag)
    if not _USERID.fullmatch(userid):
        raise Unusable(f"{tag} is not a userid")
    return userid.lower()


def _external(message: Node) -> str:
    external = leaf(message, "ExternalUserID")
    if not _EXTERNAL.fullmatch(external):
        raise Unusable("ExternalUserID is not an id")
    return external


def _state(message: Node) -> str:
    """The state as it is; one that is too long to be anybody's is none, the event counts all the same."""
    state = leaf(message, "State").strip()
    return state if len(state.encode()) <= MAX_STATE else ""
