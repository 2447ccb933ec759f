"""Events of WeCom on their way to the service: always enciphered, signed with the cipher text, judged as WeCom does.

A resend is enciphered and signed anew: what is the same is only the plain text, and events have no id.
"""

import secrets

from bot.simulator.callbacks import BROKEN, SILENT, Attempt, exchange
from bot.simulator.config import SimCorp
from bot.simulator.crypto import CallbackCipher, signature
from bot.simulator.peer import Peer
from bot.simulator.store import Row
from bot.simulator.wire import Fields, to_xml

VERIFY_SECONDS = 1.0


def event(corp: SimCorp, change: str, created: int, fields: Fields) -> str:
    """The plain XML of a change of a contact."""
    return to_xml([("ToUserName", corp.corp_id), ("FromUserName", "sys"), ("CreateTime", created),
                   ("MsgType", "event"), ("Event", "change_external_contact"), ("ChangeType", change), *fields])


def call_back(peer: Peer, delivery: Row, number: int) -> Attempt:
    """One try. Never raises. Silence is an empty body or ``success``; nothing else may be said to such an event."""
    corp = peer.config.corp(delivery["account"])
    if corp is None:
        return Attempt(number, peer.real_now().isoformat(), "", verdict=BROKEN, note="the corp is not there any more")
    cipher = CallbackCipher(corp.encoding_aes_key, corp.corp_id)
    sealed = cipher.encrypt(delivery["body"])
    outer = to_xml([("ToUserName", corp.corp_id), ("AgentID", str(corp.agent_id)), ("Encrypt", sealed)])
    attempt, query = _attempt(peer, corp, sealed, number)
    attempt.outer = outer
    body = exchange(attempt, "POST", outer.encode(), {"Content-Type": "text/xml"}, query, peer.config.callback_timeout)
    if body is None:
        return attempt
    if attempt.status != 200:
        attempt.note = f"HTTP {attempt.status}"
    elif body in (b"", b"success"):
        attempt.verdict = SILENT
    else:
        attempt.verdict, attempt.note = BROKEN, "an event of contacts is answered with nothing or success"
    return attempt


def verify(peer: Peer, corp: SimCorp) -> Attempt:
    """The handshake of saving the address: the echostr is enciphered, the answer its plain text, within a second."""
    echo = str(secrets.randbelow(10**19))
    sealed = CallbackCipher(corp.encoding_aes_key, corp.corp_id).encrypt(echo)
    attempt, query = _attempt(peer, corp, sealed, 1)
    body = exchange(attempt, "GET", None, {}, {**query, "echostr": sealed}, VERIFY_SECONDS)
    if body == echo.encode() and attempt.status == 200:
        attempt.verdict = SILENT
    elif body is not None:
        attempt.verdict, attempt.note = BROKEN, f"HTTP {attempt.status}, answer is not the plain echostr"
    return attempt


def _attempt(peer: Peer, corp: SimCorp, sealed: str, number: int) -> tuple[Attempt, dict[str, str]]:
    real = peer.real_now()
    stamp, nonce = str(int(real.timestamp())), str(secrets.randbelow(10**10))
    query = {"msg_signature": signature(corp.token, stamp, nonce, sealed), "timestamp": stamp, "nonce": nonce}
    return Attempt(number, real.isoformat(), f"{peer.config.service_url()}/wecom/{corp.account}",
                   signed={"token": "••••••", **query}), query
