"""The express lane answers as Flask's way does, whatever comes, and leaves to it what is not its own."""

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Request

from bot.runtime import express
from bot.runtime.webhook import FAULT
from domain.shared.clock import FixedClock
from tests.examples import examples
from tests.fakes.frozen import Frozen
from tests.fakes.shop import Shop
from tests.web.test_webhook import URL, Sender, said

VIEW = ("<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oLi]]></FromUserName>"
        "<CreateTime>{at}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[VIEW]]></Event>"
        "<EventKey><![CDATA[https://shop.example/]]></EventKey></xml>")


@pytest.fixture
def shop(tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with new_shop.shop(tmp_path, clock) as shop:
        yield shop


def ask(shop: Shop, *, flask: bool, **request: Any) -> tuple[str, bytes, str]:
    """Status, body and type; with ``flask`` the request goes around the lane."""
    environ = EnvironBuilder(method=request.pop("method", "POST"), **request).get_environ()
    lane = shop.client.application.wsgi_app
    assert isinstance(lane, express.ExpressLane)
    body, status, headers = run_wsgi_app(lane._beyond if flask else lane, environ, buffered=True)
    return status.lower(), b"".join(body), headers["Content-Type"]


def test_both_ways_answer_alike(shop: Shop) -> None:
    sender = Sender(shop)
    query, body = sender.request(said("你好", 1))
    broken, broken_body = sender.request("<xml><a></xml>")
    cases: list[dict[str, Any]] = [
        {"path": URL, "query_string": query, "data": b"<xml></xml>"},
        {"path": URL, "query_string": query | {"msg_signature": "0" * 40}, "data": body},
        {"path": URL, "query_string": query | {"timestamp": "1"}, "data": body},
        {"path": URL, "query_string": {}, "data": b""},
        {"path": URL, "query_string": broken, "data": broken_body},
        {"path": URL, "query_string": query, "data": b"x" * 70_000},
        {"path": URL, "query_string": query, "data": b"x" * (64 * 1024 + 1)},
        {"path": "/wechat/nobody", "query_string": query, "data": body},
        {"path": "/wechat/a/b", "query_string": query, "data": body},
        {"path": "/wechat/", "query_string": query, "data": body},
        {"path": URL, "method": "GET", "query_string": query},
        {"path": URL, "method": "PUT", "query_string": query, "data": body},
    ]
    for case in cases:
        quick, slow = ask(shop, flask=False, **case), ask(shop, flask=True, **case)
        assert (quick[0], quick[2]) == (slow[0], slow[2]), case
        if slow[0].startswith("200"):
            assert quick[1] == slow[1]


def test_a_good_message_is_answered_once_by_either(shop: Shop) -> None:
    query, body = Sender(shop).request(said("佣金", 7))
    for flask in (False, True, False):
        status, answer, kind = ask(shop, flask=flask, path=URL, query_string=query, data=body)
        assert (status, kind) == ("200 ok", "text/xml; charset=utf-8")
        assert b"<Encrypt>" in answer
    with shop.runtime.sessions.begin() as session:
        assert session.execute(text("select count(*) from inbox_message")).scalar_one() == 1


def test_what_a_phone_reports_by_itself_is_acknowledged_and_not_kept(shop: Shop) -> None:
    assert Sender(shop).send(VIEW.format(at=int(time.time()))) == (200, b"success")
    with shop.runtime.sessions.begin() as session:
        assert session.execute(text("select count(*) from inbox_message")).scalar_one() == 0


def test_a_fault_is_answered_where_faults_are(shop: Shop) -> None:
    door = shop.client.application.wsgi_app._door

    class Away:
        keys = door.keys

        def receive(self, *_: object) -> None:
            raise OperationalError("select 1", {}, Exception("the database is away"))

    lane = express.ExpressLane(Away(), shop.client.application.wsgi_app._beyond)  # type: ignore[arg-type]
    environ = EnvironBuilder(method="POST", path=URL, data=b"x").get_environ()
    _, status, headers = run_wsgi_app(lane, environ, buffered=True)
    assert (status[:3], headers["Retry-After"]) == ("503", "2")


def test_a_caller_cannot_bring_a_fault_of_their_own(shop: Shop) -> None:
    """Only the server's own environment has it: headers become HTTP_ names."""
    environ = EnvironBuilder(method="POST", path=URL, data=b"", headers={FAULT: "x"}).get_environ()
    assert FAULT not in environ


def test_request_ids_are_kept_or_made(shop: Shop) -> None:
    query, body = Sender(shop).request(said("帮助", 3))
    kept = shop.client.post(URL, query_string=query, data=body, headers={"X-Request-ID": "caller-0001"})
    made = shop.client.post(URL, query_string=query, data=body, headers={"X-Request-ID": "bad id\u00e9"})
    assert kept.headers["X-Request-ID"] == "caller-0001"
    assert len(made.headers["X-Request-ID"]) == 32


@examples(100)
@given(st.text(alphabet="ab=&%+20;é\u4f60", max_size=40))
def test_queries_are_read_as_flask_reads_them(given_text: str) -> None:
    seen = Request({"QUERY_STRING": given_text.encode().decode("latin-1"), "REQUEST_METHOD": "GET",
                    "wsgi.input": io.BytesIO(), "SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.url_scheme": "http"})
    theirs = {name: value for name, value in seen.args.to_dict(flat=True).items() if name}
    assert dict(express.query(given_text.encode().decode("latin-1"))) == theirs
