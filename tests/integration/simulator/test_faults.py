"""Faults on purpose, and the inspector that shows what went over the wire."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
import requests

from tests.integration.simulator.conftest import Client
from tests.integration.simulator.echo import ACCOUNT, FIRST_PEOPLE, Server


@pytest.mark.parametrize("errcode", [40001, 42001, 45009, 45011, 45015, 45047, 40164, -1])
def test_an_errcode_for_the_next_calls_of_one_api(sim: Client, errcode: int) -> None:
    li = sim.person()
    sim.act("/api/faults", api="message/custom/send", fault=str(errcode), next=2)
    assert "errcode" not in sim.scene()
    assert [sim.send_text(li) for _ in range(3)] == [errcode, errcode, 0]
    assert sim.get("/api/faults")["faults"] == []
    assert sim.said(li) == ["欢迎 ", "你好"]


def test_faults_of_the_transport(sim: Client) -> None:
    sim.token()
    for fault, status, start in (("http_500", 500, "upstream"), ("http_503", 503, "upstream"), ("html", 200, "<html>")):
        sim.act("/api/faults", api="*", fault=fault, next=1)
        response = sim.raw("menu/get", method="GET")
        assert (response.status_code, response.text[:len(start)]) == (status, start)


def test_a_slow_answer_is_slow_and_right(sim: Client) -> None:
    sim.token()
    sim.act("/api/faults", api="*", fault="slow", seconds=0.4, next=1)
    began = time.monotonic()
    with pytest.raises(requests.Timeout):
        sim.http.get(f"{sim.server.url}/sim/weixin/cgi-bin/menu/get", params={"access_token": sim.token()}, timeout=0.1)
    assert time.monotonic() - began < 30
    assert sim.raw("menu/get", method="GET").json()["errcode"] == 46003


def test_a_lost_answer_has_acted_all_the_same(sim: Client) -> None:
    li = sim.person()
    sim.token()
    sim.act("/api/faults", api="message/custom/send", fault="lost", next=1)
    body = json.dumps({"touser": li, "msgtype": "text", "text": {"content": "到了"}})
    with pytest.raises(requests.RequestException):
        requests.post(f"{sim.server.url}/sim/weixin/cgi-bin/message/custom/send", data=body.encode(), timeout=5,
                      params={"access_token": sim.token()}, stream=True).json()
    assert sim.said(li) == ["欢迎 ", "到了"]


def test_a_fault_stays_until_it_is_switched_off(sim: Client) -> None:
    sim.token()
    fault = sim.act("/api/faults", api="*", fault="45009")["faults"][0]
    assert [sim.scene()["errcode"] for _ in range(3)] == [45009] * 3
    assert fault["next"] is None
    assert sim.act("/api/faults", off=fault["id"])["faults"] == []
    assert "ticket" in sim.scene()
    for _ in range(2):
        sim.act("/api/faults", api="*", fault="html")
    assert sim.act("/api/faults", off="all")["faults"] == []


@pytest.mark.parametrize("body", [
    {"fault": "gremlin"}, {"fault": "40001", "api": "no/api"}, {"fault": "slow", "seconds": 61},
    {"fault": "slow", "seconds": "1"}, {"fault": "html", "next": 0}, {"fault": "html", "next": True}, {"fault": "drop"},
    {"fault": "40001", "api": "callback"}, {}])
def test_a_switch_that_does_not_exist(calm: Client, body: dict[str, Any]) -> None:
    assert calm.post("/api/faults", **body).status_code == 422


def test_the_inspector_shows_both_directions_and_no_secret(sim: Client) -> None:
    li, wang = sim.person("李姐"), sim.person("小王")
    sim.act("/api/say", openid=li, text="你好")
    sim.wait(lambda: "你说：你好" in sim.said(li))
    assert sim.send_text(li) == 0
    sim.act("/api/buy", openid=wang, sku="RICE-5KG")
    sim.wait(lambda: sim.echo.events)
    sim.wait(lambda: all(one.get("state") != "sending" for one in sim.get("/api/inspector")["entries"]))
    entries = sim.get("/api/inspector")["entries"]
    assert [one["started_at"] for one in entries] == sorted((one["started_at"] for one in entries), reverse=True)
    assert [one["source"] for one in entries[:4]] == ["event", "api", "api", "callback"]
    text = next(one for one in entries if one["label"] == "text")
    attempt = text["attempts"][0]
    assert "<![CDATA[你好]]>" in text["inner"]
    assert "<Encrypt>" in attempt["outer"]
    assert "你说：你好" in attempt["plain"]
    assert {"signature", "timestamp", "nonce", "msg_signature"} <= set(attempt["signed"])
    everything = json.dumps(entries)
    for secret in (sim.token(), ACCOUNT.app_secret, ACCOUNT.encoding_aes_key, f'"{ACCOUNT.token}"'):
        assert secret not in everything
    assert {one["openid"] for one in sim.get("/api/inspector", openid=wang)["entries"]} == {wang}
    older = sim.get("/api/inspector", before=entries[2]["started_at"])["entries"]
    assert older[0]["id"] == entries[3]["id"]
    assert sim.http.get(f"{sim.server.url}/sim/api/inspector?before=x", timeout=5).status_code == 422


def test_quotas_start_again_at_midnight_in_beijing(sim_database: str) -> None:
    server = Server(sim_database, quotas={"qrcode/create": 1})
    try:
        sim = Client(server)
        sim.token()
        assert [("errcode" in sim.scene()) for _ in range(2)] == [False, True]
        sim.times.advance(86_400)
        assert sim.scene()["errcode"] == 45009
        server.times.real_offset = timedelta(days=1)
        sim._token = ""
        assert "ticket" in sim.scene()
    finally:
        server.stop()


def test_the_first_people_follow_by_themselves(sim_database: str) -> None:
    server = Server(sim_database, people=FIRST_PEOPLE)
    try:
        sim = Client(server)
        people = sim.get("/api/state")["people"]
        assert [(one["name"], one["following"]) for one in people] == [("李姐", True), ("小王", True), ("新客", False)]
        sim.wait(lambda: len([one for one in sim.echo.received if one.get("Event") == "subscribe"]) == 2)
    finally:
        server.stop()
