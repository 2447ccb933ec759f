"""Faces: a round avatar from picture bytes, or a drawn one from the name; and the guarded download."""

import ipaddress
import socket
import time
import zlib
from collections.abc import Collection
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
from PIL import Image, ImageDraw

from bot.pictures import fonts, incoming, paint, text
from bot.pictures.graphemes import NEUTRAL, clusters

WECHAT_HOSTS: Final = frozenset(
    ("thirdwx.qlogo.cn", "wx.qlogo.cn", "mmbiz.qpic.cn", "wework.qpic.cn", "p.qlogo.cn", "mmhead.qpic.cn")
)
"""Where WeChat and WeCom keep the faces of people."""
MOST_BYTES: Final = 1_000_000
MOST_SECONDS: Final = 2.0
_MOST_HOPS: Final = 2
_PAIRS: Final = (
    ("#f59e6c", "#c2561f"), ("#7cc48b", "#2f7a45"), ("#6fb1e0", "#2463a0"), ("#e58aa8", "#ab3c64"),
    ("#b79be0", "#6b479f"), ("#6cc5bd", "#1f7a73"), ("#e0b75a", "#94690f"), ("#8fa3c7", "#465a82"),
)  # fmt: skip
_FINE: Final = 3


def face(data: bytes | None, name: str, side: int) -> Image.Image:
    """An RGB square of ``side`` pixels to be cut round: the picture in ``data``, or the drawn face of ``name``
    when there is none or it cannot be read."""
    picture = incoming.fitted(data, side, side) if data else None
    return picture if picture is not None else initials(name, side)


def initials(name: str, side: int) -> Image.Image:
    """The first character of ``name`` on a colour that is always the same for this name.

    A letter is taken before an emoji; a name without anything to draw gives a figure.
    """
    pair = _PAIRS[zlib.crc32(name.encode("utf-8", "replace")) % len(_PAIRS)]
    square = paint.gradient(side, side, pair).convert("RGB")
    shown = [c for c in clusters(name) if c.text != NEUTRAL and any(ch.isalnum() for ch in c.text)]
    shown = shown or [c for c in clusters(name) if c.face == fonts.EMOJI]
    if not shown:
        _figure(square)
        return square
    emoji = shown[0].face == fonts.EMOJI
    kind = text.Type(round(side * (0.56 if emoji else 0.48)), 600)
    line = (shown[0],)
    left = (side - text.width(line, kind)) / 2
    text.draw(square, (left, text.baseline(0, side, kind)), line, kind, "#222222" if emoji else "#ffffff")
    return square


def _figure(square: Image.Image) -> None:
    side = square.width * _FINE
    cover = Image.new("L", (side, side))
    pen = ImageDraw.Draw(cover)
    pen.ellipse((side * 0.34, side * 0.2, side * 0.66, side * 0.52), fill=255)
    pen.ellipse((side * 0.18, side * 0.6, side * 0.82, side * 1.24), fill=255)
    paint.fill(square, (0, 0), cover.reduce(_FINE), ("#ffffffe6",))


def fetch(
    url: str,
    allowed_hosts: Collection[str] | None = WECHAT_HOSTS,
    *,
    private_hosts: Collection[str] = (),
    seconds: float = MOST_SECONDS,
    most_bytes: int = MOST_BYTES,
) -> bytes | None:
    """The picture at ``url``, or None on any trouble: an avatar is never worth a failed poster.

    Only http and https, only ``allowed_hosts`` (redirects too; None allows every public host: for addresses that
    the shop itself has signed), at most ``seconds`` altogether and ``most_bytes``; only JPEG, PNG and WebP that
    really open and are no decompression bombs. Hosts whose address is not public are refused unless they stand
    in ``private_hosts`` (``host`` or ``host:port``), which also allows them: for a local peer in a demo.
    """
    deadline = time.monotonic() + seconds
    try:
        with requests.Session() as session:
            session.trust_env = False
            for _ in range(_MOST_HOPS + 1):
                if not _allowed(url, allowed_hosts, private_hosts):
                    return None
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                with session.get(url, stream=True, allow_redirects=False, timeout=left) as answer:
                    if not answer.is_redirect:
                        return _body(answer, deadline, most_bytes)
                    url = urljoin(url, answer.headers["location"])
    except (requests.RequestException, OSError, ValueError):
        return None
    return None


def _allowed(url: str, allowed: Collection[str] | None, private: Collection[str]) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or parts.username is not None or not host:
        return False
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if host in private or f"{host}:{port}" in private:
        return True
    if (allowed is not None and host not in allowed) or parts.port not in (None, 80, 443):
        return False
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return bool(found) and all(ipaddress.ip_address(entry[4][0]).is_global for entry in found)


def _body(answer: requests.Response, deadline: float, most: int) -> bytes | None:
    """The body if it is a picture of its declared type; reading stops at the deadline and at ``most`` bytes."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.status_code != 200 or kind not in incoming.FORMATS:
        return None
    if int(answer.headers.get("content-length", "0")) > most:
        return None
    data = bytearray()
    # read1 returns what has arrived: a peer that drips one byte a second cannot hold us past the deadline
    while chunk := answer.raw.read1(65_536, decode_content=True):
        data += chunk
        if len(data) > most or time.monotonic() > deadline:
            return None
    return bytes(data) if incoming.sound(bytes(data), kind) else None
