"""WeCom's side of a callback, down to each byte; shares no crypto with the service."""

import base64
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SAMPLES: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "wecom" / "samples.json").read_text("utf-8"))


@dataclass(frozen=True)
class Wire:
    """What the platform knows of one application."""

    corp_id: str
    token: str
    encoding_aes_key: str

    def seal(self, plain: str, receive_id: str | None = None, random: bytes = b"fedcba9876543210") -> str:
        """``plain`` as base64 ciphertext."""
        data = plain.encode()
        whole = random + len(data).to_bytes(4, "big") + data + (receive_id or self.corp_id).encode()
        pad = 32 - len(whole) % 32
        context = self._cipher().encryptor()
        return base64.b64encode(context.update(whole + bytes([pad]) * pad) + context.finalize()).decode()

    def open(self, encrypted: str) -> str:
        """What is inside a ciphertext; its receive id is ours."""
        context = self._cipher().decryptor()
        whole = context.update(base64.b64decode(encrypted)) + context.finalize()
        whole = whole[: -whole[-1]]
        end = 20 + int.from_bytes(whole[16:20], "big")
        assert whole[end:].decode() == self.corp_id
        return whole[20:end].decode()

    def query(self, encrypted: str, nonce: str = "n1", at: int | None = None) -> dict[str, str]:
        """The parameters of a request that carries ``encrypted``."""
        stamp = str(int(time.time()) if at is None else at)
        parts = "".join(sorted([self.token, stamp, nonce, encrypted]))
        return {"msg_signature": hashlib.sha1(parts.encode()).hexdigest(), "timestamp": stamp, "nonce": nonce}

    def post(self, plain: str, **how: Any) -> tuple[dict[str, str], bytes]:
        """Query and body of a callback that says ``plain``."""
        encrypted = self.seal(plain, **how)
        body = (f"<xml><ToUserName><![CDATA[{self.corp_id}]]></ToUserName><AgentID>1000002</AgentID>"
                f"<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>")
        return self.query(encrypted), body.encode()

    def read(self, body: bytes) -> dict[str, str]:
        """The fields of a passive reply, its signature checked."""
        outer = {one.tag: one.text or "" for one in ElementTree.fromstring(body)}
        asked = self.query(outer["Encrypt"], outer["Nonce"], int(outer["TimeStamp"]))
        assert asked["msg_signature"] == outer["MsgSignature"]
        return {one.tag: one.text or "" for one in ElementTree.fromstring(self.open(outer["Encrypt"]))}

    def _cipher(self) -> Cipher[Any]:
        key = base64.b64decode(self.encoding_aes_key + "=")
        return Cipher(algorithms.AES(key), modes.CBC(key[:16]))


def xml(**fields: object) -> str:
    """An inner message of these fields."""
    return "<xml>" + "".join(f"<{tag}><![CDATA[{value}]]></{tag}>" for tag, value in fields.items()) + "</xml>"
