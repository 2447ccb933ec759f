"""What several threads want of the database at the same time travels together.

Whoever comes while a boat is here goes at once, alone. Who comes meanwhile waits on this side; the next boat that is
back takes all of them. So nobody waits for company, and a busy process needs fewer crossings: each costs both sides a
wait for a core, a statement's start, and in the end a commit, whether it carries one or eight.
"""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import psycopg
from sqlalchemy import Engine, event

from domain.shared import wire

P = TypeVar("P")
R = TypeVar("R")


class Sunk(Exception):
    """A crossing failed, and nobody of it arrived. The cause may be another passenger: try again alone."""


class _Ticket(Generic[P, R]):
    """One passenger: waits at ``called`` until carried over, or until it is their turn to row."""

    __slots__ = ("called", "fault", "got", "rows", "what")

    def __init__(self, what: P) -> None:
        self.what = what
        self.called = threading.Lock()
        self.called.acquire()
        self.rows = False
        self.got: R | None = None
        self.fault: BaseException | None = None


class Ferry(Generic[P, R]):
    """Some boats. ``cross`` takes what the passengers of one want, in the order they came, and gives as many results in
    that order; it is called by as many threads at once as there are boats."""

    def __init__(self, cross: Callable[[list[P]], list[R]], boats: int) -> None:
        self._cross = cross
        self._lock = threading.Lock()
        self._waiting: list[_Ticket[P, R]] = []
        self._here = boats

    def carry(self, what: P) -> R:
        """What ``cross`` gives for ``what``. Raises Sunk if the crossing failed for any of those on board."""
        mine: _Ticket[P, R] = _Ticket(what)
        with self._lock:
            if self._here:
                self._here -= 1
                mine.rows = True
            else:
                self._waiting.append(mine)
        if not mine.rows:
            mine.called.acquire()
        if mine.rows:
            self._row(mine)
        if mine.fault is not None:
            raise Sunk from mine.fault
        return mine.got  # type: ignore[return-value]

    def _row(self, mine: _Ticket[P, R]) -> None:
        """Cross with all who wait, then call them, and one of those who came meanwhile to go next."""
        with self._lock:
            crew, self._waiting = [mine, *self._waiting], []
        try:
            for one, got in zip(crew, self._cross([one.what for one in crew]), strict=True):
                one.got = got
        except BaseException as fault:  # noqa: BLE001 - told to each of them: nobody may wait for ever
            for one in crew:
                one.fault = fault
        with self._lock:
            following = self._waiting.pop(0) if self._waiting else None
            self._here += following is None
        if following is not None:
            following.rows = True
            following.called.release()
        for one in crew:
            if one is not mine:
                one.called.release()


class Landing:
    """A connection of one's own, outside of the pool, that commits whatever it is sent: several statements that travel
    together are one transaction. Its planner always goes from row to row by an index: a plan that was made while a
    table was small would read all of it later on, and for few passengers a hash table or a bitmap of their rows costs
    more than it saves (a sixth of reading for six). For one thread at a time; opened when it is needed, and anew after
    any fault."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: psycopg.Connection[Any] | None = None
        event.listen(engine, "engine_disposed", lambda _engine: self._close())

    def ask(self, *questions: wire.Question) -> list[list[Any]]:
        """The rows of each question. Raises psycopg.Error, and then nothing of it was done."""
        connection = self._connection or self._open()
        try:
            return wire.ask(connection, *questions)
        except BaseException:
            self._close()
            raise

    def _open(self) -> psycopg.Connection[Any]:
        held = self._engine.raw_connection()
        connection = held.driver_connection
        assert isinstance(connection, psycopg.Connection)
        held.detach()
        connection.autocommit = True
        connection.execute("set enable_seqscan = off")
        connection.execute("set enable_bitmapscan = off")
        connection.execute("set enable_hashjoin = off")
        connection.execute("set enable_mergejoin = off")
        connection.execute("set plan_cache_mode = force_generic_plan")
        self._connection = connection
        return connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
