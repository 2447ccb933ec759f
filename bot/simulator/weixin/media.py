"""Temporary media and parametric QR codes. Both die by business time, so the clock of a demo can kill them."""

import base64
import secrets
from datetime import timedelta
from typing import Any

from flask import Response

from bot.simulator import pictures
from bot.simulator.errors import ApiError
from bot.simulator.store import row, run
from bot.simulator.weixin.endpoint import Answer, Call, Endpoint

MAX_EXPIRE_SECONDS = 2_592_000
DEFAULT_EXPIRE_SECONDS = 60
MAX_PERMANENT = 100_000
_IMAGE_LIMIT = {"image": pictures.MAX_IMAGE_BYTES, "thumb": pictures.MAX_THUMB_BYTES}


def upload(call: Call) -> Answer:
    """POST media/upload?type=image|thumb, one multipart part named media."""
    kind = call.query.get("type", "")
    if kind not in _IMAGE_LIMIT:
        raise ApiError(40004)
    if call.upload is None:
        raise ApiError(41005)
    if not call.upload:
        raise ApiError(44001)
    if len(call.upload) > _IMAGE_LIMIT[kind]:
        raise ApiError(40009)
    mime = pictures.mime_of(call.upload)
    if mime is None or (kind == "thumb" and mime != "image/jpeg"):
        raise ApiError(40005)
    media_id = pictures.keep(call.connection, call.account.account, mime, call.upload, call.now)
    name = "media_id" if kind == "image" else "thumb_media_id"
    return {"type": kind, name: media_id, "created_at": int(call.now.timestamp()), "item": []}


def fetch(call: Call) -> Answer:
    """GET media/get?media_id=: the bytes, or 40007."""
    media_id = call.query.get("media_id", "")
    if not media_id:
        raise ApiError(41006)
    found = pictures.load(call.connection, media_id)
    if found is None or not pictures.usable(call.connection, call.account.account, media_id, call.now):
        raise ApiError(40007)
    extension = found["mime"].removeprefix("image/").replace("jpeg", "jpg")
    headers = {"Content-disposition": f'attachment; filename="{media_id}.{extension}"'}
    return Response(bytes(found["content"]), mimetype=found["mime"], headers=headers)


def create_code(call: Call) -> Answer:
    """POST qrcode/create: ticket, opaque url and, if temporary, expire_seconds."""
    action = call.body.get("action_name")
    if action not in ("QR_SCENE", "QR_STR_SCENE", "QR_LIMIT_SCENE", "QR_LIMIT_STR_SCENE"):
        raise ApiError(40052)
    permanent = action.startswith("QR_LIMIT")
    scene = _scene(call.body.get("action_info"), is_text=action.endswith("STR_SCENE"), permanent=permanent)
    life = None if permanent else _life(call.body.get("expire_seconds", DEFAULT_EXPIRE_SECONDS))
    if permanent:
        _check_pool(call)
    ticket = base64.b64encode(b"\x81\x01" + secrets.token_bytes(68)).decode()
    url = f"http://weixin.qq.com/q/02{secrets.token_urlsafe(16)}"
    run(call.connection, """
        insert into sim.tickets (ticket, url, account, scene, permanent, expires_at, created_at)
        values (:ticket, :url, :account, :scene, :permanent, :until, :now)""",
        ticket=ticket, url=url, account=call.account.account, scene=scene, permanent=permanent, now=call.now,
        until=call.now + timedelta(seconds=life) if life else None)
    return {"ticket": ticket, **({"expire_seconds": life} if life else {}), "url": url}


def _scene(info: Any, *, is_text: bool, permanent: bool) -> str:
    scene = info.get("scene") if isinstance(info, dict) else None
    value = scene.get("scene_str" if is_text else "scene_id") if isinstance(scene, dict) else None
    if is_text:
        if not isinstance(value, str) or not 1 <= len(value) <= 64 or len(value.encode()) > 64:
            raise ApiError(40053)
        return value
    highest = 100_000 if permanent else 2**32 - 1
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= highest:
        raise ApiError(40053)
    return str(value)


def _life(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_EXPIRE_SECONDS:
        raise ApiError(40053, "hint: expire_seconds")
    return value


def _check_pool(call: Call) -> None:
    found = row(call.connection, "select count(*) as used from sim.tickets where permanent and account = :account",
                account=call.account.account)
    if found and found["used"] >= MAX_PERMANENT:
        raise ApiError(45029)


def show_code(call: Call) -> Answer:
    """GET showqrcode?ticket=: the code as a JPEG. Needs no token; on the real platform it is on another host."""
    found = row(call.connection, "select url from sim.tickets where ticket = :ticket",
                ticket=call.query.get("ticket", ""))
    if found is None:
        return Response(status=404)
    return Response(pictures.draw_qr(found["url"]), mimetype="image/jpeg")


ENDPOINTS = {
    "media/upload": Endpoint(upload, body="multipart", daily=100_000),
    "media/get": Endpoint(fetch, method="GET", body="none", daily=200_000),
    "qrcode/create": Endpoint(create_code, daily=100_000),
    "showqrcode": Endpoint(show_code, method="GET", body="none", daily=10**9, token=False),
}
