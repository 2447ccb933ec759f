"""The express way takes only what ``parse_event`` takes, and writes down the same bytes."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.orders.events import CommerceEvent, parse_event
from domain.orders.quick import Row, plain_payments
from domain.orders.service import row_of
from domain.shared.seal import Seal
from tests.examples import examples

SEAL = Seal(b"a pepper of at least sixteen bytes")
LINE = {"line_id": "1", "sku": "RICE-5KG", "title": "有机大米 5kg", "category": "fmcg", "quantity": 2,
        "paid_fen": 9_900}
GOOD: dict[str, Any] = {"id": "evt_1", "type": "order.paid", "occurred_at": "2026-11-22T10:00:00+08:00", "data": {
    "order_id": "A1001", "channel": "mall", "currency": "CNY", "paid_at": "2026-11-22T09:59:58.5+08:00",
    "buyer": {"openid": "oABC", "app_id": "wx01", "unionid": "u1", "external_userid": "wm1", "phone": "138 1234 5678",
              "mall_user_id": "会员 42"},
    "share_code": "k7Qm2x", "region": "530102", "lines": [LINE, LINE | {"line_id": "2", "paid_fen": 100}],
    "paid_fen": 10_000, "shipping_fen": 800,
    "risk": {"payer": "oABC", "device": "d-7f", "address": "昆明市 1 号"}}}
JUNK: list[Any] = [
    None, "", " ", " x", "x ", "a b", "a | b", "a|b", "a/b", "x" * 64, "x" * 65, "x" * 200, "x" * 201, "é",
    "会员",
    "tab\t", "nul\x00", "wide\u3000", "😀", "👨\u200d👩\u200d👧", "e\u0301", "\x7f", "\u200b", 0, 1, -1, True, 1.0,
    10**13, 10**13 + 1, 2**63, 10**30, [], {}, [1], ["x"], {"x": 1}, "CNY", "USD", "2026-11-22", "2026-11-22T10:00:00",
    "2026-11-22T10:00:00Z", "2026-11-22 10:00:00+00:00", "20261122T100000Z", "2026-11-22T10:00:00.1234567+08:00",
    "1999-01-01T00:00:00Z", "2200-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "13812345678", "+8613812345678",
    "１３８１２３４５６７８", "order.closed",
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in an event."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    if isinstance(value, list):
        for n, inner in enumerate(value):
            yield from places(inner, (*path, n))


def changed(path: tuple[Any, ...], *value: Any) -> dict[str, Any]:
    """``GOOD`` with another value at ``path``, or without it."""
    event = copy.deepcopy(GOOD)
    inner: Any = event
    for step in path[:-1]:
        inner = inner[step]
    if value:
        inner[path[-1]] = value[0]
    else:
        del inner[path[-1]]
    return event


def quickly(*events: Any, most: int = 500) -> list[Row] | None:
    return plain_payments(json.dumps({"events": list(events)}).encode(), SEAL, most)


def slowly(event: Any) -> Row | None:
    parsed = parse_event(event, SEAL)
    return row_of(parsed) if isinstance(parsed, CommerceEvent) else None


def agrees(event: dict[str, Any]) -> bool:
    """Whether the express way took it; asserts that the other way makes the same of it then."""
    rows = quickly(event)
    if rows is None:
        return False
    assert rows == [slowly(event)], event
    return True


def test_a_plain_payment_takes_the_express_way() -> None:
    assert agrees(GOOD)
    assert all(agrees(changed(path)) for path in
               [("data", name) for name in ("share_code", "region", "shipping_fen", "risk")]
               + [("data", "buyer", name) for name in ("openid", "unionid", "external_userid", "phone", "mall_user_id")]
               + [("data", "risk", name) for name in ("payer", "device", "address")])


@pytest.mark.parametrize("path", list(places(GOOD)), ids=lambda path: "/".join(map(str, path)))
def test_nothing_that_is_refused_slips_through(path: tuple[Any, ...]) -> None:
    agrees(changed(path))
    for junk in JUNK:
        agrees(changed(path, junk))


@examples(150)
@given(st.datetimes(datetime(2000, 12, 30), datetime(2200, 1, 2)), st.sampled_from(["T", "T", " ", "t"]),
       st.sampled_from(["", "", "", "24", "25"]), st.sampled_from(["", "", ".5", ".000", ",25", ".000001", ".1234567"]),
       st.sampled_from(["{h}:00", "{h}:00", "{h}:{m:02}", "{h}{m:02}", "{h}", "{h}:{m:02}:07", "Z", "z", ""]),
       st.integers(-23, 23), st.integers(0, 59), st.integers(-26, 26))
def test_times_are_written_the_same(
    at: datetime, between: str, hour: str, part: str, zone: str, hours: int, minutes: int, ahead: int,
) -> None:
    """Offsets of whole hours and others, fractions, what is no time, and what is just too late."""
    written = f"{at:%Y-%m-%d}{between}{hour or f'{at:%H}'}:{at:%M:%S}{part}{zone.format(h=f'{hours:+03}', m=minutes)}"
    event = changed(("occurred_at",), written)
    event["data"]["paid_at"] = written
    latest = at.replace(tzinfo=UTC) + timedelta(hours=ahead)
    rows = plain_payments(json.dumps({"events": [event]}).encode(), SEAL, 1, latest)
    parsed = parse_event(event, SEAL, latest)
    if isinstance(parsed, CommerceEvent):
        assert rows == [row_of(parsed)], written
    else:
        assert rows is None, written


def test_both_ways_agree_about_what_is_not_junk() -> None:
    taken = [junk for junk in JUNK if agrees(changed(("data", "lines", 0, "title"), junk))]
    assert {"a b", "a|b", "会员", "😀", "x" * 200} <= set(map(str, taken))


def test_what_it_does_not_know_goes_the_other_way() -> None:
    noted = {**GOOD, "data": {**GOOD["data"], "note": "x"}}
    for event in (GOOD | {"note": "x"}, noted, GOOD | {"type": "order.closed"}):
        assert quickly(event) is None
    assert quickly() is None
    assert quickly(GOOD, GOOD, most=1) is None
    assert plain_payments(json.dumps(GOOD).encode(), SEAL, 500) is None
    assert plain_payments(b'{"events":[' + b"[" * 100_000, SEAL, 500) is None
    assert plain_payments(b"\xff", SEAL, 500) is None


def test_a_name_twice_inside_means_the_last_on_both_ways() -> None:
    body = json.dumps({"events": [GOOD]}).replace('"id": "evt_1"', '"id": "first", "\\u0069d": "evt_1"').encode()
    assert plain_payments(body, SEAL, 500) == [slowly(json.loads(body)["events"][0])] == [slowly(GOOD)]
