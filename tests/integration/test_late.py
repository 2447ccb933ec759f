"""Transactions whose session is made late: the same to all who use them, whether it is made or not."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from bot.runtime import bootstrap
from domain.shared import trips
from domain.shared.late import RESTED_SECONDS, LateSessions, PooledLateSessions

_PUT = "insert into mark (name) values (%s)"
_COUNT = ("select count(*) as number from mark", ())


@pytest.fixture(params=[LateSessions, PooledLateSessions])
def sessions(database_url: str, request: pytest.FixtureRequest) -> Iterator[LateSessions | PooledLateSessions]:
    engine = create_engine(database_url)
    with engine.begin() as db:
        db.execute(text("create table mark (name text primary key)"))
    yield request.param(engine)
    engine.dispose()


def names(session: Session) -> list[str]:
    return list(session.execute(text("select name from mark order by name")).scalars())


def test_the_session_goes_on_in_the_transaction_that_is_open(sessions: LateSessions) -> None:
    with sessions.begin() as session:
        trips.rows(session, _PUT, ("before",))
        session.info["kept"] = True
        assert names(session) == ["before"]
        assert session.info["kept"]
        trips.rows(session, _PUT, ("after",))
    with sessions.begin() as session:
        assert names(session) == ["after", "before"]


@pytest.mark.parametrize("made", [False, True])
def test_what_raises_leaves_nothing(sessions: LateSessions, made: bool) -> None:
    with pytest.raises(ZeroDivisionError), sessions.begin() as session:
        trips.rows(session, _PUT, ("gone",))
        if made:
            names(session)
        raise ZeroDivisionError
    with sessions.begin() as session:
        assert names(session) == []


@pytest.mark.parametrize("made", [False, True])
def test_a_closed_transaction_is_committed_once(sessions: LateSessions, made: bool) -> None:
    with sessions.begin() as session:
        if made:
            names(session)
        trips.close(session, trips.Closing(_PUT, ("closed",)))
    with sessions.begin() as session:
        assert names(session) == ["closed"]


def test_what_was_foreseen_is_not_asked_again(sessions: LateSessions) -> None:
    with sessions.begin() as session:
        trips.foreseeing(session, [("select 1", ())], [_COUNT])
        with sessions.begin() as other:
            trips.rows(other, _PUT, ("meanwhile",))
        assert trips.rows(session, *_COUNT)[0].number == 0
        assert trips.rows(session, *_COUNT)[0].number == 1


@pytest.mark.parametrize("between", ["another question", "the session"])
def test_what_was_foreseen_is_forgotten_when_something_else_came_between(sessions: LateSessions, between: str) -> None:
    with sessions.begin() as session:
        trips.foreseeing(session, [("select 1", ())], [_COUNT])
        if between == "the session":
            session.execute(text("insert into mark (name) values ('new')"))
        else:
            trips.rows(session, _PUT, ("new",))
        assert trips.rows(session, *_COUNT)[0].number == 1


def test_what_was_foreseen_for_others_is_not_used(sessions: LateSessions) -> None:
    question = "select name from mark where name = %s"
    with sessions.begin() as session:
        trips.rows(session, _PUT, ("b",))
        trips.foreseeing(session, [("select 1", ())], [(question, ("a",))])
        assert [row.name for row in trips.rows(session, question, ("b",))] == ["b"]


def test_a_refusal_is_told_as_everywhere(sessions: LateSessions) -> None:
    with sessions.begin() as session:
        trips.rows(session, _PUT, ("once",))
    with pytest.raises(IntegrityError), sessions.begin() as session:
        trips.close(session, trips.Closing(_PUT, ("once",)))


def test_a_connection_that_broke_is_given_to_nobody_again(sessions: LateSessions, engine: Engine) -> None:
    with pytest.raises(OperationalError), sessions.begin() as session:
        backend = trips.rows(session, "select pg_backend_pid() as pid", ())[0].pid
        with engine.connect() as killer:
            killer.execute(text("select pg_terminate_backend(:pid)"), {"pid": backend})
        trips.rows(session, *_COUNT)
    with sessions.begin() as session:
        assert trips.rows(session, *_COUNT)[0].number == 0


def test_a_transaction_within_another_is_one_of_its_own(database_url: str) -> None:
    engine = create_engine(database_url, pool_size=2, max_overflow=0, pool_timeout=1)
    sessions = PooledLateSessions(engine)
    asks = ("select pg_backend_pid() as pid", ())
    for _ in range(2):
        with sessions.begin() as session:
            outer = trips.rows(session, *asks)[0].pid
            with sessions.begin() as other:
                assert trips.rows(other, *asks)[0].pid != outer
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    engine.dispose()


@pytest.mark.parametrize("made", [False, True])
def test_each_connection_goes_back_to_the_pool(database_url: str, made: bool) -> None:
    engine = create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=1)
    try:
        for _ in range(3):
            with PooledLateSessions(engine).begin() as session:
                trips.rows(session, "select 1 as one", ())
                if made:
                    session.execute(text("select 1"))
            with pytest.raises(IntegrityError), PooledLateSessions(engine).begin() as session:
                trips.rows(session, "insert into role_grant default values", ())
            with engine.connect() as other:
                assert other.scalar(text("select 1")) == 1
    finally:
        engine.dispose()


def test_the_pool_tells_of_each_use(database_url: str) -> None:
    """Whether a connection still lives is asked by whoever hears that it is taken (``bootstrap.connect``)."""
    engine = create_engine(database_url, pool_size=1, max_overflow=0)
    heard: list[str] = []
    event.listen(engine, "checkout", lambda *_: heard.append("taken"))
    event.listen(engine, "checkin", lambda *_: heard.append("given back"))
    for made in (False, True, False):
        with PooledLateSessions(engine).begin() as session:
            trips.rows(session, "select 1 as one", ())
            if made:
                session.execute(text("select 1"))
    with PooledLateSessions(engine).begin():
        pass  # asked for nothing
    engine.dispose()
    assert heard == ["taken", "given back"] * 3


def test_a_connection_that_died_while_it_rested_is_replaced(database_url: str, engine: Engine) -> None:
    lasting = bootstrap.connect(database_url, pool_size=1, max_overflow=0)
    asks = ("select pg_backend_pid() as pid", ())
    with PooledLateSessions(lasting).begin() as session:
        pid = trips.rows(session, *asks)[0].pid
    with engine.connect() as killer:
        assert killer.scalar(text("select pg_terminate_backend(:pid, 10000)"), {"pid": pid}), "it is gone by now"
    time.sleep(RESTED_SECONDS)
    for _ in range(2):
        with PooledLateSessions(lasting).begin() as session:
            assert trips.rows(session, *asks)[0].pid != pid
    lasting.dispose()


@pytest.mark.parametrize("made", [False, True])
def test_a_connection_that_broke_makes_room_for_another(database_url: str, engine: Engine, made: bool) -> None:
    one = create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=1)
    for _ in range(2):
        with pytest.raises(OperationalError), PooledLateSessions(one).begin() as session:
            pid = trips.rows(session, "select pg_backend_pid() as pid", ())[0].pid
            with engine.connect() as killer:
                assert killer.scalar(text("select pg_terminate_backend(:pid, 10000)"), {"pid": pid})
            session.execute(text("select 1")) if made else trips.rows(session, "select 1", ())
    with PooledLateSessions(one).begin() as session:
        assert trips.rows(session, "select 1 as one", ())[0].one == 1
    one.dispose()


def test_a_database_that_is_away_leaves_the_pool_as_it_was(database_url: str) -> None:
    away = create_engine(database_url.replace("host=", "host=/nowhere"), pool_size=1, max_overflow=0, pool_timeout=1)
    for _ in range(2):
        with pytest.raises(OperationalError), PooledLateSessions(away).begin() as session:
            trips.rows(session, "select 1", ())
    assert away.pool.checkedout() == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("made", [False, True])
def test_a_refusal_at_the_commit_is_told_as_everywhere_and_whoever_keeps_it_keeps_no_connection(
    database_url: str, made: bool,
) -> None:
    engine = create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=1)
    with engine.begin() as db:
        db.execute(text("create table late_mark (name text unique deferrable initially deferred)"))
    faults = []
    for _ in range(2):
        with pytest.raises(IntegrityError) as fault, PooledLateSessions(engine).begin() as session:
            if made:
                session.execute(text("select 1"))
            trips.rows(session, "insert into late_mark (name) values ('twice'), ('twice')", ())
        faults.append(fault.value)
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    engine.dispose()


def test_a_connection_that_died_between_messages_is_replaced(database_url: str, engine: Engine) -> None:
    lasting = bootstrap.connect(database_url, pool_size=1, max_overflow=0, pool_timeout=1)
    sessions, asks = LateSessions(lasting), ("select pg_backend_pid() as pid", ())
    with sessions.begin() as session:
        pid = trips.rows(session, *asks)[0].pid
    with engine.connect() as killer:
        assert killer.scalar(text("select pg_terminate_backend(:pid, 10000)"), {"pid": pid}), "it is gone by now"
    time.sleep(RESTED_SECONDS)
    for _ in range(2):
        with sessions.begin() as session:
            assert trips.rows(session, *asks)[0].pid != pid
    lasting.dispose()


class TimeIsUp(BaseException):
    """What a job is told that takes too long."""


@pytest.mark.parametrize("made", [False, True])
def test_whoever_is_interrupted_is_told_why_and_the_connection_goes(
    database_url: str, engine: Engine, made: bool,
) -> None:
    one = create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=1)

    def interrupt() -> None:
        asks = text("select pid from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()")
        with engine.connect() as other:
            while (pid := other.scalar(asks)) is None:
                other.rollback()
            os.kill(os.getpid(), signal.SIGUSR1)
            other.scalar(text("select pg_terminate_backend(:pid, 10000)"), {"pid": pid})

    def up(*_: object) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGUSR1, up)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(TimeIsUp) as kept, PooledLateSessions(one).begin() as session:
            if made:
                session.execute(text("select 1"))
            trips.together(session, ("select pg_sleep(60)", ()), ("select 1", ()))
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert kept.value and one.pool.checkedout() == 0  # type: ignore[attr-defined]
    with PooledLateSessions(one).begin() as session:
        assert trips.rows(session, "select 5 as five", ())[0].five == 5
    one.dispose()
