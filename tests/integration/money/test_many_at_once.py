"""What a month close writes by thousands is booked and refused as single rows are."""

from dataclasses import dataclass

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.ledger.rules import Entry, Move, person, platform
from tests.conftest import MORNING
from tests.integration.money.world import Shop

EARN = text("""
    select ledger_earn(array['settlement.ladder', 'settlement.team'], array['expense.ladder', 'expense.team'],
                       cast(:keys as text[]), cast(:places as bigint[]), cast(:sources as bigint[]),
                       cast(:owners as bigint[]), cast(:fens as bigint[]), 'test', '2026-11', :now, :now)""")
MANY = 1_200
"""Far more than FEW."""
FEW = 400
"""From so many postings of a statement on their references are read in one stretch."""
ALONE = 9
"""From so many on each key is one look along its index, where fewer are looked up one by one."""


def earn(shop: Shop, *rows: tuple[str, int, int, str, int]) -> int:
    """Book rows of key, place of the kind, source, whose, fen."""
    keys, places, sources, names, fens = (list(column) for column in zip(*rows, strict=True))
    asked = {"keys": keys, "places": places, "sources": sources, "owners": [shop.people[name] for name in names],
             "fens": fens, "now": MORNING}
    with shop.sessions.begin() as session:
        return int(session.execute(EARN, asked).scalar_one())


def test_what_many_earn_at_once_is_booked_as_single_entries_are(shop: Shop) -> None:
    assert [earn(shop, ("k1", 1, 7, "李姐", 500)) for _ in range(2)] == [1, 0]
    move = Move(platform("expense.ladder"), person(shop.people["李姐"], "pending"), 500)
    same = Entry("k1", "settlement.ladder", MORNING, "test", 7, "2026-11", (move,))
    assert shop.rows("select digest from journal where idem = 'k1'") == [(same.digest,)]
    with pytest.raises(DBAPIError, match="k1 is already booked with other content"):
        earn(shop, ("k1", 1, 7, "李姐", 501))


def test_only_what_is_new_of_many_is_booked(shop: Shop) -> None:
    earn(shop, ("k1", 1, 7, "李姐", 500))
    three = (("k3", 2, 9, "小王", 30), ("k1", 1, 7, "李姐", 500), ("k2", 1, 8, "李姐", 2))
    assert [earn(shop, *three) for _ in range(2)] == [2, 0]
    assert (shop.money("李姐")[0], shop.money("小王")[0]) == (502, 30)
    with pytest.raises(DBAPIError, match="k2 is already booked with other content"):
        earn(shop, ("k4", 1, 10, "小王", 1), ("k2", 2, 8, "李姐", 2))
    assert shop.rows("select idem, j.kind, a.kind from journal j join posting on journal_id = j.id"
                     " join account a on a.id = debit order by 1") == [
        ("k1", "settlement.ladder", "expense.ladder"), ("k2", "settlement.ladder", "expense.ladder"),
        ("k3", "settlement.team", "expense.team")]


def test_a_key_that_comes_twice_in_one_call_is_refused(shop: Shop) -> None:
    with pytest.raises(DBAPIError, match="uq_journal_idem"):
        earn(shop, ("k1", 1, 7, "李姐", 500), ("k1", 1, 7, "李姐", 500))
    assert shop.rows("select count(*) from journal") == [(0,)]


def test_who_never_had_money_gets_an_account(shop: Shop) -> None:
    somebody = shop.person("新来的")
    assert earn(shop, ("k1", 1, 7, "新来的", 5), ("k2", 2, 8, "新来的", 6), ("k3", 1, 9, "李姐", 7)) == 3
    assert shop.rows("select kind, amount, seq from account join balance on account_id = id where owner_id = :one",
                     one=somebody) == [("pending", 11, 1)]


JOURNALS = """
    insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id)
    select 'many' || n, 'x', 'x', now(), now(), 'many', n from generate_series(1, :many) n
"""
POSTINGS = """
    insert into posting (journal_id, n, debit, credit, currency, amount)
    select case when {odd} then {journal} else j.id end, 1, case when {odd} then {debit} else 4 end,
           case when {odd} then {credit} else a.id end, case when {odd} then '{currency}' else 'CNY' end, 1
      from (select id, row_number() over (order by id) as place from journal where source_type = 'many') j
     cross join (select id from account where owner_id is not null and kind = 'pending') a
"""


@dataclass(frozen=True)
class Odd:
    """What is odd in one posting of many, and the key that says so."""

    key: str
    journal: str = "j.id"
    debit: str = "4"
    credit: str = "a.id"
    currency: str = "CNY"


ODDS = {
    "a journal close to the others": Odd("fk_posting_journal_id", journal="(select max(id) + 50 from journal)"),
    "a journal far away": Odd("fk_posting_journal_id", journal="987654321"),
    "a debit that is nobody's": Odd("fk_posting_debit_currency", debit="987"),
    "a credit that is nobody's": Odd("fk_posting_credit_currency", credit="a.id + 50"),
    "a credit far away": Odd("fk_posting_credit_currency", credit="987654321"),
    "another currency": Odd("fk_posting_debit_currency", currency="PTS"),
    "another currency of the credit": Odd("fk_posting_credit_currency", debit="40", currency="PTS"),
}


def post_many(shop: Shop, odd: Odd, place: int, many: int = MANY) -> int:
    """Write a posting for each of many journals, odd at one place (0: at none), and leave them; how many there were."""
    earn(shop, ("k1", 1, 7, "李姐", 500))
    asked = POSTINGS.format(odd=f"j.place = {place}", journal=odd.journal, debit=odd.debit, credit=odd.credit,
                            currency=odd.currency)
    with shop.sessions() as session:
        session.execute(text(JOURNALS), {"many": many})
        session.execute(text(asked))
        return int(session.execute(text("select count(*) from posting")).scalar_one())


@pytest.mark.parametrize("place", (1, MANY))
@pytest.mark.parametrize("how", sorted(ODDS))
def test_one_odd_posting_of_many_is_refused(shop: Shop, how: str, place: int) -> None:
    with pytest.raises(DBAPIError) as refused:
        post_many(shop, ODDS[how], place)
    fault = refused.value.orig
    assert (fault.sqlstate, fault.diag.constraint_name) == ("23503", ODDS[how].key)  # type: ignore[union-attr]


AROUND = [(few - 1, few - 1) for few in (ALONE, FEW)] + [(few, few) for few in (ALONE, FEW)] + [
    (place, few + 1) for few in (ALONE, FEW) for place in (few, few + 1)]


@pytest.mark.parametrize(("place", "many"), AROUND)
@pytest.mark.parametrize("how", sorted(ODDS))
def test_one_odd_posting_is_refused_where_few_become_many(shop: Shop, how: str, place: int, many: int) -> None:
    with pytest.raises(DBAPIError) as refused:
        post_many(shop, ODDS[how], place, many)
    fault = refused.value.orig
    assert (fault.sqlstate, fault.diag.constraint_name) == ("23503", ODDS[how].key)  # type: ignore[union-attr]


@pytest.mark.parametrize("many", [1, ALONE - 1, ALONE, ALONE + 1, FEW - 1, FEW, FEW + 1, MANY])
def test_many_postings_without_an_odd_one_are_written(shop: Shop, many: int) -> None:
    assert post_many(shop, Odd(""), 0, many) == many + 1


@pytest.mark.parametrize("nobody", (0, 50, 987_654_321))
def test_one_nobody_of_many_people_is_refused(shop: Shop, nobody: int) -> None:
    with shop.sessions() as session:
        session.execute(text(f"insert into person (referral_code, joined_at)"
                             f" select 'many' || n, now() from generate_series(1, {MANY}) n"))
        volumes = text("insert into month_volume (month, person_id, direct_fen, direct_orders, team_fen)"
                       " select :month, id, 1, 1, 0 from (select id from person union all"
                       " select max(id) + cast(:nobody as bigint) from person having :nobody > 0) p")
        session.execute(volumes, {"month": "2026-10-01", "nobody": 0})
        if nobody:
            with pytest.raises(DBAPIError, match="fk_month_volume_person_id"):
                session.execute(volumes, {"month": "2026-11-01", "nobody": nobody})
            return
        assert session.execute(text("select count(*) from month_volume")).scalar_one() == MANY + len(shop.people)


@pytest.mark.parametrize("how", ("reverses", "resolves"))
def test_no_journal_undoes_one_that_is_not_there(shop: Shop, how: str) -> None:
    earn(shop, ("k1", 1, 7, "李姐", 500))
    undo = text(f"insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id, {how})"
                " values (:key, 'x', 'x', now(), now(), 'x', 1, :which)")
    [(first,)] = shop.rows("select id from journal")
    with shop.sessions() as session:
        session.execute(undo, {"key": "u1", "which": first})
        with pytest.raises(DBAPIError) as refused:
            session.execute(undo, {"key": "u2", "which": first + 50})
    fault = refused.value.orig
    assert (fault.sqlstate, fault.diag.constraint_name) == ("23503", f"fk_journal_{how}")  # type: ignore[union-attr]
