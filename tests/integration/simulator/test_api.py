"""The platform's API: what WeChat would refuse, the simulator refuses with the same number."""

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from bot.simulator import SimTemplate
from tests.integration.simulator.conftest import Client
from tests.integration.simulator.echo import ACCOUNT, Server


def jpeg(size: tuple[int, int] = (200, 200), kind: str = "JPEG") -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", size, "#c8372b").save(sink, kind)
    return sink.getvalue()


def test_every_refusal_names_a_request_id_that_can_be_asked_for(sim: Client) -> None:
    answer = sim.call("message/custom/send", touser="nobody", msgtype="text", text={"content": "x"})
    rid = re.search(r"rid: ([0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8})$", answer["errmsg"])
    assert rid
    found = sim.call("openapi/rid/get", rid=rid.group(1))
    assert "message/custom/send" in found["request"]["request_url"]
    assert sim.token() not in json.dumps(found)
    assert sim.call("openapi/rid/get", rid="0" * 8)["errcode"] == 76022


@pytest.mark.parametrize(("method", "api", "body", "errcode"), [
    ("GET", "message/custom/send", None, 43002), ("POST", "menu/get", b"{}", 43001),
    ("POST", "stable_token", b"", 44002),
    ("POST", "message/custom/send", b"", 44002), ("POST", "message/custom/send", b"{'touser':1}", 47001),
    ("POST", "message/custom/send", b"[1]", 47001), ("POST", "message/custom/send", "中".encode("gbk"), 47001),
    ("POST", "message/custom/send", b'{"touser":"o","msgtype":"\\ud83d"}', 47001),
    ("POST", "message/custom/send", b'{"touser":"\\u0000","msgtype":"text"}', 40003), ("POST", "no/%00", b"{}", 40066),
    ("POST", "message/custom/send", b"[" * 100_000, 47001), ("POST", "no/such/api", b"{}", 40066)])
def test_the_common_checks(calm: Client, method: str, api: str, body: bytes | None, errcode: int) -> None:
    assert calm.raw(api, body, method=method).json()["errcode"] == errcode


def test_a_message_is_judged_by_its_content(sim: Client) -> None:
    li = sim.person()

    def send(**body: Any) -> int:
        return int(sim.call("message/custom/send", **{"touser": li, **body})["errcode"])

    def menu(entries: Any) -> int:
        return send(msgtype="msgmenu", msgmenu={"head_content": "", "list": entries, "tail_content": ""})

    article = {"title": "t", "description": "", "url": "https://x", "picurl": ""}
    assert send(touser=5, msgtype="text", text={"content": "x"}) == 40003
    assert send(text={"content": "x"}) == 40008
    assert send(msgtype="hologram", hologram={}) == 40008
    assert send(msgtype=7) == 47001
    assert send(msgtype="text", text="x") == 47001
    assert send(msgtype="text", text={}) == 44004
    assert send(msgtype="text", text={"content": 5}) == 47001
    assert send(msgtype="text", text={"content": "汉" * 682 + "abc"}) == 45002
    assert send(msgtype="image", image={}) == 41006
    assert send(msgtype="image", image={"media_id": "gone"}) == 40007
    assert send(msgtype="voice", voice={"media_id": "x"}) == 40007
    assert send(msgtype="miniprogrampage", miniprogrampage={}) == 48001
    assert send(msgtype="news", news={"articles": []}) == 44003
    assert send(msgtype="news", news={"articles": "x"}) == 47001
    assert send(msgtype="news", news={"articles": [article] * 2}) == 45008
    assert menu([]) == 47001
    assert menu([{"id": 1, "content": "x"}]) == 47001
    assert menu([{"id": "1", "content": "汉" * 700}]) == 45002
    assert send(msgtype="text", text={"content": "x"}, customservice={"kf_account": "a@b"}) == 65401
    assert sim.said(li) == ["欢迎 "]
    assert send(msgtype="text", text={"content": "汉" * 682 + "ab"}) == 0
    assert send(msgtype="news", news={"articles": [article]}) == 0
    assert menu([{"id": "1", "content": "是"}]) == 0
    assert [one["kind"] for one in sim.bubbles(li) if one["side"] == "account"] == ["text", "text", "news", "msgmenu"]


def test_rights_after_a_follow_are_three_in_a_minute(sim: Client) -> None:
    li = sim.person()
    assert [sim.send_text(li) for _ in range(4)] == [0, 0, 0, 45047]
    sim.times.advance(61)
    assert sim.send_text(li) == 45015


def test_rights_after_a_message_are_five_in_48_hours(sim: Client) -> None:
    li = sim.person()
    sim.times.advance(61)
    sim.act("/api/say", openid=li, text="你好")
    assert [sim.send_text(li) for _ in range(6)] == [0] * 5 + [45047]
    sim.act("/api/say", openid=li, text="再来")
    assert sim.send_text(li) == 0
    sim.times.advance(48 * 3600 - 1)
    assert sim.send_text(li) == 0
    sim.times.advance(1)
    assert sim.send_text(li) == 45015


def test_a_new_message_refills_and_never_adds_up(sim: Client) -> None:
    li = sim.person()
    sim.times.advance(61)
    for _ in range(3):
        sim.act("/api/say", openid=li, text="你好")
    rights = sim.get("/api/feed", after=0)["people"][0]["rights"]
    assert rights["message"] == {"left": 5, "seconds": 48 * 3600}


def test_the_shorter_window_is_used_first(sim: Client) -> None:
    li = sim.person()
    sim.act("/api/say", openid=li, text="你好")
    assert [sim.send_text(li) for _ in range(9)] == [0] * 8 + [45047]


def test_who_is_not_a_follower_cannot_be_reached(sim: Client) -> None:
    stranger = sim.person("新客", follows=False)
    assert sim.send_text(stranger) == 40003
    sim.act("/api/follow", openid=stranger)
    sim.act("/api/unfollow", openid=stranger)
    assert sim.send_text(stranger) == 43004


def test_typing_has_its_own_rules(sim: Client) -> None:
    li = sim.person()

    def typing(command: str) -> int:
        return int(sim.call("message/custom/typing", touser=li, command=command)["errcode"])

    assert (typing("Dance"), typing("Typing")) == (45072, 45080)
    sim.act("/api/say", openid=li, text="你好")
    assert [typing("Typing"), typing("Typing")] == [0, 45081]
    assert sim.get("/api/feed", after=0)["people"][0]["typing"] is True
    assert [typing("CancelTyping"), typing("CancelTyping"), typing("Typing")] == [0, 45081, 0]
    assert sim.send_text(li) == 0
    assert sim.get("/api/feed", after=0)["people"][0]["typing"] is False


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_a_picture_is_stored_sent_and_fetched(sim: Client, kind: str) -> None:
    li, content = sim.person(), jpeg(kind=kind)
    media_id = sim.upload(content)["media_id"]
    answer = sim.call("message/custom/send", touser=li, msgtype="image", image={"media_id": media_id})
    assert answer["errcode"] == 0
    fetched = sim.raw("media/get", method="GET", query={"media_id": media_id})
    assert fetched.content == content
    assert sim.http.get(f"{sim.server.url}/sim/api/media/{media_id}.jpg", timeout=5).content == content


def test_media_die_after_three_days_of_business_time(sim: Client) -> None:
    li, media_id = sim.person(), sim.upload(jpeg())["media_id"]
    sim.times.advance(3 * 86_400)
    sim.act("/api/say", openid=li, text="你好")
    assert sim.call("message/custom/send", touser=li, msgtype="image", image={"media_id": media_id})["errcode"] == 40007
    assert sim.raw("media/get", method="GET", query={"media_id": media_id}).json()["errcode"] == 40007
    assert sim.raw("media/get", method="GET").json()["errcode"] == 41006


def test_uploads_are_checked_by_their_bytes(calm: Client) -> None:
    assert calm.upload(jpeg(), kind="hologram")["errcode"] == 40004
    assert calm.upload(jpeg(), kind="voice")["errcode"] == 40004
    assert calm.upload(jpeg(), name="file")["errcode"] == 41005
    assert calm.upload(b"")["errcode"] == 44001
    assert calm.upload(b"<html>not a picture</html>")["errcode"] == 40005
    assert calm.upload(jpeg((600, 600))[:-200])["errcode"] == 40005
    assert calm.upload(jpeg(kind="WEBP"))["errcode"] == 40005
    assert calm.upload(jpeg() + b"\0" * (2 * 1024 * 1024))["errcode"] == 40009
    assert calm.upload(jpeg() + b"\0" * (7 * 1024 * 1024))["errcode"] == 40009
    assert calm.upload(jpeg((900, 900)) + b"\0" * 70_000, kind="thumb")["errcode"] == 40009
    assert "thumb_media_id" in calm.upload(jpeg((60, 60)), kind="thumb")


@pytest.mark.parametrize(("body", "errcode"), [
    ({}, 40052), ({"action_name": "QR_MAGIC"}, 40052), ({"action_name": "QR_STR_SCENE"}, 40053),
    ({"action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": ""}}}, 40053),
    ({"action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": "x" * 65}}}, 40053),
    ({"action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_id": 5}}}, 40053),
    ({"action_name": "QR_SCENE", "action_info": {"scene": {"scene_id": 0}}}, 40053),
    ({"action_name": "QR_SCENE", "action_info": {"scene": {"scene_id": 2**32}}}, 40053),
    ({"action_name": "QR_LIMIT_SCENE", "action_info": {"scene": {"scene_id": 100_001}}}, 40053),
    ({"action_name": "QR_STR_SCENE", "expire_seconds": 2_592_001, "action_info": {"scene": {"scene_str": "x"}}}, 40053),
    ({"action_name": "QR_STR_SCENE", "expire_seconds": "60", "action_info": {"scene": {"scene_str": "x"}}}, 40053)])
def test_codes_are_refused_by_number(calm: Client, body: dict[str, Any], errcode: int) -> None:
    assert calm.call("qrcode/create", **body)["errcode"] == errcode


def test_codes_are_opaque_and_live_as_asked(sim: Client) -> None:
    made = sim.scene("r.k7Qm2x", 2_592_000)
    assert made["expire_seconds"] == 2_592_000
    assert re.fullmatch(r"http://weixin\.qq\.com/q/[\w-]{20,}", made["url"])
    assert "k7Qm2x" not in made["url"] + made["ticket"]
    info = {"scene": {"scene_str": "x"}}
    assert sim.call("qrcode/create", action_name="QR_STR_SCENE", action_info=info)["expire_seconds"] == 60
    assert "expire_seconds" not in sim.call("qrcode/create", action_name="QR_LIMIT_STR_SCENE", action_info=info)
    shown = sim.raw("showqrcode", method="GET", token="", query={"ticket": made["ticket"]})
    assert shown.headers["Content-Type"] == "image/jpeg"


TEMPLATE = SimTemplate("TM1", "付款通知", {"thing1": "商品", "amount2": "金额", "phrase3": "状态"}, offered=True)


@pytest.fixture
def small(sim_database: str) -> Iterator[Client]:
    """A simulator whose account may send three messages a day, and has one template."""
    server = Server(sim_database, quotas={"message/custom/send": 3},
                    templates=(TEMPLATE,))
    yield Client(server)
    server.stop()


def test_a_daily_quota_ends_and_is_cleared_ten_times_a_month(small: Client) -> None:
    li = small.person()
    small.act("/api/say", openid=li, text="你好")
    assert [small.send_text(li) for _ in range(4)] == [0, 0, 0, 45009]
    asked = small.call("openapi/quota/get", cgi_path="/cgi-bin/message/custom/send")
    assert asked["quota"] == {"daily_limit": 3, "used": 3, "remain": 0}
    assert small.call("openapi/quota/get", cgi_path="/cgi-bin/nothing")["errcode"] == 76021
    assert small.call("clear_quota", appid="wxother")["errcode"] == 40013
    assert small.call("clear_quota", appid=ACCOUNT.app_id)["errcode"] == 0
    assert small.send_text(li) == 0
    bad = small.call("clear_quota/v2", token="", appid=ACCOUNT.app_id, appsecret="no")
    assert bad["errcode"] == 40125
    cleared = [small.call("clear_quota/v2", token="", appid=ACCOUNT.app_id, appsecret=ACCOUNT.app_secret)["errcode"]
               for _ in range(10)]
    assert cleared == [0] * 9 + [48006]


def test_a_template_is_checked_field_by_field(small: Client) -> None:
    li, stranger = small.person(), small.person("新客", follows=False)
    good = {"thing1": {"value": "有机大米"}, "amount2": {"value": "¥99.00"}, "phrase3": {"value": "已付款"}}

    def send(**changes: Any) -> Any:
        return small.call("message/template/send", **{"touser": li, "template_id": "TM1", "data": good, **changes})

    assert send(touser=stranger)["errcode"] == 40003
    assert send(template_id="TM2")["errcode"] == 40037
    assert send(data="x")["errcode"] == 47001
    assert send(data={**good, "thing1": {"value": "长" * 21}})["errcode"] == 47003
    assert send(data={**good, "amount2": {"value": "很多"}})["errcode"] == 47003
    assert send(data={"thing1": {"value": "x"}})["errcode"] == 47003
    sent = send()
    assert sent["errcode"] == 0
    small.wait(lambda: small.echo.received[-1].get("Event") == "TEMPLATESENDJOBFINISH")
    assert small.echo.received[-1]["MsgID"] == str(sent["msgid"])
    assert small.echo.received[-1]["Status"] == "success"


def test_a_subscription_notice_needs_a_yes_for_each_message(small: Client) -> None:
    li = small.person()
    data = {"thing1": {"value": "有机大米"}, "amount2": {"value": "¥99.00"}, "phrase3": {"value": "已付款"}}

    def send(**changes: Any) -> int:
        body = {"touser": li, "template_id": "TM1", "data": data, **changes}
        return int(small.call("message/subscribe/bizsend", **body)["errcode"])

    assert send() == 43101
    small.act("/api/subscribe", openid=li, accept=["TM1"])
    small.wait(lambda: small.echo.received[-1].get("Event") == "subscribe_msg_popup_event")
    assert [send(touser="oNobody"), send(template_id="TM2"), send(data={}), send(page="pages/index")] == [
        40003, 40037, 47003, 41030]
    assert send(data={**data, "thing9": {"value": "x"}}) == 47003, "what is refused uses up no permission"
    assert [send(), send()] == [0, 43101]
    card = next(one for one in reversed(small.bubbles(li)) if one["kind"] == "template")
    assert (card["body"]["title"], card["body"]["fields"][1], card["body"]["via"]) == (
        "付款通知", ["金额", "¥99.00"], "subscription")
    small.wait(lambda: any(one.get("Event") == "subscribe_msg_sent_event" for one in small.echo.received))


def test_a_no_in_the_settings_takes_every_yes(small: Client) -> None:
    li = small.person()
    for _ in range(2):
        small.act("/api/subscribe", openid=li, accept=["TM1"])
    assert small.get("/api/subscribe", openid=li)["templates"][0]["left"] == 2
    small.act("/api/unsubscribe", openid=li, template_id="TM1")
    assert small.get("/api/subscribe", openid=li)["templates"][0]["left"] == 0
    small.wait(lambda: any(one.get("Event") == "subscribe_msg_change_event" for one in small.echo.received))
    assert small.post("/api/subscribe", openid=li).status_code == 422
    assert small.post("/api/subscribe", openid=li, accept=["nothing"]).status_code == 404
    assert small.post("/api/subscribe", openid="oNobody", accept=["TM1"]).status_code == 404
    assert small.call("template/get_all_private_template")["errcode"] == 43001
    listed = small.raw("template/get_all_private_template", method="GET").json()["template_list"]
    assert "{{amount2.DATA}}" in listed[0]["content"]


@pytest.mark.parametrize(("menu", "errcode"), [
    ([], 40016), ([{}] * 4, 40016), ([{"type": "click", "name": "", "key": "k"}], 40018),
    ([{"type": "click", "name": "一二三四五六", "key": "k"}], 40018), ([{"type": "magic", "name": "a"}], 40017),
    ([{"type": "click", "name": "a"}], 40019), ([{"type": "click", "name": "a", "key": "k" * 129}], 40019),
    ([{"type": "view", "name": "a", "url": "ftp://x"}], 40020),
    ([{"type": "view", "name": "a", "url": "h" * 1025}], 40020),
    ([{"name": "a", "sub_button": [{"type": "click", "name": "b", "key": "k"}] * 6}], 40023),
    ([{"name": "a", "sub_button": [{"type": "magic", "name": "b"}]}], 40024),
    ([{"name": "a", "sub_button": [{"type": "click", "name": "汉" * 21, "key": "k"}]}], 40025),
    ([{"name": "a", "sub_button": [{"type": "click", "name": "b"}]}], 40026),
    ([{"name": "a", "sub_button": [{"type": "view", "name": "b", "url": ""}]}], 40027),
    ([{"name": "a", "sub_button": [{"name": "b", "sub_button": [{"type": "click"}]}]}], 40022)])
def test_a_menu_is_measured_in_bytes(calm: Client, menu: list[Any], errcode: int) -> None:
    assert calm.call("menu/create", button=menu)["errcode"] == errcode


def test_a_menu_is_replaced_fetched_and_deleted(sim: Client) -> None:
    button = [{"type": "click", "name": "我的海报", "key": "poster"}]
    assert sim.call("menu/create", button=button)["errcode"] == 0
    assert sim.raw("menu/get", method="GET").json()["menu"]["button"] == button
    assert sim.get("/api/state")["menus"]["main"]["menu"] == button
    assert sim.raw("menu/delete", method="GET").json()["errcode"] == 0
    assert sim.raw("menu/get", method="GET").json()["errcode"] == 46003


def test_a_follower_is_known_without_name_and_face(sim: Client) -> None:
    li = sim.person("新客", follows=False)

    def info(openid: str) -> Any:
        return sim.raw("user/info", method="GET", query={"openid": openid}).json()

    assert info("nobody")["errcode"] == 40003
    assert info(li)["subscribe"] == 0
    sim.act("/api/scan", openid=li, url=sim.scene("r.abc")["url"])
    found = info(li)
    assert (found["subscribe"], found["nickname"], found["headimgurl"]) == (1, "", "")
    assert (found["subscribe_scene"], found["qr_scene_str"]) == ("ADD_SCENE_QR_CODE", "r.abc")


@pytest.mark.parametrize("api", ["getcallbackip", "get_api_domain_ip"])
def test_addresses(calm: Client, api: str) -> None:
    assert "127.0.0.1" in calm.raw(api, method="GET").json()["ip_list"]
