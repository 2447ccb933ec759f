"""The simulator's own crypto and XML, judged by libraries it does not use."""

import base64
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook
from wechatpy.crypto import WeChatCrypto

from bot.simulator.crypto import CallbackCipher, CryptoFault, signature, webhook_headers
from bot.simulator.wire import BadAnswer, parse_reply, to_xml
from tests.integration.simulator.echo import ACCOUNT, WEBHOOK_SECRET

CIPHER = CallbackCipher(ACCOUNT.encoding_aes_key, ACCOUNT.app_id)
ORACLE = WeChatCrypto(ACCOUNT.token, ACCOUNT.encoding_aes_key, ACCOUNT.app_id)


@pytest.mark.parametrize("length", [*range(1, 70), 700, 5000])
def test_wechatpy_reads_what_we_encipher_and_the_other_way_round(length: int) -> None:
    message = f"<xml><Content>{'汉' * (length // 3)}{'a' * (length % 3)}</Content></xml>"
    sealed = CIPHER.encrypt(message)
    sign = signature(ACCOUNT.token, "1714037059", "486452656", sealed)
    outer = f"<xml><ToUserName>x</ToUserName><Encrypt>{sealed}</Encrypt></xml>"
    assert ORACLE.decrypt_message(outer, sign, "1714037059", "486452656") == message
    reply = ORACLE.encrypt_message(message, "n", "1")
    inside = reply.split("<Encrypt><![CDATA[")[1].split("]]>")[0]
    assert CIPHER.decrypt(inside) == message


def test_the_published_sample_signature() -> None:
    assert signature("AAAAA", "1714037059", "486452656") == "899cf89e464efb63f54ddac96b0a0a235f53aa78"


def _flipped(sealed: str, at: int) -> str:
    raw = bytearray(base64.b64decode(sealed))
    raw[at] ^= 0x41
    return base64.b64encode(bytes(raw)).decode()


@pytest.mark.parametrize("sealed", [
    "", "not base64!", base64.b64encode(b"x" * 31).decode(), _flipped(CIPHER.encrypt("<xml/>"), -1),
    _flipped(CIPHER.encrypt("<xml/>"), 17),
    CallbackCipher(ACCOUNT.encoding_aes_key, "wxanother").encrypt("<xml/>"),
    CallbackCipher("Z" * 42 + "0", ACCOUNT.app_id).encrypt("<xml/>"),
], ids=["empty", "no base64", "short", "end flipped", "middle flipped", "another app", "another key"])
def test_a_damaged_or_foreign_cipher_text_is_refused(sealed: str) -> None:
    with pytest.raises(CryptoFault):
        CIPHER.decrypt(sealed)


def test_a_webhook_passes_the_standards_own_library() -> None:
    body = json.dumps({"id": "evt_1", "title": "大米"}, ensure_ascii=False).encode()
    headers = webhook_headers(WEBHOOK_SECRET, "evt_1", int(datetime.now(UTC).timestamp()), body)
    assert Webhook(WEBHOOK_SECRET).verify(body, headers)["id"] == "evt_1"


def test_text_that_ends_a_cdata_section_stays_text() -> None:
    nasty = "]]><MsgType>image</MsgType><![CDATA["
    head = [("ToUserName", "o1"), ("FromUserName", "gh"), ("CreateTime", 1)]
    xml = to_xml([*head, ("MsgType", "text"), ("Content", nasty)])
    reply = parse_reply(xml)
    assert (reply.kind, reply.body) == ("text", {"content": nasty})


HEAD = "<ToUserName>o1</ToUserName><FromUserName>gh</FromUserName><CreateTime>1</CreateTime>"
ITEM = "<item><Title>t</Title><Description/><PicUrl/><Url>https://x</Url></item>"


@pytest.mark.parametrize("answer", [
    "not xml", "<html/>", "<xml/>", f"<xml>{HEAD}</xml>", f"<xml>{HEAD}<MsgType>text</MsgType></xml>",
    f"<xml>{HEAD}<MsgType>text</MsgType><Content></Content></xml>",
    f"<xml>{HEAD}<MsgType>text</MsgType><Content>{'汉' * 683}</Content></xml>",
    f"<xml>{HEAD}<MsgType>text</MsgType><MsgType>image</MsgType><Content>x</Content></xml>",
    f"<xml>{HEAD}<MsgType>text</MsgType><Content><b>x</b></Content></xml>",
    f"<xml>{HEAD.replace('<CreateTime>1', '<CreateTime>now')}<MsgType>text</MsgType><Content>x</Content></xml>",
    f"<xml>{HEAD}<MsgType>hologram</MsgType></xml>", f"<xml>{HEAD}<MsgType>image</MsgType></xml>",
    f"<xml>{HEAD}<MsgType>news</MsgType><ArticleCount>2</ArticleCount><Articles>{ITEM}</Articles></xml>",
    f"<xml>{HEAD}<MsgType>news</MsgType><ArticleCount>9</ArticleCount><Articles>{ITEM * 9}</Articles></xml>",
    f'<!DOCTYPE xml [<!ENTITY a "x">]><xml>{HEAD}<MsgType>text</MsgType><Content>&a;</Content></xml>',
])
def test_what_wechat_would_not_show_is_refused(answer: str) -> None:
    with pytest.raises(BadAnswer):
        parse_reply(answer)


def test_a_news_reply_is_read_whole() -> None:
    articles = f"<ArticleCount>1</ArticleCount><Articles>{ITEM}</Articles>"
    reply = parse_reply(f"<xml>{HEAD}<MsgType>news</MsgType>{articles}</xml>")
    assert reply.body == {"articles": [{"title": "t", "description": "", "picurl": "", "url": "https://x"}]}
