"""Tags and segments by the shipped rules, and every fault of a document at once."""

from pathlib import Path

import pytest

from domain.insight.rules import Facts, judge, load
from domain.shared.errors import DomainError

SHIPPED = (Path(__file__).parents[3] / "assets" / "segments.toml").read_text("utf-8")
RULES = load(SHIPPED)


@pytest.mark.parametrize(("facts", "tags", "segment"), [
    (Facts(), (), "visitor"),
    (Facts(orders=1, days_since=0, window_orders=1, window_fen=9_900), ("low_potential",), "potential"),
    (Facts(orders=1, days_since=61, window_orders=1), ("low_potential",), "lost"),
    (Facts(orders=3, orders_month=3, days_since=2, window_orders=3, window_fen=30_000), ("frequent",), "potential"),
    (Facts(orders=9, days_since=5, window_orders=9, window_fen=250_000, referred_buyers=2), ("social",), "vip"),
    (Facts(orders=9, days_since=200, window_orders=9, window_fen=250_000), (), "dormant"),
    (Facts(referred_buyers=1), (), "visitor"),
])
def test_the_shipped_rules(facts: Facts, tags: tuple[str, ...], segment: str) -> None:
    judged = judge(facts, RULES)
    assert (judged.tags, judged.segment) == (tags, segment)


@pytest.mark.parametrize(("days", "score"), [(0, 5), (15, 5), (16, 4), (30, 4), (31, 3), (60, 3), (61, 2), (120, 2),
                                              (121, 1), (None, 1)])
def test_recency_limits_are_inclusive(days: int | None, score: int) -> None:
    assert judge(Facts(orders=1, days_since=days), RULES).r == score


@pytest.mark.parametrize(("orders", "score"), [(0, 1), (1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (8, 5), (99, 5)])
def test_frequency_rises_with_orders(orders: int, score: int) -> None:
    assert judge(Facts(orders=orders, days_since=0, window_orders=orders), RULES).f == score


@pytest.mark.parametrize(("old", "new", "said"), [
    ("orders_month = { min = 3 }", "followers = { min = 3 }", "there is no fact followers"),
    ("referred_buyers = { min = 2 }", "referred_buyers = { least = 2 }", "knows only min and max"),
    ("orders = { min = 1, max = 1 }", "orders = { min = 2, max = 1 }", "can never hold"),
    ("frequency = [2, 3, 5, 8]", "frequency = [2, 3, 3, 8]", "rfm.frequency"),
    ('key = "vip"', 'key = "dormant"', "stands twice"),
    ("window_days = 365", "window_days = 0", "window_days"),
    ("when = { orders = { max = 0 } }", "when = {}", "everybody's"),
    ("[rfm]", "[rfm", ""), ("window_days = 365", 'window_days = "365"', "window_days"),
])
def test_faults_are_named(old: str, new: str, said: str) -> None:
    assert old in SHIPPED
    with pytest.raises(DomainError, match="segments_invalid") as refused:
        load(SHIPPED.replace(old, new))
    assert any(said in fault for fault in refused.value.facts["faults"])
