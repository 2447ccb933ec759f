"""The Official Account's door over HTTP: what it answers to everything that is not a good message."""

import hashlib
import io
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import xmltodict
from flask.testing import FlaskClient
from sqlalchemy import text
from wechatpy.crypto import WeChatCrypto

from domain.shared.clock import FixedClock
from tests.fakes.frozen import Frozen
from tests.fakes.shop import ACCOUNT, Shop

URL = f"/wechat/{ACCOUNT}"
TEXT = ("<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oLi]]></FromUserName>"
        "<CreateTime>{at}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{said}]]></Content>"
        "<MsgId>{id}</MsgId></xml>")


@pytest.fixture
def shop(tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with new_shop.shop(tmp_path, clock) as shop:
        yield shop


class Sender:
    """Signs and encrypts with wechatpy, so that the door meets somebody else's crypto."""

    def __init__(self, shop: Shop) -> None:
        config = shop.runtime.settings.wechat[ACCOUNT]
        assert config.encoding_aes_key is not None
        self.token, self.client = config.token.reveal(), shop.client
        self.crypto = WeChatCrypto(self.token, config.encoding_aes_key.reveal(), config.app_id)

    def request(self, inner: str, at: int | None = None) -> tuple[dict[str, str], bytes]:
        stamp, nonce = str(at or int(time.time())), secrets.token_hex(4)
        outer = xmltodict.parse(self.crypto.encrypt_message(inner, nonce, stamp))["xml"]
        query = {"timestamp": stamp, "nonce": nonce, "encrypt_type": "aes", "msg_signature": outer["MsgSignature"]}
        return query, f"<xml><Encrypt><![CDATA[{outer['Encrypt']}]]></Encrypt></xml>".encode()

    def send(self, inner: str, at: int | None = None, **changes: str) -> tuple[int, bytes]:
        query, body = self.request(inner, at)
        answer = self.client.post(URL, query_string=query | changes, data=body)
        return answer.status_code, answer.data


@pytest.fixture
def sender(shop: Shop) -> Sender:
    return Sender(shop)


def said(word: str, number: int = 1) -> str:
    return TEXT.format(at=int(time.time()), said=word, id=number)


def kept(shop: Shop) -> list[tuple[str, str]]:
    with shop.runtime.sessions() as session:
        return [(row.state, row.kind) for row in session.execute(text("select state, kind from inbox_message"))]


def test_a_good_message_is_answered_sealed(shop: Shop, sender: Sender) -> None:
    status, body = sender.send(said("佣金"))
    sealed = xmltodict.parse(body)["xml"]
    opened = sender.crypto.decrypt_message(body, sealed["MsgSignature"], sealed["TimeStamp"], sealed["Nonce"])
    reply = xmltodict.parse(opened)["xml"]
    assert (status, reply["ToUserName"], reply["FromUserName"], reply["MsgType"]) == (200, "oLi", "gh_1", "text")
    assert "待结算 ¥0.00" in reply["Content"]
    assert kept(shop) == [("done", "text")]


def test_what_people_type_cannot_break_out_of_the_reply(sender: Sender) -> None:
    status, body = sender.send(said("海报 ]]]]><![CDATA[></Content><MsgType>image</MsgType>"))
    assert status == 200
    sealed = xmltodict.parse(body)["xml"]
    opened = sender.crypto.decrypt_message(body, sealed["MsgSignature"], sealed["TimeStamp"], sealed["Nonce"])
    assert xmltodict.parse(opened)["xml"]["MsgType"] == "text"


@pytest.mark.parametrize("changes", [
    {"msg_signature": "0" * 40}, {"msg_signature": ""}, {"timestamp": "1"}, {"nonce": "other"},
    {"encrypt_type": "raw"}, {"timestamp": "yesterday"},
], ids=str)
def test_a_forged_or_stale_request_is_refused_and_leaves_no_row(
    shop: Shop, sender: Sender, changes: dict[str, str]
) -> None:
    assert sender.send(said("佣金"), **changes) == (403, b"")
    assert kept(shop) == []


def test_a_plain_body_in_safe_mode_is_refused(shop: Shop, sender: Sender) -> None:
    stamp, nonce = str(int(time.time())), "1"
    signature = hashlib.sha1("".join(sorted([sender.token, stamp, nonce])).encode()).hexdigest()
    answer = shop.client.post(URL, query_string={"timestamp": stamp, "nonce": nonce, "signature": signature},
                              data=said("佣金"))
    assert answer.status_code == 403
    assert kept(shop) == []


@pytest.mark.parametrize("inner", ["<xml/>", "no xml at all", said("x").replace("oLi", "o Li"),
                                   "<!DOCTYPE x [<!ENTITY a 'b'>]>" + said("&a;")], ids=["empty", "text", "id", "dtd"])
def test_signed_rubbish_is_acknowledged_and_quarantined(shop: Shop, sender: Sender, inner: str) -> None:
    assert sender.send(inner) == (200, b"success")
    assert kept(shop) == [("quarantined", "unusable")]
    assert sender.send(inner) == (200, b"success")
    assert len(kept(shop)) == 1, "the same rubbish again is not kept again"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_64_kib_is_too_large(client_of: FlaskClient, chunked: bool) -> None:
    body = b"x" * (64 * 1024 + 1)
    if chunked:
        answer = client_of.post(URL, input_stream=io.BytesIO(body), environ_overrides={"wsgi.input_terminated": True})
    else:
        answer = client_of.post(URL, data=body)
    assert answer.status_code == 413


@pytest.fixture
def client_of(shop: Shop) -> FlaskClient:
    return shop.client


def test_the_handshake_echoes_what_the_platform_sent(shop: Shop, sender: Sender) -> None:
    stamp, nonce = str(int(time.time())), "77"
    signature = hashlib.sha1("".join(sorted([sender.token, stamp, nonce])).encode()).hexdigest()
    query = {"signature": signature, "timestamp": stamp, "nonce": nonce, "echostr": "5927782489442352469"}
    assert shop.client.get(URL, query_string=query).data == b"5927782489442352469"
    assert shop.client.get(URL, query_string=query | {"signature": "0" * 40}).status_code == 403


def test_an_unknown_account_is_not_there(shop: Shop) -> None:
    assert shop.client.get("/wechat/nobody").status_code == 404
    assert shop.client.post("/wechat/nobody", data=b"x").status_code == 404


def test_a_message_that_arrives_three_times_is_handled_once(shop: Shop, sender: Sender) -> None:
    sent_at = int(time.time()) - 4  # a retry comes seconds later, and its answer is the very same
    replies = set()
    for _ in range(3):
        _, body = sender.send(TEXT.format(at=sent_at, said="海报", id=7))
        sealed = xmltodict.parse(body)["xml"]
        replies.add(sender.crypto.decrypt_message(body, sealed["MsgSignature"], sealed["TimeStamp"], sealed["Nonce"]))
    assert len(replies) == 1
    assert xmltodict.parse(replies.pop())["xml"]["CreateTime"] == str(sent_at)
    assert kept(shop) == [("done", "text")]
