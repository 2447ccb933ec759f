"""The locks of the vault: AES-256-GCM, a random key for each person, wrapped by a master key that lives elsewhere.

Whoever holds the database alone holds nothing. Whoever moves a sealed value to another person or field, or a wrapped
key to another person, holds something that does not open: both are bound to their place (associated data).
"""

import hashlib
import hmac
import secrets
from dataclasses import field

from domain.shared.errors import DomainError
from domain.shared.records import record
from domain.vault.rules import Field

_NONCE = 12
_KEY = 32


@record
class PersonKey:
    """A person's key in the open, for as long as one call needs it."""

    sealed_for: int
    _key: bytes = field(repr=False)

    def seal(self, kind: Field, value: str) -> bytes:
        """``nonce || ciphertext || tag``."""
        return _seal(self._key, value.encode(), self._place(kind))

    def open(self, kind: Field, sealed: bytes) -> str:
        """Raises DomainError("vault.damaged") when it was changed or belongs elsewhere."""
        return _open(self._key, sealed, self._place(kind)).decode()

    def _place(self, kind: Field) -> bytes:
        return f"huitou vault 1|person {self.sealed_for}|{kind}".encode()


class Vault:
    """The master keys, the present one first. A tool of the process: the database never sees them."""

    def __init__(self, current: bytes, *previous: bytes) -> None:
        if any(len(master) != _KEY for master in (current, *previous)):
            raise ValueError("a master key has 32 bytes")
        self._masters = {_fingerprint(master): master for master in (*previous, current)}
        self.master = _fingerprint(current)
        """Fingerprint of the master that new keys are wrapped with."""

    def __repr__(self) -> str:
        return f"Vault({self.master})"

    def new_key(self, person_id: int) -> tuple[PersonKey, bytes]:
        """A fresh key for a person, in the open and wrapped."""
        key = PersonKey(person_id, secrets.token_bytes(_KEY))
        return key, self.wrap(key)

    def wrap(self, key: PersonKey) -> bytes:
        """The key under the present master."""
        return _seal(self._masters[self.master], key._key, _owner(key.sealed_for))

    def unwrap(self, master: str, wrapped: bytes, sealed_for: int) -> PersonKey:
        """Raises DomainError("vault.master_unknown") when no master of ours wrapped it, DomainError("vault.damaged")
        when it was changed or belongs to somebody else."""
        if master not in self._masters:
            raise DomainError("vault.master_unknown", master=master)
        return PersonKey(sealed_for, _open(self._masters[master], wrapped, _owner(sealed_for)))

    def digest(self, kind: Field, value: str) -> bytes:
        """16 bytes that are equal for equal values, and tell nothing without the master."""
        key = hmac.digest(self._masters[self.master], b"huitou vault digest 1", hashlib.sha256)
        return hmac.digest(key, f"{kind}|{value}".encode(), hashlib.sha256)[:16]


def _owner(person_id: int) -> bytes:
    return f"huitou vault key 1|person {person_id}".encode()


def _fingerprint(master: bytes) -> str:
    return hmac.digest(master, b"huitou vault fingerprint 1", hashlib.sha256).hex()[:16]


def _seal(key: bytes, value: bytes, place: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 9 MB, for those who have something to seal

    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, value, place)


def _open(key: bytes, sealed: bytes, place: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], place)
    except (InvalidTag, ValueError):
        raise DomainError("vault.damaged") from None
