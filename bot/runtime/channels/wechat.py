"""The Official Account callback: who may speak to ``/wechat/<account>``, what they said, how the answer leaves.

Plain functions on text and bytes; the web layer maps the three faults of ``faults`` to its answers. Order of
work: size, freshness, signature over the raw ``Encrypt``, decryption, and only then a parser. Times are real
Unix seconds, never the business clock. Decisions and their reasons: docs/adr/0005-callback-crypto.md.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from bot.kit.messages import Incoming, Reply
from bot.runtime.channels import strict_xml
from bot.runtime.channels.crypto import Envelope, is_encoding_key, is_fresh, is_signed, signature
from bot.runtime.channels.faults import Malformed, Refused, TooLarge, Unusable
from bot.runtime.channels.wechat_incoming import to_incoming
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

MAX_BODY_BYTES = 64 * 1024
ACKNOWLEDGED = b"success"
"""The body that says 'received, nothing to show'. Never encrypted."""

Mode: TypeAlias = Literal["safe", "compatible", "plain"]

_NONCE = re.compile(r"[!-~]{1,128}")
# Outside the signature, so anything in it may be an attacker's: no markup, whatever content type it leaves with.
_ECHO = re.compile(r"[A-Za-z0-9._~+/=:-]{1,256}")
_OPENING_TAG, _CLOSING_TAG = b"<Encrypt>", b"</Encrypt>"
_CDATA, _CDATA_END = b"<![CDATA[", b"]]>"


class BadKeys(ValueError):
    """An account's keys cannot work. ``faults`` names every fault; none of them quotes a secret."""

    def __init__(self, account: str, faults: list[str]) -> None:
        super().__init__(f"wechat account {account!r}: " + "; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
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
            raise BadKeys(self.account, faults)
        envelopes = tuple(Envelope(key, self.app_id) for key in self.aes_keys)
        object.__setattr__(self, "envelopes", envelopes)

    def _faults(self) -> list[str]:
        faults = []
        if not self.account:
            faults.append("account: is empty")
        if not self.app_id:
            faults.append("app_id: is empty")
        if not self.token or not _NONCE.fullmatch(self.token):
            faults.append("token: must be 1..128 printable ASCII characters without spaces")
        if self.mode not in ("safe", "compatible", "plain"):
            faults.append(f"mode: {self.mode!r} is none of safe, compatible, plain")
        elif self.mode != "plain" and not self.aes_keys:
            faults.append(f"encoding_aes_key: is missing, mode {self.mode!r} needs it")
        for at, key in enumerate(self.aes_keys):
            if not is_encoding_key(key):
                which = "encoding_aes_key" if at == 0 else "previous encoding_aes_key"
                faults.append(f"{which}: must be 43 base64 characters, has {len(key)}")
        return faults


@dataclass(frozen=True, slots=True)
class Opened:
    """One believed callback: what it says, and how to answer it.

    ``sender`` (openid) and ``original_id`` (gh_…) are the two ends of the conversation. ``raw_xml`` is the
    message itself, after decryption. ``replay_key`` is the same for callbacks that carry the same timestamp and
    nonce, ``body_digest`` for those that say the same: a known key with another digest is a forgery.
    """

    incoming: Incoming
    sender: str
    original_id: str
    raw_xml: str = field(repr=False)
    replay_key: str
    body_digest: str
    keys: AccountKeys = field(repr=False)
    envelope: Envelope | None = field(repr=False, compare=False)
    now_ts: int

    def seal(self, reply: Reply) -> bytes:
        """The HTTP body that carries ``reply``: encrypted with the key that opened the message, plain in plain mode.

        ``success`` if there is nothing to say. Raises ValueError for a kind of reply that does not exist.
        """
        xml = render(reply, source=self.original_id, target=self.sender, now_ts=self.now_ts)
        if not xml:
            return ACKNOWLEDGED
        if self.envelope is None:
            return xml.encode()
        encrypted = self.envelope.seal(xml.encode())
        timestamp, nonce = b"%d" % self.now_ts, b"%d" % secrets.randbits(32)
        signed = signature((self.keys.token.encode(), timestamp, nonce, encrypted))
        return (
            b"<xml>\n<Encrypt><![CDATA[%b]]></Encrypt>\n<MsgSignature><![CDATA[%b]]></MsgSignature>\n"
            b"<TimeStamp>%b</TimeStamp>\n<Nonce><![CDATA[%b]]></Nonce>\n</xml>"
        ) % (encrypted, signed.encode(), timestamp, nonce)


def verify_url(keys: AccountKeys, query: Mapping[str, str], now_ts: int) -> str:
    """The text to answer a GET verification with, as ``text/plain``. Raises Refused."""
    timestamp, nonce = _stamped(query, now_ts)
    _check_signature(keys, query.get("signature", ""), timestamp, nonce)
    echo = query.get("echostr", "")
    if not _ECHO.fullmatch(echo):
        raise Refused("query")
    return echo


def open_callback(keys: AccountKeys, query: Mapping[str, str], body: bytes, now_ts: int) -> Opened:
    """Believe, decrypt and read one POST. Raises TooLarge, Refused or Malformed, and nothing else."""
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge
    timestamp, nonce = _stamped(query, now_ts)
    envelope: Envelope | None = None
    if keys.mode == "plain":
        if query.get("encrypt_type", "raw") != "raw":
            raise Refused("mode")
        _check_signature(keys, query.get("signature", ""), timestamp, nonce)
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
    return Opened(
        incoming=incoming,
        sender=incoming.sender,
        original_id=original_id,
        raw_xml=message.decode(),
        replay_key=replay_key(keys, query),
        body_digest=hashlib.sha256(message).hexdigest(),
        keys=keys,
        envelope=envelope,
        now_ts=now_ts,
    )


def replay_key(keys: AccountKeys, query: Mapping[str, str]) -> str:
    """40 hex characters that name this timestamp and nonce of this account's app."""
    facts = (keys.app_id, query.get("timestamp", ""), query.get("nonce", ""))
    return hashlib.sha256("\0".join(facts).encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _stamped(query: Mapping[str, str], now_ts: int) -> tuple[bytes, bytes]:
    """The timestamp and nonce of a fresh request, as bytes. Raises Refused."""
    timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
    if not _NONCE.fullmatch(nonce):
        raise Refused("query")
    if not is_fresh(timestamp, now_ts):
        raise Refused("stale")
    return timestamp.encode("ascii"), nonce.encode("ascii")


def _check_signature(keys: AccountKeys, given: str, timestamp: bytes, nonce: bytes, *more: bytes) -> None:
    if not is_signed(given, (keys.token.encode(), timestamp, nonce, *more)):
        raise Refused("signature")


def _decrypt(
    keys: AccountKeys, query: Mapping[str, str], body: bytes, timestamp: bytes, nonce: bytes
) -> tuple[bytes, Envelope]:
    """The message inside an encrypted body and the key that opened it. Raises Refused."""
    if query.get("encrypt_type") != "aes":
        raise Refused("mode")
    encrypted = _encrypt_element(body)
    _check_signature(keys, query.get("msg_signature", ""), timestamp, nonce, encrypted)
    for envelope in keys.envelopes:
        message = envelope.open(encrypted)
        if message is not None:
            return message, envelope
    raise Refused("undecryptable")


def _encrypt_element(body: bytes) -> bytes:
    """The text of the last ``Encrypt`` element, found without parsing: nothing here is believed yet.

    The last one, because in compatible mode plain fields stand before it and may quote anything. What is found
    counts only if the signature covers it, so a wrong guess refuses a request and can do nothing else.
    """
    start = body.rfind(_OPENING_TAG)
    end = body.find(_CLOSING_TAG, start)
    if start < 0 or end < 0:
        raise Refused("mode")
    text = body[start + len(_OPENING_TAG) : end].strip()
    if text.startswith(_CDATA) and text.endswith(_CDATA_END):
        text = text[len(_CDATA) : -len(_CDATA_END)]
    return text
