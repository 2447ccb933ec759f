"""What the callbacks of both platforms have in common: a fresh stamp, a signature, a ciphertext, a sealed answer.

The Official Account and WeCom speak one scheme; each channel says which parameter signs what, and who the receiver is.
Times are real Unix seconds. Decisions and their reasons: docs/adr/0005-callback-crypto.md.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence

from bot.runtime.channels.crypto import Envelope, is_encoding_key, is_fresh, is_signed, signature
from bot.runtime.channels.faults import Refused

MAX_BODY_BYTES = 64 * 1024
ACKNOWLEDGED = b"success"
"""The body that says 'received, nothing to show'. Never encrypted."""

_NONCE = re.compile(r"[!-~]{1,128}")
_OPENING_TAG, _CLOSING_TAG = b"<Encrypt>", b"</Encrypt>"
_CDATA, _CDATA_END = b"<![CDATA[", b"]]>"


class BadKeys(ValueError):
    """An account's keys cannot work. ``faults`` names every fault; none of them quotes a secret."""

    def __init__(self, channel: str, account: str, faults: list[str]) -> None:
        super().__init__(f"{channel} account {account!r}: " + "; ".join(faults))
        self.faults = faults


def name_faults(account: str, receiver: str, receive_id: str, token: str) -> Iterator[str]:
    """What is wrong with an account's names and token; ``receiver`` is what the platform calls ``receive_id``."""
    if not account:
        yield "account: is empty"
    if not receive_id:
        yield f"{receiver}: is empty"
    if not token or not _NONCE.fullmatch(token):
        yield "token: must be 1..128 printable ASCII characters without spaces"


def aes_faults(aes_keys: Sequence[str]) -> Iterator[str]:
    """What is wrong with EncodingAESKeys: the current one, then those before it."""
    for at, key in enumerate(aes_keys):
        if not is_encoding_key(key):
            which = "encoding_aes_key" if at == 0 else "previous encoding_aes_key"
            yield f"{which}: must be 43 base64 characters, has {len(key)}"


def stamped(query: Mapping[str, str], now_ts: int) -> tuple[bytes, bytes]:
    """The timestamp and nonce of a fresh request, as bytes. Raises Refused."""
    timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
    if not _NONCE.fullmatch(nonce):
        raise Refused("query")
    if not is_fresh(timestamp, now_ts):
        raise Refused("stale")
    return timestamp.encode("ascii"), nonce.encode("ascii")


def check_signature(token: str, given: str, *parts: bytes) -> None:
    """Raises Refused unless ``given`` signs the token and ``parts``."""
    if not is_signed(given, (token.encode(), *parts)):
        raise Refused("signature")


def decrypt(envelopes: Sequence[Envelope], encrypted: bytes) -> tuple[bytes, Envelope]:
    """The message and the key that opened it: the current one, or the one it replaces. Raises Refused."""
    for envelope in envelopes:
        message = envelope.open(encrypted)
        if message is not None:
            return message, envelope
    raise Refused("undecryptable")


def encrypt_element(body: bytes) -> bytes:
    """The text of the last ``Encrypt`` element, found without parsing: nothing here is believed yet. Raises Refused.

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


def sealed(xml: str, envelope: Envelope, token: str, now_ts: int) -> bytes:
    """The HTTP body that carries ``xml`` encrypted and signed."""
    encrypted = envelope.seal(xml.encode())
    timestamp, nonce = b"%d" % now_ts, b"%d" % int.from_bytes(os.urandom(4), "big")
    signed = signature((token.encode(), timestamp, nonce, encrypted))
    return (
        b"<xml>\n<Encrypt><![CDATA[%b]]></Encrypt>\n<MsgSignature><![CDATA[%b]]></MsgSignature>\n"
        b"<TimeStamp>%b</TimeStamp>\n<Nonce><![CDATA[%b]]></Nonce>\n</xml>"
    ) % (encrypted, signed.encode(), timestamp, nonce)
