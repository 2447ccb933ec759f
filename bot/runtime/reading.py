"""Answers that only read: the sender is not locked first, and those who ask at the same time are served together.

A handler that says what it asks (``router.on(…, asks=…)``) is run on the answers alone. One crossing brings who wrote,
where their dialogue stands and what the handler asks; another keeps the message with its reply, if the person is still
as they were read: their row is locked then, and must be the very version that was seen. Whoever is merged, forgotten or
busy with another message just now, whoever asks for more than was foreseen, and whatever else is not usual, is
handled from the start under their lock, as everybody else: an attempt leaves nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.kit.messages import Incoming, Reply
from bot.kit.records import record
from bot.runtime import reception
from bot.runtime.reception import Guest
from domain.inbox import service as inbox
from domain.shared import trips, wire
from domain.shared.ferry import Ferry, Landing, Sunk
from domain.shared.late import LateSession

BOATS = 2
"""One is at the database while handlers work for those of the other."""


class NotForeseen(Exception):
    """A handler asked for more than it had said."""


class Foreseen(LateSession):
    """Stands for a session where only what was foreseen may be asked, once. Raises NotForeseen for all else."""

    def __init__(self, questions: Sequence[wire.Question], answers: Sequence[list[Any]]) -> None:
        self._connection = None
        self.foresee(questions, answers)

    @property
    def driver(self) -> psycopg.Connection[Any]:
        raise NotForeseen

    def _make(self) -> None:
        raise NotForeseen


@record
class Met:
    """A sender as they were read, and a session that knows what their message's handler asks."""

    guest: Guest
    session: Session
    version: str


@record
class Said:
    """What a handler answers, and how the message is to be kept with it."""

    reply: Reply
    kept: inbox.Kept


Work = Callable[[Met], Said]


@record
class _Passage:
    """A message on its way: whose it is, what is asked for it, what is done with the answers."""

    look: reception.Look
    questions: Sequence[wire.Question]
    work: Work
    circumstances: Context
    """Whose request it is, for what is logged about it: one thread works for all on board."""


_Keep = tuple[inbox.Kept, tuple[trips.Closing, ...]]
_Answered = tuple[Said, tuple[trips.Closing, ...]]


class Reading:
    """Answers messages that come at the same time on one crossing there and one back. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._landings = [Landing(engine) for _ in range(BOATS)]
        self._ferry = Ferry[_Passage, Reply | None](self._cross, BOATS)

    def answer(
        self, message: Incoming, app_id: str, now: datetime, questions: Sequence[wire.Question], work: Work
    ) -> Reply | None:
        """The reply to a new message, which is kept and committed with it. None if its sender is to be met under their
        lock: then nothing was kept."""
        passage = _Passage(reception.Look(message, app_id, now), questions, work, copy_context())
        try:
            return self._ferry.carry(passage)
        except Sunk:
            return None

    def _cross(self, aboard: list[_Passage]) -> list[Reply | None]:
        landing = self._landings.pop()
        try:
            looked = _look(landing, [(one.look, one.questions) for one in aboard])
            done = [one.circumstances.run(_answered, one, *found) for one, found in zip(aboard, looked, strict=True)]
            kept = _keep(landing, [(said.kept, owed) for said, owed in filter(None, done)])
            return [one[0].reply if one and one[0].kept.key in kept else None for one in done]
        finally:
            self._landings.append(landing)


def _answered(passage: _Passage, row: Any, answers: list[list[Any]]) -> _Answered | None:
    """What one handler says, None if its message is not that simple: more was asked than foreseen, or the handler
    failed, which it then does once more under the lock, where faults are told and kept."""
    met = reception.usual(passage.look, row) if row is not None else None
    if met is None:
        return None
    guest, owed = met
    try:
        return passage.work(Met(guest, Foreseen(passage.questions, answers), row.version)), owed
    except Exception:  # noqa: BLE001 - as the docstring says
        return None


def _look(
    landing: Landing, wanted: Sequence[tuple[reception.Look, Sequence[wire.Question]]]
) -> list[tuple[Any, list[list[Any]]]]:
    """For each its row of ``reception.looking`` (None: nobody known) and the answers to its questions."""
    together: dict[tuple[Any, ...], tuple[str, dict[str, Any]]] = {}
    for sql, values in (one for _, questions in wanted for one in questions):
        _, asked = together.setdefault(_alike(sql, values), (sql, dict(values, people=[])))
        asked["people"] += (one for one in _people(values) if one not in asked["people"])
    rows, *found = landing.ask(reception.looking([look for look, _ in wanted]), *together.values())
    met = {row.n: row for row in rows}
    of: dict[tuple[Any, ...], dict[int, list[Any]]] = {alike: defaultdict(list) for alike in together}
    for kept, answers in zip(of.values(), found, strict=True):
        for row in answers:
            kept[row[0]].append(row)
    return [(met.get(number), [of[_alike(sql, values)][person] for sql, values in questions
                               for person in _people(values)])
            for number, (_, questions) in enumerate(wanted, 1)]


def _alike(sql: str, values: Any) -> tuple[Any, ...]:
    """What questions have in common that can be asked as one."""
    return (sql, *(value for name, value in values.items() if name != "people"))


def _people(values: Any) -> list[int]:
    found: list[int] = values["people"]
    return found


def _keep(landing: Landing, wanted: Sequence[_Keep]) -> set[tuple[str, str]]:
    """The keys of the messages that were kept. What is owed for them is written before, always in one order: no two
    boats, of this process or of others, wait for each other's rows. A message that is on board twice is kept by
    nobody: who brings it is met under the lock, where the second finds the reply of the first."""
    times = Counter(message.key for message, _ in wanted)
    alone = [one for one in wanted if times[one[0].key] == 1]
    if not alone:
        return set()
    owed = sorted((one for _, all_owed in alone for one in all_owed), key=lambda one: (one.sql, str(one.values)))
    *_, rows = landing.ask(*((one.sql, one.values) for one in owed), inbox.keeping([message for message, _ in alone]))
    return {(row.account, row.dedupe_key) for row in rows}
