"""What the house counts is what happened, as Prometheus reads it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.shared.clock import FixedClock
from tests.fakes.frozen import Frozen
from tests.fakes.shop import Shop


@pytest.fixture
def shop(tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with new_shop.shop(tmp_path, clock) as shop:
        yield shop


def count(shop: Shop, name: str, **labels: str) -> float:
    page = shop.client.get("/metrics").get_data(as_text=True)
    for line in page.splitlines():
        if line.startswith(name) and all(f'{key}="{value}"' in line for key, value in labels.items()):
            return float(re.split(r"\s+", line)[-1])
    return 0.0


def test_events_are_counted_by_outcome_and_strangers_by_one_name(shop: Shop) -> None:
    def events(outcome: str, source: str = "mall") -> float:
        return count(shop, "huitou_commerce_events_total", source=source, outcome=outcome)

    before = events("accepted"), events("duplicate"), events("refused", "unknown")
    xin = shop.person("新客")
    shop.event("customer.upserted", {"identities": xin.identity}, event_id="twice")
    shop.event("customer.upserted", {"identities": xin.identity}, event_id="twice")
    shop.client.post("/api/v1/events/stranger", data=b"{}")
    assert (events("accepted"), events("duplicate"), events("refused", "unknown")) == (
        before[0] + 2, before[1] + 1, before[2] + 1)
    assert events("refused", "stranger") == 0


def test_messages_and_posters_are_counted(shop: Shop) -> None:
    messages = "huitou_inbox_messages_total"
    done, posters = count(shop, messages, outcome="done"), count(shop, "huitou_poster_seconds_count")
    shop.person("李姐").poster()
    assert count(shop, messages, outcome="done") == done + 2
    assert count(shop, "huitou_poster_seconds_count") == posters + 1
