"""Addresses that people tap: https, written plainly, short enough for a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.orders.events import CommerceEvent, Fault, parse_event
from domain.shared.addresses import LONGEST, fault_of, with_query

TEA = {"sku": "S", "title": "茶", "category": "fmcg", "price_fen": 1}


def told(**more: object) -> CommerceEvent | list[Fault]:
    return parse_event({"id": "e", "type": "product.upserted", "occurred_at": "2026-11-22T10:00:00Z",
                        "data": TEA | more})


@pytest.mark.parametrize("good", [
    "https://shop.example/p/1?a=1&b=%E8%8C%B6#x", "https://m.shop.example:8443", "http://127.0.0.1:8000/sim/goods/S",
    "http://localhost/x", "https://" + "a" * (LONGEST - 20) + ".example/x",
])
def test_what_people_can_tap(good: str) -> None:
    assert fault_of(good) == ""


@pytest.mark.parametrize("bad", [
    "", "http://shop.example/1", "javascript:alert(1)", "//shop.example/1", "/p/1", "https://", "https:///x", "https://x",
    "https://shop.example/茶", "https://shop.example/a b", 'https://shop.example/"onclick=', "https://shop.example/<b>",
    "https://me:secret@shop.example/", "https://shop.example:port/", "https://[::1", "https://shop.example/\n",
    "https://shop.example/'x", "http://127.0.0.1.shop.example/", "https://shop.example/" + "x" * LONGEST,
])
def test_what_they_cannot(bad: str) -> None:
    assert fault_of(bad)


@given(st.text())
def test_nothing_raises_and_what_passes_stays_inside_its_quotes(junk: str) -> None:
    for address in (junk, f"https://shop.example/{junk}"):
        assert fault_of(address) or (address.isascii() and not set(address) & set("\"'<> \n"))


def test_more_in_the_query_keeps_what_was_there() -> None:
    assert with_query("https://a.example/x", share_code="k7") == "https://a.example/x?share_code=k7"
    assert with_query("https://a.example/x?p=1#top", share_code="k7") == "https://a.example/x?p=1&share_code=k7#top"


def test_a_product_may_tell_its_pages_and_faults_are_named() -> None:
    event = told(url="https://shop.example/tea", video_url="")
    assert isinstance(event, CommerceEvent)
    assert (event.data["url"], event.data["video_url"]) == ("https://shop.example/tea", "")
    faults = told(url="http://shop.example/tea", video_url=7)
    assert [(one.pointer, one.message) for one in faults] == [  # type: ignore[union-attr]
        ("/data/url", "must be an https address"), ("/data/video_url", "must be a string")]


def test_an_event_of_before_keeps_its_digest() -> None:
    """Sent again after an update it must still be the same, not another content under a known id."""
    event = told()
    assert isinstance(event, CommerceEvent)
    assert event.digest == (
        "cb54a0724625556e128458c5a3d534de5155b7a30b01344b97269dea76d1e6ea")
