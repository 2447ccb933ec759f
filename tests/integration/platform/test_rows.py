"""Rows go to the database as the text of typed arrays: what is read there is what was written here."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from domain.ledger.rules import JOURNALS, POSTINGS
from domain.shared.rows import NULL, Shape, json, maybe
from domain.workflows.desk import DEALS, FACTS, LINES, ORDERS, VERDICTS

TYPES = {"new_order": ORDERS, "new_line": LINES, "new_deal": DEALS, "new_journal": JOURNALS, "new_posting": POSTINGS,
         "new_fact": FACTS, "new_verdict": VERDICTS}
ANYTHING = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
NASTY = st.one_of(ANYTHING, st.text(st.sampled_from('"\\(){}[],\n\t\x01\x7f\u2028 \'nu0字NULL'), max_size=8))
NUMBER = st.integers(-2**63, 2**63 - 1)
DATA = st.recursive(st.one_of(st.none(), st.booleans(), NUMBER, NASTY),
                    lambda some: st.one_of(st.lists(some, max_size=3), st.dictionaries(NASTY, some, max_size=3)))


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_shape_names_the_columns_of_its_type(engine: Engine, name: str) -> None:
    with engine.connect() as db:
        columns = db.scalars(text("select a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid"
                                  " where c.relname = :name order by a.attnum"), {"name": name}).all()
    assert tuple(columns) == TYPES[name].columns


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(NASTY, NASTY, st.one_of(st.none(), NUMBER), DATA), max_size=4))
def test_texts_numbers_and_documents_arrive_as_they_are(
    engine: Engine, rows: list[tuple[str, str, int | None, object]]
) -> None:
    shape = Shape("word other n data")
    written = shape.array([(one, other, maybe(n), json(data)) for one, other, n, data in rows])
    with engine.connect() as db:
        db.execute(text("create type some_row as (word text, other text, n bigint, data jsonb)"))
        found = db.execute(text("select r.* from unnest(cast(:rows as some_row[])) r"), {"rows": written}).all()
    assert [tuple(row) for row in found] == rows


def test_instants_and_what_is_missing(engine: Engine) -> None:
    shape = Shape("n at later word")
    at = datetime(2026, 11, 20, 2, 0, 0, 5, tzinfo=UTC)
    with engine.begin() as db:
        db.execute(text("create type some_row as (n bigint, at timestamptz, later timestamptz, word text)"))
        found = db.execute(text("select r.n, r.at, r.later, r.word from unnest(cast(:rows as some_row[])) r"), {
            "rows": shape.array([(1, at, maybe(None), ""), (2, at, maybe(at), 'a "word"'), (3, at, NULL, "null")]),
        }).all()
    assert [tuple(row) for row in found] == [(1, at, None, ""), (2, at, at, 'a "word"'), (3, at, None, "null")]


def test_no_rows_are_nothing_at_all() -> None:
    assert LINES.array([]) is None
