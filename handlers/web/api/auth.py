"""Who may read: one bearer key per system of the shop, compared by digest in constant time."""

import hashlib
import hmac
from collections.abc import Mapping

from handlers.web.api.context import Source
from handlers.web.api.problems import keyless


class Keys:
    """The keys of all systems. Digests are compared, so neither a key's length nor its start can be measured."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._digests = tuple((name, _digest(source.api_key)) for name, source in sources.items() if source.api_key)

    def reader(self, authorization: str | None) -> str:
        """The name of the system whose key was sent. Raises Refusal 401."""
        given = _digest(bearer(authorization))
        found = ""
        for name, digest in self._digests:
            if hmac.compare_digest(digest, given):
                found = name
        if not found:
            raise keyless(given=True)
        return found


def bearer(authorization: str | None) -> str:
    """The key that was sent. Raises Refusal 401 when none was."""
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise keyless(given=False)
    return key.strip()


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
