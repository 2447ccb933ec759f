"""The WeCom side: what WeCom would refuse, the simulator refuses with the same number; what staff confirm, arrives."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Response

from tests.integration.simulator.conftest import Client
from tests.integration.simulator.echo import CORP, Server
from tests.integration.simulator.test_api import jpeg
from tests.together import at_once

MEMBER = "xiaozhushou"


class Corp(Client):
    """A client that also plays the service's WeCom gateway."""

    wecom_token = ""

    def key(self) -> str:
        if not self.wecom_token:
            self.wecom_token = self.ask("gettoken", query={"corpid": CORP.corp_id, "corpsecret": CORP.secret})[
                "access_token"]
        return self.wecom_token

    def ask(self, api: str, body: Any = None, *, query: dict[str, str] | None = None, raw: bytes | None = None,
            method: str = "", files: Any = None, token: str | None = None) -> Any:
        """One call; GET without a body."""
        data = raw if raw is not None else None if body is None else json.dumps(body, ensure_ascii=False).encode()
        params = {**({} if api == "gettoken" else {"access_token": self.key() if token is None else token}),
                  **(query or {})}
        how = method or ("GET" if data is None and files is None else "POST")
        return self.http.request(how, f"{self.server.url}/sim/qyapi/cgi-bin/{api}", params=params, data=data,
                                 files=files, timeout=10).json()

    def code(self, api: str, body: Any = None, **rest: Any) -> int:
        return int(self.ask(api, body, **rest)["errcode"])

    def customer(self, name: str = "李姐", **how: Any) -> tuple[str, str]:
        """Somebody who adds the member: openid and external_userid, once the service has heard of it."""
        openid = self.person(name, follows=how.pop("follows", True))
        before = len(self.echo.contacts)
        self.act("/api/wecom/add", openid=openid, **how)
        told = self.wait(lambda: self.echo.contacts[before:])[0]
        return openid, str(told["ExternalUserID"])

    def chat(self, openid: str, member: str = MEMBER) -> list[tuple[str, str]]:
        """(side, text) of the chat with a member."""
        return [(one["side"], one["body"].get("content", one["kind"])) for one in self.bubbles(openid)
                if one["chat"] == f"main:{member}"]

    def welcome(self, **body: Any) -> int:
        return self.code("externalcontact/send_welcome_msg", {
            "welcome_code": self.echo.contacts[-1]["WelcomeCode"], "text": {"content": "你好呀"}, **body})

    def mass(self, *people: str, text: str = "周三到货", **rest: Any) -> Any:
        return self.ask("externalcontact/add_msg_template", {
            "external_userid": list(people), "text": {"content": text}, **rest})

    def tag(self, name: str, group: str = "来源") -> str:
        made = self.ask("externalcontact/add_corp_tag", {"group_name": group, "tag": [{"name": name}]})
        return str(made["tag_group"]["tag"][0]["id"])

    def fates(self, msgid: str) -> dict[str, int]:
        found = self.ask("externalcontact/get_groupmsg_send_result", {"msgid": msgid, "userid": MEMBER})
        return {one["external_userid"]: one["status"] for one in found["send_list"]}


@pytest.fixture
def wecom(sim_database: str) -> Iterator[Corp]:
    server = Server(sim_database, corps=(CORP,))
    client = Corp(server)
    yield client
    client.http.close()
    server.stop()


@pytest.fixture(scope="module")
def still(calm: Client) -> Corp:
    """For all that is only refused."""
    return Corp(calm.server)


def test_an_event_is_enciphered_for_the_corp_and_names_both(wecom: Corp) -> None:
    _, external = wecom.customer(state="r.k7Qm2x")
    told = wecom.echo.contacts[0]
    assert (told["ToUserName"], told["FromUserName"], told["Event"], told["ChangeType"]) == (
        CORP.corp_id, "sys", "change_external_contact", "add_external_contact")
    assert (told["UserID"], told["State"]) == (MEMBER, "r.k7Qm2x")
    assert set(told["_outer"]) == {"ToUserName", "AgentID", "Encrypt"}
    assert set(told["_query"]) == {"msg_signature", "timestamp", "nonce"}
    assert external.startswith("wm")
    assert len(external) == 32


def test_an_event_that_is_not_taken_comes_three_times_in_another_cipher(sim_database: str) -> None:
    wecom = Corp(Server(sim_database, corps=(CORP,), callback_timeout=0.3))
    openid = wecom.person(follows=False)
    wecom.echo.contact_answer = lambda _: Response(status=503)
    wecom.act("/api/wecom/add", openid=openid)
    wecom.wait(lambda: [one for one in wecom.get("/api/inspector")["entries"] if one.get("state") == "failed"])
    tries = wecom.echo.contacts
    assert len(tries) == 3
    assert len({one["_outer"]["Encrypt"] for one in tries}) == 3
    assert len({json.dumps({**one, "_outer": 0, "_query": 0}) for one in tries}) == 1
    wecom.server.stop()


def test_only_silence_answers_an_event(wecom: Corp) -> None:
    wecom.echo.contact_answer = lambda _: "<xml>hello</xml>"
    wecom.customer()
    failed = wecom.wait(lambda: [one for one in wecom.get("/api/inspector")["entries"] if one.get("state") == "failed"])
    assert failed[0]["tries"] == 1
    assert wecom.said(wecom.get("/api/state")["people"][0]["openid"], "system") == [
        "你已关注李记有机", "你已添加了小助手，现在可以开始聊天了。"]


def test_the_handshake(wecom: Corp) -> None:
    assert wecom.act("/api/wecom/verify")["ok"]
    wecom.echo.handshake = '"quoted"'
    assert not wecom.act("/api/wecom/verify")["ok"]


def test_a_token_is_the_same_until_it_ends(wecom: Corp) -> None:
    first = wecom.key()
    again = wecom.ask("gettoken", query={"corpid": CORP.corp_id, "corpsecret": CORP.secret})
    assert (again["access_token"], again["errcode"]) == (first, 0)
    wecom.server.times.real_offset = timedelta(seconds=7_201)
    assert wecom.code("externalcontact/get_follow_user_list") == 42001


@pytest.mark.parametrize(("api", "query", "errcode"), [
    ("gettoken", {}, 41002), ("gettoken", {"corpid": "ww1", "corpsecret": "x"}, 40013),
    ("gettoken", {"corpid": CORP.corp_id}, 41004), ("gettoken", {"corpid": CORP.corp_id, "corpsecret": "x"}, 40001),
    ("externalcontact/get", {"external_userid": "wmNobody"}, 40096), ("externalcontact/get", {}, 40096),
    ("externalcontact/list", {"userid": "nobody"}, 40003), ("externalcontact/list", {"userid": "XIAOMEI"}, 84061),
    ("kf/account/list", {}, 48002), ("externalcontact/mark_tag", {}, 43002)])
def test_refused_questions(still: Corp, api: str, query: dict[str, str], errcode: int) -> None:
    assert still.code(api, query=query) == errcode


def test_tokens_that_are_none(still: Corp) -> None:
    assert still.code("externalcontact/get_follow_user_list", token="") == 41001
    assert still.code("externalcontact/get_follow_user_list", token="x" * 90) == 40014
    assert still.code("externalcontact/mark_tag", raw=b'{"access_token":"x"}', token="") == 41001


@pytest.mark.parametrize(("api", "raw", "errcode"), [
    ("externalcontact/mark_tag", b"", 44002), ("externalcontact/mark_tag", b"[1]", 47001),
    ("externalcontact/mark_tag", b'{"userid":"\\u5c0f"}', 40033), ("externalcontact/mark_tag", b"{}", 40003),
    ("externalcontact/add_corp_tag", b"{}", 40058), ("externalcontact/send_welcome_msg", b"{}", 41049),
    ("externalcontact/send_welcome_msg", b'{"welcome_code":"x"}', 41050),
    ("externalcontact/add_contact_way", b'{"type":1,"scene":2}', 41041),
    ("externalcontact/add_contact_way", b'{"type":1,"scene":2,"user":["a"]}', 40003),
    ("externalcontact/add_contact_way", b'{"type":1,"scene":1,"user":["xiaomei"]}', 48002),
    ("externalcontact/add_contact_way", b'{"type":1,"scene":2,"user":["xiaomei"],"state":"%s"}' % (b"x" * 31), 40058),
    ("externalcontact/add_msg_template", b"{}", 40058), ("externalcontact/get_groupmsg_task", b'{"msgid":"x"}', 41047),
    ("externalcontact/add_msg_template", b'{"sender":"xiaomei"}', 44004),
    ("externalcontact/add_msg_template", b'{"sender":"xiaomei","text":{"content":"x"}}', 41048),
    ("externalcontact/add_msg_template", b'{"chat_type":"group","sender":"xiaomei","text":{"content":"x"}}', 48002),
    ("message/send", b'{"touser":"xiaomei","agentid":1,"msgtype":"text","text":{"content":"x"}}', 40056),
    ("message/send", b'{"touser":"nobody","agentid":1000002,"msgtype":"text","text":{"content":"x"}}', 81013)])
def test_refused_orders(still: Corp, api: str, raw: bytes, errcode: int) -> None:
    assert still.code(api, raw=raw, method="POST") == errcode


def test_an_application_that_is_not_on_the_list(sim_database: str) -> None:
    server = Server(sim_database, corps=(dataclasses.replace(CORP, customers=False),))
    client = Corp(server)
    assert client.code("externalcontact/get_follow_user_list") == 48002
    assert client.code("message/send", {"touser": "xiaomei", "agentid": CORP.agent_id, "msgtype": "text",
                                        "text": {"content": "x"}}) == 0
    server.stop()


def test_a_welcome_is_one_and_within_twenty_seconds(wecom: Corp) -> None:
    li, _ = wecom.customer()
    assert wecom.welcome(text={"content": "汉" * 1_334}) == 40058
    assert wecom.welcome(attachments=[{"msgtype": "image", "image": {"media_id": "gone"}}]) == 40007
    wecom.server.times.advance(20)
    assert wecom.welcome() == 0
    assert wecom.welcome() == 41051
    assert wecom.chat(li)[1:] == [("staff", "你好呀")]
    wecom.customer("小王")
    wecom.server.times.advance(21)
    assert wecom.welcome() == 41050


def test_no_welcome_once_somebody_has_spoken_or_left(wecom: Corp) -> None:
    li, _ = wecom.customer()
    wecom.act("/api/wecom/say", openid=li, text="在吗")
    assert wecom.welcome() == 41051
    wang, _ = wecom.customer("小王")
    wecom.act("/api/wecom/delete", openid=wang)
    wecom.wait(lambda: wecom.echo.contacts[-1]["ChangeType"] == "del_follow_user")
    code = wecom.echo.contacts[-2]["WelcomeCode"]
    assert wecom.code("externalcontact/send_welcome_msg", {"welcome_code": code, "text": {"content": "x"}}) == 41050


def test_a_welcome_with_a_picture_and_a_link(wecom: Corp) -> None:
    li, _ = wecom.customer()
    media = wecom.ask("media/upload", query={"type": "image"}, files={"media": ("a.jpg", jpeg(), "image/jpeg")})
    link = {"title": "新人礼包", "desc": "满减券", "url": "https://shop.example/gift", "picurl": ""}
    assert wecom.welcome(attachments=[{"msgtype": "image", "image": {"media_id": media["media_id"]}},
                                      {"msgtype": "link", "link": link}]) == 0
    assert [text for _, text in wecom.chat(li)[1:]] == ["你好呀", "image", "news"]


def test_an_event_without_a_code_when_the_console_welcomes(wecom: Corp) -> None:
    wecom.customer(coded=False)
    assert "WelcomeCode" not in wecom.echo.contacts[0]
    assert "State" not in wecom.echo.contacts[0]


def test_a_contact_is_known_with_tags_and_with_a_unionid_following_or_not(wecom: Corp) -> None:
    li, external = wecom.customer(state="s1")
    tag = wecom.tag("李姐推荐")
    pair = {"userid": MEMBER.upper(), "external_userid": external}
    assert wecom.code("externalcontact/mark_tag", {**pair, "add_tag": [tag]}) == 0
    assert wecom.code("externalcontact/mark_tag", {**pair, "add_tag": ["etNone"]}) == 40068
    assert wecom.code("externalcontact/mark_tag", pair) == 40063
    assert wecom.code("externalcontact/mark_tag", {**pair, "userid": "xiaomei", "add_tag": [tag]}) == 84061
    found = wecom.ask("externalcontact/get", query={"external_userid": external})
    union = wecom.raw("user/info", method="GET", query={"openid": li}).json()["unionid"]
    assert found["external_contact"]["unionid"] == union
    assert found["follow_user"][0]["state"] == "s1"
    assert [(one["group_name"], one["tag_name"]) for one in found["follow_user"][0]["tags"]] == [("来源", "李姐推荐")]
    assert wecom.get("/api/wecom")["corps"][0]["staff"][0]["contacts"][0]["tags"] == ["李姐推荐"]
    wecom.act("/api/unfollow", openid=li)
    assert wecom.ask("externalcontact/get", query={"external_userid": external})["external_contact"]["unionid"] == union


def test_tags_have_a_name_of_their_own_in_their_group(wecom: Corp) -> None:
    wecom.tag("兴趣-食品", "兴趣")
    group = {"group_name": "兴趣"}
    assert wecom.code("externalcontact/add_corp_tag", {**group, "tag": [{"name": "兴趣-食品"}]}) == 40071
    assert wecom.code("externalcontact/add_corp_tag", {**group, "tag": [{"name": "长" * 31}]}) == 40058
    wecom.tag("兴趣-数码", "兴趣")
    listed = wecom.ask("externalcontact/get_corp_tag_list", {})["tag_group"]
    assert [(one["group_name"], [tag["name"] for tag in one["tag"]]) for one in listed] == [
        ("兴趣", ["兴趣-食品", "兴趣-数码"])]
    assert wecom.code("externalcontact/del_corp_tag", {"group_id": [listed[0]["group_id"]]}) == 0
    assert wecom.ask("externalcontact/get_corp_tag_list", {})["tag_group"] == []


def test_the_member_is_deleted_and_the_customer_is(wecom: Corp) -> None:
    li, external = wecom.customer()
    tag = wecom.tag("李姐推荐")
    marked = {"userid": MEMBER, "external_userid": external, "add_tag": [tag]}
    wecom.act("/api/wecom/delete", openid=li)
    wecom.wait(lambda: wecom.echo.contacts[-1]["ChangeType"] == "del_follow_user")
    assert wecom.code("externalcontact/mark_tag", marked) == 0
    assert not wecom.post("/api/wecom/say", openid=li, text="还在吗").ok
    wecom.act("/api/wecom/add", openid=li)
    assert not wecom.post("/api/wecom/add", openid=li).ok
    wecom.wait(lambda: wecom.echo.contacts[-1]["ChangeType"] == "add_external_contact")
    wecom.act("/api/wecom/remove", openid=li)
    wecom.wait(lambda: wecom.echo.contacts[-1]["ChangeType"] == "del_external_contact")
    assert wecom.code("externalcontact/mark_tag", marked) == 84061
    assert wecom.code("externalcontact/get", query={"external_userid": external}) == 84061


def test_tags_turned_by_hand_are_told_those_of_the_api_are_not(wecom: Corp) -> None:
    li, external = wecom.customer(state="s1")
    tag = wecom.tag("李姐推荐")
    wecom.ask("externalcontact/mark_tag", {"userid": MEMBER, "external_userid": external, "add_tag": [tag]})
    wecom.act("/api/wecom/tag", openid=li, tag_id=tag, on=False)
    told = wecom.wait(lambda: wecom.echo.contacts[1:])
    assert [(one["ChangeType"], one["State"]) for one in told] == [("edit_external_contact", "s1")]


def test_five_marks_at_once_and_no_more(wecom: Corp) -> None:
    _, external = wecom.customer()
    body = {"userid": MEMBER, "external_userid": external, "add_tag": [wecom.tag("李姐推荐")]}
    wecom.act("/api/faults", api="wecom/externalcontact/mark_tag", fault="slow", seconds=0.6, next=6)
    codes = at_once(*[lambda: wecom.code("externalcontact/mark_tag", body)] * 6)
    assert sorted(codes) == [0] * 5 + [45033]


def test_a_code_leads_to_the_member_and_names_its_state(wecom: Corp) -> None:
    made = wecom.ask("externalcontact/add_contact_way", {
        "type": 1, "scene": 2, "user": [MEMBER], "state": "c7f2k9", "remark": "李姐的码"})
    shown = wecom.ask("externalcontact/get_contact_way", {"config_id": made["config_id"]})["contact_way"]
    assert (shown["state"], shown["user"]) == ("c7f2k9", [MEMBER])
    picture = wecom.http.get(made["qr_code"], timeout=10)
    li = wecom.person()
    answer = wecom.http.post(f"{wecom.server.url}/sim/api/scan-file", data={"openid": li}, timeout=10,
                             files={"image": ("code.jpg", picture.content, "image/jpeg")}).json()
    assert (answer["result"], answer["chat"]) == ("contact", f"main:{MEMBER}")
    told = wecom.wait(lambda: wecom.echo.contacts)[0]
    assert told["State"] == "c7f2k9"
    found = wecom.ask("externalcontact/get", query={"external_userid": told["ExternalUserID"]})
    assert found["follow_user"][0]["add_way"] == 1
    assert [one["config_id"] for one in wecom.ask("externalcontact/list_contact_way", {})["contact_way"]] == [
        made["config_id"]]
    assert wecom.code("externalcontact/del_contact_way", {"config_id": made["config_id"]}) == 0
    assert wecom.http.get(made["qr_code"], timeout=10).status_code == 404


def test_a_mass_message_waits_for_the_member_and_then_arrives(wecom: Corp) -> None:
    (li, a), (wang, b) = wecom.customer(), wecom.customer("小王")
    wecom.act("/api/wecom/delete", openid=wang)
    made = wecom.mass(a, b, "wmNobody", sender=MEMBER)
    assert made["fail_list"] == ["wmNobody"]
    assert wecom.fates(made["msgid"]) == {a: 0, b: 0}
    assert ("staff", "周三到货") not in wecom.chat(li)
    task = wecom.get("/api/wecom")["corps"][0]["staff"][0]["tasks"][0]
    assert (task["state"], len(task["people"])) == ("waits", 2)
    wecom.act("/api/wecom/send", msgid=made["msgid"])
    assert wecom.fates(made["msgid"]) == {a: 1, b: 2}
    assert wecom.chat(li)[-1] == ("staff", "周三到货")
    state = wecom.ask("externalcontact/get_groupmsg_task", {"msgid": made["msgid"]})["task_list"]
    assert (state[0]["userid"], state[0]["status"]) == (MEMBER, 2)
    assert not wecom.post("/api/wecom/send", msgid=made["msgid"]).ok


def test_a_customer_gets_so_many_mass_messages_in_a_month(wecom: Corp) -> None:
    _, external = wecom.customer()
    fates = []
    for _ in range(4):
        made = wecom.mass(external)
        wecom.act("/api/wecom/send", msgid=made["msgid"])
        fates.append(wecom.fates(made["msgid"])[external])
    assert fates == [1, 1, 1, 3]
    wecom.server.times.advance(11 * 86_400)
    made = wecom.mass(external)
    wecom.act("/api/wecom/send", msgid=made["msgid"])
    assert wecom.fates(made["msgid"])[external] == 1


def test_three_reminders_a_day_and_a_cancelled_task_is_over(wecom: Corp) -> None:
    li, external = wecom.customer()
    msgid = wecom.mass(external)["msgid"]
    assert [wecom.code("externalcontact/remind_groupmsg_send", {"msgid": msgid}) for _ in range(4)] == [
        0, 0, 0, 41094]
    assert wecom.code("externalcontact/cancel_groupmsg_send", {"msgid": msgid}) == 0
    assert wecom.code("externalcontact/cancel_groupmsg_send", {"msgid": msgid}) == 41093
    assert not wecom.post("/api/wecom/send", msgid=msgid).ok
    assert ("staff", "周三到货") not in wecom.chat(li)
    now = int(wecom.server.times.business.timestamp())
    listed = wecom.ask("externalcontact/get_groupmsg_list_v2", {
        "chat_type": "single", "start_time": now - 60, "end_time": now})["group_msg_list"]
    assert [(one["msgid"], one["text"]["content"]) for one in listed] == [(msgid, "周三到货")]


def test_the_member_who_last_spoke_is_asked_and_only_theirs_are_reached(wecom: Corp) -> None:
    li, external = wecom.customer()
    wecom.act("/api/wecom/add", openid=li, userid="xiaomei")
    wecom.server.times.advance(60)
    wecom.act("/api/wecom/say", openid=li, text="在吗")
    msgid = wecom.mass(external)["msgid"]
    asked = wecom.ask("externalcontact/get_groupmsg_task", {"msgid": msgid})["task_list"]
    assert [one["userid"] for one in asked] == [MEMBER]
    assert wecom.mass(external, sender="xiaomei")["errcode"] == 0


def test_members_read_what_the_application_tells_them_up_to_thirty_a_minute(wecom: Corp) -> None:
    def tell(to: str) -> Any:
        return wecom.ask("message/send", {"touser": to, "agentid": CORP.agent_id, "msgtype": "text",
                                          "text": {"content": "有 3 条群发待确认"}})

    assert tell(f"{MEMBER}|nobody")["invaliduser"] == "nobody"
    assert {tell(MEMBER)["errcode"] for _ in range(30)} == {0}
    notes = wecom.get("/api/wecom")["corps"][0]["staff"][0]["notes"]
    assert len(notes) == 30
    assert notes[0]["content"] == "有 3 条群发待确认"


def test_faults_have_wecoms_own_numbers(wecom: Corp) -> None:
    wecom.key()
    for fault, errcode in (("60020", 60020), ("45009", 45009), ("42001", 42001), ("-1", -1)):
        wecom.act("/api/faults", api="wecom/*", fault=fault, next=1)
        assert wecom.code("externalcontact/get_follow_user_list") == errcode
    assert not wecom.post("/api/faults", api="wecom/*", fault="45047").ok
    wecom.act("/api/faults", api="*", fault="-1", next=1)
    assert wecom.code("externalcontact/get_follow_user_list") == 0


def test_the_inspector_shows_calls_without_their_secrets(wecom: Corp) -> None:
    li, external = wecom.customer()
    wecom.ask("externalcontact/get", query={"external_userid": external})
    shown = wecom.get("/api/inspector", openid=li)["entries"]
    assert {"wecom/externalcontact/get", "add_external_contact"} <= {one["label"] for one in shown}
    whole = json.dumps(wecom.get("/api/inspector"))
    assert CORP.secret not in whole
    assert wecom.key() not in whole
