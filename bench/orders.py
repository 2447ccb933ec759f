"""B5 and B6: orders booked, one by one and in batches of 100, against a one-row INSERT + COMMIT on the same database.

Ours is the whole way of an ``order.paid`` with two levels: claimed from the inbox, buyer resolved, upline walked, deal
struck, order, lines, commissions, journal, postings, balances and facts stored, committed. The floor is what pgbench
does: one prepared one-row INSERT, committed. The peer is django-hordak booking the same two commissions on the same
server (it knows no order, no key and no guarded balance): in B5 leg by leg as its documentation does, in B6 by
``bulk_create``, of the legs of one order a transaction and, in a row of its own, of a hundred orders a transaction.
What the rows of orders cost by themselves: bench.rows_alone.
Clients are processes, ours, the floor's and the peer's alike. Rounds alternate; figures are medians with the lowest and
the highest.
"""

import contextlib
import gc
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from bench import rows_alone, servers
from bench.client import Work
from bench.clients import Clients, waiting
from bench.figures import Round, row, taking_turns
from bot.runtime import demo_team
from domain import workflows
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.ledger import service as ledger
from domain.ledger.rules import Entry, Move, person, platform
from domain.orders import service as orders
from domain.orders.events import CommerceEvent, parse_event
from domain.people import service as people
from domain.people.rules import IdentityRef

PLANS = Path(__file__).parent.parent / "assets" / "plans"
PEPPER = b"only for the benchmark, never real"
NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
PEOPLE = 2_000
SECONDS = 1.0
FLOOR_TABLE = """
create table floor_row (id bigint generated always as identity primary key, who bigint, amount bigint, at timestamptz,
                        note text)
"""
CLIENTS = (1, 2, 4)


@dataclass
class Bench:
    """A database filled once; every measurement takes fresh orders from ``next_order``."""

    engine: Engine
    next_order: int = 1

    def __post_init__(self) -> None:
        self.sessions = sessionmaker(self.engine)
        with self.sessions.begin() as session:
            demo_team.allow_levels(session, NOW)
            commissions.ensure_plan(session, plans.load(PLANS / "two-level.toml"), NOW)
            session.execute(text(FLOOR_TABLE))
            groups = [[IdentityRef("mall_user_id", f"m{n}")] for n in range(PEOPLE)]
            found = people.resolve_many(session, groups, NOW, pepper=PEPPER)
            # Chains of three: everybody's inviter is the next person of their own trio.
            pairs = [(found[n], found[n + 1]) for n in range(PEOPLE - 1) if n % 3 != 2]
            session.execute(text(
                "insert into referral (referee_id, referrer_id, source, bound_at, protected_until, end_reason)"
                " select a, b, 'scan', :at, :at, '' from unnest(cast(:ones as bigint[]), cast(:others as bigint[])) as"
                " t (a, b)"), {"at": datetime(2026, 11, 1, tzinfo=UTC), "ones": [a for a, _ in pairs],
                               "others": [b for _, b in pairs]})
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            db.execute(text("vacuum analyze"))
        gc.collect()
        gc.freeze()  # as the workers do

    def fill(self, count: int, *, alone: bool = False) -> None:
        """Put ``count`` payments into the inbox; with ``alone`` as if each had come by itself."""
        for start in range(0, count, 500):
            events = [self._event() for _ in range(min(500, count - start))]
            with self.sessions.begin() as session:
                orders.receive(session, "bench", events, NOW)
        if alone:
            with self.sessions.begin() as session:
                session.execute(text("select events_apart(id) from commerce_batch order by id"))

    def _event(self) -> CommerceEvent:
        """The next payment; its buyer is the last of a trio, so two people earn."""
        self.next_order += 1
        n = self.next_order
        raw = {"id": f"e{n}", "type": "order.paid", "occurred_at": NOW.isoformat(), "data": {
            "order_id": f"A{n}", "channel": "mall", "currency": "CNY", "paid_at": NOW.isoformat(), "paid_fen": 9_900,
            "buyer": {"mall_user_id": f"m{n % (PEOPLE // 3) * 3}"}, "lines": [
                {"line_id": "1", "sku": "RICE-5KG", "title": "有机大米 5kg", "category": "fmcg", "quantity": 2,
                 "paid_fen": 9_900}]}}
        event = parse_event(raw)
        assert isinstance(event, CommerceEvent)
        return event

    def empty(self) -> None:
        """Settle what is left over, so that the next round starts clean."""
        while workflows.apply_events(self.sessions, NOW, PEPPER, 200):
            pass


def client(url: str) -> dict[str, Work]:
    """The ways of one client: ``floor``, ``booked`` (the inbox is filled by somebody else), ``posted``, and
    those of ``rows_alone``."""
    engine = create_engine(url, pool_size=1)
    sessions = sessionmaker(engine)
    return {"floor": floor(url), "booked": booked(sessions), "posted": posted(sessions),
            rows_alone.STRUCK: booked(sessionmaker(rows_alone.struck(engine))),
            **{name: rows_alone.work_of(url, name) for name in (rows_alone.GUARDED, rows_alone.BARE)}}


def floor(url: str) -> Work:
    """A one-row INSERT + COMMIT, prepared, over and over."""
    plain = url.replace("postgresql+psycopg://", "postgresql://")
    held: list[psycopg.Connection[Any]] = []

    def work(_batch: int, _first: int, more: Callable[[], bool]) -> int:
        if not held:
            held.append(psycopg.connect(plain, autocommit=True, prepare_threshold=0))
        db, count = held[0], 0
        while more():
            db.execute("insert into floor_row (who, amount, at, note) values (%s, %s, %s, %s)",
                       (7, 9_900, NOW, "a note of some length"), prepare=True)
            count += 1
        return count

    return work


def booked(sessions: "sessionmaker[Session]") -> Work:
    def work(batch: int, _first: int, more: Callable[[], bool]) -> int:
        count = 0
        while more():
            taken = workflows.apply_events(sessions, NOW, PEPPER, batch)
            if not taken:
                break
            count += taken
        return count

    return work


def posted(sessions: "sessionmaker[Session]") -> Work:
    """The ledger alone: two pairs an order, journals and guarded balances, in calls of ``batch`` orders."""
    owners = [n + 1 for n in range(PEOPLE)]

    def work(batch: int, first: int, more: Callable[[], bool]) -> int:
        start = first
        while more():
            entries = [
                Entry(f"bench:{n}", "commission.accrued", NOW, "bench", n, "", (
                    Move(platform("expense.direct"), person(owners[n * 7 % PEOPLE], "pending"), 792),
                    Move(platform("expense.level2"), person(owners[n * 11 % PEOPLE], "pending"), 198)))
                for n in range(first, first + batch)
            ]
            with sessions.begin() as session:
                ledger.post(session, entries, NOW)
            first += batch
        return first - start

    return work


@contextlib.contextmanager
def hordak(engine: Engine) -> Iterator[Clients | None]:
    """django-hordak in processes and a database of its own, on the same server; None when it is not installed."""
    if not servers.PEER_PYTHON.exists():
        yield None
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("create database hordak"))
    env = {"BENCH_DATABASE": "hordak", "BENCH_SOCKETS": str(engine.url.query["host"])}
    with waiting(max(CLIENTS), "bench.peers.hordak_books", "", servers.PEER_PYTHON, env) as peers:
        yield peers


@dataclass(frozen=True, slots=True)
class Kind:
    """One row: our way and the peer's, ``batch`` orders a call. So many payments (``stock``, for 1, 2, 4
    clients) are put into the inbox before: more than they book in a round."""

    row: str
    batch: int
    way: str
    peer: str
    stock: tuple[int, ...] = (0, 0, 0)


PAYMENTS, MANY_PAYMENTS = (1_200, 1_800, 2_500), (6_000, 8_000, 9_000)
ROWS = (4_000, 6_000, 7_000)
MANY_ROWS = (15_000, 22_000, 22_000)
KINDS = (
    Kind("B5", 1, "booked", "documented", PAYMENTS),
    Kind("B5 ledger alone", 1, "posted", "documented"),
    Kind("B5 struck, nothing asked", 1, rows_alone.STRUCK, "documented", PAYMENTS),
    Kind("B5 rows alone, guarded", 1, rows_alone.GUARDED, "documented", ROWS),
    Kind("B5 rows alone, unguarded", 1, rows_alone.BARE, "documented", ROWS),
    Kind("B6", 100, "booked", "bulk", MANY_PAYMENTS),
    Kind("B6 against many a transaction", 100, "booked", "many", MANY_PAYMENTS),
    Kind("B6 ledger alone", 100, "posted", "bulk"),
    Kind("B6 rows alone, guarded", 100, rows_alone.GUARDED, "bulk", MANY_ROWS),
    Kind("B6 rows alone, unguarded", 100, rows_alone.BARE, "bulk", MANY_ROWS),
)


def measure(bench: Bench, ours: Clients, peer: Clients | None, rounds: int) -> list[dict[str, Any]]:
    """One row for each kind × clients."""
    return [_measure(bench, kind, clients, ours, peer, rounds) for kind in KINDS for clients in CLIENTS]


def _measure(
    bench: Bench, kind: Kind, clients: int, ours: Clients, peer: Clients | None, rounds: int
) -> dict[str, Any]:
    def own() -> Round:
        bench.fill(kind.stock[CLIENTS.index(clients)], alone=kind.batch == 1)
        alone = kind.way in (rows_alone.GUARDED, rows_alone.BARE)
        if alone:
            rows_alone.fill(bench.engine)
        done = ours.per_second(clients, kind.way, kind.batch, SECONDS)
        if alone:
            rows_alone.empty(bench.engine)
        else:
            bench.empty()
        return {"value": done}

    sides: dict[str, Callable[[], Round]] = {
        "floor": lambda: {"value": ours.per_second(clients, "floor", 1, SECONDS)}, "ours": own}
    if peer:
        sides["peer"] = lambda: {"value": peer.per_second(clients, kind.peer, kind.batch, SECONDS)}
    own()  # connections and plans are as warm as in a worker that runs
    return row(f"{kind.row} x{clients}", "orders/s", taking_turns(sides, rounds), more_is_better=True)


def run(rounds: int = 5) -> list[dict[str, Any]]:
    """Start a database of its own (real fsync), measure, stop.

    Keys: row, ours, floor, peer, ratio_floor, ratio_peer (the peer's are None without .venv-bench), unit.
    """
    from bot.runtime import embedded
    from domain import migrations

    with servers.home() as home:
        server = embedded.start_postgres(home)
        engine = create_engine(server.url, pool_size=8)
        try:
            migrations.upgrade(engine)
            bench = Bench(engine)
            bench.fill(PEOPLE)
            bench.empty()
            rows_alone.prepare(engine)
            with waiting(max(CLIENTS), "bench.orders", server.url) as ours, hordak(engine) as peer:
                return measure(bench, ours, peer, rounds)
        finally:
            engine.dispose()
            server.stop()


if __name__ == "__main__":
    for line in run():
        print(json.dumps(line))
