"""A transaction whose session is made when somebody first asks for it.

Most messages are answered through ``domain.shared.trips`` alone. A session of SQLAlchemy, its transaction and its
connection around each of them were a quarter of the CPU that an answer cost; here a message has a connection of the
pool, and the session comes when something is asked of it that only a session can do: on that connection, in the
transaction that is open there.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from types import TracebackType
from typing import Any, Protocol

import psycopg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session

from domain.shared import wire
from domain.shared.lent import Lent

RESTED_SECONDS = 1.0
"""A connection that was not used for this long is asked whether it still lives before it is used again."""


class Transactions(Protocol):
    """Whatever begins transactions: a ``sessionmaker``, or ``LateSessions``."""

    def begin(self) -> AbstractContextManager[Session]:
        """Committed when the block ends well, rolled back when it raises."""
        ...


class LateSession(Session):
    """A session to all who use one. Nothing of it exists before its first use: the attribute that a method looks for is
    missing then, which is where it is made."""

    def __init__(self, engine: Engine, take: Callable[[Engine], Lent]) -> None:
        self.engine = engine
        self._take = take
        self._held: Lent | None = None
        self._connection: Connection | None = None
        self._foreseen: dict[str, tuple[wire.Values, list[Any]]] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self.is_made:
            raise AttributeError(name)
        self._make()
        return getattr(self, name)

    @property
    def is_made(self) -> bool:
        return self._connection is not None

    @property
    def held(self) -> Lent:
        """The connection, taken when it is first asked for."""
        if self._held is None:
            self._held = self._take(self.engine)
        return self._held

    @property
    def driver(self) -> psycopg.Connection[Any]:
        return self.held.driver

    def foresee(self, questions: Sequence[wire.Question], answers: Sequence[list[Any]]) -> None:
        """Keep the answers to what will probably be asked next. They hold until anything else is asked."""
        self._foreseen = {sql: (values, rows) for (sql, values), rows in zip(questions, answers, strict=True)}

    def answered(self, questions: Sequence[wire.Question]) -> list[list[Any]] | None:
        """The answers, if just these questions were foreseen; all that was foreseen is forgotten."""
        foreseen, self._foreseen = self._foreseen, {}
        if not foreseen or self.is_made:
            return None
        answers = []
        for sql, values in questions:
            asked, rows = foreseen.get(sql, (None, []))
            if asked != values:
                return None
            answers.append(rows)
        return answers

    def forget(self) -> None:
        """Something else is asked: what was foreseen may not hold any more."""
        self._foreseen = {}

    def end(self) -> None:
        """Commit what is not committed yet. Raises DBAPIError: nothing is committed then."""
        if self.is_made:
            self.commit()
        elif self._held is not None and not self._held.is_idle:
            self._held.commit(self.engine)

    def leave(self) -> Lent | None:
        """Let go of the connection, what is not committed is rolled back; the connection, if it is not back in the pool
        by that: nothing has to be done to it before it is used again."""
        held, self._held = self._held, None
        if self._connection is not None:
            self._leave_made(self._connection)
        elif held is not None:
            if held.is_idle:
                return held
            if held.driver.closed:
                held.proxied().invalidate()
            else:
                held.proxied().close()
        return None

    def _leave_made(self, connection: Connection) -> None:
        try:
            if not connection.invalidated and connection.connection.driver_connection.closed:  # type: ignore[union-attr]
                connection.invalidate()  # else to roll back would fail, and hide why it was closed
            self.close()
        finally:
            connection.close()

    def _make(self) -> None:
        self._connection = Connection(self.engine, connection=self.held.proxied())
        super().__init__(self._connection, expire_on_commit=False)


class LateSessions:
    """Begins transactions as a ``sessionmaker`` does. A connection that goes from one message to the next stays out of
    the pool meanwhile: taking it from there and putting it back costs more than a statement. After a second without
    work it goes back, and is asked whether it lives before it is used again, as the pool does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: deque[tuple[float, Lent]] = deque()
        event.listen(engine, "engine_disposed", lambda _engine: self._end())

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """Committed when the block ends well, rolled back when it raises."""
        session = LateSession(self._engine, self._take)
        try:
            yield session
            session.end()
        finally:
            held = session.leave()
            if held is not None:
                self._idle.append((monotonic(), held))

    def _take(self, engine: Engine) -> Lent:
        while self._idle:
            try:
                since, held = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if monotonic() - since < RESTED_SECONDS:
                return held
            if held.answers(engine):
                held.back()
        return Lent.of(engine)

    def _end(self) -> None:
        """The pool is gone: what was taken from it ends, too."""
        while self._idle:
            held = self._idle.pop()[1].proxied()
            held.detach()
            held.close()


class PooledLateSessions:
    """As ``LateSessions``, for whoever begins now and then: each transaction's connection goes back to the pool."""

    __slots__ = ("_engine", "_session")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self) -> "PooledLateSessions":
        """Committed when the block ends well, rolled back when it raises."""
        return PooledLateSessions(self._engine)  # of its own: blocks may lie in each other, or in several threads

    def __enter__(self) -> Session:
        self._session = LateSession(self._engine, Lent.of)
        return self._session

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None) -> None:
        session = self._session
        try:
            if fault is None:
                session.end()
        finally:
            held = session.leave()
            if held is not None:
                held.back()
