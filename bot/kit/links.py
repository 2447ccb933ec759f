"""Personal links: an address that opens one page for one person, for a short time. Signed, never stored.

The token says who, until when, and nothing else; the page is part of what is signed, so a link to one page opens no
other. Judged by real time, not business time: moving the demo's clock neither kills nor revives a link.
"""

import base64
import hashlib
import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

LASTS_SECONDS = 2 * 3_600
"""Long enough to read, short enough that a forwarded screenshot or chat is soon worth nothing."""

_BODY = struct.Struct(">QI")
_MAC_BYTES = 16


class LinkRefused(Exception):
    """``reason``: ``bad`` (not ours, or for another page) or ``expired``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and opens personal links. ``public_url`` has no trailing slash; ``real_now`` is unix time."""

    key: bytes = field(repr=False)
    public_url: str
    real_now: Callable[[], float]

    def to(self, page: str, person_id: int, part: str = "", lasts: int = LASTS_SECONDS, **query: str) -> str:
        """The full address of ``page`` for a person; ``part`` and ``query`` are not signed and change nothing about
        who may see it."""
        path = f"/me/{page}/{quote(part, safe='')}" if part else f"/me/{page}"
        return f"{self.public_url}{path}?{urlencode({'t': self.sign(page, person_id, lasts), **query})}"

    def sign(self, page: str, person_id: int, lasts: int = LASTS_SECONDS) -> str:
        """The token of a link: URL-safe text of 38 characters."""
        return self.sign_until(page, person_id, int(self.real_now()) + lasts)

    def sign_until(self, page: str, person_id: int, ends: int) -> str:
        """The same with its end as unix time: for links from one page to another, which must not live longer."""
        body = _BODY.pack(person_id, ends)
        return base64.urlsafe_b64encode(body + self._mac(page, body)).decode().rstrip("=")

    def open(self, page: str, token: str) -> tuple[int, int]:
        """(person id, end as unix time) of a token made for ``page``. Raises LinkRefused."""
        try:
            raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", validate=True)
        except ValueError:
            raise LinkRefused("bad") from None
        body, mac = raw[:_BODY.size], raw[_BODY.size:]
        if not hmac.compare_digest(self._mac(page, body), mac):
            raise LinkRefused("bad")
        person_id, ends = _BODY.unpack(body)
        if ends <= self.real_now():
            raise LinkRefused("expired")
        return person_id, ends

    def _mac(self, page: str, body: bytes) -> bytes:
        return hmac.digest(self.key, page.encode() + b"\n" + body, hashlib.sha256)[:_MAC_BYTES]
