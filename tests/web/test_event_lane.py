"""The event lane answers as Flask's way does, whatever comes, and leaves to it what is not its own."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError
from werkzeug.test import EnvironBuilder, run_wsgi_app

from bot.runtime.express import EventLane
from tests.web.mall import EVENTS, OLD_SECRET, Mall, signed

Answer = tuple[str, bytes, dict[str, str]]
JUNK = st.one_of(st.none(), st.booleans(), st.integers(-5, 2**70), st.text(max_size=5),
                 st.lists(st.integers(), max_size=2),
                 st.sampled_from(["CNY", "USD", "2026-11-22T10:00:00+08:00", "2026-11-22", " x", "a/b"]))


def ask(mall: Mall, body: bytes, *, flask: bool, path: str = EVENTS, method: str = "POST", **how: Any) -> Answer:
    """Status, body and headers; with ``flask`` the request goes around the lane."""
    lane = mall.app.wsgi_app
    assert isinstance(lane, EventLane)
    headers = how.pop("headers", None) or signed(body, **how)
    environ = EnvironBuilder(method=method, path=path, data=body, headers=headers).get_environ()
    answer, status, told = run_wsgi_app(lane._beyond if flask else lane, environ, buffered=True)
    kept = {name: value for name, value in told.items() if name != "X-Request-ID"}
    return status.lower(), b"".join(answer), kept


def alike(mall: Mall, body: bytes, **how: Any) -> Answer:
    quick, slow = ask(mall, body, flask=False, **how), ask(mall, body, flask=True, **how)
    assert quick == slow, body[:300]
    return quick


@pytest.mark.parametrize(("how", "status"), [
    ({"secret": OLD_SECRET}, "422"), ({"secret": "whsec_AAAA"}, "401"), ({"name": "a.b"}, "401"), ({"at": 7}, "401"),
    ({"headers": {"Content-Type": "application/json"}}, "401"), ({"path": "/api/v1/events/nobody"}, "401"),
    ({"path": "/api/v1/events/"}, "404"), ({"path": "/api/v1/events/a/b"}, "404"), ({"path": f"{EVENTS}/"}, "404"),
    ({"path": "/api/v1/events/商城"}, "401"), ({"method": "GET"}, "405"), ({"method": "PUT"}, "405"),
])
def test_who_is_not_let_in_is_told_the_same(closed: Mall, how: dict[str, Any], status: str) -> None:
    assert alike(closed, b"{}", **how)[0].startswith(status)


@pytest.mark.parametrize(("body", "status"), [
    (b"", "422"), (b"{", "422"), (b'{"id":"a","id":"b"}', "422"), (b"[" * 200_000, "422"), (b"x" * (2**20 + 1), "413"),
    (json.dumps({"events": [{}] * 501}).encode(), "422"),
])
def test_bodies_that_are_no_events_are_told_the_same(closed: Mall, body: bytes, status: str) -> None:
    assert alike(closed, body)[0].startswith(status)


def test_what_is_known_is_counted_the_same(mall: Mall) -> None:
    event = mall.paid("A1", "u1")
    body = json.dumps({"events": [event, mall.event(), event]}).encode()
    assert ask(mall, body, flask=False)[:2] == ("202 accepted", b'{"accepted":2,"duplicate":1}')
    status, told, headers = alike(mall, body)
    assert (status, told) == ("202 accepted", b'{"accepted":0,"duplicate":3}')
    assert (headers["Cache-Control"], headers["Content-Type"]) == ("no-store", "application/json")
    changed = json.dumps({"events": [mall.event(), event | {"type": "order.shipped"}]}).encode()
    assert alike(mall, changed)[0][:3] == "409"
    assert mall.rows() == 2 and len(mall.rings) == 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 1), st.lists(st.integers(0, 30), min_size=1, max_size=3), JUNK), min_size=1,
                max_size=2))
def test_junk_anywhere_is_told_the_same(closed: Mall, changes: list[tuple[int, list[int], Any]]) -> None:
    """The last event is always refused, so that nothing is ever taken."""
    events = [closed.paid("A1", "u1"), closed.paid("A2", "u2"), {"id": 1}]
    for which, way, junk in changes:
        place: Any = events[which]
        while len(way) > 1 and isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not isinstance(place[keys[way[0] % len(keys)]], dict | list):
                break
            place, way = place[keys[way[0] % len(keys)]], way[1:]
        if isinstance(place, dict) and place:
            place[list(place)[way[0] % len(place)]] = junk
    assert alike(closed, json.dumps({"events": events}).encode())[0].startswith("422")


def test_a_database_that_is_away_is_answered_where_faults_are(closed: Mall) -> None:
    lane = closed.app.wsgi_app
    assert isinstance(lane, EventLane)

    class Away:
        def receive(self, *_: object) -> None:
            raise OperationalError("select 1", {}, Exception("the database is away"))

    body = json.dumps(closed.event()).encode()
    environ = EnvironBuilder(method="POST", path=EVENTS, data=body, headers=signed(body)).get_environ()
    _, status, headers = run_wsgi_app(EventLane(Away(), lane._beyond), environ, buffered=True)  # type: ignore[arg-type]
    assert (status[:3], headers["Retry-After"]) == ("503", "5")
