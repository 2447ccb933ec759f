"""The only ways in which an incoming callback can fail, each with its one HTTP answer.

Whoever calls a channel catches these three and nothing else; any other exception out of a channel is a bug.
"""

from typing import Literal

RefusalReason = Literal["query", "stale", "mode", "signature", "undecryptable", "account", "replayed"]


class Refused(Exception):
    """Not from the platform, or not now, or not for us: answer 403 and keep nothing.

    ``reason`` is for logs and counters only and never leaves in the response: query (a parameter is absent or
    out of shape), stale (outside the freshness window), mode (encryption missing or not expected), signature,
    account (plain mode, addressed to another account), replayed (the inbox: a known timestamp and nonce with another
    body), undecryptable (every fault of the ciphertext: encoding,
    length, padding, length field, app id; deliberately one value, so that nothing can be learnt from it).
    """

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason)
        self.reason: RefusalReason = reason


class Malformed(Exception):
    """The signature was good, the content is unusable: answer 200 ``success`` and quarantine ``raw``.

    ``reason`` says what is wrong without quoting what people wrote. ``raw`` is the opened content as text that
    any database column takes: bytes that are not UTF-8, and NUL, appear as ``\\xNN``.
    """

    def __init__(self, reason: str, raw: bytes) -> None:
        super().__init__(reason)
        self.reason = reason
        self.raw = raw.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")


class TooLarge(Exception):
    """The body is larger than a callback may be: answer 413."""


class Unusable(ValueError):
    """Inside a channel: a content fault on its way to becoming ``Malformed``. The text names the fault."""
