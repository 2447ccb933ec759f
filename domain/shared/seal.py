"""Keyed hashes for what must be recognised again but never be read: payers, devices, addresses."""

import hashlib
import hmac
import unicodedata
from dataclasses import field

from domain.shared.records import record

LEAST_KEY = 16
"""Bytes below which a key could be guessed."""


@record
class Seal:
    """Equal things get equal hashes; without ``key`` nothing can be read or tried out."""

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) < LEAST_KEY:
            raise ValueError(f"the key of a seal must have at least {LEAST_KEY} bytes")

    def __call__(self, kind: str, value: str) -> str:
        """HMAC-SHA-256 in hex of ``value`` as a ``kind``. An address is the same in any case, width and spacing."""
        plain = unicodedata.normalize("NFKC", value)
        if kind == "address":
            plain = "".join(plain.casefold().split())
        return hmac.new(self.key, f"{kind}:{plain}".encode(), hashlib.sha256).hexdigest()
