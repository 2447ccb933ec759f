"""Databases that outlive a test: put back as they were, with warm connections, instead of copied and dropped.

A new database knows nothing: its first connections read the whole catalogue again and plan every statement again,
which, with copying and dropping it, cost a third of what PostgreSQL did for a dialogue. So a database is lent to one
test at a time, and what the test wrote is put back by a keeper, who remembers every row.

Nothing is guessed: where somebody is still connected or holds a lock, where the schema is not what it was, or where
putting back fails for whatever reason, the database is thrown away and the next test gets a copy as ever.
"""

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import text

from bot.runtime import embedded
from tests import engines

PATIENCE_SECONDS = 0.1
"""For connections that were closed just now: their processes take a moment to go."""

_numbers = itertools.count(1)
_free: dict[tuple[str, str], list["Standing"]] = {}
"""By server and template: databases that nobody uses."""


class Unfit(Exception):
    """This database cannot be put back."""


OURS = "select oid from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'"
"""``public``, and what the simulator has made for itself where a story was told through it."""
TABLES = f"""select c.oid::bigint, c.relnamespace::regnamespace::text, c.relname,
    array_agg(a.attname order by a.attnum) filter (where a.attgenerated = '')
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind = 'r' and c.relnamespace in ({OURS}) group by c.oid order by c.oid"""
SEQUENCES = f"""select oid::bigint, relnamespace::regnamespace::text, relname from pg_class
    where relkind = 'S' and relnamespace in ({OURS}) order by oid"""
SCHEMA = f"""select
    (select (count(*), max(xmin::text::bigint)) from pg_class where relnamespace in ({OURS}))::text,
    (select (count(*), max(xmin::text::bigint)) from pg_proc where pronamespace in ({OURS}))::text,
    (select (count(*), max(xmin::text::bigint)) from pg_trigger)::text,
    (select (count(*), max(xmin::text::bigint)) from pg_constraint)::text,
    (select (count(*), max(xmin::text::bigint)) from pg_index)::text,
    (select count(*) from pg_namespace where nspname !~ '^pg_(toast_)?temp')::text,
    (select (count(*), max(xmin::text::bigint)) from pg_db_role_setting)::text"""
OTHERS = """select a.pid, a.state, exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'advisory')
    from pg_stat_activity a where a.datname = current_database() and a.backend_type = 'client backend'
    and a.pid <> pg_backend_pid()"""


class Standing:
    """A copy of ``template`` and its keeper: a connection of its own that no trigger and no foreign key answers.

    What the tables held is kept here. Tests write to a few tables out of two hundred: which, is told by the number of
    rows and the newest transaction that wrote one.
    """

    def __init__(self, postgres: embedded.Server, template: str) -> None:
        self._postgres = postgres
        self.name = f"s{os.getpid()}_{next(_numbers)}"
        with administrator(postgres) as db:
            db.execute(text(f"create database {self.name} template {template} strategy file_copy"))
        self.url = postgres.url.replace("/huitou?", f"/{self.name}?")
        self._keeper = psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True,
                                       options="-c session_replication_role=replica -c lock_timeout=2s")
        self._keeper.prepared_max = None
        tables = self._keeper.execute(TABLES).fetchall()
        self._tables = [(sql.Identifier(schema, name), sql.SQL(", ").join(map(sql.Identifier, columns)))
                        for _, schema, name, columns in tables]
        self._places = {number: place for place, (number, *_) in enumerate(tables)}
        sequences = self._keeper.execute(SEQUENCES).fetchall()
        self._sequences = [self._how_to_set(*name) for _, *name in sequences]
        self._question = self._what_to_look_at([number for number, *_ in sequences])
        self._seen, self._schema = self._look(), self._ask(SCHEMA)
        self._held = [self._copied(place) if rows else b"" for place, (rows, _) in enumerate(self._seen[0])]

    def put_back(self) -> None:
        """Everything as it was. Raises Unfit, or what PostgreSQL refuses."""
        self._alone()
        if self._ask(SCHEMA) != self._schema:
            raise Unfit("the schema is another")
        (tables, sequences), (now_tables, now_sequences) = self._seen, self._look()
        written = [place for place, (was, now) in enumerate(zip(tables, now_tables, strict=True)) if was != now]
        with self._keeper.transaction():
            with self._keeper.pipeline():
                for place in written:
                    self._keeper.execute(sql.SQL("delete from {}").format(self._tables[place][0]), prepare=True)
                for set_back, was, now in zip(self._sequences, sequences, now_sequences, strict=True):
                    if was != now:
                        self._keeper.execute("select setval(%s::regclass, %s, %s)", set_back, prepare=True)
            for place in written:
                if self._held[place]:
                    self._paste(place)
        self._seen = self._look()
        if [rows for rows, _ in self._seen[0]] != [rows for rows, _ in tables] or self._seen[1] != sequences:
            raise Unfit("not what it was")

    def _copied(self, place: int) -> bytes:
        """All rows of a table, as COPY writes them."""
        question = sql.SQL("copy (select {1} from {0}) to stdout (format binary)").format(*self._tables[place])
        with self._keeper.cursor() as cursor, cursor.copy(question) as copy:
            return b"".join(copy)

    def _paste(self, place: int) -> None:
        order = sql.SQL("copy {} ({}) from stdin (format binary)").format(*self._tables[place])
        with self._keeper.cursor() as cursor, cursor.copy(order) as copy:
            copy.write(self._held[place])

    def _how_to_set(self, schema: str, sequence: str) -> tuple[str, int, bool]:
        """What makes the sequence what it is now."""
        name = sql.Identifier(schema, sequence)
        last, called = self._ask(sql.SQL("select last_value, is_called from {}").format(name))
        return name.as_string(), last, called

    def _what_to_look_at(self, sequences: list[int]) -> bytes:
        """One scan over all tables: a question to each of them took four times as long."""
        rows = sql.SQL(" union all ").join(sql.SQL("select tableoid, xmin from {}").format(table)
                                           for table, _ in self._tables)
        asked = sql.SQL("""select
            (select array_agg(array[number, rows, newest]) from (
                select tableoid::bigint as number, count(*) as rows, max(xmin::text::bigint) as newest
                from ({}) one group by 1) found),
            (select array_agg(pg_sequence_last_value(number)) from unnest({}::oid[]) number)""")
        return asked.format(rows, sql.Literal(sequences)).as_string().encode()

    def _look(self) -> tuple[list[tuple[int, int]], list[int | None]]:
        """(rows, newest transaction) of every table, and the last value of every sequence that was asked for one."""
        tables, sequences = self._ask(self._question)
        found = [(0, 0)] * len(self._tables)
        for number, rows, newest in tables or ():
            found[self._places[number]] = (rows, newest)
        return found, sequences

    def _ask(self, question: Any) -> Any:
        return self._keeper.execute(question, prepare=True).fetchone()

    def _alone(self) -> None:
        """Nobody is connected but those whom the next test finds in its pool, and they do nothing."""
        pooled = engines.kept_at(self.name)
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = self._keeper.execute(OTHERS, prepare=True).fetchall()
            if {pid for pid, _, _ in found} == pooled:
                break
            if time.monotonic() > until:
                raise Unfit("somebody is connected, or somebody no longer is")
            time.sleep(0.002)
        if any(state != "idle" or locked for _, state, locked in found):
            raise Unfit("somebody is in the middle of something")

    def drop(self) -> None:
        engines.forget(self.name)
        self._keeper.close()
        with administrator(self._postgres) as db:
            db.execute(text(f"drop database if exists {self.name} with (force)"))


@contextmanager
def lent(postgres: embedded.Server, template: str) -> Iterator[str]:
    """The URL of a database as ``template`` is, for one test."""
    free = _free.setdefault((postgres.url, template), [])
    standing = free.pop() if free else Standing(postgres, template)
    engines.keep_at(standing.name)
    yield standing.url
    try:
        standing.put_back()
    except (Unfit, psycopg.Error):
        standing.drop()
    else:
        free.append(standing)


def drop(postgres: embedded.Server, template: str) -> None:
    """The copies of this template go."""
    for standing in _free.pop((postgres.url, template), []):
        standing.drop()


def drop_all(postgres: embedded.Server) -> None:
    """Before the server stops."""
    for url, template in list(_free):
        if url == postgres.url:
            drop(postgres, template)


def empty(postgres: embedded.Server, database: str) -> None:
    """Whoever is still connected, such as a simulator, is put out: what shall be copied must have nobody in it."""
    with administrator(postgres) as db:
        db.execute(text("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = :name"),
                   {"name": database})


@contextmanager
def administrator(postgres: embedded.Server) -> Iterator[Any]:
    """Whoever makes and drops databases."""
    url = postgres.url.replace("/huitou?", "/postgres?")
    with engines.lent(url, engines.administrator) as engine, engine.connect() as db:
        yield db
