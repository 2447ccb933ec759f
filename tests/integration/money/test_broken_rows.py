"""No row that breaks a rule of orders, lines or commissions gets in, whoever writes it: each rule by its name."""

import json
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from tests.integration.money.test_steps import busy
from tests.integration.money.world import Shop

__all__ = ["busy"]

SOON, LATER = "2026-11-20T02:00:00Z", "2026-11-21T02:00:00Z"
BROKEN: dict[str, dict[str, list[dict[str, Any]]]] = {
    "customer_order": {
        "money": [{"paid_fen": -1, "refunded_fen": 0}, {"shipping_fen": -1}],
        "refunded": [{"refunded_fen": -1}, {"paid_fen": 5, "refunded_fen": 6}],
        "currency": [{"currency": "USD"}],
        "card": [{"card_fen": -1, "card_paid_fen": 1}, {"card_fen": 2, "card_paid_fen": 1},
                 {"paid_fen": 5, "refunded_fen": 0, "card_fen": 0, "card_paid_fen": 6}],
    },
    "order_line": {
        "money": [{"paid_fen": -1, "refunded_fen": 0}, {"quantity": 0, "refunded_quantity": 0}],
        "refunded": [{"refunded_fen": -1}, {"paid_fen": 5, "refunded_fen": 6}, {"refunded_quantity": -1},
                     {"quantity": 1, "refunded_quantity": 2}],
    },
    "commission_line": {
        "level": [{"level": 0}, {"level": 4}],
        "rate": [{"rate_bps": -1}, {"rate_bps": 10_001}],
        "amount": [{"amount_fen": 0, "clawed_fen": 0}, {"amount_fen": 6, "uncut_fen": 5, "clawed_fen": 0}],
        "clawed": [{"clawed_fen": -1}, {"amount_fen": 5, "uncut_fen": 5, "clawed_fen": 6}],
        "factors": [{"rule_bps": -1}, {"phase_bps": -1}, {"boost_bps": 9_999}],
        "held": [{"held_at": SOON, "released_at": LATER}],
        "confiscated": [
            {"held_at": None, "confiscated_at": LATER, "amount_fen": 5, "uncut_fen": 5, "clawed_fen": 4},
            {"held_at": SOON, "released_at": None, "confiscated_at": LATER, "amount_fen": 5, "uncut_fen": 5,
             "clawed_fen": 5}],
    },
}
ANOTHER = {"customer_order": {"id": 987_654, "order_no": "another"}, "order_line": {"n": 987, "line_id": "another"},
           "commission_line": {"id": 987_654, "n": 987}}
"""What makes a row of each table another one."""
LEAST = {"customer_order": "id", "order_line": "order_id, n", "commission_line": "id"}


def write_another(shop: Shop, table: str, changes: dict[str, Any]) -> None:
    """A row like the table's first one, but for its key and ``changes``; taken back at once."""
    with shop.engine.connect() as db:
        another(db, table, changes)


def another(db: Connection, table: str, changes: dict[str, Any]) -> None:
    known = db.execute(text(f"select to_jsonb(r) from {table} r order by {LEAST[table]} limit 1")).scalar_one()
    db.execute(text(f"insert into {table} overriding system value"
                    f" select * from jsonb_populate_record(null::{table}, cast(:row as jsonb))"),
               {"row": json.dumps(known | ANOTHER[table] | changes)})


@pytest.mark.parametrize("table", BROKEN)
def test_no_row_breaks_a_rule(busy: Shop, table: str) -> None:
    told: dict[str, set[str | None]] = {}
    for rule, rows in BROKEN[table].items():
        for changes in rows:
            with pytest.raises(DBAPIError) as refusal:
                write_another(busy, table, changes)
            fault = refusal.value.orig
            assert isinstance(fault, psycopg.errors.CheckViolation), (changes, fault)
            assert fault.diag.table_name == table
            told.setdefault(rule, set()).add(fault.diag.constraint_name)
    assert told == {rule: {f"ck_{table}_{rule}"} for rule in BROKEN[table]}


def test_a_row_that_breaks_none_is_written(busy: Shop) -> None:
    write_another(busy, "customer_order", {"card_fen": None, "card_paid_fen": None})
    write_another(busy, "order_line", {})


@pytest.mark.parametrize(("table", "change"), [
    ("customer_order", "refunded_fen = paid_fen + 1"), ("order_line", "refunded_quantity = quantity + 1"),
    ("commission_line", "clawed_fen = amount_fen + 1"),
])
def test_no_change_breaks_a_rule(busy: Shop, table: str, change: str) -> None:
    with pytest.raises(DBAPIError) as refusal, busy.engine.connect() as db:
        db.execute(text(f"update {table} set {change}"))
    assert isinstance(refusal.value.orig, psycopg.errors.CheckViolation)


@pytest.mark.parametrize("table", BROKEN)
def test_each_rule_is_declared_and_kept_by_an_index_that_is_whole(busy: Shop, table: str) -> None:
    with busy.engine.connect() as db:
        declared = set(db.execute(text(
            "select conname from pg_constraint where conrelid = cast(:table as regclass) and contype = 'c'"
            " and not conenforced"), {"table": table}).scalars())
        assert declared == {f"ck_{table}_{rule}" for rule in BROKEN[table]}
        assert db.execute(text(
            "select i.indisvalid and i.indisready from pg_index i"
            " where i.indexrelid = cast(:name as regclass)"),
            {"name": f"ix_{table}_broken"}).scalar()


@pytest.mark.parametrize("table", BROKEN)
def test_what_is_declared_says_what_is_kept(busy: Shop, table: str) -> None:
    """Enforced again, each rule refuses the rows that its index refuses."""
    with busy.engine.connect() as db:
        db.execute(text(f"drop index ix_{table}_broken"))
        for rule, text_of_it in db.execute(text(
                "select conname, pg_get_expr(conbin, conrelid) from pg_constraint"
                " where conrelid = cast(:table as regclass) and contype = 'c'"), {"table": table}).all():
            db.execute(text(f"alter table {table} drop constraint {rule},"
                            f" add constraint {rule} check ({text_of_it}) not valid"))
        for rule, rows in BROKEN[table].items():
            for changes in rows:
                with pytest.raises(DBAPIError) as refusal, db.begin_nested():
                    another(db, table, changes)
                assert refusal.value.orig.diag.constraint_name == f"ck_{table}_{rule}"  # type: ignore[union-attr]
