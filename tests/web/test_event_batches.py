"""Whatever comes in whatever batches: what is new, known and contradicting is told apart as one by one."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from domain.orders.service import row_of
from domain.shared.seal import Seal
from handlers.web.api import bodies
from handlers.web.api.event_door import AHEAD, read_events, read_rows
from handlers.web.api.problems import Refusal
from tests.examples import examples
from tests.unit.money.test_quick import GOOD, JUNK, changed, places
from tests.web.mall import PEPPER, Mall

SEAL = Seal(PEPPER)
WAYS = list(places(GOOD))
CHANGED = st.builds(changed, st.sampled_from(WAYS), st.sampled_from(JUNK))
PLAIN = st.sampled_from([("data", name) for name in ("share_code", "region", "shipping_fen", "risk")]).map(changed)
EVENT = st.one_of(st.just(GOOD), PLAIN, CHANGED)
CONTENT = st.integers(0, 2)
BATCH = st.one_of(
    st.lists(st.tuples(st.integers(0, 5), CONTENT), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(6, 60), CONTENT), min_size=10, max_size=14, unique_by=lambda one: one[0]))
"""Of few ids again and again, or so many at once that they are kept as one batch, some of them known."""
ONE = json.dumps(GOOD).encode()
SERIES = itertools.count(1)


def told(body: bytes, mall: Mall, *, quick: bool) -> Any:
    """The rows of a body, or every fault of it; without ``quick`` by ``parse_event`` alone."""
    latest = mall.clock.now() + AHEAD
    try:
        if quick:
            return read_rows(body, SEAL, latest)
        return [row_of(event) for event in read_events(bodies.json_object(body), SEAL, latest)]
    except Refusal as refusal:
        return refusal.status, refusal.message, refusal.faults


@examples(100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENT, min_size=1, max_size=4))
def test_a_batch_is_read_the_same_on_both_ways(closed: Mall, events: list[dict[str, Any]]) -> None:
    body = json.dumps({"events": events}).encode()
    assert told(body, closed, quick=True) == told(body, closed, quick=False)


@pytest.mark.parametrize(("body", "answer"), [
    (b'{"events":[%b]}', 1), (b'{"events": [%b]}', 1), (b'{"events": [%b] }', 1), (b' {"events":[%b,%b]}', 2),
    (b'{"events":[%b],"x":[]}', 1), (b'{"x":[],"events":[%b]}', 1), (b'{"events":[%b]}\n', 1),
    (b'{"events":[%b],"events":[%b]}', 422), (b'{"events": [%b],"\\u0065vents":[%b]}', 422),
    (b'{"events":[%b],"x":1,"x":[1]}', 422), (b'{"events":[%b]]}', 422), (b'{"events":[%b],]}', 422),
    (b'{"events":[]}', 422), (b'{"events":[%b]', 422), (b'{"events":[%b]}]}', 422), (b'{"events":[[%b]]}', 422),
])
def test_a_list_alone_is_read_the_same_on_both_ways(closed: Mall, body: bytes, answer: int) -> None:
    body = body.replace(b"%b", ONE)
    found = told(body, closed, quick=True)
    assert found == told(body, closed, quick=False)
    assert (found[0] if isinstance(found, tuple) else len(found)) == answer


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(BATCH, min_size=1, max_size=12))
def test_batches_are_counted_as_a_book_of_ids_would(mall: Mall, batches: list[list[tuple[int, int]]]) -> None:
    """A batch tells which ids come with which content: mostly the same one, in batches before and twice in one."""
    series = next(SERIES)
    known: dict[str, str] = {}
    for batch in batches:
        contents = [(f"{series}-{number}", f"A{max(0, content - 1)}") for number, content in batch]
        now, rings = dict(known), len(mall.rings)
        clashes = {name for name, content in contents if now.setdefault(name, content) != content}
        answer = mall.send({"events": [mall.paid(content, "u1") | {"id": name} for name, content in contents]})
        if clashes:
            assert answer.status_code == 409
            assert answer.get_json()["error"]["message"].endswith(": " + ", ".join(sorted(clashes)))
        else:
            fresh = len(now) - len(known)
            assert answer.get_json() == {"accepted": fresh, "duplicate": len(contents) - fresh}
            assert len(mall.rings) - rings == (fresh > 0)
            known = now
        assert stored(mall, series) == known


def stored(mall: Mall, series: int) -> dict[str, str]:
    """What is in the inbox, each event of which is open: by its id, the order that it is about."""
    with mall.engine.connect() as db:
        found = db.execute(text("""
            select e.event_id, e.payload ->> 'order_id' as order_no
              from commerce_event e join commerce_event_now n on n.id = e.id
             where n.state = 'new' and e.event_id like :mine"""), {"mine": f"{series}-%"})
        return {row.event_id: row.order_no for row in found}
