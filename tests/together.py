"""Several at the same time: threads that all begin in one moment and what became of each, and one that waits for
another."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import TypeVar

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

T = TypeVar("T")

PATIENCE_SECONDS = 60
"""For all to have begun, or for somebody to wait. How long they may take is the test's own time limit."""

_WAIT = text("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")


def outcomes(*works: Callable[[], T]) -> list[T | Exception]:
    """What each of ``works`` returned or raised, in their order; each runs in a thread of its own."""
    start = Barrier(len(works))

    def run(work: Callable[[], T]) -> T | Exception:
        start.wait(PATIENCE_SECONDS)
        try:
            return work()
        except Exception as fault:
            return fault

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(run, works))


def at_once(*works: Callable[[], T]) -> list[T]:
    """What each of ``works`` returned, in their order. Raises what the first of them raised, after all have ended."""
    found: list[T] = []
    for one in outcomes(*works):
        if isinstance(one, Exception):
            raise one
        found.append(one)
    return found


def numbered(count: int, work: Callable[[int], T]) -> list[T]:
    """As ``at_once``: ``count`` times the same work, which is told its number, from 0."""
    return at_once(*(partial(work, number) for number in range(count)))


def in_transactions(engine: Engine, *works: Callable[[Session], T]) -> list[T | Exception]:
    """As ``outcomes``; each work is given a session of its own, which is committed when it returns."""

    def run(work: Callable[[Session], T]) -> T:
        with Session(engine) as session:
            done = work(session)
            session.commit()
        return done

    return outcomes(*(partial(run, work) for work in works))


def until_waiting(engine: Engine, many: int = 1, ended: Callable[[], bool] = lambda: False) -> bool:
    """True as soon as ``many`` connections of this database wait for a lock; False when ``ended`` says that nobody will
    any more. Raises AssertionError when neither comes to be."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with engine.connect() as watcher:
        while watcher.execute(_WAIT).scalar_one() < many:
            if ended():
                return False
            assert time.monotonic() < deadline, "nobody waits"
            watcher.rollback()
            time.sleep(0.005)
    return True
