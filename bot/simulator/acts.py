"""What people do with their phones: write, speak, tap, scan, follow, leave, send a place or a picture.

Each act is one transaction (bubble, rights, queued callback) and then starts the delivery. All raise SimError.
"""

import hashlib
import re
import secrets
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import Connection

from bot.simulator import deliveries, people, pictures, texts
from bot.simulator.errors import SimError
from bot.simulator.peer import Peer
from bot.simulator.store import Row, row
from bot.simulator.wecom import acts as wecom
from bot.simulator.weixin import menus
from bot.simulator.wire import Fields

MAX_TEXT = 1000
_ENDS = "。？！"
_MENU_LINK = re.compile(r'href="(weixin://bizmsgmenu\?[^"]+)"')
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")


def say(peer: Peer, openid: str, content: str) -> dict[str, Any]:
    """Send a text; opens the 48-hour window."""
    if not content.strip():
        raise SimError(422, texts.EMPTY_TEXT)
    _sayable(content)
    return _message(peer, openid, "text", {"content": content}, [("Content", content)])


def speak(peer: Peer, openid: str, heard: str) -> dict[str, Any]:
    """Send a voice message; ``heard`` is what WeChat recognises in it, '' where the account has that switched off. The
    recogniser ends what it heard like a sentence. There is no sound behind the media id."""
    _sayable(heard)
    words = heard.strip()
    words += "。" if words and words[-1] not in _ENDS else ""
    fields: Fields = [("MediaId", f"voice-{secrets.token_hex(12)}"), ("Format", "amr")]
    return _message(peer, openid, "voice", {"heard": words}, [*fields, ("Recognition", words)] if words else fields)


def _sayable(content: str) -> None:
    if len(content) > MAX_TEXT:
        raise SimError(422, texts.TEXT_TOO_LONG.format(limit=MAX_TEXT))
    if _CONTROL.search(content):
        raise SimError(422, texts.BAD_CHARACTERS)


def send_location(peer: Peer, openid: str, latitude: float, longitude: float, label: str) -> dict[str, Any]:
    """Send a place; WGS-like degrees, six digits as WeChat gives them."""
    fields = _place(latitude, longitude, label)
    body = {"latitude": f"{latitude:.6f}", "longitude": f"{longitude:.6f}", "label": label}
    return _message(peer, openid, "location", body, fields)


def _place(latitude: float, longitude: float, label: str) -> Fields:
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise SimError(422, texts.BAD_LOCATION)
    if len(label) > 100 or _CONTROL.search(label):
        raise SimError(422, texts.BAD_CHARACTERS)
    return [("Location_X", f"{latitude:.6f}"), ("Location_Y", f"{longitude:.6f}"), ("Scale", 16), ("Label", label)]


def send_image(peer: Peer, openid: str, content: bytes) -> dict[str, Any]:
    """Send a picture from the album."""
    mime = pictures.mime_of(content) if 0 < len(content) <= pictures.MAX_IMAGE_BYTES else None
    if mime is None:
        raise SimError(422, texts.BAD_IMAGE)
    with peer.store.begin() as connection:
        person = people.get_follower(connection, openid)
        media_id = pictures.keep(connection, person["account"], mime, content, peer.now())
    url = f"{peer.config.service_url()}/sim/api/media/{media_id}.jpg"
    return _message(peer, openid, "image", {"media_id": media_id}, [("PicUrl", url), ("MediaId", media_id)])


def _message(peer: Peer, openid: str, kind: str, body: dict[str, Any], fields: Fields,
             window: str = "message") -> dict[str, Any]:
    with peer.store.begin() as connection:
        person = people.get_follower(connection, openid)
        people.grant(connection, openid, window, peer.now())
        delivery = deliveries.queue_message(peer, connection, person, kind, fields)
        bubble = people.say(connection, openid, "person", kind, body, peer.now())
    deliveries.send(peer, [delivery])
    return {"bubble_id": bubble, "delivery_id": delivery}


def answer_menu(peer: Peer, openid: str, bubble_id: int, item_id: str) -> dict[str, Any]:
    """Tap a choice of a msgmenu (or a bizmsgmenu link in a text): a text that opens only the one-minute window."""
    with peer.store.begin() as connection:
        bubble = row(connection, "select * from sim.bubbles where id = :id and openid = :openid and side = 'account'",
                     id=bubble_id, openid=openid)
    content = _choices(bubble).get(item_id) if bubble else None
    if content is None:
        raise SimError(404, texts.NO_MENU_ENTRY)
    fields: Fields = [("Content", content), ("bizmsgmenuid", item_id)]
    return _message(peer, openid, "text", {"content": content}, fields, window="tap")


def _choices(bubble: Row) -> dict[str, str]:
    body = bubble["body"]
    if bubble["kind"] == "msgmenu":
        return {entry["id"]: entry["content"] for entry in body["list"]}
    links = (parse_qs(urlsplit(link.replace("&amp;", "&")).query)
             for link in _MENU_LINK.findall(body.get("content", "")))
    return {link["msgmenuid"][0]: link["msgmenucontent"][0] for link in links
            if {"msgmenuid", "msgmenucontent"} <= set(link)}


def follow(peer: Peer, openid: str) -> dict[str, Any]:
    """A plain follow, from search: the event's EventKey is there and empty."""
    with peer.store.begin() as connection:
        person = people.get(connection, openid)
        if person["following"]:
            raise SimError(409, texts.ALREADY_FOLLOWING.format(name=person["name"]))
        delivery = begin_following(peer, connection, person)
    deliveries.send(peer, [delivery])
    return {"delivery_id": delivery}


def begin_following(peer: Peer, connection: Connection, person: Row, ticket: Row | None = None) -> int:
    """Follow in an open transaction; returns the queued event."""
    how = "ADD_SCENE_QR_CODE" if ticket else "ADD_SCENE_SEARCH"
    scene = str(ticket["scene"]) if ticket else ""
    people.follow(connection, person["openid"], scene=scene, how=how, now=peer.now())
    _note(peer, connection, person, texts.FOLLOWED)
    fields: Fields = [("EventKey", f"qrscene_{scene}"), ("Ticket", ticket["ticket"])] if ticket else [("EventKey", "")]
    return deliveries.queue_event(peer, connection, person, "subscribe", fields)


def unfollow(peer: Peer, openid: str) -> dict[str, Any]:
    with peer.store.begin() as connection:
        person = people.get_follower(connection, openid)
        people.unfollow(connection, openid)
        _note(peer, connection, person, texts.UNFOLLOWED)
        delivery = deliveries.queue_event(peer, connection, person, "unsubscribe", [("EventKey", "")])
    deliveries.send(peer, [delivery])
    return {"delivery_id": delivery}


def _note(peer: Peer, connection: Connection, person: Row, text: str) -> None:
    content = text.format(account=peer.account(person["account"]).name)
    people.say(connection, person["openid"], "system", "note", {"content": content}, peer.now())


def read_code(peer: Peer, image_id: str | None, url: str | None) -> str | None:
    """What a scan sees: the given text, or what is really in the picture. None if there is no code."""
    if url is not None:
        return url
    with peer.store.begin() as connection:
        media = pictures.load(connection, image_id or "")
    if media is None:
        raise SimError(404, texts.NO_IMAGE)
    return pictures.decode_qr(bytes(media["content"]))


def scan(peer: Peer, openid: str, content: str | None) -> dict[str, Any]:
    """A code held before the camera. ``result``: subscribe, scan, contact (a member of staff is added), expired, url
    or none; ``message`` for people."""
    if content is None:
        return {"result": "none", "message": texts.CODE_NONE}
    if (added := wecom.scan(peer, openid, content)) is not None:
        return added
    with peer.store.begin() as connection:
        person = people.get(connection, openid)
        ticket = row(connection, "select * from sim.tickets where url = :url", url=content)
        if ticket is None:
            unknown = content.startswith("http://weixin.qq.com/q/")
            message = (texts.CODE_UNKNOWN if unknown else texts.CODE_URL).format(url=content)
            return {"result": "url", "message": message, "url": content}
        if ticket["account"] != person["account"]:
            raise SimError(409, texts.CODE_OTHER_ACCOUNT.format(account=peer.account(ticket["account"]).name))
        if _expired(ticket, peer.now()):
            people.say(connection, openid, "system", "note", {"content": texts.CODE_EXPIRED}, peer.now())
            return {"result": "expired", "message": texts.CODE_EXPIRED}
        delivery, result = _follow_code(peer, connection, person, ticket)
    deliveries.send(peer, [delivery])
    return {"result": result, "message": "", "delivery_id": delivery}


def _expired(ticket: Row, now: datetime) -> bool:
    return ticket["expires_at"] is not None and bool(ticket["expires_at"] <= now)


def _follow_code(peer: Peer, connection: Connection, person: Row, ticket: Row) -> tuple[int, str]:
    if not person["following"]:
        return begin_following(peer, connection, person, ticket), "subscribe"
    people.grant(connection, person["openid"], "tap", peer.now())
    fields: Fields = [("EventKey", ticket["scene"]), ("Ticket", ticket["ticket"])]
    return deliveries.queue_event(peer, connection, person, "SCAN", fields), "scan"


def tap_menu(peer: Peer, openid: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Tap an entry of the menu, found by ``key`` or by ``index`` ([top] or [top, sub]).

    ``code`` is what a scancode entry scanned, ``image_id`` the picture for a pic entry, ``latitude``,
    ``longitude`` and ``label`` the place for location_select. Answers ``open`` when a page is to be opened.
    """
    with peer.store.begin() as connection:
        person = people.get_follower(connection, openid)
        menu = menus.current(connection, person["account"])
        entry = _find_entry(menu["menu"], wanted) if menu else None
        if entry is None or menu is None:
            raise SimError(404, texts.NO_MENU_ENTRY)
        event, fields = _menu_event(peer, connection, entry, menu["version"], wanted)
        if entry["type"] in ("click", "scancode_push", "scancode_waitmsg"):
            people.grant(connection, openid, "tap", peer.now())
        delivery = deliveries.queue_event(peer, connection, person, event, fields)
    deliveries.send(peer, [delivery])
    if entry["type"] == "location_select":
        send_location(peer, openid, wanted["latitude"], wanted["longitude"], wanted["label"])
    return {"delivery_id": delivery, "type": entry["type"], "open": entry.get("url", "")}


def _find_entry(menu: list[dict[str, Any]], wanted: dict[str, Any]) -> dict[str, Any] | None:
    leaves = [([top], button) for top, button in enumerate(menu) if "type" in button]
    leaves += [([top, sub], entry) for top, button in enumerate(menu)
               for sub, entry in enumerate(button.get("sub_button", ()))]
    if wanted.get("key"):
        return next((entry for _, entry in leaves if entry.get("key") == wanted["key"]), None)
    return next((entry for path, entry in leaves if path == wanted.get("index")), None)


def _menu_event(peer: Peer, connection: Connection, entry: dict[str, Any], version: int,
                wanted: dict[str, Any]) -> tuple[str, Fields]:
    """Event name and fields of a tap on this entry."""
    kind = entry["type"]
    if kind == "click":
        return "CLICK", [("EventKey", entry["key"])]
    if kind == "view":
        return "VIEW", [("EventKey", entry["url"]), ("MenuId", version)]
    if kind == "miniprogram":
        return "view_miniprogram", [("EventKey", entry["pagepath"]), ("MenuId", version)]
    if kind.startswith("scancode"):
        if not wanted.get("code"):
            raise SimError(422, texts.CODE_NONE)
        info: Fields = [("ScanType", "qrcode"), ("ScanResult", wanted["code"])]
        return kind, [("EventKey", entry["key"]), ("ScanCodeInfo", info)]
    if kind == "location_select":
        place = _place(wanted["latitude"], wanted["longitude"], wanted["label"])
        return kind, [("EventKey", entry["key"]), ("SendLocationInfo", [*place, ("Poiname", "")])]
    media = pictures.load(connection, wanted.get("image_id") or "")
    if media is None:
        raise SimError(422, texts.NO_IMAGE)
    digest = hashlib.md5(bytes(media["content"]), usedforsecurity=False).hexdigest()
    item: Fields = [("item", [("PicMd5Sum", digest)])]
    return kind, [("EventKey", entry["key"]), ("SendPicsInfo", [("Count", 1), ("PicList", item)])]
