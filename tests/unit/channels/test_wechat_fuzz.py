"""Valid messages, mutated and signed again: they open, or end in one of three faults, and never otherwise."""

import subprocess
import sys
from collections import Counter
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.kit import messages
from bot.runtime.channels.wechat import Malformed, Opened, Refused, TooLarge, open_callback, verify_url
from tests.unit.channels import wechat_peer as peer

CORPUS = [path.read_bytes() for path in sorted((peer.FIXTURES / "incoming").glob("*.xml"))]
TOKENS = [
    b"<",
    b">",
    b"</",
    b"/>",
    b"&",
    b"&amp;",
    b"&#0;",
    b"]]>",
    b"<![CDATA[",
    b"<!--",
    b"<?",
    b"<!DOCTYPE xml>",
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"-1",
    b"1e400",
    b"NaN",
    b"9" * 30,
    "１".encode(),
    b"<MsgType>event</MsgType>",
    b"<Event>SCAN</Event>",
    b"<MsgId>7</MsgId>",
    b"<List/>",
    b"<xml>",
    b"</xml>",
    b"<SubscribeMsgPopupEvent><List>x</List></SubscribeMsgPopupEvent>",
    b"<EventKey><a/></EventKey>",
    b"qrscene_",
    b"x" * 300,
]
TAGS = [
    b"ToUserName",
    b"FromUserName",
    b"CreateTime",
    b"MsgType",
    b"MsgId",
    b"Event",
    b"EventKey",
    b"Content",
    b"List",
    b"MediaId",
    b"xml",
]


@st.composite
def mutated(draw):
    """A captured message after one to four changes: cut, doubled, spliced, renamed, or with a token put in."""
    data = draw(st.sampled_from(CORPUS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 60)))
        match draw(st.sampled_from(["cut", "double", "insert", "replace", "rename", "noise", "splice"])):
            case "cut":
                data = data[:start] + data[end:]
            case "double":
                data = data[:end] + data[start:]
            case "insert":
                data = data[:start] + draw(st.sampled_from(TOKENS)) + data[start:]
            case "replace":
                data = data[:start] + draw(st.sampled_from(TOKENS)) + data[end:]
            case "rename":
                data = data.replace(draw(st.sampled_from(TAGS)), draw(st.sampled_from(TAGS)))
            case "noise":
                data = data[:start] + draw(st.binary(max_size=8)) + data[end:]
            case "splice":
                data = data[:start] + draw(st.sampled_from(CORPUS))[start:]
    return data


def end_of(request, keys):
    """What became of a request; any exception but the three passes through and fails the test."""
    try:
        opened = open_callback(keys, request.query, request.body, peer.NOW)
    except (Refused, Malformed, TooLarge) as fault:
        if isinstance(fault, Malformed):
            assert "\x00" not in fault.raw
        return type(fault)
    assert messages.Incoming.from_json(opened.incoming.to_json()) == opened.incoming
    assert opened.seal(messages.text(opened.incoming.text)) != b""
    return Opened


@settings(max_examples=200, deadline=None)
@given(mutated())
def test_a_mutated_message_opens_or_is_quarantined(data):
    assert end_of(peer.post_safe(data), peer.keys()) in (Opened, Malformed)
    assert end_of(peer.post_plain(data), peer.keys("plain", ())) in (Opened, Malformed, Refused)


@settings(max_examples=200, deadline=None)
@given(
    mutated(),
    st.binary(max_size=200),
    st.dictionaries(
        st.sampled_from(["timestamp", "nonce", "msg_signature", "signature", "encrypt_type", "echostr"]),
        st.text(st.characters(codec=None), max_size=50),
    ),
)
def test_a_mutated_request_is_refused_and_nothing_else(data, noise, changes):
    request = peer.post_safe(data).but(**changes)
    spoiled = peer.Request(request.query, noise + request.body[len(noise) :])
    for mode in ("safe", "compatible", "plain"):
        assert end_of(spoiled, peer.keys(mode)) in (Opened, Malformed, Refused)
    with suppress(Refused):
        verify_url(peer.keys(), spoiled.query, peer.NOW)


def test_the_fuzz_reaches_both_ends():
    """The property above would hold for a channel that refuses everything; this one must not."""
    ends = Counter(end_of(peer.post_safe(data), peer.keys()) for data in CORPUS + [data[:-1] for data in CORPUS])
    assert ends == {Opened: len(CORPUS), Malformed: len(CORPUS)}


def test_channels_load_neither_web_nor_database_nor_cache():
    unwanted = "{'flask', 'sqlalchemy', 'redis', 'rq'}"
    program = f"import sys, bot.runtime.channels.wechat; print(sorted({unwanted} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
