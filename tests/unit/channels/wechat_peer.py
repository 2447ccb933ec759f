"""The platform's side of a callback, written apart from the service's own crypto, down to each byte."""

import base64
import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bot.runtime.channels.wechat import AccountKeys, Mode

FIXTURES = Path(__file__).parents[2] / "fixtures" / "wechat"
NOW = 1_795_312_900
APP_ID = "wxb11529c136998cb6"
TOKEN = "pamtest"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
OTHER_KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
ORIGINAL_ID = "gh_10f6c3c3ac5a"
OPENID = "oyORnuP8q7ou2gfYjqLzSIWZf0rs"


def keys(mode: Mode = "safe", aes_keys: tuple[str, ...] = (KEY,), app_id: str = APP_ID) -> AccountKeys:
    return AccountKeys(
        account="main", app_id=app_id, token=TOKEN, aes_keys=aes_keys, original_id=ORIGINAL_ID, mode=mode
    )


def sha1(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def pad32(data: bytes) -> bytes:
    length = 32 - len(data) % 32
    return data + bytes([length]) * length


def frame(message: bytes, app_id: str = APP_ID, length: int | None = None) -> bytes:
    """The plain form before padding; ``length`` lies about the message's length."""
    stated = len(message) if length is None else length
    return b"0123456789abcdef" + stated.to_bytes(4, "big") + message + app_id.encode()


def aes(data: bytes, encoding_key: str = KEY) -> bytes:
    """AES-CBC of whole blocks, nothing added."""
    key = base64.b64decode(encoding_key + "=")
    context = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return context.update(data) + context.finalize()


def unaes(data: bytes, encoding_key: str = KEY) -> bytes:
    """What ``aes`` was given."""
    key = base64.b64decode(encoding_key + "=")
    context = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    return context.update(data) + context.finalize()


@dataclass(frozen=True)
class Request:
    query: dict[str, str]
    body: bytes = field(repr=False)

    def but(self, **query: str | None) -> "Request":
        """The same request with some parameters changed, or left out (None)."""
        merged = {**self.query, **query}
        return replace(self, query={name: value for name, value in merged.items() if value is not None})


def post_encrypted(
    encrypt: str, *, timestamp: str = str(NOW), nonce: str = "1320562132", token: str = TOKEN
) -> Request:
    """A well signed request in safe mode around any text in the Encrypt element."""
    target = f"<ToUserName><![CDATA[{ORIGINAL_ID}]]></ToUserName>"
    body = f"<xml>\n{target}\n<Encrypt><![CDATA[{encrypt}]]></Encrypt>\n</xml>"
    query = {
        "signature": sha1(token, timestamp, nonce),
        "timestamp": timestamp,
        "nonce": nonce,
        "openid": OPENID,
        "encrypt_type": "aes",
        "msg_signature": sha1(token, timestamp, nonce, encrypt),
    }
    return Request(query, body.encode())


def post_safe(
    message: str | bytes,
    *,
    app_id: str = APP_ID,
    key: str = KEY,
    timestamp: str = str(NOW),
    nonce: str = "1320562132",
    token: str = TOKEN,
) -> Request:
    """What the platform posts in safe mode to say ``message``."""
    raw = message.encode() if isinstance(message, str) else message
    encrypt = base64.b64encode(aes(pad32(frame(raw, app_id)), key)).decode()
    return post_encrypted(encrypt, timestamp=timestamp, nonce=nonce, token=token)


def post_plain(message: str | bytes, *, timestamp: str = str(NOW), nonce: str = "1320562132") -> Request:
    """What the platform posts in plain mode."""
    query = {"signature": sha1(TOKEN, timestamp, nonce), "timestamp": timestamp, "nonce": nonce, "openid": OPENID}
    return Request(query, message.encode() if isinstance(message, str) else message)


def text_xml(content: str = "佣金", msg_id: str = "24913582764035001", created: str = "1795312899") -> str:
    """A text message as the platform writes it. ``content`` goes into the CDATA section as it is."""
    return message_xml(f"<Content><![CDATA[{content}]]></Content>\n<MsgId>{msg_id}</MsgId>", created=created)


def message_xml(inner: str, kind: str = "text", created: str = "1795312899", sender: str = OPENID) -> str:
    return (
        f"<xml><ToUserName><![CDATA[{ORIGINAL_ID}]]></ToUserName>\n"
        f"<FromUserName><![CDATA[{sender}]]></FromUserName>\n"
        f"<CreateTime>{created}</CreateTime>\n<MsgType><![CDATA[{kind}]]></MsgType>\n{inner}\n</xml>"
    )
