"""What people do with their phones, by the page's own API."""

import io
from typing import Any

import pytest
import qrcode
from PIL import Image

from tests.integration.simulator.conftest import Client


def poster(content: str, *, quality: int = 80) -> bytes:
    """A JPEG like a real poster: a picture with a small code in its corner."""
    canvas = Image.new("RGB", (1080, 1920), "#f3e6d2")
    code = qrcode.make(content).get_image().convert("RGB").resize((300, 300))
    canvas.paste(code, (740, 1580))
    sink = io.BytesIO()
    canvas.save(sink, "JPEG", quality=quality)
    return sink.getvalue()


def event(sim: Client, name: str) -> dict[str, Any]:
    """The latest event of this name that the service received."""
    found = sim.wait(lambda: [one for one in sim.echo.received if one.get("Event") == name])
    return dict(found[-1])


def send_poster(sim: Client, openid: str, content: bytes) -> str:
    media_id = sim.upload(content)["media_id"]
    assert sim.call("message/custom/send", touser=openid, msgtype="image", image={"media_id": media_id})["errcode"] == 0
    return str(media_id)


def test_a_plain_follow_has_an_empty_key(sim: Client) -> None:
    li = sim.person()
    assert event(sim, "subscribe")["EventKey"] is None
    assert sim.post("/api/follow", openid=li).status_code == 409


def test_scanning_a_poster_makes_a_stranger_follow_with_the_scene(sim: Client) -> None:
    li, new = sim.person("李姐"), sim.person("新客", follows=False)
    code = sim.scene("r.k7Qm2x")
    image = send_poster(sim, li, poster(code["url"]))
    assert sim.act("/api/scan", openid=new, image_id=image)["result"] == "subscribe"
    sim.wait(lambda: "欢迎 qrscene_r.k7Qm2x" in sim.said(new))
    heard = event(sim, "subscribe")
    assert (heard["FromUserName"], heard["Ticket"]) == (new, code["ticket"])
    assert sim.send_text(new) == 0


def test_a_follower_who_scans_gets_the_other_event_and_a_fresh_window(sim: Client) -> None:
    li = sim.person()
    sim.times.advance(3600)
    assert sim.send_text(li) == 45015
    assert sim.act("/api/scan", openid=li, url=sim.scene("r.k7Qm2x")["url"])["result"] == "scan"
    heard = event(sim, "SCAN")
    assert (heard["EventKey"], "MsgId" in heard) == ("r.k7Qm2x", False)
    assert [sim.send_text(li) for _ in range(4)] == [0, 0, 0, 45047]


def test_an_expired_code_says_so_and_sends_nothing(sim: Client) -> None:
    li, new = sim.person("李姐"), sim.person("新客", follows=False)
    image = send_poster(sim, li, poster(sim.scene("r.old", 600)["url"]))
    sim.times.advance(600)
    answer = sim.act("/api/scan", openid=new, image_id=image)
    assert (answer["result"], answer["message"]) == ("expired", "二维码已过期")
    assert sim.said(new, "system") == ["二维码已过期"]
    assert not [one for one in sim.echo.received if one["FromUserName"] == new]


def test_other_pictures_and_codes(sim: Client) -> None:
    li = sim.person()
    elsewhere = send_poster(sim, li, poster("https://example.com/r/abc"))
    answer = sim.act("/api/scan", openid=li, image_id=elsewhere)
    assert (answer["result"], answer["url"]) == ("url", "https://example.com/r/abc")
    forged = sim.act("/api/scan", openid=li, url="http://weixin.qq.com/q/02forged")
    assert forged["result"] == "url"
    sink = io.BytesIO()
    Image.new("RGB", (300, 300), "white").save(sink, "JPEG")
    assert sim.act("/api/scan", openid=li, image_id=send_poster(sim, li, sink.getvalue()))["result"] == "none"
    assert sim.post("/api/scan", openid=li, image_id="nothing").status_code == 404
    assert sim.post("/api/scan", openid=li).status_code == 422


def test_a_picture_from_outside_can_be_scanned(sim: Client) -> None:
    new = sim.person("新客", follows=False)
    content = poster(sim.scene("r.out")["url"], quality=70)
    response = sim.http.post(f"{sim.server.url}/sim/api/scan-file", data={"openid": new},
                             files={"image": ("a.jpg", content)}, timeout=10)
    assert response.json()["result"] == "subscribe"


MENU = [{"type": "click", "name": "海报", "key": "poster"}, {"name": "更多", "sub_button": [
    {"type": "view", "name": "主页", "url": "https://example.com/me"},
    {"type": "scancode_waitmsg", "name": "扫码", "key": "scan"},
    {"type": "location_select", "name": "门店", "key": "shop"},
    {"type": "pic_weixin", "name": "晒单", "key": "show"},
    {"type": "miniprogram", "name": "商城", "url": "https://x", "appid": "wxa", "pagepath": "pages/index"}]}]


def test_each_kind_of_menu_entry_sends_its_own_event(sim: Client) -> None:
    li = sim.person()
    assert sim.post("/api/menu-tap", openid=li, key="poster").status_code == 404
    sim.call("menu/create", button=MENU)
    sim.times.advance(3600)
    sim.act("/api/menu-tap", openid=li, key="poster")
    assert event(sim, "CLICK")["EventKey"] == "poster"
    assert [sim.send_text(li) for _ in range(4)] == [0, 0, 0, 45047]
    sim.times.advance(3600)
    assert sim.act("/api/menu-tap", openid=li, index=[1, 0])["open"] == "https://example.com/me"
    assert event(sim, "VIEW")["EventKey"] == "https://example.com/me"
    sim.act("/api/menu-tap", openid=li, index=[1, 4])
    assert event(sim, "view_miniprogram")["EventKey"] == "pages/index"
    assert sim.send_text(li) == 45015
    assert sim.post("/api/menu-tap", openid=li, key="scan").status_code == 422
    sim.act("/api/menu-tap", openid=li, key="scan", url="https://example.com/x")
    assert event(sim, "scancode_waitmsg")["ScanCodeInfo"] == {"ScanType": "qrcode", "ScanResult": "https://example.com/x"}
    sim.act("/api/menu-tap", openid=li, key="shop", latitude=25.04, longitude=102.7, label="翠湖")
    assert event(sim, "location_select")["SendLocationInfo"]["Label"] == "翠湖"
    sim.wait(lambda: [one for one in sim.echo.received if one["MsgType"] == "location"])
    sim.act("/api/menu-tap", openid=li, key="show", image_id=send_poster(sim, li, poster("x")))
    assert event(sim, "pic_weixin")["SendPicsInfo"]["Count"] == "1"
    assert sim.post("/api/menu-tap", openid=li, index=[0, 0]).status_code == 404
    assert sim.post("/api/menu-tap", openid=li, index="x").status_code == 404


def test_a_choice_in_a_message_comes_back_as_text_and_opens_only_a_minute(sim: Client) -> None:
    li = sim.person()
    sim.call("message/custom/send", touser=li, msgtype="msgmenu", msgmenu={
        "head_content": "您是不是想：", "list": [{"id": "101", "content": "佣金"}], "tail_content": ""})
    link = '<a href="weixin://bizmsgmenu?msgmenucontent=%E6%B5%B7%E6%8A%A5&amp;msgmenuid=7">海报</a>'
    assert sim.send_text(li, link) == 0
    menu, text = (one["id"] for one in sim.bubbles(li)[-2:])
    sim.times.advance(3600)
    sim.act("/api/reply-menu", openid=li, bubble_id=menu, item_id="101")
    sim.wait(lambda: "你说：佣金" in sim.said(li))
    heard = sim.echo.received[-1]
    assert (heard["MsgType"], heard["Content"], heard["bizmsgmenuid"]) == ("text", "佣金", "101")
    assert [sim.send_text(li) for _ in range(4)] == [0, 0, 0, 45047]
    sim.act("/api/reply-menu", openid=li, bubble_id=text, item_id="7")
    sim.wait(lambda: "你说：海报" in sim.said(li))
    assert sim.post("/api/reply-menu", openid=li, bubble_id=menu, item_id="999").status_code == 404
    assert sim.post("/api/reply-menu", openid=sim.person("小王"), bubble_id=menu, item_id="101").status_code == 404


def test_a_place_and_a_picture_arrive_as_wechat_sends_them(sim: Client) -> None:
    li = sim.person()
    sim.act("/api/location", openid=li, latitude=25.0389, longitude=102.7183, label="五华区")
    place = sim.wait(lambda: [one for one in sim.echo.received if one["MsgType"] == "location"])[-1]
    assert (place["Location_X"], place["Location_Y"], place["Label"]) == ("25.038900", "102.718300", "五华区")
    response = sim.http.post(f"{sim.server.url}/sim/api/image", data={"openid": li},
                             files={"image": ("a.jpg", poster("x"))}, timeout=10)
    assert response.ok
    picture = sim.wait(lambda: [one for one in sim.echo.received if one["MsgType"] == "image"])[-1]
    assert sim.http.get(picture["PicUrl"], timeout=5).content == poster("x")
    assert sim.raw("media/get", method="GET", query={"media_id": picture["MediaId"]}).ok
    sim.act("/api/image", openid=li, image_id=picture["MediaId"])
    sim.wait(lambda: len([one for one in sim.echo.received if one["MsgType"] == "image"]) == 2)


def test_a_voice_message_arrives_with_what_was_recognised_or_without(sim: Client) -> None:
    li = sim.person()

    def came() -> list[dict[str, Any]]:
        return [one for one in sim.echo.received if one["MsgType"] == "voice"]

    sim.act("/api/voice", openid=li, heard=" 我要看佣金 ")
    spoken = sim.wait(came)[-1]
    assert (spoken["Recognition"], spoken["Format"]) == ("我要看佣金。", "amr") and spoken["MediaId"]
    sim.act("/api/voice", openid=li)
    sim.wait(lambda: len(came()) == 2)
    assert "Recognition" not in came()[-1] and came()[-1]["MediaId"] != spoken["MediaId"]
    sim.act("/api/voice", openid=li, heard="在吗？")
    sim.wait(lambda: len(came()) == 3)
    assert came()[-1]["Recognition"] == "在吗？"


@pytest.mark.parametrize(("path", "body", "status"), [
    ("/api/voice", {"openid": "nobody", "heard": "x"}, 404), ("/api/voice", {"openid": "LI", "heard": "x" * 1001}, 422),
    ("/api/voice", {"openid": "LI", "heard": 5}, 422), ("/api/voice", {"openid": "LI", "heard": "a\x01b"}, 422),
    ("/api/say", {"openid": "nobody", "text": "x"}, 404), ("/api/say", {"openid": "LI", "text": "  "}, 422),
    ("/api/say", {"openid": "LI", "text": "x" * 1001}, 422), ("/api/say", {"openid": "LI", "text": "a\x00b"}, 422),
    ("/api/say", {"openid": "\0", "text": "x"}, 422), ("/api/follow", {"openid": "o\0"}, 422),
    ("/api/say", {"openid": "LI", "text": "\ud83d"}, 422), ("/api/image", {"openid": "LI", "image_id": "\0"}, 422),
    ("/api/scan", {"openid": "LI", "url": "\0"}, 422), ("/api/verify", {"account": "\0"}, 422),
    ("/api/buy", {"openid": "LI", "sku": "\0"}, 422), ("/api/faults", {"api": "\0", "fault": "html"}, 422),
    ("/api/faults", {"off": 2**63}, 422), ("/api/location", {"openid": "LI", "latitude": 10**400}, 422),
    ("/api/menu-tap", {"openid": "LI", "key": "\0"}, 422), ("/api/orders/%00/ship", {}, 404),
    ("/api/say", {"openid": "LI", "text": 5}, 422), ("/api/say", {"openid": "LI"}, 422),
    ("/api/location", {"openid": "LI", "latitude": 91}, 422), ("/api/location", {"openid": "LI", "latitude": "1"}, 422),
    ("/api/people", {"name": "李姐"}, 409), ("/api/people", {"name": ""}, 422),
    ("/api/people", {"name": "长" * 21}, 422), ("/api/people", {"name": "一\u202e二"}, 422),
    ("/api/people", {"name": "新", "account": "none"}, 422), ("/api/unfollow", {"openid": "NEW"}, 409),
    ("/api/say", {"openid": "NEW", "text": "你好"}, 409), ("/api/nothing", {}, 404),
    ("/clock", {"advance_seconds": -1}, 422), ("/clock", {"advance_seconds": 1.5}, 422),
    ("/clock", {"advance_seconds": True}, 422), ("/clock", {}, 422), ("/clock", {"advance_seconds": 315_360_001}, 422)])
def test_bad_input_is_refused_in_chinese(calm: Client, path: str, body: dict[str, Any], status: int) -> None:
    names = {"LI": calm.known("李姐"), "NEW": calm.known("新客", follows=False)}
    meant = {"openid": names.get(body["openid"], body["openid"])} if "openid" in body else {}
    response = calm.post(path, **{**body, **meant})
    assert response.status_code == status
    assert any("\u4e00" <= letter <= "\u9fff" for letter in response.json()["message"])


@pytest.mark.parametrize(("path", "status"), [
    ("/api/media/%00.jpg", 404), ("/api/media/a%00b.jpg", 404), ("/api/orders?openid=%00", 200),
    ("/api/inspector?openid=%00", 200), ("/api/inspector?before=%00", 422), ("/api/feed?after=%00", 422),
    ("/weixin/cgi-bin/showqrcode?ticket=%00", 404), ("/api/%00", 404)])
def test_what_the_store_cannot_hold_is_simply_not_there(calm: Client, path: str, status: int) -> None:
    assert calm.http.get(f"{calm.server.url}/sim{path}", timeout=5).status_code == status


def test_a_form_with_nul_names_nobody(calm: Client) -> None:
    answer = calm.http.post(f"{calm.server.url}/sim/api/image", data={"openid": "o\0"},
                            files={"image": ("x.jpg", poster("x"), "image/jpeg")}, timeout=5)
    assert answer.status_code == 404


def test_only_json_is_taken(calm: Client) -> None:
    assert calm.http.post(f"{calm.server.url}/sim/api/say", data="openid=x", timeout=5).status_code == 415
    assert calm.http.post(f"{calm.server.url}/sim/api/say", json=["x"], timeout=5).status_code == 422


def test_the_clock_moves_business_time(sim: Client) -> None:
    before = sim.get("/clock")["now"]
    answer = sim.act("/clock", advance_seconds=7 * 86_400)
    assert answer["now"] == sim.get("/clock")["now"]
    assert (before, answer["now"]) == ("2026-11-20T02:00:00+00:00", "2026-11-27T02:00:00+00:00")


def test_the_feed_gives_only_news(sim: Client) -> None:
    li = sim.person()
    last = sim.get("/api/feed", after=0)["last"]
    assert sim.get("/api/feed", after=last)["bubbles"] == []
    sim.act("/api/say", openid=li, text="你好")
    sim.wait(lambda: len(sim.get("/api/feed", after=last)["bubbles"]) == 2)
    assert sim.http.get(f"{sim.server.url}/sim/api/feed?after=x", timeout=5).status_code == 422


def test_a_family_of_emoji_is_a_name(sim: Client) -> None:
    name = "👨\u200d👩\u200d👧\u200d👦阿芳"
    sim.act("/api/people", name=name)
    assert name in [one["name"] for one in sim.get("/api/feed", after=0)["people"]]
