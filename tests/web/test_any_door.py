"""Every address of the service, called as nobody should: another method, odd values in its place. No fault of ours, and
a machine of the shop is told in the one shape of the API."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from werkzeug.routing import Rule

from domain.shared.clock import FixedClock
from tests.fakes.frozen import Frozen
from tests.fakes.shop import Shop

ODD = ("\x00", "\ud800", "9" * 400, "..", "' or 1=1 --", "a/b")
QUERY = "?q=%00&cursor=%ED%A0%80&limit=-1&t=" + "x" * 20_000


@pytest.fixture
def shop(tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with new_shop.shop(tmp_path, clock) as shop:
        yield shop


def filled(rule: Rule, value: str) -> str:
    path = rule.rule
    for _ in rule.arguments:
        path = path[:path.index("<")] + quote(value, safe="", errors="surrogatepass") + path[path.index(">") + 1:]
    return path


def test_no_address_takes_what_it_does_not_know_for_a_fault_of_ours(shop: Shop) -> None:
    rules = list(shop.client.application.url_map.iter_rules())
    for rule in rules:
        for value in ODD if rule.arguments else ("",):
            for method in rule.methods or ():
                answer = shop.client.open(filled(rule, value) + QUERY, method=method)
                assert answer.status_code < 500, (rule.rule, method, value, answer.text)
    assert len(rules) > 100


def test_another_method_is_told_which_there_are_and_a_machine_in_one_shape(shop: Shop) -> None:
    for rule in shop.client.application.url_map.iter_rules():
        answer = shop.client.patch(filled(rule, "x"))
        # An address with a number in it is none with "x" there.
        assert answer.status_code == 404 if "<int:" in rule.rule else answer.status_code == 405, rule.rule
        assert answer.status_code == 404 or answer.headers["Allow"], rule.rule
        if rule.rule.startswith("/api/"):
            assert set(answer.get_json()["error"]) == {"code", "message", "faults"}, rule.rule
    for path in ("/api/v1/nothing", "/api/v1/people/abc"):
        nothing = shop.client.get(path)
        assert (nothing.status_code, nothing.get_json()) == (404, {"error": {
            "code": "not_found", "message": "There is nothing at this address.", "faults": []}})
