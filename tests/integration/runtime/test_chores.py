"""Recurring work: done when due, by one process at a time, caught up once, and never stopped by a neighbour's fault."""

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
    assert runner.anything_due(clock.now())
    assert (runner.run(), sorted(done)) == (2, ["close", "sweep"])
    assert not runner.anything_due(clock.now())
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
    first.anything_due(clock.now())
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
    runner.anything_due(clock.now())
    with engine.connect() as alive, sessionmaker(engine).begin() as session:
        by = alive.execute(text("select pg_backend_pid()")).scalar_one()
        assert board.claim(session, chores.names(), clock.now(), 3_600, by) == ["close", "sweep"]
        session.commit()
        assert not runner.anything_due(clock.now()) and (runner.run(), done) == (0, [])
        alive.invalidate()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        alive_there = text("select count(*) from pg_stat_activity where pid = :by")
        until(lambda: not db.execute(alive_there, {"by": by}).scalar(), "the database knows", 5)
    assert runner.anything_due(clock.now())
    assert (runner.run(), done) == (2, ["close", "sweep"])
    engine.dispose()


def test_what_somebody_else_has_by_now_is_theirs(engine, clock, chores) -> None:
    runner = ChoreRunner(chores, Process(engine, clock), engine)
    runner.anything_due(clock.now())
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
    assert runner.anything_due(clock.now())


def test_long_work_is_done_in_pieces(engine, clock) -> None:
    chores, left = Chores(), [25]

    @chores.every("long", timedelta(hours=1))
    def long(_ctx) -> bool:
        left[0] -= 1
        return left[0] > 0

    runner = ChoreRunner(chores, Process(engine, clock), engine)
    rounds = 0
    while runner.anything_due(clock.now()):
        runner.run()
        rounds += 1
    assert (left, rounds) == ([0], 3)


def test_two_chores_of_one_name_are_refused() -> None:
    chores = Chores()
    chores.every("same", timedelta(hours=1))(lambda _ctx: False)
    with pytest.raises(ValueError, match="same"):
        chores.every("same", timedelta(hours=1))(lambda _ctx: False)
