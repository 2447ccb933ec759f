"""The published vectors of the scheme, and wechatpy as a second opinion in both directions."""

import json

import pytest
from wechatpy import parse_message
from wechatpy.crypto import WeChatCrypto

from bot.kit import messages
from bot.runtime.channels.crypto import Envelope, is_signed, signature
from bot.runtime.channels.wechat import AccountKeys, Refused, open_callback, verify_url
from tests.unit.channels import wechat_peer as peer

VECTORS = json.loads((peer.FIXTURES / "vectors.json").read_text())["vectors"]
ENCRYPTED = [pytest.param(v, id=v["id"]) for v in VECTORS if "encrypt" in v]
SIGNED = [pytest.param(v, id=v["id"]) for v in VECTORS if "msg_signature" in v]
MESSAGES = [pytest.param(v, id=v["id"]) for v in VECTORS if v["kind"] == "decrypt"]


@pytest.mark.parametrize("vector", ENCRYPTED)
def test_a_published_ciphertext_opens_to_its_published_text(vector):
    envelope = Envelope(vector["encoding_aes_key"], vector["appid"])
    assert envelope.open(vector["encrypt"].encode()) == vector["plaintext"].encode()


@pytest.mark.parametrize("vector", SIGNED)
def test_a_published_signature_is_good(vector):
    parts = [vector[name].encode() for name in ("token", "timestamp", "nonce", "encrypt")]
    assert is_signed(vector["msg_signature"], parts)


def test_the_signature_of_the_documentation_opens_the_address():
    vector = next(v for v in VECTORS if v["kind"] == "url_signature")
    keys = AccountKeys("main", "wx1", vector["token"], (), "", "plain")
    query = {name: vector[name] for name in ("signature", "timestamp", "nonce")} | {"echostr": "4375120948345356249"}
    assert verify_url(keys, query, int(vector["timestamp"])) == "4375120948345356249"


@pytest.mark.parametrize("vector", MESSAGES)
def test_a_published_message_arrives(vector):
    keys = AccountKeys("main", vector["appid"], vector["token"], (vector["encoding_aes_key"],), "", "safe")
    query = {name: vector[name] for name in ("timestamp", "nonce", "msg_signature")} | {"encrypt_type": "aes"}
    body = f"<xml><Encrypt><![CDATA[{vector['encrypt']}]]></Encrypt></xml>".encode()
    opened = open_callback(keys, query, body, int(vector["timestamp"]))
    assert opened.raw_xml == vector["plaintext"]
    assert opened.sender == vector["expect"]["FromUserName"]
    assert opened.incoming.text == vector["expect"]["Content"]


def test_the_vectors_reach_every_corner_of_the_padding():
    pads = {v["pad_len"] for v in VECTORS if "pad_len" in v}
    assert {1, 2, 7, 32} <= pads
    assert len(MESSAGES) == 3


def test_parts_are_sorted_as_bytes():
    assert signature([b"b", b"B", b"1"]) == signature([b"1", b"b", b"B"]) == peer.sha1("b", "B", "1")


@pytest.mark.parametrize("length", range(64))
def test_what_we_seal_wechatpy_opens(length):
    """Every pad length twice over."""
    content = "海" + "x" * length
    opened = open_callback(peer.keys(), *_request(peer.post_safe(peer.text_xml())), peer.NOW)
    sealed = opened.seal(messages.text(content))
    fields = _fields(sealed)
    crypto = WeChatCrypto(peer.TOKEN, peer.KEY, peer.APP_ID)
    plain = crypto.decrypt_message(sealed, fields["MsgSignature"], fields["TimeStamp"], fields["Nonce"])
    reply = parse_message(plain)
    assert (reply.content, reply.source, reply.target) == (content, peer.ORIGINAL_ID, peer.OPENID)


@pytest.mark.parametrize("length", range(64))
def test_what_wechatpy_seals_we_open(length):
    content = "报" + "y" * length
    body = WeChatCrypto(peer.TOKEN, peer.KEY, peer.APP_ID).encrypt_message(
        peer.text_xml(content), "486452656", str(peer.NOW)
    )
    query = {
        "timestamp": str(peer.NOW),
        "nonce": "486452656",
        "encrypt_type": "aes",
        "msg_signature": _fields(body.encode())["MsgSignature"],
    }
    assert open_callback(peer.keys(), query, body.encode(), peer.NOW).incoming.text == content


def test_a_reply_is_never_sealed_the_same_twice_and_wechatpy_refuses_it_with_another_key():
    opened = open_callback(peer.keys(), *_request(peer.post_safe(peer.text_xml())), peer.NOW)
    first, second = opened.seal(messages.text("好")), opened.seal(messages.text("好"))
    assert first != second
    fields = _fields(first)
    crypto = WeChatCrypto(peer.TOKEN, peer.OTHER_KEY, peer.APP_ID)
    with pytest.raises(Exception):  # noqa: B017 - the oracle raises whatever it stumbles over
        crypto.decrypt_message(first, fields["MsgSignature"], fields["TimeStamp"], fields["Nonce"])


def test_the_other_app_of_a_vector_is_refused():
    vector = VECTORS[0]
    keys = AccountKeys("main", "wx0000000000000000", vector["token"], (vector["encoding_aes_key"],), "", "safe")
    query = {name: vector[name] for name in ("timestamp", "nonce", "msg_signature")} | {"encrypt_type": "aes"}
    with pytest.raises(Refused):
        open_callback(keys, query, f"<xml><Encrypt>{vector['encrypt']}</Encrypt></xml>".encode(), 1409735669)


def _request(request):
    return request.query, request.body


def _fields(body):
    import xmltodict

    return xmltodict.parse(body)["xml"]
