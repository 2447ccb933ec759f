"""Where cards lie in time, what refunds leave, what a price saves, and files that are refused."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.runtime.bootstrap import ASSETS
from domain.memberships.rules import Piece, fold, kept, lay, load, saved
from domain.rewards.programme import BENEFITS
from domain.shared.errors import DomainError
from tests.integration.people.crowd import day

SHIPPED = (ASSETS / "membership.toml").read_text("utf-8")


def piece(name: str, at: float, days: int, cut: float | None = None) -> Piece:
    return Piece(name, day(at), (int(name, 36), 1), days, None if cut is None else day(cut))


def test_a_renewal_begins_where_the_card_before_it_ends() -> None:
    spans = lay([piece("b", 300, 365), piece("a", 0, 365), piece("c", 800, 365)])
    assert (spans["a"].starts_at, spans["b"].starts_at, spans["b"].ends_at) == (day(0), day(365), day(730))
    assert spans["c"].starts_at == day(800)


def test_a_refunded_card_leaves_its_place_to_the_next() -> None:
    spans = lay([piece("a", 0, 0), piece("b", 300, 365)])
    assert (spans["b"].starts_at, spans["b"].ends_at) == (day(300), day(665))


def test_what_was_cut_ends_there() -> None:
    spans = lay([piece("a", 0, 365, cut=10), piece("b", 5, 365, cut=10), piece("c", 20, 30)])
    assert (spans["a"].ends_at, spans["b"].ends_at - spans["b"].starts_at) == (day(10), timedelta(0))
    assert (spans["c"].starts_at, spans["c"].ends_at) == (day(20), day(50))


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 400)), min_size=1, max_size=8), st.randoms())
def test_cards_never_overlap_keep_their_days_and_ignore_the_order_of_facts(
    bought: list[tuple[int, int]], luck
) -> None:
    pieces = [piece(str(n + 1), at, days) for n, (at, days) in enumerate(bought)]
    spans = lay(pieces)
    luck.shuffle(pieces)
    assert lay(pieces) == spans
    assert all((spans[one.cause].ends_at - spans[one.cause].starts_at).days == one.kept_days for one in pieces)
    assert all(spans[one.cause].starts_at >= one.bought_at for one in pieces)
    real = sorted((span.starts_at, span.ends_at) for span in spans.values() if span.ends_at > span.starts_at)
    assert all(a[1] <= b[0] for a, b in pairwise(real))


@pytest.mark.parametrize(("refunded", "closed", "days"), [(0, False, 365), (19_900, False, 0), (9_950, False, 182),
                                                          (1, False, 364), (0, True, 0)])
def test_a_refund_takes_days_in_proportion(refunded: int, closed: bool, days: int) -> None:
    assert kept(365, 19_900, refunded, closed=closed) == days


def test_what_is_saved_is_never_more_than_was_less() -> None:
    assert saved(9_900, 9_108, 9_200) == 792
    assert saved(9_900, 9_900, 9_200) == 0 and saved(9_900, 9_500, 9_200) == 400 and saved(9_900, 12_000, 9_200) == 0
    assert saved(9_900, 5_000, 9_200) == 792


def test_discounts_as_shops_say_them() -> None:
    assert [fold(f"discount:{bps}") for bps in (9_200, 9_000, 8_850, 9_999)] == ["92", "9", "88.5", "99.99"]
    assert fold("free_shipping") == ""


@pytest.mark.parametrize(("old", "new", "fault"), [
    ("days = 365", "days = 0", "days 1 to"), ("discount:9200", "discount:10000", "is not known"),
    ("free_shipping\"", "free_lunch\"", "is not known"), ('tier = "annual"', 'tier = ""', "plain words"),
    ("shipping_fen = 800", "shipping_fen = -1", "at least 0"), ("days = 365", 'days = "365"', "int")])
def test_what_a_file_may_not_say(old: str, new: str, fault: str) -> None:
    assert old in SHIPPED
    with pytest.raises(DomainError) as refused:
        load(SHIPPED.replace(old, new, 1), BENEFITS)
    assert fault in str(refused.value.facts["faults"])
