"""Passive replies: whatever the words, the platform reads back exactly one message with them in it."""

from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.kit.messages import NOTHING, Reply, image, text
from bot.runtime.channels.wechat import open_callback
from bot.runtime.channels.wechat_reply import MAX_TEXT_BYTES, fit, render
from tests.examples import examples
from tests.unit.channels import wechat_peer as peer


def rendered(reply):
    return render(reply, source=peer.ORIGINAL_ID, target=peer.OPENID, stamp=datetime.fromtimestamp(peer.NOW, UTC))


def read(reply):
    """The reply as an ordinary XML parser sees it: {tag: text}, with each tag once."""
    root = ElementTree.fromstring(rendered(reply))
    tags = [child.tag for child in root]
    assert len(tags) == len(set(tags))
    return {child.tag: child.text for child in root}


UNICODE = [
    "佣金 ¥12.34",
    "]]>",
    "]]]]>>",
    "a]]><MsgType>image</MsgType><![CDATA[",
    "]]" * 50 + ">",
    "<![CDATA[x]]>",
    "<script>alert(1)</script>",
    "&lt;&#0;&amp;",
    "=cmd|' /C calc'!A0",
    "%00%0a",
    "'; drop table people; --",
    "👨‍👩‍👧‍👦",
    "🏳️‍🌈",
    "👍🏽",
    "🇨🇳",
    "e\u0301",
    "\u202eabc\u202c",
    "\u200b\u200d\ufeff.",
    "繁體與简体",
    "ｆｕｌｌ",
    "\t\n",
    "עברית",
    "ไทย",
    "𠮷野家",
    "\U0010ffff.",
    "\ue000\uf8ff",
    "\x85\x9f",
    "{content}",
    "%s %(x)s",
    "\\x00",
    "a" * 2048,
]


@pytest.mark.parametrize("content", UNICODE, ids=ascii)
def test_words_arrive_as_they_were(content):
    assert read(text(content + "!")) == {
        "ToUserName": peer.OPENID,
        "FromUserName": peer.ORIGINAL_ID,
        "CreateTime": str(peer.NOW),
        "MsgType": "text",
        "Content": content + "!" if len(content) < 2048 else "a" * 2045 + "…",
    }


@pytest.mark.parametrize("content", [c for c in UNICODE if "]]>" not in c and len(c) < 2048], ids=ascii)
def test_an_echo_of_what_people_write_stays_what_it_was(content):
    request = peer.post_plain(peer.text_xml(content))
    opened = open_callback(peer.keys("plain", ()), request.query, request.body, peer.NOW)
    assert opened.incoming.text == content
    echoed = ElementTree.fromstring(opened.seal(text(f"[{opened.incoming.text}]"))).findtext("Content")
    assert echoed == f"[{content}]"


@examples(100)
@given(st.text(st.characters(codec=None), max_size=900))
def test_any_text_renders_as_one_readable_message_within_the_limit(content):
    if not rendered(text(content)):
        return
    answer = read(text(content))
    assert answer["MsgType"] == "text"
    assert len(answer["Content"].encode()) <= MAX_TEXT_BYTES


@pytest.mark.parametrize(
    "content", ["a\x00b", "a\x1bb", "a\x08b", "a\ud800b", "a\udfffb", "a\ufffeb", "a\uffffb", "a\x0bb\x0c"]
)
def test_what_xml_cannot_hold_is_left_out(content):
    assert read(text(content))["Content"] == "ab"


@pytest.mark.parametrize("lead", range(6))
@pytest.mark.parametrize("character", ["a", "é", "佣", "😀"])
def test_long_text_is_cut_between_characters(lead, character):
    width = len(character.encode())
    whole = "x" * lead + character * ((MAX_TEXT_BYTES - lead) // width)
    assert fit(whole) == whole
    cut = fit(whole + character * 2)
    assert cut.endswith(character + "…")
    assert MAX_TEXT_BYTES - width < len(cut.encode()) <= MAX_TEXT_BYTES


def test_a_cut_leaves_no_joiner_behind():
    assert fit("👨\u200d👩" * 3, limit=12) == "👨…"


def test_a_cut_text_full_of_cdata_ends_is_still_one_text():
    assert read(text("]]>" * 1000))["Content"] == fit("]]>" * 1000)


def test_an_image_names_its_media():
    root = ElementTree.fromstring(rendered(image("Kx7aB-media_1")))
    assert (root.findtext("MsgType"), root.findtext("Image/MediaId")) == ("image", "Kx7aB-media_1")
    odd = ElementTree.fromstring(rendered(image("]]></MediaId><MediaId>\x00")))
    assert odd.findtext("Image/MediaId") == "]]></MediaId><MediaId>"


@pytest.mark.parametrize(
    "reply", [NOTHING, text(""), text(" \n\u3000"), text("\x00\ud800"), image(""), image("\x00")], ids=repr
)
def test_nothing_to_say_is_no_message(reply):
    assert rendered(reply) == ""


def test_a_kind_that_does_not_exist_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="'voice'"):
        rendered(Reply("voice"))
