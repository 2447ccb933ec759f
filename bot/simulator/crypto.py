"""The platform's side of the callback cipher and signatures, and of Standard Webhooks.

Written from the published formats and sharing no line with the service's own crypto, so that each side checks
the other. Owns no state and no I/O.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 32
"""PKCS#7 block of this scheme in bytes: the AES *key* size, not the AES block."""


class CryptoFault(ValueError):
    """What came back cannot be read: not base64, wrong key, wrong padding, wrong length, wrong app id."""


def signature(*parts: str) -> str:
    """SHA-1, in hex, of the parts sorted byte-wise and joined: (token, timestamp, nonce[, Encrypt])."""
    joined = "".join(sorted(parts)).encode()
    return hashlib.sha1(joined).hexdigest()  # noqa: S324 - the platform's protocol prescribes SHA-1


class CallbackCipher:
    """AES-256-CBC with the key of one account, both directions."""

    def __init__(self, encoding_aes_key: str, app_id: str) -> None:
        key = base64.b64decode(encoding_aes_key + "=")
        if len(key) != BLOCK:
            raise ValueError("encoding_aes_key must be 43 characters of base64")
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16]))
        self._app_id = app_id.encode()

    def encrypt(self, message: str) -> str:
        """Base64 of the enciphered frame: 16 random bytes, length, message, app id, padding 1..32."""
        body = message.encode()
        frame = secrets.token_bytes(16) + struct.pack(">I", len(body)) + body + self._app_id
        pad = BLOCK - len(frame) % BLOCK
        encryptor = self._cipher.encryptor()
        sealed = encryptor.update(frame + bytes([pad]) * pad) + encryptor.finalize()
        return base64.b64encode(sealed).decode()

    def decrypt(self, sealed: str) -> str:
        """The message in ``sealed``. Raises CryptoFault; every byte of padding and the app id are checked."""
        try:
            raw = base64.b64decode(sealed, validate=True)
        except (binascii.Error, ValueError) as error:
            raise CryptoFault("Encrypt is not base64") from error
        if not raw or len(raw) % BLOCK:
            raise CryptoFault(f"cipher text is not a multiple of {BLOCK} bytes")
        decryptor = self._cipher.decryptor()
        frame = decryptor.update(raw) + decryptor.finalize()
        pad = frame[-1]
        if not 1 <= pad <= BLOCK or frame[-pad:] != bytes([pad]) * pad:
            raise CryptoFault("padding is wrong: another key, or PKCS#7 to 16 instead of 32 bytes")
        return self._message(frame[:-pad])

    def _message(self, frame: bytes) -> str:
        if len(frame) < 20:
            raise CryptoFault("frame is shorter than its header")
        (length,) = struct.unpack(">I", frame[16:20])
        body, tail = frame[20:20 + length], frame[20 + length:]
        if len(body) != length:
            raise CryptoFault("frame is shorter than the length it states")
        if tail != self._app_id:
            raise CryptoFault("frame ends in another app id")
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise CryptoFault("message is not UTF-8") from error


def webhook_headers(secret: str, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Standard Webhooks headers for ``body``. ``secret`` is whsec_<base64>; ``timestamp`` is unix seconds."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join((event_id.encode(), str(timestamp).encode(), body))
    digest = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {
        "webhook-id": event_id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{digest}",
        "content-type": "application/json",
    }
