"""One try of one delivery over HTTP: signed, enciphered, posted, and the answer judged. No state, no retries.

The platform's callback goes to /wechat/<account>, an order event of the mall to /api/v1/events/<source>.
"""

import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import requests

from bot.simulator.config import SimAccount
from bot.simulator.crypto import CallbackCipher, CryptoFault, signature, webhook_headers
from bot.simulator.peer import Peer
from bot.simulator.store import Row
from bot.simulator.wire import MAX_ANSWER_BYTES, BadAnswer, PassiveReply, from_xml, one, parse_reply, to_xml

SILENT, REPLY, RETRY, BROKEN = "silent", "reply", "retry", "broken"
"""What a try can end in. Only RETRY is worth another try; BROKEN is what the customer is told about."""

_SHOWN = 20_000


@dataclass(slots=True)
class Attempt:
    """The record of one try, as the inspector shows it. ``signed`` holds the parts of the signature, no secret."""

    number: int
    at: str
    url: str
    outer: str = ""
    signed: dict[str, str] = field(default_factory=dict)
    status: int = 0
    millis: int = 0
    answer: str = ""
    plain: str = ""
    verdict: str = RETRY
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def call_back(peer: Peer, delivery: Row, number: int) -> tuple[Attempt, PassiveReply | None]:
    """Send a message or event to the service. Never raises: every fault is a verdict."""
    account = peer.account(delivery["account"])
    real = peer.real_now()
    stamp, nonce = str(int(real.timestamp())), str(secrets.randbelow(10**10))
    query = {"signature": signature(account.token, stamp, nonce), "timestamp": stamp, "nonce": nonce,
             "openid": delivery["openid"]}
    outer = delivery["body"]
    if account.mode != "plain":
        cipher = CallbackCipher(account.encoding_aes_key, account.app_id)
        sealed = cipher.encrypt(delivery["body"])
        outer = _envelope(account, delivery["body"], sealed)
        query |= {"encrypt_type": "aes", "msg_signature": signature(account.token, stamp, nonce, sealed)}
    attempt = Attempt(number, real.isoformat(), f"{peer.config.service_url()}/wechat/{account.account}",
                      outer=outer, signed={"token": "••••••", **query})
    body = exchange(attempt, "POST", outer.encode(), {"Content-Type": "text/xml"}, query, peer.config.callback_timeout)
    reply = None
    if body is not None:
        try:
            reply = _judge(attempt, body, account, delivery)
        except (BadAnswer, CryptoFault) as error:
            attempt.verdict, attempt.note = BROKEN, str(error)
    return attempt, reply


def verify(peer: Peer, account: SimAccount) -> Attempt:
    """The handshake of saving a callback address: a signed GET whose answer must be ``echostr``, byte for byte."""
    real = peer.real_now()
    stamp, nonce = str(int(real.timestamp())), str(secrets.randbelow(10**10))
    echo = str(secrets.randbelow(10**19))
    query = {"signature": signature(account.token, stamp, nonce), "timestamp": stamp, "nonce": nonce, "echostr": echo}
    attempt = Attempt(1, real.isoformat(), f"{peer.config.service_url()}/wechat/{account.account}", signed=query)
    body = exchange(attempt, "GET", None, {}, query, peer.config.callback_timeout)
    if body == echo.encode() and attempt.status == 200:
        attempt.verdict = SILENT
    elif body is not None:
        attempt.verdict, attempt.note = BROKEN, f"HTTP {attempt.status}, answer is not echostr"
    return attempt


def _envelope(account: SimAccount, plain: str, sealed: str) -> str:
    if account.mode == "safe":
        return to_xml([("ToUserName", account.original_id), ("Encrypt", sealed)])
    return plain.replace("</xml>", f"<Encrypt><![CDATA[{sealed}]]></Encrypt></xml>")


def exchange(attempt: Attempt, method: str, body: bytes | None, headers: dict[str, str],
              query: dict[str, str] | None, patience: float) -> bytes | None:
    """The body of an answer that came in time, else None with the reason in ``attempt``."""
    began = time.monotonic()
    try:
        with requests.Session() as http:
            http.trust_env = False
            with http.request(method, attempt.url, params=query, data=body, headers=headers, timeout=patience,
                              allow_redirects=False, stream=True) as response:
                attempt.status = response.status_code
                answer = response.raw.read(MAX_ANSWER_BYTES + 1, decode_content=True)
    except requests.Timeout:
        attempt.note = f"no answer in {patience:g} s"
        answer = None
    except (requests.RequestException, OSError) as error:
        attempt.note = f"connection failed: {type(error).__name__}"
        answer = None
    elapsed = time.monotonic() - began
    attempt.millis = round(elapsed * 1000)
    if answer is None:
        return None
    attempt.answer = answer[:_SHOWN].decode(errors="replace")
    if elapsed > patience:
        attempt.note = f"answered after {patience:g} s"
        return None
    return bytes(answer)


def _judge(attempt: Attempt, body: bytes, account: SimAccount, delivery: Row) -> PassiveReply | None:
    if attempt.status != 200:
        attempt.note = f"HTTP {attempt.status}"
        return None
    if body in (b"", b"success"):
        attempt.verdict = SILENT
        return None
    if len(body) > MAX_ANSWER_BYTES:
        raise BadAnswer(f"longer than {MAX_ANSWER_BYTES} bytes")
    try:
        source = body.decode()
    except UnicodeDecodeError as error:
        raise BadAnswer("not UTF-8") from error
    attempt.plain = _open(source, account)
    reply = parse_reply(attempt.plain)
    if reply.to_user != delivery["openid"]:
        raise BadAnswer("ToUserName is not the person who wrote")
    if reply.from_user != account.original_id:
        raise BadAnswer("FromUserName is not the account's original id")
    if delivery["kind"] == "message" and len(reply.body.get("articles", ())) > 1:
        raise BadAnswer("more than one article in answer to a message")
    attempt.verdict = REPLY
    return reply


def _open(source: str, account: SimAccount) -> str:
    """The plain XML of an answer in the account's mode. Raises BadAnswer or CryptoFault."""
    if account.mode == "plain":
        return source
    root = from_xml(source)
    if root.find("Encrypt") is None:
        if account.mode == "compatible":
            return source
        raise BadAnswer("a plain answer in safe mode")
    sealed, stamp, nonce = one(root, "Encrypt"), one(root, "TimeStamp"), one(root, "Nonce")
    if not secrets.compare_digest(signature(account.token, stamp, nonce, sealed), one(root, "MsgSignature")):
        raise BadAnswer("MsgSignature is wrong")
    return CallbackCipher(account.encoding_aes_key, account.app_id).decrypt(sealed)


def post_event(peer: Peer, delivery: Row, number: int) -> Attempt:
    """Send an order event as the mall does: signed anew for each try, accepted by any 2xx, refused by 4xx."""
    real = peer.real_now()
    body = str(delivery["body"]).encode()
    headers = webhook_headers(peer.config.webhook_secret, delivery["event_id"], int(real.timestamp()), body)
    url = f"{peer.config.service_url()}/api/v1/events/{peer.config.webhook_source}"
    attempt = Attempt(number, real.isoformat(), url, outer=delivery["body"], signed=headers)
    answer = exchange(attempt, "POST", body, headers, None, peer.config.callback_timeout)
    if answer is None:
        return attempt
    if 200 <= attempt.status < 300:
        attempt.verdict = SILENT
    elif attempt.status >= 500:
        attempt.note = f"HTTP {attempt.status}"
    else:
        attempt.verdict, attempt.note = BROKEN, f"HTTP {attempt.status}"
    return attempt
