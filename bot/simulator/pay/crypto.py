"""Signatures and seals of WeChat Pay v3, from the published formats; shares no line with the service's own.

Format: pay.weixin.qq.com/doc/v3/merchant/4012365334 (requests), 4013053420 (answers), 4012071382 (sealed resources).
"""

import base64
import binascii
import re
import secrets
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SCHEMA = "WECHATPAY2-SHA256-RSA2048"
_PAIR = re.compile(r'(\w+)="([^"]*)"')
_NAMES = {"mchid", "nonce_str", "signature", "timestamp", "serial_no"}


@lru_cache(maxsize=16)
def _key(private_pem: str) -> rsa.RSAPrivateKey:
    """Loaded once: that takes 30 ms, as long as everything else about an answer."""
    key = serialization.load_pem_private_key(private_pem.encode(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


class BadSignature(ValueError):
    """A request that is not signed as the platform demands; the message says where it differs."""


def authorization(header: str) -> dict[str, str]:
    """The parts of an Authorization header. Raises BadSignature."""
    schema, _, rest = header.partition(" ")
    parts = dict(_PAIR.findall(rest))
    if schema != SCHEMA or set(parts) != _NAMES or len(_PAIR.findall(rest)) != len(_NAMES):
        raise BadSignature("Authorization has the wrong form")
    return parts


def verify(public_pem: str, method: str, target: str, parts: dict[str, str], body: bytes) -> None:
    """Raise BadSignature unless the merchant signed this request. ``target``: path and query as WeChat Pay sees it."""
    key = serialization.load_pem_public_key(public_pem.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    message = b"\n".join([method.encode(), target.encode(), parts["timestamp"].encode(), parts["nonce_str"].encode(),
                          body, b""])
    try:
        key.verify(base64.b64decode(parts["signature"], validate=True), message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        raise BadSignature("the signature does not fit the request") from None


def signed(private_pem: str, serial: str, body: bytes, timestamp: int, *, probe: bool = False) -> dict[str, str]:
    """The headers that vouch for ``body``. ``probe`` gives a wrong signature, as the platform tests receivers with."""
    nonce = secrets.token_hex(16)
    message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
    signature = base64.b64encode(_key(private_pem).sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()
    return {
        "Wechatpay-Timestamp": str(timestamp), "Wechatpay-Nonce": nonce, "Wechatpay-Serial": serial,
        "Wechatpay-Signature": "WECHATPAY/SIGNTEST/" + signature[:40] if probe else signature,
        "Wechatpay-Signature-Type": SCHEMA,
    }


def seal(api_v3_key: str, plain: str, associated: str) -> dict[str, str]:
    """AEAD_AES_256_GCM: 12-byte nonce as text, tag at the end, base64."""
    nonce = secrets.token_hex(6)
    sealed = AESGCM(api_v3_key.encode()).encrypt(nonce.encode(), plain.encode(), associated.encode())
    return {"algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "associated_data": associated,
            "ciphertext": base64.b64encode(sealed).decode()}


def unseal_name(private_pem: str, sealed: str) -> str:
    """A person's name, sealed by the merchant with RSA-OAEP (SHA-1). Raises ValueError."""
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303 - the protocol
    return _key(private_pem).decrypt(base64.b64decode(sealed, validate=True), oaep).decode()
