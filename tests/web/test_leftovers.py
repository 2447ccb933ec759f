"""Whoever is refused before their whole body was read still gets the answer: the rest is taken off the line."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.runtime.leftovers import MOST_BYTES
from domain.shared.clock import FixedClock
from tests.fakes.frozen import Frozen
from tests.fakes.shop import Shop


@pytest.fixture
def shop(tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with new_shop.shop(tmp_path, clock) as shop:
        yield shop


def post(shop: Shop, path: str, body: bytes, **environ: Any) -> tuple[int, int]:
    """The status, and how much of the body was read when it was said."""
    line = io.BytesIO(body)
    overrides = {"wsgi.input": line, "wsgi.input_terminated": True, "CONTENT_LENGTH": str(len(body)), **environ}
    return shop.client.post(path, environ_overrides=overrides).status_code, line.tell()


@pytest.mark.parametrize(("path", "size", "status"), [
    ("/api/v1/events/mall", 1024 * 1024 + 1, 413), ("/wechat/demo", 70_000, 413), ("/wecom/main", 70_000, 413),
    ("/pay/main/notify", 70_000, 413), ("/wechat/nobody", 300_000, 404), ("/nothing", 300_000, 404),
    ("/api/v1/coupons/C1/redeem", 300_000, 401), ("/api/docs", 300_000, 405),
])
def test_a_body_that_nobody_wants_is_still_read(shop: Shop, path: str, size: int, status: int) -> None:
    assert post(shop, path, b"x" * size) == (status, size)


def test_a_body_without_a_length_is_read_as_far_as_patience_goes(shop: Shop) -> None:
    assert post(shop, "/wechat/demo", b"x" * (MOST_BYTES + 2**20), CONTENT_LENGTH="")[0] == 413
    status, given = post(shop, "/nothing", b"x" * (MOST_BYTES + 2**20), CONTENT_LENGTH="")
    assert status == 404
    assert given == MOST_BYTES


def test_nobody_waits_for_whoever_announces_too_much(shop: Shop) -> None:
    assert post(shop, "/api/v1/events/mall", b"x" * (MOST_BYTES + 1)) == (413, 0)


def test_where_the_server_does_not_know_a_bodys_end_nothing_more_is_read(shop: Shop) -> None:
    """It could wait for ever."""
    assert post(shop, "/wechat/demo", b"x" * 70_000, **{"wsgi.input_terminated": False}) == (413, 0)
