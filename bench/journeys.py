"""B8, B9 and B15: people moved through journeys, and events heard by thirty of them.

B8 is the whole way of one person through a wait and a message: claimed, walked, its visit, one effect in the outbox,
the new wait, committed; batches of 500 as the workers do. The floor is a bare claim-and-update of as many rows a batch
in one statement (SKIP LOCKED in a CTE) on a copy of the tables, checks and indexes included. The peer does the same
step the plain way: one row, one ORM transaction. B9 is B8 with a million people inside against ten thousand. B15 is one
order event to which thirty live journeys listen, three of them letting everybody in, against one that does.
"""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.orm import Session, sessionmaker

from bench import servers
from bench.figures import Round, row, taking_turns
from bot.runtime import embedded
from domain import migrations
from domain.journeys import engine, hearing, service
from domain.journeys.checking import Vocabulary
from domain.journeys.library import Library
from domain.journeys.models import Enrolment, EnrolmentDue, StepVisit
from domain.journeys.reading import read
from domain.journeys.runs import Event
from domain.shared.outbox import Outbox

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
BATCH = 500
SECONDS = 2.0
SMALL, BIG = 10_000, 1_000_000
PEOPLE = 50_000
WAITS = 90
JOURNEYS = 30
EVENTS = 2_000

_PEOPLE = "insert into person (joined_at) select :now from generate_series(1, cast(:size as bigint))"
_INSIDE = """
    insert into enrolment (journey_id, version, person_id, run_no, entered_at, anchor_at, since_at, planned_at,
                           due_at, state, step, begun, run_key, event_key, ctx)
    select 1, 1, 1 + n % cast(:people as bigint), 1, :now, :now, :now,
           :now - interval '1 second' * (n % 3600),
           :now - interval '1 second' * (n % 3600), 'open', 'w1', true, (n / cast(:people as bigint))::text,
           'bench:' || n,
           jsonb_build_object('event', jsonb_build_object('sku', 'RICE-5KG', 'order_id', n, 'title', '大米 5kg'))
      from generate_series(cast(:start as bigint), cast(:end as bigint)) n
"""
_FLOOR = """
    with due as (
        select f.id, f.due_at, d.ctid as ticket from floor_due d join floor_row f on f.id = d.enrolment_id
         where d.journey_id = 1 and d.due_at <= %s order by d.due_at limit %s for update of f skip locked),
    gone as (delete from floor_due d using due where d.ctid = due.ticket),
    fresh as (insert into floor_due select 1, due.due_at + interval '2 hours', due.id from due)
    update floor_row f set due_at = f.due_at + interval '2 hours' from due where f.id = due.id
"""


def chain() -> dict[str, Any]:
    """Messages an hour apart, enough of them that nobody comes to the end."""
    steps: list[dict[str, Any]] = []
    for n in range(1, WAITS + 1):
        steps += [{"id": f"w{n}", "wait": "1h"},
                  {"id": f"s{n}", "say": "journey.restock.soon", "expires": "60d",
                   "with": {"product": "{event.title}"}}]
    return {"key": "bench", "title": "bench", "on": "line.paid", "run_key": "{sku}", "holdout": "0%", "step": steps}


@dataclass
class House:
    """A database with people inside one journey. Every pass moves the clock on by two hours."""

    engine: Engine
    size: int
    library: Library = field(default_factory=Library)
    now: datetime = NOW
    floor_now: datetime = NOW

    def __post_init__(self) -> None:
        migrations.upgrade(self.engine)
        self.sessions = sessionmaker(self.engine)
        with self.sessions.begin() as session:
            service.publish(session, read(chain()), Vocabulary(), "bench", NOW)
            session.execute(text(_PEOPLE), {"now": NOW, "size": PEOPLE})
        for start in range(0, self.size, 200_000):
            self._fill(start)
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            db.execute(text("vacuum analyze"))
        gc.collect()
        gc.freeze()  # as the workers do

    def _fill(self, start: int) -> None:
        end = min(start + 200_000, self.size) - 1
        with self.sessions.begin() as session:
            session.execute(text(_INSIDE), {"now": NOW, "people": PEOPLE, "start": start, "end": end})

    def copy_for_the_floor(self) -> None:
        """The same tables once more, rows, checks and indexes: the floor updates what we must update, and nothing else.
        """
        with self.sessions.begin() as session:
            for copy, table in (("floor_row", "enrolment"), ("floor_due", "enrolment_due")):
                session.execute(text(f"create table {copy} (like {table} including all)"))
                session.execute(text(f"insert into {copy} overriding system value select * from {table}"))
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            db.execute(text("vacuum analyze floor_row, floor_due"))

    def step(self) -> int:
        """Move one batch; when everybody has been moved, two hours pass."""
        with self.sessions.begin() as session:
            done = engine.move_batch(session, self.library, 1, self.now, BATCH)
        if not done:
            self.now += timedelta(hours=2)
        return done

    def floor(self) -> int:
        """Claim and update as many rows."""
        with self.engine.begin() as db:
            done = db.exec_driver_sql(_FLOOR, (self.floor_now, BATCH)).rowcount
        if not done:
            self.floor_now += timedelta(hours=2)
        return done

    def plain(self) -> int:
        """One row, one ORM transaction: the same step as people write it first."""
        with self.sessions.begin() as session:
            run = session.scalar(
                select(Enrolment).join(EnrolmentDue, EnrolmentDue.enrolment_id == Enrolment.id)
                .where(EnrolmentDue.journey_id == 1, EnrolmentDue.due_at <= self.now)
                .order_by(EnrolmentDue.due_at).limit(1).with_for_update(of=Enrolment, skip_locked=True))
            if run is None:
                self.now += timedelta(hours=2)
                return 0
            _step_plainly(session, run, self.now)
        return 1

    def sizes(self) -> dict[str, float]:
        """Megabytes of the tables that people inside take, with their indexes."""
        with self.engine.connect() as db:
            return {f"{name}_mb": float(db.scalar(text(f"select pg_total_relation_size('{name}') / 1048576.0")) or 0)
                    for name in ("enrolment", "enrolment_due", "step_visit", "outbox")}


def _step_plainly(session: Session, run: Enrolment, now: datetime) -> None:
    number = int(run.step[1:])
    for no, step, outcome in ((1, f"w{number}", "waited"), (2, f"s{number}", "told")):
        session.add(StepVisit(enrolment_id=run.id, no=run.visit_no + no, step=step, outcome=outcome, reason="", arm="",
                              planned_at=run.planned_at, at=now))
    key = f"notice:journey:{run.id}:{run.run_no}:{run.visit_no + 2}"
    session.add(Outbox(queue="notice", kind="notice.text", key=key, person_id=run.person_id, created_at=now,
                       due_at=now, expires_at=now + timedelta(days=60), payload={
                           "purpose": "marketing", "key": "journey.restock.soon", "account": "",
                           "facts": {"product": run.ctx["event"]["title"]}, "guard": f"{run.id}:{run.visit_no + 2}"}))
    run.visit_no, run.step, run.since_at = run.visit_no + 2, f"w{number + 1}", now
    run.planned_at = run.due_at = now + timedelta(hours=1)


def per_second(work: Callable[[], int], seconds: float) -> Round:
    """How many a second, over whole calls of ``work``."""
    begun, done = time.perf_counter(), 0
    while (spent := time.perf_counter() - begun) < seconds:
        done += work()
    return {"value": done / spent}


@contextmanager
def database() -> Iterator[Callable[[str], Engine]]:
    """A PostgreSQL of our own (real fsync); gives an engine on a new database by name."""
    with servers.home() as home:
        server = embedded.start_postgres(home)
        engines: list[Engine] = []

        def make(name: str) -> Engine:
            admin = create_engine(server.url, isolation_level="AUTOCOMMIT")
            with admin.connect() as db:
                db.execute(text(f"create database {name}"))
            admin.dispose()
            engines.append(create_engine(server.url.replace("/huitou?", f"/{name}?"), pool_size=4))
            return engines[-1]

        try:
            yield make
        finally:
            for one in engines:
                one.dispose()
            server.stop()


def step_rows(make: Callable[[str], Engine], rounds: int, seconds: float,
              wanted: tuple[str, ...]) -> list[dict[str, Any]]:
    """B8 and B9."""
    rows = []
    small = House(make("small"), SMALL)
    small.copy_for_the_floor()
    if "B8" in wanted:
        per_second(small.step, seconds / 2)
        sides = {"ours": small.step, "floor": small.floor, "peer": small.plain}
        turns = {name: partial(per_second, work, seconds) for name, work in sides.items()}
        taken = taking_turns(turns, rounds)
        rows.append(row("B8 journey step", "people/s", taken, more_is_better=True))
    if "B9" in wanted:
        big = House(make("big"), BIG)
        taken = taking_turns({"ours": lambda: _cost(big, seconds), "floor": lambda: _cost(small, seconds)}, rounds)
        made = row("B9 growth 10 k to 1 M", "µs/person", taken, more_is_better=False)
        made["sizes"] = {"big": big.sizes(), "small": small.sizes()}
        rows.append(made)
    return rows


def _cost(house: House, seconds: float) -> Round:
    return {"value": 1e6 / per_second(house.step, seconds)["value"]}


def planner_row(make: Callable[[str], Engine], rounds: int) -> dict[str, Any]:
    """B15: what hearing one order event costs with thirty live journeys, against one."""
    one, many = _listening(make("one"), 1), _listening(make("many"), JOURNEYS)
    taken = taking_turns({"ours": lambda: _heard(many), "floor": lambda: _heard(one)}, rounds)
    return row(f"B15 order event heard, {JOURNEYS} journeys", "µs/event", taken, more_is_better=False)


def _listening(base: Engine, journeys: int) -> House:
    house = House(base, 0)
    asks = ["event.paid_fen > 100", {"any": ["role.gold", "orders.count >= 3", "product.bought >= 1"]}]
    with house.sessions.begin() as session:
        session.execute(text("update journey set state = 'archived'"))
        for n in range(journeys):
            when = [] if n % 10 == 0 else asks
            form = chain() | {"key": f"j{n}", "when": when, "reentry": "after_exit", "step": chain()["step"][:2],
                              "exits": [{"on": "order.refunded", "match": ["order_id"]}],
                              "goal": {"on": "line.paid", "match": ["sku"]}}
            service.publish(session, read(form), Vocabulary(), "bench", NOW)
    return house


def _heard(house: House) -> Round:
    """Microseconds an event. Nine in ten journeys ask for facts and let nobody in."""
    house.now += timedelta(hours=1)
    data = {"order_id": 1, "sku": "RICE-5KG", "title": "有机大米", "paid_fen": 9_900}
    events = [Event("line.paid", f"{house.now}:{n}", 1 + n, house.now, data) for n in range(EVENTS)]
    with house.sessions.begin() as session:
        service.happened(session, events, house.now)
    begun, done = time.perf_counter(), 0
    while True:
        with house.sessions.begin() as session:
            taken = hearing.hear_batch(session, house.library, house.now, BATCH)
        if not taken:
            return {"value": (time.perf_counter() - begun) / done * 1e6}
        done += taken


def run(rounds: int = 5, seconds: float | None = None,
        only: tuple[str, ...] = ("B8", "B9", "B15")) -> list[dict[str, Any]]:
    """The wanted rows of this file."""
    with database() as make:
        rows = step_rows(make, rounds, seconds or SECONDS, only) if {"B8", "B9"} & set(only) else []
        return rows + ([planner_row(make, rounds)] if "B15" in only else [])
