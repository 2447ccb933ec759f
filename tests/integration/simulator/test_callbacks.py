"""Callbacks: signed, enciphered, tried three times with one MsgId, and the answer judged as WeChat judges it."""

import dataclasses
import threading
from typing import Any

import pytest
from flask import Response
from sqlalchemy import create_engine, text

from tests.integration.simulator.conftest import Client
from tests.integration.simulator.echo import ACCOUNT, Server

RED_LINE = "该公众号提供的服务出现故障，请稍后再试"


def test_a_text_arrives_and_its_passive_reply_is_shown(sim: Client) -> None:
    li = sim.person()
    sim.act("/api/say", openid=li, text="海报 <3 ]]> 🌸")
    sim.wait(lambda: "你说：海报 <3 ]]> 🌸" in sim.said(li) or RED_LINE in sim.said(li, "system"))
    message = sim.echo.received[-1]
    assert (message["ToUserName"], message["FromUserName"]) == (ACCOUNT.original_id, li)
    assert message["Content"] == "海报 <3 ]]> 🌸"
    assert int(message["MsgId"]) > 2**53
    assert int(message["CreateTime"]) == int(sim.times.business.timestamp())
    assert sim.echo.queries[-1]["openid"] == li


def test_two_messages_have_two_ids(sim: Client) -> None:
    li = sim.person()
    for word in ("一", "二"):
        sim.act("/api/say", openid=li, text=word)
    sim.wait(lambda: len(sim.said(li)) == 3)
    assert len({one["MsgId"] for one in sim.echo.received if one["MsgType"] == "text"}) == 2


@pytest.mark.parametrize("silence", ["success", ""])
def test_an_acknowledgement_shows_nothing(sim: Client, silence: str) -> None:
    li = sim.person()
    sim.echo.instead = lambda message: silence if message.get("Content") == "嘘" else None
    sim.act("/api/say", openid=li, text="嘘")
    sim.act("/api/say", openid=li, text="完")
    sim.wait(lambda: "你说：完" in sim.said(li))
    assert len(sim.said(li)) == 2
    assert RED_LINE not in sim.said(li, "system")


def test_no_answer_in_time_is_tried_three_times_with_one_id(hasty: Client) -> None:
    li = hasty.person()
    before = len(hasty.echo.received)
    hasty.echo.instead = lambda message: Response(status=503)
    hasty.act("/api/say", openid=li, text="在吗")
    hasty.wait(lambda: RED_LINE in hasty.said(li, "system"))
    tries = hasty.echo.received[before:]
    assert len(tries) == 3
    assert len({one["MsgId"] for one in tries}) == 1
    assert hasty.said(li) == ["欢迎 "]


def test_the_second_try_may_answer(hasty: Client) -> None:
    li = hasty.person()
    hold, seen = threading.Event(), []

    def slow_once(message: dict[str, Any]) -> None:
        seen.append(message["MsgId"])
        if len(seen) == 1:
            hold.wait(5)

    hasty.echo.instead = slow_once  # type: ignore[assignment]
    hasty.act("/api/say", openid=li, text="快点")
    hasty.wait(lambda: "你说：快点" in hasty.said(li))
    hold.set()
    assert seen[0] == seen[1]
    assert hasty.said(li).count("你说：快点") == 1
    assert RED_LINE not in hasty.said(li, "system")


def _reply(sim: Client, message: dict[str, Any], **changes: str) -> str:
    plain = sim.echo.text_reply({**message, **changes}, "x")
    return sim.echo.seal(plain)


BROKEN = {
    "json": lambda sim, message: '{"errcode":0}',
    "quoted": lambda sim, message: '"success"',
    "html": lambda sim, message: "<html>oops</html>",
    "plain in safe mode": lambda sim, message: sim.echo.text_reply(message, "x"),
    "wrong signature": lambda sim, message: _reply(sim, message).replace("<MsgSignature><![CDATA[",
                                                                         "<MsgSignature><![CDATA[0"),
    "to somebody else": lambda sim, message: _reply(sim, message, FromUserName="oSomebodyElse"),
    "from another account": lambda sim, message: _reply(sim, message, ToUserName="gh_other"),
    "empty text": lambda sim, message: sim.echo.seal(sim.echo.text_reply(message, "")),
    "too long": lambda sim, message: sim.echo.seal(sim.echo.text_reply(message, "汉" * 683)),
    "too big": lambda sim, message: "x" * 70_000,
    "dead picture": lambda sim, message: sim.echo.seal(sim.echo.text_reply(message, "x").replace(
        "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[x]]></Content>",
        "<MsgType><![CDATA[image]]></MsgType><Image><MediaId><![CDATA[gone]]></MediaId></Image>")),
}


def test_a_malformed_answer_shows_the_red_line_at_once(sim: Client) -> None:
    li = sim.person()
    sim.echo.instead = lambda message: BROKEN[message["Content"]](sim, message) if "Content" in message else None
    for count, word in enumerate(BROKEN, 1):
        before = len(sim.echo.received)
        sim.act("/api/say", openid=li, text=word)
        sim.wait(lambda count=count: sim.said(li, "system").count(RED_LINE) == count)
        assert len(sim.echo.received) == before + 1, word
    assert sim.said(li) == ["欢迎 "]


def test_an_unfollow_is_told_but_never_answered(sim: Client) -> None:
    li = sim.person()
    sim.echo.instead = lambda message: "garbage" if message.get("Event") == "unsubscribe" else None
    sim.act("/api/unfollow", openid=li)
    sim.wait(lambda: sim.echo.received[-1].get("Event") == "unsubscribe")
    sim.wait(lambda: sim.get("/api/feed", after=0)["people"][0]["in_flight"] == 0)
    assert sim.said(li, "system") == ["你已关注李记有机", "你已取消关注李记有机"]


def test_dropping_our_answer_forces_a_retry(hasty: Client) -> None:
    li = hasty.person()
    hasty.act("/api/faults", api="callback", fault="drop", next=1)
    hasty.act("/api/say", openid=li, text="再来")
    hasty.wait(lambda: "你说：再来" in hasty.said(li))
    tries = [one["MsgId"] for one in hasty.echo.received if one.get("Content") == "再来"]
    assert len(tries) >= 2
    assert len(set(tries)) == 1


@pytest.mark.parametrize("mode", ["plain", "compatible"])
def test_the_other_two_modes(sim_database: str, mode: Any) -> None:
    server = Server(sim_database, account=dataclasses.replace(ACCOUNT, mode=mode))
    try:
        sim = Client(server)
        li = sim.person()
        sim.act("/api/say", openid=li, text="你好")
        sim.wait(lambda: "你说：你好" in sim.said(li))
        assert ("msg_signature" in sim.echo.queries[-1]) == (mode == "compatible")
    finally:
        server.stop()


def test_a_message_whose_process_died_is_taken_up_again(hasty: Client, sim_database: str) -> None:
    li = hasty.person()
    hasty.echo.instead = lambda message: Response(status=503)
    hasty.act("/api/say", openid=li, text="别丢")
    hasty.wait(lambda: RED_LINE in hasty.said(li, "system"))
    hasty.echo.instead = None
    engine = create_engine(sim_database)
    with engine.begin() as db:
        db.execute(text("update sim.deliveries set state = 'sending', tries = 1, "
                        "claimed_until = now() - interval '1 minute' where label = 'text'"))
    engine.dispose()
    hasty.wait(lambda: "你说：别丢" in hasty.said(li))


def test_the_handshake_wants_echostr_and_nothing_else(sim: Client) -> None:
    assert sim.act("/api/verify") == {"ok": True, "message": "接入验证通过"}
    sim.echo.handshake = '"1234"'
    assert sim.act("/api/verify")["ok"] is False
    assert sim.post("/api/verify", account="none").status_code == 422


def test_the_state_survives_a_restart(sim_database: str) -> None:
    first = Server(sim_database)
    li = Client(first).person()
    first.stop()
    second = Server(sim_database)
    try:
        again = Client(second)
        assert again.said(li) == ["欢迎 "]
        assert again.get("/api/feed", after=0)["people"][0]["following"] is True
    finally:
        second.stop()
