"""Of what becomes a debt, how much lies in withdrawals that have not arrived: it is called back, and told so once."""

from collections.abc import Callable, Iterator

import pytest

from domain.ledger import queries, service
from domain.ledger.rules import Entry, Move, Side, person, platform
from tests.integration.money.world import Shop

Owes = Callable[[int], None]
Asked = Callable[..., list[int]]
EXPENSE = platform("expense.direct")


@pytest.fixture
def books(shop: Shop) -> Iterator[tuple[Owes, Asked]]:
    """李姐 has 1.00 on its way to her, of a withdrawal that nobody else knows, so nothing of it is committed. How she
    comes to owe more, and what is said of (person, fen) that is about to be a debt."""
    with shop.sessions() as session:
        def book(debit: Side, credit: Side, fen: int) -> None:
            now, keys = shop.clock.now(), session.connection().exec_driver_sql("select count(*) from journal")
            service.post(session, [Entry(f"k{keys.scalar()}", "test", now, "test", 1, "",
                                         (Move(debit, credit, fen),))], now)

        book(EXPENSE, person(shop.people["李姐"], "held"), 100)
        yield (lambda fen: book(person(shop.people["李姐"], "debt"), EXPENSE, fen),
               lambda *debts: queries.under_way(session, [(shop.people[name], fen) for name, fen in debts]))
        session.rollback()


def test_what_repays_one_debt_repays_no_other(books: tuple[Owes, Asked]) -> None:
    _, asked = books
    assert asked(("李姐", 80), ("小王", 80), ("李姐", 80), ("李姐", 80)) == [80, 0, 20, 0]
    assert asked(("李姐", 100)) == [100]
    assert asked() == []


def test_what_repays_an_older_debt_repays_no_new_one(books: tuple[Owes, Asked]) -> None:
    owes, asked = books
    owes(70)
    assert asked(("李姐", 20), ("李姐", 20)) == [20, 10]
    owes(70)
    assert asked(("李姐", 20)) == [0], "more is owed than is under way"
