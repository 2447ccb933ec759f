"""The simulator's memory: tables in schema ``sim`` of the service's PostgreSQL, made by itself at first use.

Owns the tables and the connection pool. Works with several processes and threads, and survives a restart:
nothing of the simulator's state lives in a process.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text

from bot.simulator.pay import tables as pay
from bot.simulator.wecom import tables as wecom

Row = dict[str, Any]

_SCHEMA_LOCK = 0x51_4D_00_01
_FEED_LOCK = 0x51_4D_00_02
KEPT_CALLS = 2_000
KEPT_PICTURES = 600

_TABLES = """
create schema sim;
create table sim.people (
    openid text primary key, account text not null, name text not null, position bigserial,
    following boolean not null default false, subscribed_at timestamptz, subscribe_scene text not null default '',
    qr_scene text not null default '', typing_until timestamptz, created_at timestamptz not null,
    unique (account, name));
create table sim.rights (
    openid text not null references sim.people on delete cascade, kind text not null, left_count int not null,
    until timestamptz not null, primary key (openid, kind));
create table sim.permissions (
    openid text not null references sim.people on delete cascade, template_id text not null,
    left_count int not null check (left_count >= 0), primary key (openid, template_id));
create table sim.bubbles (
    id bigserial primary key, openid text not null, chat text not null default '', side text not null,
    kind text not null, body jsonb not null, at timestamptz not null);
create index bubbles_by_person on sim.bubbles (openid, id desc);
create table sim.media (
    id text primary key, account text not null, mime text not null, content bytea not null,
    created_at timestamptz not null, expires_at timestamptz not null, position bigserial);
create table sim.tickets (
    ticket text primary key, url text not null unique, account text not null, scene text not null,
    permanent boolean not null, expires_at timestamptz, created_at timestamptz not null);
create table sim.tokens (
    token text primary key, app_id text not null, kind text not null, issued_at timestamptz not null,
    expires_at timestamptz not null, killed boolean not null default false);
create index tokens_by_app on sim.tokens (app_id, kind, issued_at desc);
create table sim.forced (app_id text not null, at timestamptz not null);
create table sim.quotas (
    app_id text not null, api text not null, day date not null, used int not null, primary key (app_id, api, day));
create table sim.clears (app_id text not null, month text not null, used int not null,
    primary key (app_id, month));
create table sim.menus (
    account text primary key, version bigserial, menu jsonb not null);
create table sim.faults (
    id bigserial primary key, api text not null, fault text not null, seconds double precision not null,
    remaining int);
create table sim.orders (
    order_id text primary key, openid text not null, position bigserial, body jsonb not null,
    created_at timestamptz not null);
create table sim.deliveries (
    id bigserial primary key, kind text not null, openid text not null, account text not null, label text not null,
    body text not null, event_id text not null, order_id text not null default '', state text not null,
    tries int not null default 0, log jsonb not null default '[]', claimed_until timestamptz not null,
    started_at timestamptz not null, at timestamptz not null);
create index deliveries_in_flight on sim.deliveries (claimed_until) where state = 'sending';
create index deliveries_by_order on sim.deliveries (order_id, id) where order_id <> '';
create table sim.calls (
    id bigserial primary key, rid text not null, openid text not null default '', api text not null,
    errcode int not null, status int not null, millis int not null, detail jsonb not null,
    started_at timestamptz not null);
create index calls_by_rid on sim.calls (rid);
""" + pay.TABLES + wecom.TABLES
VERSION = hashlib.sha256(_TABLES.encode()).hexdigest()[:16]
"""Names this layout of the tables: another one replaces them."""


class Store:
    """A small pool of connections to the tables. Build one per blueprint; it opens nothing until used."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._engine: Engine | None = None
        self._guard = threading.Lock()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction: committed at the end of the block, rolled back when it raises."""
        with self._ready().begin() as connection:
            yield connection

    def close(self) -> None:
        """Give the connections back. The next use opens new ones."""
        with self._guard:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None

    def _ready(self) -> Engine:
        with self._guard:
            if self._engine is None:
                engine = create_engine(self._url, pool_size=4, max_overflow=28, pool_pre_ping=True)
                with engine.begin() as connection:
                    _prepare(connection)
                self._engine = engine
            return self._engine


def _prepare(connection: Connection) -> None:
    """Make the tables, once for all processes. State of another version is a demo's state: it starts anew."""
    if _version(connection) == VERSION:
        return
    lock(connection, _SCHEMA_LOCK)
    if _version(connection) == VERSION:
        return
    connection.execute(text("drop schema if exists sim cascade"))
    for statement in filter(str.strip, _TABLES.split(";\n")):
        connection.execute(text(statement))
    connection.execute(text(f"comment on schema sim is '{VERSION}'"))


def _version(connection: Connection) -> str | None:
    """The version the schema carries as its comment; None if there is no schema."""
    return connection.execute(text("select obj_description(to_regnamespace('sim')::oid, 'pg_namespace')")).scalar()


def _storable(values: dict[str, Any]) -> dict[str, Any]:
    """Parameters that PostgreSQL can take: NUL and half characters, which no text there holds, become visible marks.

    Every statement with values of outside comes through here, so what is asked for so is simply not found.
    """
    return {name: value.replace("\0", "\ufffd").encode("utf-8", "replace").decode() if isinstance(value, str) else value
            for name, value in values.items()}


def rows(connection: Connection, sql: str, **values: Any) -> list[Row]:
    """All rows of a statement as dicts."""
    return [dict(row) for row in connection.execute(text(sql), _storable(values)).mappings()]


def row(connection: Connection, sql: str, **values: Any) -> Row | None:
    """The first row of a statement, or None."""
    first = connection.execute(text(sql), _storable(values)).mappings().first()
    return dict(first) if first is not None else None


def run(connection: Connection, sql: str, **values: Any) -> int:
    """Execute and say how many rows it touched."""
    return connection.execute(text(sql), _storable(values)).rowcount


def dump(value: Any) -> str:
    """JSON for a jsonb parameter. NUL cannot be stored there and becomes a visible mark."""
    return json.dumps(value, ensure_ascii=False).replace("\\u0000", "\\ufffd")


def lock(connection: Connection, key: int) -> None:
    """Wait for and hold an advisory lock until the transaction ends."""
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": key})


def lock_feed(connection: Connection) -> None:
    """Ids of bubbles must become visible in order, or a page that asks 'after id' would miss one."""
    lock(connection, _FEED_LOCK)
