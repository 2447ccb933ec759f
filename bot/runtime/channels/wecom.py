"""The WeCom callback: who may speak to ``/wecom/<account>``, what they said, how the answer leaves.

One application of one corp is one account. Always encrypted: the echo of the verification too, and ``msg_signature``
covers the ciphertext. The receive id is the corp id. Everything that the two platforms share is in ``callback``.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta

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
from bot.runtime.channels.wechat_reply import render
from bot.runtime.channels.wecom_incoming import CHANNEL, to_incoming

__all__ = [
    "AppKeys",
    "BadKeys",
    "Malformed",
    "Opened",
    "Refused",
    "TooLarge",
    "inbox_of",
    "open_callback",
    "verify_url",
]

MAX_ECHO = 512
"""Characters of an encrypted echo; real ones have about 90."""

AHEAD = timedelta(days=1)
"""A message dated later than this is dated now: by the date of their adding an end of a contact counts, or does not, so
a date that never comes would keep them friends for ever."""


def inbox_of(account: str) -> str:
    """Under which name messages of a WeCom account are kept: an Official Account may have the same name."""
    return f"{CHANNEL}:{account}"


@record
class AppKeys:
    """What one WeCom application shares with us; ``aes_keys`` as in ``wechat.AccountKeys``.

    Raises BadKeys on construction with all faults at once.
    """

    account: str
    corp_id: str
    token: str = field(repr=False)
    aes_keys: tuple[str, ...] = field(repr=False)
    envelopes: tuple[Envelope, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        faults = [*name_faults(self.account, "corp_id", self.corp_id, self.token), *aes_faults(self.aes_keys or ("",))]
        if faults:
            raise BadKeys(CHANNEL, self.account, faults)
        object.__setattr__(self, "envelopes", tuple(Envelope(key, self.corp_id) for key in self.aes_keys))

    @property
    def channel(self) -> str:
        return CHANNEL

    @property
    def inbox(self) -> str:
        """Under which name messages of this account are kept."""
        return inbox_of(self.account)

    def verify(self, query: Mapping[str, str], now_ts: int) -> str:
        """``verify_url`` of this account."""
        return verify_url(self, query, now_ts)

    def open(self, query: Mapping[str, str], body: bytes, now_ts: int) -> "Opened":
        """``open_callback`` of this account."""
        return open_callback(self, query, body, now_ts)


@record
class Opened:
    """One believed callback: what it says, and how to answer it. ``userid``: the employee who wrote, '' for events."""

    incoming: Incoming
    userid: str
    keys: AppKeys = field(repr=False)
    envelope: Envelope = field(repr=False, compare=False)
    now_ts: int

    @property
    def unsigned(self) -> None:
        """The signature covers everything."""

    def seal(self, reply: Reply) -> bytes:
        """The HTTP body that carries ``reply`` to the employee; ``success`` if there is nothing or nobody to say it to.

        Only employees can be answered in the response: whoever an event is about does not see it.
        """
        if not self.userid:
            return ACKNOWLEDGED
        xml = render(reply, source=self.keys.corp_id, target=self.userid, stamp=self.incoming.sent_at)
        return sealed(xml, self.envelope, self.keys.token, self.now_ts) if xml else ACKNOWLEDGED


def verify_url(keys: AppKeys, query: Mapping[str, str], now_ts: int) -> str:
    """The text to answer a GET verification with: the decrypted echo and nothing around it. Raises Refused."""
    timestamp, nonce = stamped(query, now_ts)
    echo = query.get("echostr", "")
    if not echo.isascii() or not 0 < len(echo) <= MAX_ECHO:
        raise Refused("query")
    check_signature(keys.token, query.get("msg_signature", ""), timestamp, nonce, echo.encode())
    plain, _ = decrypt(keys.envelopes, echo.encode())
    try:
        return plain.decode()
    except UnicodeDecodeError:
        raise Refused("undecryptable") from None


def open_callback(keys: AppKeys, query: Mapping[str, str], body: bytes, now_ts: int) -> Opened:
    """Believe, decrypt and read one POST. Raises TooLarge, Refused or Malformed, and nothing else."""
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge
    timestamp, nonce = stamped(query, now_ts)
    encrypted = encrypt_element(body)
    check_signature(keys.token, query.get("msg_signature", ""), timestamp, nonce, encrypted)
    message, envelope = decrypt(keys.envelopes, encrypted)
    try:
        incoming = to_incoming(keys.inbox, message, strict_xml.parse(message))
    except Unusable as fault:
        raise Malformed(str(fault), message) from None
    now = datetime.fromtimestamp(now_ts, UTC)
    if incoming.sent_at > now + AHEAD:
        incoming = replace(incoming, sent_at=now)
    return Opened(incoming, incoming.sender if incoming.kind != "event" else "", keys, envelope, now_ts)
