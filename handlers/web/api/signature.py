"""Standard Webhooks signatures: our own, because the door must answer 401 and nothing else to anything malformed.

Wire format of https://www.standardwebhooks.com: ``webhook-signature`` is a space-separated list of
``v1,<base64 HMAC-SHA256 of id.timestamp.body>``. Judged on raw bytes, before any parser runs, by real time.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence

TOLERANCE_SECONDS = 300
"""How old or how new a timestamp may be."""

PREFIX = "whsec_"

_ID = re.compile(r"[!-\-/-~]{1,256}")
"""Visible ASCII without the full stop, which separates the signed parts: no two messages may read alike."""
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class SignatureRefused(Exception):
    """Not signed by any of the keys, or not now. The reason is for our logs; the sender is told nothing."""


def decode_secret(secret: str) -> bytes:
    """The key behind ``whsec_<base64>``, with or without prefix and padding. Raises ValueError for anything else."""
    encoded = secret.removeprefix(PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        raise ValueError("a webhook secret is whsec_ and base64") from None
    if not key:
        raise ValueError("a webhook secret may not be empty")
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """One entry of the ``webhook-signature`` header."""
    return "v1," + base64.b64encode(_digest(key, message_id, str(timestamp), body)).decode()


def verify(
    keys: Sequence[bytes], message_id: str | None, timestamp: str | None, signatures: str | None, body: bytes,
    real_now: float,
) -> None:
    """Raises SignatureRefused unless one of ``signatures`` is that of ``body`` under one of ``keys``.

    ``real_now`` is unix time, never business time. Every key is tried in full, whatever the others gave.
    """
    if not message_id or not _ID.fullmatch(message_id):
        raise SignatureRefused("id")
    if not timestamp or not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureRefused("timestamp")
    if abs(real_now - int(timestamp)) > TOLERANCE_SECONDS:
        raise SignatureRefused("stale")
    given = _given(signatures or "")
    good = False
    for key in keys:
        expected = _digest(key, message_id, timestamp, body)
        for one in given:
            good |= hmac.compare_digest(expected, one)
    if not good:
        raise SignatureRefused("signature")


def _digest(key: bytes, message_id: str, timestamp: str, body: bytes) -> bytes:
    return hmac.digest(key, f"{message_id}.{timestamp}.".encode("ascii") + body, hashlib.sha256)


def _given(header: str) -> list[bytes]:
    """The v1 signatures of a header; other versions and whatever cannot be read are passed over."""
    found = []
    for entry in header.split(" "):
        version, _, encoded = entry.partition(",")
        if version != "v1":
            continue
        try:
            found.append(base64.b64decode(encoded, validate=True))
        except (binascii.Error, ValueError):
            continue
    return found
