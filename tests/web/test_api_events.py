"""The event door through real HTTP requests and a real database: what it takes, and all that it refuses."""

import copy
import io
import json
import re
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from domain.shared.clock import FixedClock
from handlers.web.api import event_shapes
from tests.together import at_once
from tests.web.mall import EVENTS, OLD_SECRET, SECRET, Mall, mac, signed


def error(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.get_json()["error"]
    assert set(found) == {"code", "message", "faults"}
    return found


def test_takes_one_event_and_rings_once(mall: Mall) -> None:
    answer = mall.send(mall.event())
    assert (answer.status_code, answer.get_json()) == (202, {"accepted": 1, "duplicate": 0})
    assert answer.headers["Cache-Control"] == "no-store"
    assert mall.rings == [frozenset({"event"})]


@pytest.mark.parametrize("kind", event_shapes.EXAMPLES)
def test_takes_every_example_of_the_docs(mall: Mall, kind: str) -> None:
    assert mall.send(event_shapes.example(kind)).status_code == 202


def test_takes_a_full_batch(mall: Mall) -> None:
    events = [mall.event() for _ in range(500)]
    assert mall.send({"events": events}).get_json() == {"accepted": 500, "duplicate": 0}
    assert mall.send({"events": events}).get_json() == {"accepted": 0, "duplicate": 500}
    assert mall.rows() == 500
    assert len(mall.rings) == 1, "duplicates wake nobody"


def test_the_same_event_twice_in_a_batch_counts_once(mall: Mall) -> None:
    event = mall.event()
    assert mall.send({"events": [event, event]}).get_json() == {"accepted": 1, "duplicate": 1}


def test_sources_have_their_own_event_ids(mall: Mall) -> None:
    event = mall.event()
    assert mall.send(event).get_json()["accepted"] == 1
    assert mall.send(event, "/api/v1/events/other", secret=OLD_SECRET).get_json()["accepted"] == 1


def test_another_content_under_a_known_id_takes_nothing_of_the_batch(mall: Mall) -> None:
    known = mall.event()
    mall.send(known)
    changed = known | {"data": {"order_id": "A2", "channel": "mall"}}
    answer = mall.send({"events": [mall.event(), changed]})
    assert answer.status_code == 409
    assert error(answer)["code"] == "conflict"
    assert known["id"] in error(answer)["message"]
    assert mall.rows() == 1
    assert len(mall.rings) == 1


def test_two_contents_under_one_id_in_a_batch_conflict(closed: Mall) -> None:
    one = closed.event(event_id="same")
    other = one | {"data": {"order_id": "A2", "channel": "mall"}}
    assert closed.send({"events": [one, other]}).status_code == 409


def test_every_fault_of_every_event_is_told_and_nothing_is_taken(closed: Mall) -> None:
    bad = closed.paid("A1", "u1")
    bad["data"]["paid_fen"] = "99"
    del bad["data"]["currency"]
    bad["data"]["lines"][0]["quantity"] = 0
    answer = closed.send({"events": [closed.event(), bad, {"id": 1}]})
    assert answer.status_code == 422
    pointers = [fault["pointer"] for fault in error(answer)["faults"]]
    assert {"/events/1/data/paid_fen", "/events/1/data/currency", "/events/1/data/lines/0/quantity", "/events/2/id",
            "/events/2/type", "/events/2/data"} <= set(pointers)
    assert all(fault["message"] for fault in error(answer)["faults"])


def test_pointers_of_a_single_event_start_at_the_event(closed: Mall) -> None:
    faults = error(closed.send(closed.event("order.closed", order_id="A1")))["faults"]
    assert faults == [{"pointer": "/data/channel", "message": "is missing"}]


def test_a_small_body_makes_no_huge_answer(closed: Mall) -> None:
    lines = [{} for _ in range(200)]
    events = [closed.paid(f"A{n}", "u", lines=lines) for n in range(100)]
    answer = closed.send({"events": events})
    assert answer.status_code == 422
    assert len(error(answer)["faults"]) == 1000
    assert "More than 1000" in error(answer)["message"]


@pytest.mark.parametrize(("raw", "why"), [
    (b"", "JSON"), (b"nonsense", "JSON"), (b"{", "JSON"), (b'{"id":NaN}', "JSON"), (b'{"id":Infinity}', "JSON"),
    (b'{"id":-Infinity}', "JSON"), (b'{"id":1e999}', "JSON"), (b'{"id":"\\ud800"}', "JSON"),
    (b'{"id":"\xff"}', "JSON"), (b'\xef\xbb\xbf{"id":"x"}', "JSON"), ('{"id":"x"}'.encode("utf-16"), "JSON"),
    (b'{"id":"a"}{"id":"b"}', "JSON"), (b"[" * 200_000, "deep"),
    (b'{"id":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "deep"),
    (b"[]", "object"), (b"null", "object"), (b'"text"', "object"), (b"7", "object"),
    (b'{"id":"a","id":"b"}', "twice"), (b'{"events":[],"\\u0065vents":[{}]}', "twice"),
    (b'{ "events" : [] , "x" : 1 , "events" : [1] }', "twice"),
    (b'{"events":[]}', "1 to 500"), (b'{"events":{}}', "1 to 500"), (b'{"events":null}', "1 to 500"),
    (json.dumps({"events": [{}] * 501}).encode(), "1 to 500"), (b"{}", "missing"),
    (b'{"events":[1,null,"x",[]]}', "object"),
    (b'{"id":' + b"9" * 5_000 + b"}", "JSON"), (b'{"id":' + b"9" * 300 + b"}", "string"),
])
def test_bodies_that_are_no_events(closed: Mall, raw: bytes, why: str) -> None:
    answer = closed.send(raw)
    assert answer.status_code == 422, answer.text
    assert any(why in fault["message"] for fault in error(answer)["faults"])


@pytest.mark.parametrize("fen", ["-1", "1.0", "1.5", "1e2", "true", "null", '"9900"', "10000000000001", "9" * 30, "[]"])
def test_money_is_a_whole_number_of_fen(closed: Mall, fen: str) -> None:
    raw = json.dumps(closed.paid("A1", "u1", fen=777)).replace("777", fen).encode()
    answer = closed.send(raw)
    assert answer.status_code == 422
    assert "/data/paid_fen" in {fault["pointer"] for fault in error(answer)["faults"]}


@pytest.mark.parametrize("kind", ["order.paid", "order.received", "order.refunded", "product.upserted"])
def test_a_time_far_ahead_or_long_ago_is_a_fault_and_takes_nothing(mall: Mall, kind: str) -> None:
    """A wrong year would win over everything that is told later, or find a buyer whom nobody brings any more; months
    would be closed since then. A shop's history of nearly ten years is taken in."""
    for days, status in ((32, 422), (400, 422), (-3_700, 422), (-9_000, 422), (30, 202), (-3_650, 202)):
        at = (mall.clock.now() + timedelta(days=days)).isoformat()
        event = event_shapes.example(kind)
        own = next((name for name in event["data"] if name.endswith("_at")), None)
        event |= {"id": f"{days}", "occurred_at": at, "data": event["data"] | ({own: at} if own else {})}
        for body in (event, {"events": [event]}):
            answer = mall.send(body)
            assert answer.status_code == status, answer.text
            if status == 422:
                wrong = {fault["pointer"].removeprefix("/events/0") for fault in error(answer)["faults"]}
                assert wrong == {"/occurred_at"} | ({f"/data/{own}"} if own else set())
                assert mall.rows() == 0
        if days == -3_700:
            assert "ten years ago" in error(answer)["faults"][0]["message"]


@pytest.mark.parametrize("value", ["a\x00b", "a\u202eb", "a\u200bb", " a", "", "x" * 65, "a\nb"])
def test_ids_are_printable_and_short(closed: Mall, value: str) -> None:
    answer = closed.send(closed.event("order.closed", order_id=value, channel="mall"))
    assert error(answer)["faults"][0]["pointer"] == "/data/order_id"


@pytest.mark.parametrize("title", [
    "👨‍👩‍👧‍👦 家庭装", "<script>alert(1)</script>", "=cmd()", "'; drop table person; --", "%00",
])
def test_titles_are_kept_as_they_are(mall: Mall, title: str) -> None:
    event = mall.event("product.upserted", sku="S", title=title, category="c", price_fen=1)
    assert mall.send(event).status_code == 202
    with mall.engine.connect() as db:
        assert db.execute(text("select payload ->> 'title' from commerce_event")).scalar_one() == title


def test_unknown_fields_are_ignored(mall: Mall) -> None:
    event = mall.event() | {"extra": {"deep": [1.5, None, {"x": "y"}]}}
    assert mall.send(event).get_json()["accepted"] == 1
    assert mall.send(event | {"extra": 2}).get_json()["duplicate"] == 1


@pytest.mark.parametrize("change", [
    {"webhook-id": None}, {"webhook-timestamp": None}, {"webhook-signature": None}, {"webhook-id": "msg_2"},
    {"webhook-id": "msg.1"}, {"webhook-timestamp": "0"}, {"webhook-timestamp": "x"}, {"webhook-signature": "v1"},
    {"webhook-signature": "v1,"}, {"webhook-signature": "v1,%%%"}, {"webhook-signature": "v1,Ünicode"},
    {"webhook-signature": "v1,,,"}, {"webhook-signature": "v2,AAAA"}, {"webhook-id": ""}, {"webhook-timestamp": "-1"},
])
def test_malformed_headers_are_401(closed: Mall, change: dict[str, str | None]) -> None:
    body = json.dumps(closed.event()).encode()
    headers = {name: value for name, value in (signed(body) | change).items() if value is not None}
    answer = closed.client.post(EVENTS, data=body, headers=headers)
    assert answer.status_code == 401
    assert error(answer)["code"] == "unauthorized"


@pytest.mark.parametrize("off", [-302, 302, -86_400, 10**9])
def test_stale_and_future_messages_are_401(closed: Mall, off: int) -> None:
    assert closed.send(closed.event(), at=time.time() + off).status_code == 401


def test_signatures_are_judged_by_real_time_however_far_business_time_was_moved(mall: Mall) -> None:
    mall.clock.advance(90 * 86_400)
    assert mall.send(mall.event()).status_code == 202


def test_an_unknown_source_cannot_be_told_from_a_bad_signature(closed: Mall) -> None:
    body = json.dumps(closed.event()).encode()
    unknown = closed.client.post("/api/v1/events/nobody", data=body, headers=signed(body))
    bad = closed.client.post(EVENTS, data=body, headers=signed(b"another body"))
    assert unknown.status_code == bad.status_code == 401
    assert unknown.data == bad.data
    assert dict(unknown.headers) == dict(bad.headers)


def test_another_systems_secret_does_not_open_the_door(closed: Mall) -> None:
    assert closed.send(closed.event(), "/api/v1/events/other", secret=SECRET).status_code == 401


def test_the_body_must_be_the_very_bytes_that_were_signed(closed: Mall) -> None:
    body = json.dumps(closed.event()).encode()
    again = json.dumps(json.loads(body), separators=(",", ":")).encode()
    assert closed.client.post(EVENTS, data=again, headers=signed(body)).status_code == 401


def test_rotation_both_secrets_and_both_signatures(mall: Mall) -> None:
    assert mall.send(mall.event(), secret=OLD_SECRET).status_code == 202
    body = json.dumps(mall.event()).encode()
    headers = signed(body)
    both = f"{mac('whsec_' + 'A' * 32, 'msg_1', headers['webhook-timestamp'], body)} {headers['webhook-signature']}"
    assert mall.client.post(EVENTS, data=body, headers=headers | {"webhook-signature": both}).status_code == 202


def test_signature_is_checked_before_anything_is_parsed(closed: Mall) -> None:
    assert closed.client.post(EVENTS, data=b"[" * 100_000).status_code == 401


def test_too_large_is_413_by_its_length_alone(closed: Mall) -> None:
    at_most = b" " * (1024 * 1024)
    assert closed.send(at_most).status_code == 422, "one MiB is still read"
    answer = closed.send(at_most + b" ")
    assert (answer.status_code, error(answer)["code"]) == (413, "too_large")


class Endless(io.RawIOBase):
    """A chunked body without a length; counts what was read of it."""

    given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), 1_000)
        buffer[:size] = b" " * size
        self.given += size
        return size


def test_a_chunked_body_without_a_length_is_cut_at_the_cap(closed: Mall) -> None:
    stream = Endless()
    answer = closed.client.post(EVENTS, headers={"Transfer-Encoding": "chunked"}, environ_overrides={
        "wsgi.input": stream, "wsgi.input_terminated": True})
    assert answer.status_code == 413
    assert stream.given < 1_100_000


def test_a_chunked_body_in_small_pieces_is_read_whole(mall: Mall) -> None:
    body = json.dumps({"events": [mall.event() for _ in range(20)]}).encode()

    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 7, 7) if size != -1 else 7)

    headers = signed(body) | {"Transfer-Encoding": "chunked"}
    answer = mall.client.post(EVENTS, headers=headers, environ_overrides={
        "wsgi.input": Dripping(body), "wsgi.input_terminated": True})
    assert answer.get_json() == {"accepted": 20, "duplicate": 0}


def test_a_get_is_not_an_event(closed: Mall) -> None:
    answer = closed.client.get(EVENTS)
    assert answer.status_code == 405


def test_the_same_event_from_eight_senders_at_once_is_taken_once(mall: Mall) -> None:
    shared = [mall.event() for _ in range(30)]

    def post(turn: int) -> dict[str, int]:
        body = json.dumps({"events": shared[turn:] + shared[:turn]}).encode()
        taken: dict[str, int] = mall.app.test_client().post(EVENTS, data=body, headers=signed(body)).get_json()
        return taken

    answers = at_once(*(partial(post, n) for n in range(8)))
    assert sum(answer["accepted"] for answer in answers) == 30
    assert sum(answer["duplicate"] for answer in answers) == 210
    assert mall.rows() == 30


def test_two_contents_race_for_one_id_and_one_wins(mall: Mall) -> None:

    def post(turn: int) -> int:
        event = mall.event("order.closed", "contested", order_id=f"A{turn}", channel="mall")
        body = json.dumps(event).encode()
        return mall.app.test_client().post(EVENTS, data=body, headers=signed(body)).status_code

    assert Counter(at_once(*(partial(post, n) for n in range(8)))) == {202: 1, 409: 7}
    assert mall.rows() == 1


def test_without_a_database_the_sender_is_asked_to_come_back(clock: FixedClock) -> None:
    nowhere = create_engine("postgresql+psycopg://x:x@127.0.0.1:1/x?connect_timeout=1")
    mall = Mall.open(nowhere, clock)
    answer = mall.send(mall.event())
    assert (answer.status_code, error(answer)["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert mall.rings == []
    assert mall.get("/people/1").status_code == 503


def test_who_paid_from_where_is_sealed_before_it_is_stored(mall: Mall) -> None:
    paid = copy.deepcopy(event_shapes.example("order.paid"))
    paid["data"]["risk"] = {"payer": "card 6222021234567890", "device": "IMEI 490154203237518", "nonsense": 1}
    assert mall.send(paid).status_code == 202
    assert mall.send(paid).get_json() == {"accepted": 0, "duplicate": 1}
    with mall.engine.connect() as db:
        stored = str(db.execute(text("select payload::text from commerce_event")).scalar_one())
    assert "6222021234567890" not in stored and "490154203237518" not in stored and "nonsense" not in stored
    assert len(re.findall(r'"(?:payer|device)": "[0-9a-f]{64}"', stored)) == 2
    for wrong in ("card", {"payer": 1}, {"device": "x" * 201}, {"address": "a\u0000b"}, []):
        other = copy.deepcopy(event_shapes.example("order.paid", 2))
        other["data"]["risk"] = wrong
        answer = mall.send(other)
        assert answer.status_code == 422
        assert error(answer)["faults"][0]["pointer"].startswith("/data/risk")
