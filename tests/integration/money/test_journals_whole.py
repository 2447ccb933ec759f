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


ODD: dict[str, tuple[object, str, str]] = {
    "the platform is nobody with a number": (0, "expense.direct", "CNY"),
    "the platform has no such account": (NULL, "expense.nothing", "CNY"),
    "the platform has none that is somebody's": (NULL, "pending", "CNY"),
    "the platform has none in that currency": (NULL, "expense.direct", "PTS"),
}


@pytest.mark.parametrize("many", [1, 8, 9, 30])
@pytest.mark.parametrize("how", sorted(ODD))
def test_an_account_that_nobody_has_is_refused_among_many(shop: Shop, how: str, many: int) -> None:
    owner, kind, currency = ODD[how]
    credit = "points" if currency == "PTS" else "pending"
    journals = JOURNALS.array([("key", "digest", "test", AT, "test", 1, "", "", NULL, NULL)])
    postings = POSTINGS.array([
        *[(1, n, NULL, "expense.direct", shop.people["李姐"], "pending", "CNY", 5) for n in range(1, many)],
        (1, many, owner, kind, shop.people["李姐"], credit, currency, 5)])
    with pytest.raises(DBAPIError), shop.sessions.begin() as session:
        session.execute(POST, {"at": AT, "journals": journals, "postings": postings})
    assert shop.rows("select count(*) from journal") == [(0,)]


@pytest.mark.parametrize("pairs", [1, 4, 5, 20])
def test_many_postings_stand_on_the_accounts_that_they_name(shop: Shop, pairs: int) -> None:
    """Of one journal: money of the platform for two people in turn, and back as another of its accounts."""
    li, wang = shop.people["李姐"], shop.people["小王"]
    given = [(li if n % 2 else wang, ("expense.direct", "expense.level2")[n % 2], n) for n in range(1, pairs + 1)]
    rows = [row for who, kind, n in given for row in (
        (1, 2 * n - 1, NULL, kind, who, "available", "CNY", 10 * n),
        (1, 2 * n, who, "available", NULL, "expense.team", "CNY", n))]
    journals = JOURNALS.array([("key", "digest", "test", AT, "test", 1, "", "", NULL, NULL)])
    with shop.sessions.begin() as session:
        session.execute(POST, {"at": AT, "journals": journals, "postings": POSTINGS.array(rows)})
    found = shop.rows("select p.n, d.owner_id, d.kind, c.owner_id, c.kind, p.amount from posting p"
                      " join account d on d.id = p.debit join account c on c.id = p.credit order by p.n")
    assert found == [(n, None if owner is NULL else owner, debit, None if other is NULL else other, credit, fen)
                     for _, n, owner, debit, other, credit, _, fen in rows]
    assert [shop.money(name)[1] for name in ("李姐", "小王")] == [
        sum(9 * n for who, _, n in given if who == one) for one in (li, wang)]
