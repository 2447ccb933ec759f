"""Every message and event of the platform, as captured, and the neutral form it takes."""

import json
from datetime import UTC, datetime

import pytest

from bot.kit.messages import Incoming
from bot.runtime.channels.wechat import Malformed, open_callback
from tests.unit.channels import wechat_peer as peer

EXPECTED = json.loads((peer.FIXTURES / "expected.json").read_text())


def incoming(xml, keys=None):
    request = peer.post_safe(xml)
    return open_callback(keys or peer.keys(), request.query, request.body, peer.NOW).incoming


def captured(name):
    return (peer.FIXTURES / "incoming" / f"{name}.xml").read_text()


def test_every_captured_message_has_an_expectation_and_the_other_way_round():
    assert {path.stem for path in (peer.FIXTURES / "incoming").glob("*.xml")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_captured_message_takes_its_neutral_form(name):
    expected = EXPECTED[name]
    got = incoming(captured(name))
    assert {field: getattr(got, field) for field in ("kind", "text", "event", "key", "data")} == {
        field: expected[field] for field in ("kind", "text", "event", "key", "data")
    }
    assert (got.channel, got.account, got.sender) == ("wechat", "main", peer.OPENID)
    assert got.sent_at == datetime.fromtimestamp(expected["created"], UTC)
    if "dedupe" in expected:
        assert got.dedupe_key == expected["dedupe"]
    assert Incoming.from_json(json.loads(json.dumps(got.to_json()))) == got


@pytest.mark.parametrize("name", EXPECTED)
def test_a_retry_has_the_same_key_and_nothing_else_has_it(name):
    keys = {other: incoming(captured(other)).dedupe_key for other in EXPECTED}
    assert incoming(captured(name)).dedupe_key == keys[name]
    assert [other for other in keys if keys[other] == keys[name]] == [name]


def test_a_follow_and_a_scan_in_one_second_are_two_events():
    events = [
        "<Event>subscribe</Event><EventKey>qrscene_k7</EventKey><Ticket>t</Ticket>",
        "<Event>SCAN</Event><EventKey>k7</EventKey><Ticket>t</Ticket>",
        "<Event>CLICK</Event><EventKey>k7</EventKey><Ticket>t</Ticket>",
        "<Event>SCAN</Event><EventKey>k8</EventKey><Ticket>t</Ticket>",
        "<Event>SCAN</Event><EventKey>k8</EventKey><Ticket>u</Ticket>",
        "<Event>TEMPLATESENDJOBFINISH</Event><MsgID>1</MsgID><Status>success</Status>",
        "<Event>TEMPLATESENDJOBFINISH</Event><MsgID>2</MsgID><Status>success</Status>",
    ]
    keys = [incoming(peer.message_xml(inner, kind="event")).dedupe_key for inner in events]
    assert len(set(keys)) == len(events)
    elsewhere = peer.message_xml(events[0], kind="event", sender="oSomebodyElse")
    assert incoming(elsewhere).dedupe_key not in keys


@pytest.mark.parametrize(
    "value",
    [
        "-1",
        "0",
        "1e400",
        "9223372036854775808",
        "99999999999999999999999999",
        "１７９５３１２８９９",
        "NaN",
        "inf",
        "1795312899.0",
        "0x10",
        " 1795312899",
        "1795312899\n",
        "",
        "+1795312899",
        "1_795_312_899",
        "٣",
        "4102444800",
        "１",
        "1e9",
        "²",
    ],
)
def test_a_time_that_is_none_is_quarantined(value):
    with pytest.raises(Malformed) as fault:
        incoming(peer.text_xml(created=value))
    assert fault.value.reason == "CreateTime is not a number in range"
    assert fault.value.raw.startswith("<xml>")


@pytest.mark.parametrize("value", ["-1", "0", "1e400", "18446744073709551616", "２４９", "NaN", "", "abc", "1.5", " 7"])
def test_a_message_id_that_is_none_is_quarantined(value):
    with pytest.raises(Malformed, match="MsgId"):
        incoming(peer.text_xml(msg_id=value))


def test_the_largest_message_id_and_time_are_taken():
    got = incoming(peer.text_xml(msg_id=str(2**64 - 1), created="4102444799"))
    assert got.dedupe_key == f"msg:{2**64 - 1}"
    assert got.sent_at.year == 2099


@pytest.mark.parametrize(
    "place",
    [
        ("91", "0"),
        ("-90.01", "0"),
        ("0", "180.5"),
        ("1e400", "0"),
        ("NaN", "0"),
        ("", "0"),
        ("２３", "0"),
        ("1,5", "2"),
    ],
)
def test_a_place_off_the_map_is_quarantined(place):
    inner = f"<Location_X>{place[0]}</Location_X><Location_Y>{place[1]}</Location_Y><MsgId>1</MsgId>"
    with pytest.raises(Malformed, match="Location_"):
        incoming(peer.message_xml(inner, kind="location"))


@pytest.mark.parametrize(
    "sender", ["", "o" * 65, "o<b>", "o&amp;b", "张三", "o p", "o\nx", "../etc", "o'--", "ｏpenid", "%00"]
)
def test_a_sender_out_of_shape_is_quarantined(sender):
    with pytest.raises(Malformed, match="FromUserName"):
        incoming(peer.message_xml("<Content>x</Content><MsgId>1</MsgId>", sender=sender.replace("<", "&lt;")))


@pytest.mark.parametrize(
    ("inner", "kind", "reason"),
    [
        ("<MsgId>1</MsgId>", "text", "Content is missing"),
        ("<Content>x</Content>", "text", "MsgId"),
        ("<Content><b>x</b></Content><MsgId>1</MsgId>", "text", "Content is not a text"),
        ("<PicUrl>u</PicUrl><MsgId>1</MsgId>", "image", "MediaId is missing"),
        ("<EventKey>k</EventKey>", "event", "Event is missing"),
        ("<Event>CLICK</Event><EventKey><a>1</a></EventKey>", "event", "EventKey is not a text"),
        ("<Event>scancode_push</Event><ScanCodeInfo>x</ScanCodeInfo>", "event", "ScanCodeInfo is not a branch"),
        ("<Event>TEMPLATESENDJOBFINISH</Event><Status>success</Status>", "event", "MsgID"),
        ("<Event>LOCATION</Event><Latitude>1</Latitude><Longitude>2</Longitude>", "event", "Precision"),
        ("<Content>x</Content><MsgId>1</MsgId>", "", "MsgType is missing"),
    ],
)
def test_content_without_what_it_needs_is_quarantined_with_the_reason(inner, kind, reason):
    with pytest.raises(Malformed, match=reason):
        incoming(peer.message_xml(inner, kind=kind))


def test_an_empty_message_is_quarantined():
    with pytest.raises(Malformed):
        incoming("<xml></xml>")
