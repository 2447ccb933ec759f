"""The Official Account callback: who may speak to ``/wechat/<account>``, what they said, how the answer leaves.

Plain functions on text and bytes; the web layer maps the three faults of ``faults`` to its answers. Order of
work: size, freshness, signature over the raw ``Encrypt``, decryption, and only then a parser. Times are real
Unix seconds, never the business clock. Decisions and their reasons: docs/adr/0005-callback-crypto.md.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Literal, TypeAlias

from bot.kit.messages import Incoming, Reply
from bot.kit.records import record
from bot.runtime.channels import strict_xml
from bot.runtime.channels.callback import (
    ACKNOWLEDGED,
    MAX_BODY_BYTES,
    BadKeys,
    aes_faults,
    check_signature,
    decrypt,
    encrypt_element,
    name_faults,
    sealed,
    stamped,
)
from bot.runtime.channels.crypto import Envelope
from bot.runtime.channels.faults import Malformed, Refused, TooLarge, Unusable
from bot.runtime.channels.wechat_incoming import CHANNEL, to_incoming
from bot.runtime.channels.wechat_reply import render

__all__ = [
    "ACKNOWLEDGED",
    "MAX_BODY_BYTES",
    "AccountKeys",
    "BadKeys",
    "Malformed",
    "Opened",
    "Refused",
    "TooLarge",
    "open_callback",
    "replay_key",
    "verify_url",
]

Mode: TypeAlias = Literal["safe", "compatible", "plain"]

# Outside the signature, so anything in it may be an attacker's: no markup, whatever content type it leaves with.
_ECHO = re.compile(r"[A-Za-z0-9._~+/=:-]{1,256}")


@record
class AccountKeys:
    """What one Official Account shares with us.

    ``aes_keys``: EncodingAESKeys, the current one first, then the previous one while it is being replaced.
    ``mode``: safe (encrypted only), compatible (encrypted beside plain fields, which are ignored) or plain.
    ``original_id`` (gh_…) may be ''; in plain mode it is all that ties a message to the account.
    Raises BadKeys on construction with all faults at once.
    """

    account: str
    app_id: str
    token: str = field(repr=False)
    aes_keys: tuple[str, ...] = field(repr=False)
    original_id: str
    mode: Mode
    envelopes: tuple[Envelope, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        faults = list(self._faults())
        if faults:
            raise BadKeys(CHANNEL, self.account, faults)
        envelopes = tuple(Envelope(key, self.app_id) for key in self.aes_keys)
        object.__setattr__(self, "envelopes", envelopes)

    def _faults(self) -> list[str]:
        faults = list(name_faults(self.account, "app_id", self.app_id, self.token))
        if self.mode not in ("safe", "compatible", "plain"):
            faults.append(f"mode: {self.mode!r} is none of safe, compatible, plain")
        elif self.mode != "plain" and not self.aes_keys:
            faults.append(f"encoding_aes_key: is missing, mode {self.mode!r} needs it")
        return [*faults, *aes_faults(self.aes_keys)]

    @property
    def channel(self) -> str:
        return CHANNEL

    @property
    def inbox(self) -> str:
        """Under which name messages of this account are kept."""
        return self.account

    def verify(self, query: Mapping[str, str], now_ts: int) -> str:
        """``verify_url`` of this account."""
        return verify_url(self, query, now_ts)

    def open(self, query: Mapping[str, str], body: bytes, now_ts: int) -> "Opened":
        """``open_callback`` of this account."""
        return open_callback(self, query, body, now_ts)


@record
class Opened:
    """One believed callback: what it says, and how to answer it.

    ``sender`` (openid) and ``original_id`` (gh_…) are the two ends of the conversation. ``message`` is what was said
    itself, after decryption; ``query`` what came with it in the address.
    """

    incoming: Incoming
    original_id: str
    message: bytes = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    keys: AccountKeys = field(repr=False)
    envelope: Envelope | None = field(repr=False, compare=False)
    now_ts: int

    @property
    def sender(self) -> str:
        return self.incoming.sender

    @property
    def raw_xml(self) -> str:
        """The message as text."""
        return self.message.decode()

    @property
    def replay_key(self) -> str:
        """The same for callbacks that carry the same timestamp and nonce."""
        return replay_key(self.keys, self.query)

    @property
    def body_digest(self) -> str:
        """The same for callbacks that say the same: a known key with another digest is a forgery."""
        return hashlib.sha256(self.message).hexdigest()

    @property
    def unsigned(self) -> tuple[str, str] | None:
        """In plain mode, whose signature does not cover the body, the replay key and the digest to compare."""
        return (self.replay_key, self.body_digest) if self.envelope is None else None

    def seal(self, reply: Reply) -> bytes:
        """The HTTP body that carries ``reply``: encrypted with the key that opened the message, plain in plain mode.

        ``success`` if there is nothing to say. Raises ValueError for a kind of reply that does not exist.
        """
        xml = render(reply, source=self.original_id, target=self.sender, stamp=self.incoming.sent_at)
        if not xml:
            return ACKNOWLEDGED
        if self.envelope is None:
            return xml.encode()
        return sealed(xml, self.envelope, self.keys.token, self.now_ts)


def verify_url(keys: AccountKeys, query: Mapping[str, str], now_ts: int) -> str:
    """The text to answer a GET verification with, as ``text/plain``. Raises Refused."""
    timestamp, nonce = stamped(query, now_ts)
    check_signature(keys.token, query.get("signature", ""), timestamp, nonce)
    echo = query.get("echostr", "")
    if not _ECHO.fullmatch(echo):
        raise Refused("query")
    return echo


def open_callback(keys: AccountKeys, query: Mapping[str, str], body: bytes, now_ts: int) -> Opened:
    """Believe, decrypt and read one POST. Raises TooLarge, Refused or Malformed, and nothing else."""
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge
    timestamp, nonce = stamped(query, now_ts)
    envelope: Envelope | None = None
    if keys.mode == "plain":
        if query.get("encrypt_type", "raw") != "raw":
            raise Refused("mode")
        check_signature(keys.token, query.get("signature", ""), timestamp, nonce)
        message = body
    else:
        message, envelope = _decrypt(keys, query, body, timestamp, nonce)
    try:
        fields = strict_xml.parse(message)
        incoming = to_incoming(keys.account, fields)
    except Unusable as fault:
        raise Malformed(str(fault), message) from None
    original_id = str(fields["ToUserName"])
    if envelope is None and keys.original_id and original_id != keys.original_id:
        raise Refused("account")
    return Opened(incoming, original_id, message, query, keys, envelope, now_ts)


def replay_key(keys: AccountKeys, query: Mapping[str, str]) -> str:
    """40 hex characters that name this timestamp and nonce of this account's app."""
    facts = (keys.app_id, query.get("timestamp", ""), query.get("nonce", ""))
    return hashlib.sha256("\0".join(facts).encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _decrypt(
    keys: AccountKeys, query: Mapping[str, str], body: bytes, timestamp: bytes, nonce: bytes
) -> tuple[bytes, Envelope]:
    """The message inside an encrypted body and the key that opened it. Raises Refused."""
    if query.get("encrypt_type") != "aes":
        raise Refused("mode")
    encrypted = encrypt_element(body)
    check_signature(keys.token, query.get("msg_signature", ""), timestamp, nonce, encrypted)
    return decrypt(keys.envelopes, encrypted)
