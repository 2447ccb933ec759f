"""The platform's and the mall's side of every signature, written from the published formats alone.

Shares no line with the service: if both sides had one misunderstanding, they would have to have it twice.
"""

import base64
import hashlib
import hmac
import secrets
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

PADDING_BITS = 256
"""The scheme pads to the length of its key, 32 bytes, not to the cipher's own 16."""


@dataclass(frozen=True)
class Keys:
    """What the operator of the platform knows of one Official Account, and the mall of its source."""

    account: str = "main"
    app_id: str = field(default_factory=lambda: "wx" + secrets.token_hex(8))
    app_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    token: str = field(default_factory=lambda: secrets.token_hex(12))
    original_id: str = "gh_0123456789ab"
    aes_key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode().rstrip("="))
    source: str = "mall"
    webhook_secret: str = field(
        default_factory=lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    api_key: str = field(default_factory=lambda: secrets.token_hex(24))

    def accounts_file(self, api_base: str, shop: str) -> str:
        """The service's accounts file (TOML) for these keys."""
        return (
            f'[shop]\nname = "{shop}"\ntimezone = "Asia/Shanghai"\n\n'
            f'[wechat.{self.account}]\napp_id = "{self.app_id}"\napp_secret = "{self.app_secret}"\n'
            f'token = "{self.token}"\nencoding_aes_key = "{self.aes_key}"\noriginal_id = "{self.original_id}"\n'
            f'type = "service"\nmode = "safe"\napi_base = "{api_base}"\n\n'
            f'[api.{self.source}]\nwebhook_secret = "{self.webhook_secret}"\napi_key = "{self.api_key}"\n'
        )


@dataclass(frozen=True)
class Callback:
    """One signed request of the platform: the query without '?', and the body."""

    query: dict[str, str]
    body: bytes


def sha1(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def message_xml(keys: Keys, openid: str, fields: dict[str, str], created: int | None = None) -> str:
    """The platform's XML of one message; values stand in CDATA sections, numbers do not."""
    tags = {"ToUserName": keys.original_id, "FromUserName": openid, "CreateTime": str(created or int(time.time()))}
    return "<xml>" + "".join(_element(tag, value) for tag, value in (tags | fields).items()) + "</xml>"


def _element(tag: str, value: str) -> str:
    plain = tag in ("CreateTime", "MsgId")
    return f"<{tag}>{value}</{tag}>" if plain else f"<{tag}><![CDATA[{value}]]></{tag}>"


def callback(keys: Keys, message: str, openid: str = "", at: float | None = None) -> Callback:
    """``message`` as the platform posts it in safe mode, at real time ``at`` (default: now)."""
    sealed = seal(keys, message.encode())
    stamp, nonce = str(int(at if at is not None else time.time())), str(secrets.randbits(31))
    query = {
        "signature": sha1(keys.token, stamp, nonce), "timestamp": stamp, "nonce": nonce, "openid": openid,
        "encrypt_type": "aes", "msg_signature": sha1(keys.token, stamp, nonce, sealed),
    }
    body = (f"<xml><ToUserName><![CDATA[{keys.original_id}]]></ToUserName>"
            f"<Encrypt><![CDATA[{sealed}]]></Encrypt></xml>")
    return Callback(query, body.encode())


def seal(keys: Keys, message: bytes) -> str:
    """Base64 of the enciphered frame: 16 random bytes, length, message, app id, padding."""
    frame = secrets.token_bytes(16) + len(message).to_bytes(4, "big") + message + keys.app_id.encode()
    padder, encryptor = PKCS7(PADDING_BITS).padder(), _cipher(keys).encryptor()
    padded = padder.update(frame) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def _cipher(keys: Keys) -> Cipher[modes.CBC]:
    key = base64.b64decode(keys.aes_key + "=")
    return Cipher(algorithms.AES(key), modes.CBC(key[:16]))


def open_reply(keys: Keys, body: bytes, openid: str) -> dict[str, str]:
    """The fields of a passive reply; {} for ``success``. Asserts everything that the platform would check."""
    if body in (b"success", b""):
        return {}
    outer = fields_of(body.decode())
    sealed, stamp, nonce = outer["Encrypt"], outer["TimeStamp"], outer["Nonce"]
    assert outer["MsgSignature"] == sha1(keys.token, stamp, nonce, sealed), "the reply is not signed"
    assert abs(int(stamp) - time.time()) < 60, "the reply is not of now"
    decryptor, unpadder = _cipher(keys).decryptor(), PKCS7(PADDING_BITS).unpadder()
    padded = decryptor.update(base64.b64decode(sealed, validate=True)) + decryptor.finalize()
    frame = unpadder.update(padded) + unpadder.finalize()
    length = int.from_bytes(frame[16:20], "big")
    assert frame[20 + length :] == keys.app_id.encode(), "the reply is for another app"
    inner = fields_of(frame[20 : 20 + length].decode())
    assert (inner["ToUserName"], inner["FromUserName"]) == (openid, keys.original_id)
    return inner


def fields_of(xml: str) -> dict[str, str]:
    return {child.tag: child.text or "" for child in ElementTree.fromstring(xml)}


def webhook_headers(secret: str, body: bytes, at: float | None = None, name: str = "") -> dict[str, str]:
    """Standard Webhooks headers for ``body``."""
    name, stamp = name or f"msg_{secrets.token_hex(8)}", str(int(at if at is not None else time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, name.encode() + b"." + stamp.encode() + b"." + body, hashlib.sha256).digest()
    return {"webhook-id": name, "webhook-timestamp": stamp,
            "webhook-signature": "v1," + base64.b64encode(mac).decode(), "content-type": "application/json"}
