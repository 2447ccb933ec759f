"""The strict reader of commerce events: every fault is found and pointed at."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.orders.events import CommerceEvent, Fault, parse_event

GOOD: dict[str, Any] = {
    "id": "evt_1", "type": "order.paid", "occurred_at": "2026-11-22T10:00:00+08:00", "data": {
        "order_id": "A1001", "channel": "mall", "currency": "CNY", "paid_at": "2026-11-22T10:00:00+08:00",
        "buyer": {"openid": "oABC", "app_id": "wx1"}, "share_code": "k7Qm2x", "region": "530102",
        "lines": [{"line_id": "1", "sku": "RICE-5KG", "title": "有机大米 5kg 👨‍👩‍👧", "category": "fmcg", "quantity": 2,
                   "paid_fen": 9900}],
        "paid_fen": 9900, "shipping_fen": 0, "extra": {"ignored": 1.5}}, "also": None}


def test_a_good_event_is_normalised() -> None:
    event = parse_event(GOOD)
    assert isinstance(event, CommerceEvent)
    assert event.subject == "order:mall/A1001"
    assert event.data["paid_at"] == "2026-11-22T02:00:00+00:00"
    assert "extra" not in event.data
    other = copy.deepcopy(GOOD) | {"more": 1}
    again = parse_event(other)
    assert isinstance(again, CommerceEvent) and again.digest == event.digest


def _set(path: str, value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(GOOD)
    *parents, last = path.strip("/").split("/")
    spot: Any = raw
    for name in parents:
        spot = spot[int(name)] if isinstance(spot, list) else spot[name]
    if value is ...:
        del spot[last]
    else:
        spot[last] = value
    return raw


@pytest.mark.parametrize(("path", "value"), [
    ("/id", ...), ("/id", ""), ("/id", "x" * 65), ("/id", 7), ("/id", "a\nb"), ("/id", " a"), ("/type", "order.eaten"),
    ("/type", ...), ("/occurred_at", "2026-11-22T10:00:00"), ("/occurred_at", 1_700_000_000),
    ("/occurred_at", "0001-01-01T00:00:00+08:00"),
    ("/data", ...), ("/data", []), ("/data/order_id", None), ("/data/channel", "a/b"), ("/data/currency", "USD"),
    ("/data/currency", ...), ("/data/paid_at", "yesterday"), ("/data/buyer", {}), ("/data/buyer", {"openid": "o1"}),
    ("/data/buyer/openid", "中"), ("/data/buyer", {"phone": "12"}), ("/data/buyer", {"nickname": "x"}),
    ("/data/lines", []),
    ("/data/lines", ...), ("/data/lines", "x"), ("/data/lines", [1]), ("/data/lines/0/quantity", 0),
    ("/data/lines/0/quantity", 1.0), ("/data/lines/0/quantity", True), ("/data/paid_fen", 9901),
    ("/data/lines/0/paid_fen", -1), ("/data/lines/0/paid_fen", 10**13 + 1), ("/data/lines/0/paid_fen", "9900"),
    ("/data/lines/0/title", "\x00"), ("/data/lines/0/title", "\ud800"), ("/data/lines/0/category", ...),
    ("/data/paid_fen", float("nan")), ("/data/paid_fen", float("inf")), ("/data/paid_fen", 9900.0),
    ("/data/paid_fen", None), ("/data/shipping_fen", -1), ("/data/shipping_fen", None), ("/data/share_code", 5),
])
def test_a_wrong_field_is_pointed_at(path: str, value: Any) -> None:
    faults = parse_event(_set(path, value))
    assert isinstance(faults, list) and faults
    assert any(fault.pointer.startswith(path) or path.startswith(fault.pointer) for fault in faults)


@pytest.mark.parametrize(("told", "kept"), [
    (" 小王 ", "小王"), ("小\n王", "小 王"), ("\u3000小王\t", "小王"), ("小王\x00", "小王"), (" ", ""),
    ("\u200d", "\u200d"), ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"), ("x" * 64 + " ", "x" * 64),
])
def test_no_name_that_somebody_chose_stops_a_batch(told: str, kept: str) -> None:
    event = parse_event({"id": "e", "type": "customer.upserted", "occurred_at": "2026-11-22T10:00:00Z",
                         "data": {"identities": {"mall_user_id": "m1"}, "nickname": told}})
    assert isinstance(event, CommerceEvent) and event.data["nickname"] == kept


def test_a_title_is_taken_without_the_spaces_around_it() -> None:
    event = parse_event(_set("/data/lines/0/title", " 有机大米\t5kg\n"))
    assert isinstance(event, CommerceEvent) and event.data["lines"][0]["title"] == "有机大米 5kg"


@pytest.mark.parametrize("birthday", ["2026-11-23", "2999-01-01", "1899-12-31", "2001-02-29", "0001-01-01", 5])
def test_nobody_is_born_after_the_event_or_too_long_ago(birthday: Any) -> None:
    faults = parse_event({"id": "e", "type": "customer.upserted", "occurred_at": "2026-11-22T10:00:00Z",
                          "data": {"identities": {"mall_user_id": "m1"}, "birthday": birthday}})
    assert isinstance(faults, list) and {fault.pointer for fault in faults} == {"/data/birthday"}


def test_all_faults_come_at_once() -> None:
    raw = _set("/data/lines/0/quantity", True)
    raw["data"]["lines"].append({"line_id": "1"})
    del raw["id"]
    faults = parse_event(raw)
    assert isinstance(faults, list)
    wanted = {"/id", "/data/lines/0/quantity", "/data/lines/1/line_id", "/data/lines/1/sku"}
    assert {fault.pointer for fault in faults} >= wanted


def test_more_than_two_hundred_lines_are_too_many() -> None:
    line = GOOD["data"]["lines"][0]
    raw = _set("/data/lines", [line | {"line_id": str(n), "paid_fen": 0} for n in range(201)])
    assert Fault("/data/lines", "must be a list of 1 to 200") in parse_event(raw)  # type: ignore[operator]


@pytest.mark.parametrize("raw", [None, [], "x", 5, {}, {"type": []}, {"data": {"lines": {}}}, {"type": "order.paid"}])
def test_anything_else_is_a_list_of_faults(raw: Any) -> None:
    assert isinstance(parse_event(raw), list)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([*GOOD, *GOOD["data"], "line_id", "refund_id", "identities", "birthday"]) | st.text(), inner),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["order.paid", "order.refunded", "product.upserted", "customer.upserted", "order.closed"]))
def test_no_json_makes_it_raise(junk: Any, kind: str) -> None:
    for raw in (junk, {"id": "1", "type": kind, "occurred_at": GOOD["occurred_at"], "data": junk}):
        parsed = parse_event(raw)
        assert isinstance(parsed, CommerceEvent) or (parsed and all(isinstance(one, Fault) for one in parsed))


@pytest.mark.parametrize(("kind", "data"), [
    ("order.shipped", {"carrier": "顺丰", "tracking_no": "SF1"}), ("order.shipped", {}),
    ("order.received", {"received_at": "2026-11-22T10:00:00Z"}), ("order.closed", {}),
    ("order.refunded", {"refund_id": "R1", "refunded_at": "2026-11-22T10:00:00Z",
                        "lines": [{"line_id": "1", "refund_fen": 5, "quantity": 0}]}),
    ("product.upserted", {"sku": "S", "title": "茶", "category": "fmcg", "price_fen": 1, "margin_bps": -5}),
    ("customer.upserted", {"identities": {"phone": "138 0013 8000"}, "nickname": "", "birthday": "2000-02-29"}),
])
def test_the_other_types(kind: str, data: dict[str, Any]) -> None:
    whole = {"order_id": "A1", "channel": "mall"} | data
    event = parse_event({"id": "e", "type": kind, "occurred_at": "2026-11-22T10:00:00Z", "data": whole})
    assert isinstance(event, CommerceEvent)
