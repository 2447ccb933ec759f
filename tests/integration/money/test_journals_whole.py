"""Journals and their postings come to the database as two lists: what does not belong together is refused whole."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.ledger.rules import JOURNALS, POSTINGS
from domain.shared.rows import NULL
from tests.integration.money.world import Shop

AT = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
POST = text("select ledger_post(:at, cast(:journals as new_journal[]), cast(:postings as new_posting[]))")
APART: dict[str, list[tuple[object, int]]] = {
    "behind the last journal": [(1, 1), (2, 1), (3, 1)],
    "before the first": [(1, 1), (2, 1), (0, 2)],
    "of no journal": [(1, 1), (2, 1), (NULL, 2)],
    "a journal without any": [(1, 1), (1, 2)],
    "a journal that begins in the middle": [(1, 1), (2, 2)],
    "one journal's twice": [(1, 1), (1, 1)],
    "none at all": [],
}


def post(shop: Shop, places: list[tuple[object, int]]) -> int:
    """Two journals, with postings at these (journal, n)."""
    li = shop.people["李姐"]
    journals = JOURNALS.array([(f"key{n}", "digest", "test", AT, "test", n, "", "", NULL, NULL) for n in (1, 2)])
    postings = POSTINGS.array([
        (journal, n, NULL, "expense.direct", li, "available", "CNY", 5) for journal, n in places])
    with shop.sessions.begin() as session:
        return int(session.execute(POST, {"at": AT, "journals": journals, "postings": postings}).scalar_one())


@pytest.mark.parametrize("how", sorted(APART))
def test_what_does_not_belong_together_is_refused_whole(shop: Shop, how: str) -> None:
    with pytest.raises(DBAPIError):
        post(shop, APART[how])
    assert shop.rows("select count(*) from journal") == [(0,)]
    assert post(shop, [(1, 1), (2, 1), (2, 2)]) == 2, "the keys are free"
    assert shop.money("李姐") == (0, 15, 0)
    assert post(shop, [(1, 1), (2, 1), (2, 2)]) == 0


def test_the_platform_is_nobody_with_a_number(shop: Shop) -> None:
    journals = JOURNALS.array([("key", "digest", "test", AT, "test", 1, "", "", NULL, NULL)])
    postings = POSTINGS.array([(1, 1, 0, "expense.direct", shop.people["李姐"], "pending", "CNY", 5)])
    with pytest.raises(DBAPIError), shop.sessions.begin() as session:
        session.execute(POST, {"at": AT, "journals": journals, "postings": postings})
    assert shop.rows("select count(*) from journal") == [(0,)]
