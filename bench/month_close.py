"""B12: closing a month for 100 000 promoters, against the sum of their orders by GROUP BY alone.

Ours is the whole close: started, counted, ladder and team worked out, a row, a journal, a posting and a balance for
each of them, a fact for each who is told, in committed pieces, finished. The floor reads the same orders and adds them
up by seller, as PostgreSQL plans it: in several processes where that pays. ``value`` is seconds, ``cpu_s`` what the
database's processes for it used of a core: a busy machine disturbs that less. Every round runs on a fresh copy of one
filled database, its pages read once before either side is timed.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from bench import servers
from bench.figures import Round, row
from bot.runtime import demo_team, embedded
from domain import migrations
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.settlements import service
from domain.settlements.rules import Month

PLANS = Path(__file__).parent.parent / "assets" / "plans"
START = datetime(2026, 11, 1, tzinfo=UTC)
MONTH, AFTER = Month.parse("2026-11"), datetime(2026, 12, 1, tzinfo=UTC)
PROMOTERS, ORDERS_EACH, TEAM = 100_000, 10, 50

FILL = f"""
set session_replication_role = replica;
insert into person (id, referral_code, joined_at) overriding system value
    select n, 'b' || n, '2026-10-01' from generate_series(1, {PROMOTERS} + 1000) n;
insert into account (id, owner_id, kind, currency, normal)
    select n + 1000, n, 'pending', 'CNY', 'credit' from generate_series(1, {PROMOTERS}) n;
insert into balance (account_id) select n + 1000 from generate_series(1, {PROMOTERS}) n;
insert into role_grant (person_id, role, cause_kind, cause_key, granted_at)
    select n, 'partner', 'operator', 'bench', '2026-10-01' from generate_series(1, {PROMOTERS // TEAM}) n;
insert into customer_order (id, channel, order_no, source, buyer_id, currency, paid_fen, shipping_fen, refunded_fen,
                            digest, paid_at, booked_at, seller_id, leader_id) overriding system value
    select n, 'mall', 'A' || n, 'bench', {PROMOTERS} + n % 1000 + 1, 'CNY', 5000 + n::bigint * 7919 % 400000, 0,
           case when n % 25 = 0 then 5000 else 0 end, '', t, t, seller, (seller - 1) / {TEAM} + 1
      from generate_series(1, {PROMOTERS * ORDERS_EACH}) n
     cross join lateral (select n::bigint * 48271 % {PROMOTERS} + 1 as seller,
                                timestamptz '2026-11-01 00:00+08' + n * interval '2.5 seconds' as t) made;
set session_replication_role = origin;
"""
SUM = text("""
    select count(*), sum(fen) from (
        select seller_id, sum(paid_fen - refunded_fen) as fen from customer_order
         where paid_at >= :since and paid_at < :until and seller_id is not null and closed_at is null
           and refunded_fen < paid_fen
         group by seller_id) sums
""")


def fill(engine: Engine) -> None:
    with sessionmaker(engine).begin() as session:
        demo_team.allow_levels(session, START)
        commissions.ensure_plan(session, plans.load(PLANS / "two-level.toml"), START)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.exec_driver_sql(FILL, execution_options={"no_parameters": True})
        db.execute(text("vacuum analyze"))


@contextmanager
def copied(server: embedded.Server, number: int) -> Iterator[Engine]:
    """A copy of the filled database for one round."""
    admin = create_engine(server.url.replace("/huitou?", "/postgres?"), isolation_level="AUTOCOMMIT")
    name = f"round{number}"
    with admin.connect() as db:
        db.execute(text(f"create database {name} template huitou strategy file_copy"))
    engine = create_engine(server.url.replace("/huitou?", f"/{name}?"), pool_size=service.HANDS, max_overflow=0)
    try:
        yield engine
    finally:
        engine.dispose()
        with admin.connect() as db:
            db.execute(text(f"drop database {name} with (force)"))
        admin.dispose()


@contextmanager
def timed(engine: Engine, taken: Round) -> Iterator[None]:
    """Notes what is done with the engine's connections, and what their processes used."""
    with ExitStack() as held:
        open_ones = [held.enter_context(engine.connect()) for _ in range(service.HANDS)]
        backends = [db.execute(text("select pg_backend_pid()")).scalar_one() for db in open_ones]
    began, used = time.perf_counter(), sum(map(servers.cpu_seconds, backends))
    yield
    taken |= {"value": time.perf_counter() - began, "cpu_s": sum(map(servers.cpu_seconds, backends)) - used}


def summed(engine: Engine) -> Round:
    """What the floor takes."""
    taken: Round = {}
    with timed(engine, taken), engine.connect() as db:
        people, _ = db.execute(SUM, {"since": MONTH.starts_at, "until": MONTH.ends_at}).one()
    assert people == PROMOTERS
    return taken


def in_a_transaction(sessions: sessionmaker[Session], work: Callable[[Session], int]) -> int:
    with sessions.begin() as session:
        return work(session)


def closed(engine: Engine) -> Round:
    """What a close takes, in pieces of their own transactions as the clock does it."""
    taken: Round = {}
    sessions = sessionmaker(engine)
    with timed(engine, taken):
        while service.close_some(lambda work: in_a_transaction(sessions, work), MONTH, AFTER):
            pass
    with engine.connect() as db:
        booked = db.execute(text("select count(distinct person_id) from settlement")).scalar_one()
    assert booked == PROMOTERS
    return taken


def run(rounds: int = 5) -> list[dict[str, Any]]:
    """Start a database of its own (real fsync), measure, stop."""
    home = Path(tempfile.mkdtemp(prefix="huitou-bench-"))
    home.chmod(0o755)
    server = embedded.start_postgres(home)
    try:
        engine = create_engine(server.url)
        migrations.upgrade(engine)
        fill(engine)
        engine.dispose()
        taken: dict[str, list[Round]] = {"ours": [], "floor": []}
        for number in range(rounds):
            with copied(server, number) as engine:
                summed(engine)
                taken["floor"].append(summed(engine))
                taken["ours"].append(closed(engine))
        return [row("B12 month close", "s", taken, more_is_better=False)]
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    for line in run(2):
        print(json.dumps(line))
