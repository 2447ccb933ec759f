"""The platform's signature, freshness window and AES envelope: what decides whether a callback is believed.

Written on ``cryptography`` and the standard library only. Shared by the platforms that speak this scheme:
they differ in the receive id (app id, corp id) and in nothing else. See docs/adr/0005-callback-crypto.md.
"""

import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import CipherContext

MAX_AGE_SECONDS = 300
MAX_AHEAD_SECONDS = 60

_BLOCK = 32
"""Padding block of the scheme in bytes: twice the block of AES, so a pad is 1..32 bytes long."""
_RANDOM = 16
_HEADER = _RANDOM + 4
_ENCODING_KEY = re.compile(r"[A-Za-z0-9+/]{43}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def signature(parts: Sequence[bytes]) -> str:
    """Lower-case hex SHA-1 of the parts in byte order, joined. The scheme's own choice, hence SHA-1."""
    return hashlib.sha1(b"".join(sorted(parts)), usedforsecurity=True).hexdigest()  # noqa: S324


def is_signed(given: str, parts: Sequence[bytes]) -> bool:
    """Whether ``given`` is the signature of ``parts``, compared in constant time. Takes any text."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), signature(parts).encode("ascii"))


def is_fresh(timestamp: str, now_ts: int) -> bool:
    """Whether a Unix timestamp (ASCII digits) is at most 300 s old and at most 60 s ahead of ``now_ts``."""
    if not _TIMESTAMP.fullmatch(timestamp):
        return False
    return -MAX_AHEAD_SECONDS <= now_ts - int(timestamp) <= MAX_AGE_SECONDS


def is_encoding_key(text: str) -> bool:
    """Whether ``text`` has the shape of an EncodingAESKey: 43 characters of base64, 32 bytes without the '='."""
    return _ENCODING_KEY.fullmatch(text) is not None


class Envelope:
    """AES-256-CBC under one EncodingAESKey for one receiver. Safe to share between threads.

    Plain form: 16 random bytes, 4 bytes big-endian length, message, receive id; padded to 32 as PKCS#7 does.

    The random bytes are AES's first block, and nobody reads them. The initial vector changes that block and no other,
    so none is needed: an engine is kept from one message to the next, and starts where the one before ended. What the
    peer sees in the first block is random bytes all the same, if not the very ones that were drawn. (A new engine for
    each message cost four times as much as its work.)
    """

    __slots__ = ("_cipher", "_openers", "_receive_id", "_sealers")

    def __init__(self, encoding_key: str, receive_id: str) -> None:
        if not is_encoding_key(encoding_key):
            raise ValueError("an EncodingAESKey has 43 base64 characters")
        # Here, and so before the first message: every process knows of channels, few hear them.
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        key = binascii.a2b_base64(encoding_key + "=")
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16]))
        self._receive_id = receive_id.encode()
        self._openers: list[CipherContext] = []
        self._sealers: list[CipherContext] = []

    def open(self, encrypted: bytes) -> bytes | None:
        """The message inside base64 ``encrypted``, or None. None is the answer to every fault alike."""
        try:
            sealed = binascii.a2b_base64(encrypted, strict_mode=True)
        except binascii.Error:
            return None
        if not sealed or len(sealed) % _BLOCK:
            return None
        padded = _through(self._openers, self._cipher.decryptor, sealed)
        pad = padded[-1]
        if not 1 <= pad <= _BLOCK or padded[-pad:] != bytes((pad,)) * pad:
            return None
        end = len(padded) - pad
        message_end = _HEADER + int.from_bytes(padded[_RANDOM:_HEADER], "big")
        if message_end > end or not hmac.compare_digest(padded[message_end:end], self._receive_id):
            return None
        return padded[_HEADER:message_end]

    def seal(self, message: bytes) -> bytes:
        """``message`` encrypted, as base64. Different each time."""
        plain = os.urandom(_RANDOM) + len(message).to_bytes(4, "big") + message + self._receive_id
        pad = _BLOCK - len(plain) % _BLOCK
        sealed = _through(self._sealers, self._cipher.encryptor, plain + bytes((pad,)) * pad)
        return binascii.b2a_base64(sealed, newline=False)


def _through(idle: "list[CipherContext]", new: "Callable[[], CipherContext]", blocks: bytes) -> bytes:
    """Whole ``blocks`` through an engine that is used by nobody else meanwhile; as many are kept as worked at once."""
    try:
        engine = idle.pop()
    except IndexError:
        engine = new()
    done = engine.update(blocks)
    idle.append(engine)
    return done
