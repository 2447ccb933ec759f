"""Turns an opened Official Account message into the neutral ``Incoming``, or says why it cannot be one.

``data`` holds texts as the platform wrote them, under these names and only where present:
  every event    raw_event (the platform's own name); menu_id, ticket
  text           bizmsgmenuid              image   media_id, pic_url
  voice          media_id, media_id_16k, format; what was recognised is the text
  video          media_id, thumb_media_id  (raw_type 'shortvideo' if it was one)
  location       latitude, longitude, scale, label  (also of location_report, with precision)
  link           title, description, url; of a mini program: raw_type, title, app_id, page_path, thumb_url
  follow         event_key if it was not the scene of a QR code (a payment, say)
  view           url, or page_path for a mini program
  menu           scan_type, scan_result · pictures (MD5 sums) · latitude, longitude, scale, label, poi
  other          msg_id, status and counts of send jobs · items (a dict for each) of subscribe_msg_* ·
                 account, from_account, to_account of kf_* · fields of an event not known here ·
                 raw_type of a message type not known here
"""

import hashlib
from datetime import datetime
from typing import Any

from bot.kit.messages import Incoming
from bot.runtime.channels.faults import Unusable
from bot.runtime.channels.fields import LAST_ID, Names, branch, decimal, integer, leaf, pick, required, stamp, user_name
from bot.runtime.channels.strict_xml import Node, each

CHANNEL = "wechat"

_SCENE_PREFIX = "qrscene_"

_PLACE: Names = (("Scale", "scale"), ("Label", "label"), ("Poiname", "poi"))
_MESSAGES: dict[str, tuple[str, Names]] = {
    "text": ("text", (("bizmsgmenuid", "bizmsgmenuid"),)),
    "image": ("image", (("MediaId", "media_id"), ("PicUrl", "pic_url"))),
    "voice": (
        "voice",
        (
            ("MediaId", "media_id"),
            ("MediaId16K", "media_id_16k"),
            ("Format", "format"),
        ),
    ),
    "video": ("video", (("MediaId", "media_id"), ("ThumbMediaId", "thumb_media_id"))),
    "shortvideo": ("video", (("MediaId", "media_id"), ("ThumbMediaId", "thumb_media_id"))),
    "location": ("location", ()),
    "link": ("link", (("Title", "title"), ("Description", "description"), ("Url", "url"))),
    "miniprogrampage": (
        "link",
        (
            ("Title", "title"),
            ("AppId", "app_id"),
            ("PagePath", "page_path"),
            ("ThumbUrl", "thumb_url"),
            ("ThumbMediaId", "thumb_media_id"),
        ),
    ),
}
_WITH_MEDIA = frozenset({"image", "voice", "video", "shortvideo"})

_EVENTS: dict[str, str] = {
    "subscribe": "follow",
    "unsubscribe": "unfollow",
    "scan": "scan",
    "click": "menu",
    "scancode_push": "menu",
    "scancode_waitmsg": "menu",
    "pic_sysphoto": "menu",
    "pic_photo_or_album": "menu",
    "pic_weixin": "menu",
    "location_select": "menu",
    "view": "view",
    "view_miniprogram": "view",
    "location": "location_report",
}
_KEYED = frozenset({"scan", "menu"})
_EVENT_FIELDS: Names = (("Ticket", "ticket"), ("MenuId", "menu_id"))
_JOB_FIELDS: Names = (
    ("Status", "status"),
    ("TotalCount", "total_count"),
    ("FilterCount", "filter_count"),
    ("SentCount", "sent_count"),
    ("ErrorCount", "error_count"),
)
_SERVICE_FIELDS: Names = (
    ("KfAccount", "account"),
    ("FromKfAccount", "from_account"),
    ("ToKfAccount", "to_account"),
)
_SUBSCRIPTION_FIELDS: Names = (
    ("TemplateId", "template_id"),
    ("SubscribeStatusString", "subscribe_status"),
    ("PopupScene", "popup_scene"),
    ("MsgID", "msg_id"),
    ("ErrorCode", "error_code"),
    ("ErrorStatus", "error_status"),
)
# The platform's own sample of a change wraps it in the tag of the popup, so any of the three is taken.
_SUBSCRIPTION_TAGS = ("SubscribeMsgPopupEvent", "SubscribeMsgChangeEvent", "SubscribeMsgSentEvent")
_ENVELOPE_TAGS = frozenset({"ToUserName", "FromUserName", "CreateTime", "MsgType", "Event"})


def to_incoming(account: str, message: Node) -> Incoming:
    """The neutral form of the children of ``<xml>``. Raises Unusable for content no handler could rely on."""
    sender = user_name(message, "FromUserName")
    user_name(message, "ToUserName")
    sent_at = stamp(message)
    raw_type = leaf(message, "MsgType")
    if not raw_type:
        raise Unusable("MsgType is missing")
    if raw_type == "event":
        return _event(account, message, sender, sent_at)
    kind, names = _MESSAGES.get(raw_type, ("event", ()))
    data: dict[str, Any] = pick(message, names)
    if raw_type == "location":
        data |= _place(message, "Location_X", "Location_Y")
    if raw_type in _WITH_MEDIA and "media_id" not in data:
        raise Unusable("MediaId is missing")
    if kind != raw_type:
        data["raw_type"] = raw_type
    return Incoming(
        channel=CHANNEL,
        account=account,
        sender=sender,
        kind=kind,
        dedupe_key=f"msg:{integer(message, 'MsgId', LAST_ID)}",
        sent_at=sent_at,
        text=_words(raw_type, message),
        event="other" if kind == "event" else "",
        data=data,
    )


def _words(raw_type: str, message: Node) -> str:
    """What was typed, or what the platform heard: it ends that like a sentence, which nobody said."""
    if raw_type == "voice":
        return leaf(message, "Recognition").strip().rstrip("。").strip()
    return required(message, "Content") if raw_type == "text" else ""


def _event(account: str, message: Node, sender: str, sent_at: datetime) -> Incoming:
    raw_event = leaf(message, "Event")
    if not raw_event:
        raise Unusable("Event is missing")
    name = raw_event.lower()
    event = _EVENTS.get(name, "other")
    raw_key = leaf(message, "EventKey")
    data = {"raw_event": raw_event, **pick(message, _EVENT_FIELDS)}
    key = raw_key if event in _KEYED else ""
    if event == "follow" and raw_key.startswith(_SCENE_PREFIX):
        key = raw_key.removeprefix(_SCENE_PREFIX)
    elif event == "follow" and raw_key:
        data["event_key"] = raw_key
    elif event == "view":
        data["page_path" if name == "view_miniprogram" else "url"] = raw_key
    data |= _details(name, event, message)
    return Incoming(
        channel=CHANNEL,
        account=account,
        sender=sender,
        kind="event",
        dedupe_key=_event_key(message, sender, raw_event, raw_key, data),
        sent_at=sent_at,
        event=event,
        key=key,
        data=data,
    )


def _details(name: str, event: str, message: Node) -> dict[str, Any]:
    """What only events of this name carry."""
    if event == "location_report":
        return _place(message, "Latitude", "Longitude") | {"precision": decimal(message, "Precision")}
    if event == "menu":
        return _menu_details(message)
    if event != "other":
        return {}
    if name in ("templatesendjobfinish", "masssendjobfinish"):
        return {"msg_id": str(integer(message, "MsgID", LAST_ID)), **pick(message, _JOB_FIELDS)}
    if name.startswith("subscribe_msg_"):
        return {"items": _subscriptions(message)}
    if name.startswith("kf_"):
        return pick(message, _SERVICE_FIELDS)
    return {"fields": {tag: value for tag, value in message.items() if tag not in _ENVELOPE_TAGS}}


def _menu_details(message: Node) -> dict[str, Any]:
    """The result of a menu entry that scans, takes pictures or picks a place; {} for one that only clicks."""
    scan = branch(message, "ScanCodeInfo")
    data: dict[str, Any] = pick(scan, (("ScanType", "scan_type"), ("ScanResult", "scan_result")))
    pictures = branch(message, "SendPicsInfo")
    if pictures:
        items = each(branch(pictures, "PicList").get("item"))
        data["pictures"] = [leaf(item, "PicMd5Sum") for item in items if isinstance(item, dict)]
    place = branch(message, "SendLocationInfo")
    return data | _place(place, "Location_X", "Location_Y") if place else data


def _subscriptions(message: Node) -> list[dict[str, str]]:
    """One dict for each template that a person allowed, refused or was sent. A single one is not a list in XML."""
    found: list[dict[str, str]] = []
    for tag in _SUBSCRIPTION_TAGS:
        entries = each(branch(message, tag).get("List"))
        found += [pick(entry, _SUBSCRIPTION_FIELDS) for entry in entries if isinstance(entry, dict)]
    return found


def _event_key(message: Node, sender: str, raw_event: str, raw_key: str, data: dict[str, Any]) -> str:
    """Events have no MsgId. The official hint (sender and second) would merge a follow with its scan.

    Results of sending add the id of what was sent, answers to a question which templates: several arrive for one
    person within a second.
    """
    names = ("msg_id", "template_id", "subscribe_status")
    sent = [" ".join(filter(None, (str(item.get(name, "")) for name in names))) for item in data.get("items", [])]
    sent = sent or [str(data.get("msg_id", ""))]
    facts = (sender, leaf(message, "CreateTime"), raw_event, raw_key, leaf(message, "Ticket"), *sent)
    return "event:" + hashlib.sha256("\0".join(facts).encode()).hexdigest()[:40]


def _place(node: Node, latitude: str, longitude: str) -> dict[str, str]:
    """A place of the platform with its coordinates in degrees, as decimal text."""
    return {
        "latitude": decimal(node, latitude, 90),
        "longitude": decimal(node, longitude, 180),
        **pick(node, _PLACE),
    }
