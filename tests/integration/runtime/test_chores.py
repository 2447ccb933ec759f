"""Recurring work: done when due, by one process at a time, caught up once, and never stopped by a neighbour's fault."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import sessionmaker

from bot.kit.chores import Chores
from bot.runtime.chores import ChoreRunner
from domain.shared import chores as board
from domain.shared.clock import FixedClock
from tests.e2e.waiting import until


class Process:
    """What a chore is given: a clock and transactions."""

    def __init__(self, engine: Engine, clock: FixedClock) -> None:
        self.now, self._sessions = clock.now, sessionmaker(engine)

    @contextmanager
    def begin(self):
        with self._sessions.begin() as session:
            yield session


@pytest.fixture
def done() -> list[str]:
    return []


@pytest.fixture
def chores(done: list[str]) -> Chores:
    chores = Chores()

    @chores.every("sweep", timedelta(minutes=10))
    def sweep(_ctx) -> bool:
        done.append("sweep")
        return False

    @chores.daily("close", time(3, 0))
    def close(_ctx) -> bool:
        done.append("close")
        return False

    return chores


def test_everything_runs_at_once_and_then_when_due(engine, clock, chores, done) -> None:
    runner = ChoreRunner(chores, Process(engine, clock), engine)
    assert runner.wanted(clock.now())
    assert (runner.run(), sorted(done)) == (2, ["close", "sweep"])
    assert not runner.wanted(clock.now())
    clock.advance(601)
    assert (runner.run(), done[2:]) == (1, ["sweep"])


def test_days_missed_are_done_once(engine, clock, chores, done) -> None:
    runner = ChoreRunner(chores, Process(engine, clock), engine)
    runner.run()
    clock.advance(86_400 * 5)
    runner.run()
    assert done.count("close") == 2


def test_a_daily_chore_keeps_local_time(engine, clock, chores, session) -> None:
    ChoreRunner(chores, Process(engine, clock), engine).run()
    with engine.begin() as db:
        due = db.execute(text("select due_at from chore where name = 'close'")).scalar_one()
    assert due == datetime(2026, 11, 20, 19, 0, tzinfo=UTC)  # 3:00 of the 21st in Shanghai


def test_a_dead_process_loses_its_chore_when_the_lease_ends(engine, clock, chores, done) -> None:
    first, second = (ChoreRunner(chores, Process(engine, clock), engine) for _ in range(2))
    first.wanted(clock.now())
    with engine.begin() as db:
        db.execute(text("update chore set lease_until = clock_timestamp() + interval '1 hour'"))
    assert (second.run(), done) == (0, [])
    with engine.begin() as db:
        db.execute(text("update chore set lease_until = clock_timestamp()"))
    assert second.run() == 2


def test_a_chore_whose_claimer_is_gone_is_free_at_once(own_database, clock, chores, done) -> None:
    """The claim names a connection: it ends with its process, however that ends."""
    engine = create_engine(own_database)
    runner = ChoreRunner(chores, Process(engine, clock), engine)
    runner.wanted(clock.now())
    with engine.connect() as alive, sessionmaker(engine).begin() as session:
        by = alive.execute(text("select pg_backend_pid()")).scalar_one()
        assert board.claim(session, chores.names(), clock.now(), 3_600, by) == ["close", "sweep"]
        session.commit()
        assert not runner.wanted(clock.now()) and (runner.run(), done) == (0, [])
        alive.invalidate()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        alive_there = text("select count(*) from pg_stat_activity where pid = :by")
        until(lambda: not db.execute(alive_there, {"by": by}).scalar(), "the database knows", 5)
    assert runner.wanted(clock.now())
    assert (runner.run(), done) == (2, ["close", "sweep"])
    engine.dispose()


def test_what_somebody_else_has_by_now_is_theirs(engine, clock, chores) -> None:
    runner = ChoreRunner(chores, Process(engine, clock), engine)
    runner.wanted(clock.now())
    with sessionmaker(engine).begin() as session:
        board.claim(session, ["sweep"], clock.now(), 3_600, 1)
        board.end(session, {"sweep": (clock.now(), "")}, clock.now(), 2)
        assert session.execute(text("select lease_by from chore where name = 'sweep'")).scalar_one() == 1


def test_one_fault_stops_no_neighbour_and_is_kept(engine, clock, chores, done) -> None:
    @chores.every("broken", timedelta(hours=1))
    def broken(_ctx) -> bool:
        raise RuntimeError("no paper")

    runner = ChoreRunner(chores, Process(engine, clock), engine)
    assert (runner.run(), len(done)) == (3, 2)
    with engine.begin() as db:
        fault = db.execute(text("select fault from chore where name = 'broken'")).scalar_one()
    assert fault == "RuntimeError: no paper"
    clock.advance(3_601)
    assert runner.wanted(clock.now())


def test_long_work_is_done_in_pieces(engine, clock) -> None:
    chores, left = Chores(), [25]

    @chores.every("long", timedelta(hours=1))
    def long(_ctx) -> bool:
        left[0] -= 1
        return left[0] > 0

    runner = ChoreRunner(chores, Process(engine, clock), engine)
    rounds = 0
    while runner.wanted(clock.now()):
        runner.run()
        rounds += 1
    assert (left, rounds) == ([0], 3)


def test_two_chores_of_one_name_are_refused() -> None:
    chores = Chores()
    chores.every("same", timedelta(hours=1))(lambda _ctx: False)
    with pytest.raises(ValueError, match="same"):
        chores.every("same", timedelta(hours=1))(lambda _ctx: False)


NEWS = text("insert into order_news (order_ids) values (array[1])")


@pytest.fixture
def asked(chores: Chores, done: list[str]) -> Chores:
    """With a chore that the database asks for: it finds something to do while there is news of orders."""
    @chores.every("risk.scan", timedelta(seconds=20))
    def scan(ctx) -> bool:
        done.append("scan")
        with ctx.begin() as session:
            session.execute(text("delete from order_news"))
        return False

    return chores


def test_what_finds_nothing_is_put_off_without_being_begun(engine, clock, asked, done) -> None:
    runner = ChoreRunner(asked, Process(engine, clock), engine)
    assert (runner.run(), sorted(done)) == (2, ["close", "sweep"])
    clock.advance(30)
    assert (runner.wanted(clock.now()), runner.run()) == ([], 0)
    with engine.begin() as db:
        row = db.execute(text("select * from chore where name = 'risk.scan'")).one()
        assert (row.due_at, row.ended_at) == (clock.now() + timedelta(seconds=20), clock.now())
        db.execute(NEWS)
    assert runner.wanted(clock.now()) == []
    clock.advance(20)
    assert (runner.wanted(clock.now()), runner.run(), done[2:]) == (["risk.scan"], 1, ["scan"])


def test_what_one_chore_makes_another_finds_in_the_same_run(engine, clock, asked, done) -> None:
    @asked.every("z.last", timedelta(hours=1))
    def last(ctx) -> bool:
        with ctx.begin() as session:
            session.execute(NEWS)
        return False

    runner = ChoreRunner(asked, Process(engine, clock), engine)
    assert (runner.run(), done[2:]) == (4, ["scan"])


def test_two_who_ask_at_once_do_not_wait_for_each_other(engine, clock, asked, done) -> None:
    runner = ChoreRunner(asked, Process(engine, clock), engine)
    with sessionmaker(engine).begin() as session:
        board.plan(session, dict.fromkeys(asked.names(), clock.now()))
    with sessionmaker(engine).begin() as session:
        assert board.due(session, asked.names(), clock.now()) == ["close", "risk.scan", "sweep"]
        assert (runner.wanted(clock.now()), runner.run(), done) == ([], 0, [])
    assert (runner.run(), sorted(done)) == (2, ["close", "sweep"])


def test_what_is_hastened_while_it_is_put_off_is_due_again(engine, clock, asked, done) -> None:
    def hasten() -> None:
        with sessionmaker(engine).begin() as session:
            board.hasten(session, "risk.scan", clock.now())

    runner = ChoreRunner(asked, Process(engine, clock), engine)
    runner.run()
    clock.advance(30)
    with ThreadPoolExecutor(1) as somebody, sessionmaker(engine).begin() as session:
        assert board.due(session, asked.names(), clock.now()) == ["risk.scan"]
        told = somebody.submit(hasten)
        waits = text("select exists (select from pg_locks l where not l.granted"
                     " and pg_backend_pid() = any (pg_blocking_pids(l.pid)))")
        until(lambda: session.execute(waits).scalar_one(), "somebody waits", 5)
        board.rest(session, {"risk.scan": clock.now() + timedelta(seconds=20)}, clock.now())
        session.commit()
        told.result(5)
    with engine.begin() as db:
        assert db.execute(text("select due_at from chore where name = 'risk.scan'")).scalar_one() == clock.now()


def test_a_plan_that_was_rolled_back_is_made_again(engine, clock, asked, done) -> None:
    class Faulty(Process):
        faults = 1

        @contextmanager
        def begin(self):
            with super().begin() as session:
                yield session
                if self.faults:
                    self.faults -= 1
                    raise ConnectionError("the database went away")

    runner = ChoreRunner(asked, Faulty(engine, clock), engine)
    with pytest.raises(ConnectionError):
        runner.run()
    assert (runner.run(), sorted(done)) == (2, ["close", "sweep"])
