"""The platform's keys: one public key from the settings, or certificates fetched by us, kept in the database.

Fetching happens only before a call of our own, every twelve hours, with timeouts: never because of what somebody
sent us. Processes share what one of them fetched, so a web process that never calls out knows them too.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from wechatpayv3.utils import aes_decrypt

from bot.runtime.gateways.pay_core import Merchant, PayCore, PlatformKey, Unanswered, Unsigned
from domain.paychannel import service as paychannel

FETCH_EVERY = timedelta(hours=12)
"""New certificates are announced a day or more before the platform signs with them."""
TRY_AGAIN = timedelta(minutes=5)
"""After a fetch that failed, while what we hold is still good."""
LOOK_AGAIN = timedelta(seconds=20)
"""A process looks into the database for others' news at most so often."""


class PublicKey:
    """Public-key mode: one key, known by its id."""

    def __init__(self, merchant: Merchant) -> None:
        key = load_pem_public_key((merchant.public_key or "").encode())
        assert isinstance(key, RSAPublicKey), "checked with the settings"
        self._held = (PlatformKey(merchant.public_key_id or "", key),)

    def held(self) -> tuple[PlatformKey, ...]:
        return self._held

    def refresh(self, core: PayCore) -> None:
        """Nothing to fetch."""


class Certificates:
    """Certificate mode. ``held`` never calls out; ``refresh`` does when what we hold is old."""

    def __init__(self, merchant: Merchant, engine: Engine, real_now: Callable[[], datetime]) -> None:
        self._merchant, self._engine, self._real_now = merchant, engine, real_now
        self._guard = threading.Lock()
        self._held: tuple[PlatformKey, ...] = ()
        self._fetched_at: datetime | None = None
        self._looked_at: datetime | None = None
        self._tried_at: datetime | None = None

    def held(self) -> tuple[PlatformKey, ...]:
        """The certificates that are valid now."""
        now = self._real_now()
        with self._guard:
            if self._looked_at is None or now - self._looked_at >= LOOK_AGAIN:
                self._looked_at = now
                self._look(now)
            return tuple(one for one in self._held if one.until is None or one.until > now)

    def refresh(self, core: PayCore) -> None:
        """Fetch when ours are old. Raises Unanswered only if none is left that we could check an answer with."""
        now, held = self._real_now(), self.held()
        if held and (self._young(self._fetched_at, now, FETCH_EVERY) or self._young(self._tried_at, now, TRY_AGAIN)):
            return
        self._tried_at = now
        try:
            pems = self._fetch(core, now)
        except Unanswered:
            if not held:
                raise
            return
        with Session(self._engine) as session, session.begin():
            paychannel.keep_certificates(session, self._merchant.mch_id, [_kept(pem) for pem in pems], now)
        with self._guard:
            self._held, self._fetched_at, self._looked_at = _keys(pems), now, now

    @staticmethod
    def _young(at: datetime | None, now: datetime, limit: timedelta) -> bool:
        return at is not None and now - at < limit

    def _look(self, now: datetime) -> None:
        with Session(self._engine) as session, session.begin():
            kept = paychannel.certificates(session, self._merchant.mch_id, now)
            self._held = _keys([one.pem for one in kept])
            self._fetched_at = max((one.fetched_at for one in kept), default=None)

    def _fetch(self, core: PayCore, now: datetime) -> list[str]:
        """Sealed under our own APIv3 key, and signed with one of the certificates that come along."""
        reply = core.request("/v3/certificates")
        if reply.status != 200:
            raise Unanswered(f"CERTIFICATES_{reply.status}")
        try:
            pems = list(_opened(reply.json(), self._merchant.api_v3_key))
            core.verify(reply.headers, reply.raw, tuple(one for one in _keys(pems) if one.until and one.until > now))
        except (Unsigned, ValueError, KeyError, TypeError, AttributeError):
            raise Unanswered("CERTIFICATES_UNREADABLE") from None
        return pems


def _opened(answer: Any, api_v3_key: str) -> Iterator[str]:
    """The PEM of every certificate in an answer. Raises ValueError and its like when one is not as promised."""
    for one in answer["data"]:
        sealed = one["encrypt_certificate"]
        pem = aes_decrypt(sealed["nonce"], sealed["ciphertext"], sealed["associated_data"], api_v3_key)
        if pem is None:
            raise ValueError("sealed under another key")
        yield pem


def _kept(pem: str) -> tuple[str, str, datetime, datetime]:
    found = x509.load_pem_x509_certificate(pem.encode())
    return f"{found.serial_number:X}", pem, found.not_valid_before_utc, found.not_valid_after_utc


def _keys(pems: Iterable[str]) -> tuple[PlatformKey, ...]:
    found = []
    for pem in pems:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        key = certificate.public_key()
        if isinstance(key, RSAPublicKey):
            found.append(PlatformKey(f"{certificate.serial_number:X}", key, certificate.not_valid_after_utc))
    return tuple(found)
