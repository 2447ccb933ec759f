"""Addresses of pages that others give us and people tap in a chat: an href in an Official Account, plain in WeCom."""

import re
from urllib.parse import urlencode, urlsplit, urlunsplit

LONGEST = 500
"""Characters. With the longest title it still fits one message of 2 048 bytes."""
LOOPBACK = frozenset({"127.0.0.1", "localhost"})
"""This machine: only here a page may be http, so that a demo can be tried without a certificate."""

_WRITTEN = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&()*+,;=%]+")
"""What an address is written with (RFC 3986), less the single quote: it stands inside an href."""


def fault_of(address: str) -> str:
    """What is wrong with it, as the end of a sentence that begins with its name; '' when people can tap it."""
    if len(address) > LONGEST:
        return f"must be at most {LONGEST} characters"
    if not _WRITTEN.fullmatch(address):
        return "must be an https address; characters other than ASCII are percent-encoded"
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "must be an https address"
    if "@" in parts.netloc:
        return "must not hold a name or password"
    if parts.scheme == "https" and (host in LOOPBACK or re.fullmatch(r"[a-z0-9.-]*[a-z0-9]\.[a-z0-9-]+", host)):
        return ""
    return "" if parts.scheme == "http" and host in LOOPBACK else "must be an https address"


def with_query(address: str, **more: str) -> str:
    """The address with more in its query: the mall hands ``share_code`` back with the order."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(more))))))
