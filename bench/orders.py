"""B5 and B6: orders booked, one by one and in batches of 100, against a one-row INSERT + COMMIT on the same database.

Ours is the whole way of an ``order.paid`` with two levels: claimed from the inbox, buyer resolved, upline walked, deal
struck, order, lines, commissions, journal, postings, balances and facts stored, committed. The floor is what pgbench
does: one prepared one-row INSERT, committed. The peer is django-hordak booking the same two commissions on the same
server (it knows no order, no key and no guarded balance). Rounds alternate; figures are medians with the lowest and the
highest.
"""

import contextlib
import gc
import json
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import sessionmaker

from bench import servers
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
    guard: threading.Lock = field(default_factory=threading.Lock)

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

    def fill(self, count: int) -> None:
        """Put ``count`` payments into the inbox."""
        for start in range(0, count, 500):
            events = [self._event() for _ in range(min(500, count - start))]
            with self.sessions.begin() as session:
                orders.receive(session, "bench", events, NOW)

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

    def take(self, count: int) -> int:
        """The first of ``count`` fresh numbers."""
        with self.guard:
            self.next_order += count
            return self.next_order - count

    def empty(self) -> None:
        """Settle what is left over, so that the next round starts clean."""
        while workflows.apply_events(self.sessions, NOW, PEPPER, 200):
            pass


def per_second(clients: int, work: Callable[[Callable[[], bool]], int]) -> float:
    """Run ``work(more)`` on some threads for SECONDS and return what they did a second."""
    done: list[int] = []
    start = time.perf_counter()
    end = start + SECONDS
    threads = [threading.Thread(target=lambda: done.append(work(lambda: time.perf_counter() < end)))
               for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - start)


def floor(bench: Bench) -> Callable[[Callable[[], bool]], int]:
    """A one-row INSERT + COMMIT, prepared, over and over."""
    url = bench.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def work(more: Callable[[], bool]) -> int:
        count = 0
        with psycopg.connect(url, autocommit=True, prepare_threshold=0) as db:
            while more():
                db.execute("insert into floor_row (who, amount, at, note) values (%s, %s, %s, %s)",
                           (7, 9_900, NOW, "a note of some length"), prepare=True)
                count += 1
        return count

    return work


def booked(bench: Bench, batch: int) -> Callable[[Callable[[], bool]], int]:
    def work(more: Callable[[], bool]) -> int:
        count = 0
        while more():
            taken = workflows.apply_events(bench.sessions, NOW, PEPPER, batch)
            if not taken:
                break
            count += taken
        return count

    return work


def posted(bench: Bench, batch: int) -> Callable[[Callable[[], bool]], int]:
    """The ledger alone: two pairs an order, journals and guarded balances, in calls of ``batch`` orders."""
    owners = [n + 1 for n in range(PEOPLE)]

    def work(more: Callable[[], bool]) -> int:
        count = 0
        while more():
            first = bench.take(batch)
            entries = [
                Entry(f"bench:{n}", "commission.accrued", NOW, "bench", n, "", (
                    Move(platform("expense.direct"), person(owners[n * 7 % PEOPLE], "pending"), 792),
                    Move(platform("expense.level2"), person(owners[n * 11 % PEOPLE], "pending"), 198)))
                for n in range(first, first + batch)
            ]
            with bench.sessions.begin() as session:
                ledger.post(session, entries, NOW)
            count += batch
        return count

    return work


Peer = Callable[[int, int], float]
"""Orders a second of so many clients in batches of so many."""


@contextlib.contextmanager
def hordak(engine: Engine) -> Iterator[Peer | None]:
    """django-hordak in a process and a database of its own, on the same server; None when it is not installed."""
    if not servers.PEER_PYTHON.exists():
        yield None
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("create database hordak"))
    env = {"BENCH_DATABASE": "hordak", "BENCH_SOCKETS": str(engine.url.query["host"]), "PYTHONPATH": str(servers.ROOT)}
    with subprocess.Popen(
        [str(servers.PEER_PYTHON), "-m", "bench.peers.hordak_books"], env={**os.environ, **env}, cwd=servers.ROOT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:
        assert process.stdin and process.stdout
        asked, answered = process.stdin, process.stdout
        if answered.readline().strip() != "ready":
            raise servers.CannotMeasure("django-hordak did not start")

        def measure(clients: int, batch: int) -> float:
            print(clients, batch, SECONDS, file=asked, flush=True)
            return float(answered.readline())

        yield measure
        asked.close()


def figures(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 3), "lo": round(min(values), 3), "hi": round(max(values), 3)}


def measure(bench: Bench, rounds: int, peer: Peer | None) -> list[dict[str, Any]]:
    """One row for each (B5, B6) x clients."""
    rows = []
    kinds = (("B5", 1, booked, 1_500), ("B5 ledger alone", 1, posted, 0), ("B6", 100, booked, 6_000),
             ("B6 ledger alone", 100, posted, 0))
    for row, batch, way, stock in kinds:
        for clients in CLIENTS:
            ours, least, theirs = [], [], []
            for _ in range(rounds):
                least.append(per_second(clients, floor(bench)))
                bench.fill(stock)
                ours.append(per_second(clients, way(bench, batch)))
                bench.empty()
                if peer:
                    theirs.append(peer(clients, batch))
            rows.append({
                "row": f"{row} x{clients}", "ours": figures(ours), "floor": figures(least),
                "peer": figures(theirs) if theirs else None, "unit": "orders/s",
                "ratio_floor": figures([a / b for a, b in zip(ours, least, strict=True)]),
                "ratio_peer": figures([a / b for a, b in zip(ours, theirs, strict=True)]) if theirs else None,
            })
    return rows


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
            with hordak(engine) as peer:
                return measure(bench, rounds, peer)
        finally:
            engine.dispose()
            server.stop()


if __name__ == "__main__":
    for line in run():
        print(json.dumps(line))
