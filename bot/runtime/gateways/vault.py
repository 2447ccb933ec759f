"""Seals what we keep for the platform: AES-256-GCM under a key of its own, derived from the service's secret key."""

import secrets
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class Vault:
    """Seals short texts; ``label`` (whose text it is) is bound in, so a sealed text moved elsewhere does not open."""

    def __init__(self, secret_key: bytes) -> None:
        if len(secret_key) < 16:
            raise ValueError("the secret key needs 16 bytes at least")
        self._secret_key = secret_key

    @cached_property
    def _aead(self) -> "AESGCM":
        # Loaded by whoever has something to seal: 9 MB, most of it a second OpenSSL.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return AESGCM(HKDF(SHA256(), 32, salt=None, info=b"huitou platform token 1").derive(self._secret_key))

    def seal(self, text: str, label: str) -> bytes:
        """``nonce || ciphertext || tag``, 28 bytes longer than the text."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._aead.encrypt(nonce, text.encode(), label.encode())

    def open(self, sealed: bytes, label: str) -> str | None:
        """The text, or None when the key or the label is another, or a bit was changed."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], label.encode()).decode()
        except (InvalidTag, ValueError):
            return None
