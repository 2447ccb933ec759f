"""Answers that only read: the sender is not locked first, and those who ask at the same time are served together.

A handler that says what it asks (``router.on(…, asks=…)``) is run on the answers alone. One crossing brings who wrote,
where their dialogue stands and what the handler asks; another keeps the message with its reply, if the person is still
as they were read: their row is locked then, and must be the very version that was seen. Whoever is merged, forgotten or
busy with another message just now, whoever asks for more than was foreseen, and whatever else is not usual, is
handled from the start under their lock, as everybody else: an attempt leaves nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.kit.messages import Incoming
from bot.runtime import reception
from bot.runtime.reception import Guest
from domain.inbox import service as inbox
from domain.shared import trips, wire
from domain.shared.boat import Boat, Landing, Sunk
from domain.shared.late import LateSession


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


@dataclass(frozen=True, slots=True)
class Met:
    """A sender as they were read, and a session that knows what their message's handler asks."""

    guest: Guest
    session: Session
    version: str
    owed: tuple[trips.Closing, ...]


_Look = tuple[reception.Look, Sequence[wire.Question]]
_Keep = tuple[inbox.Kept, tuple[trips.Closing, ...]]


class Reading:
    """Two boats: one looks, one keeps. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._looks = Boat[_Look, tuple[Any, list[list[Any]]]](partial(_look, Landing(engine)))
        self._keeps = Boat[_Keep, bool](partial(_keep, Landing(engine)))

    def meet(self, message: Incoming, app_id: str, now: datetime, questions: Sequence[wire.Question]) -> Met | None:
        """The sender of a new message, with the answers to ``questions``. None if they are to be met under their lock.
        """
        look = reception.Look(message, app_id, now)
        try:
            row, answers = self._looks.carry((look, questions))
        except Sunk:
            return None
        met = reception.usual(look, row) if row is not None else None
        return Met(met[0], Foreseen(questions, answers), row.version, met[1]) if met else None

    def keep(self, met: Met, message: inbox.Kept) -> bool:
        """Whether the message was kept with its reply, and committed. If not, nothing was."""
        try:
            return self._keeps.carry((message, met.owed))
        except Sunk:
            return False


def _look(landing: Landing, wanted: list[_Look]) -> list[tuple[Any, list[list[Any]]]]:
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


def _keep(landing: Landing, wanted: list[_Keep]) -> list[bool]:
    """Which messages were kept. What is owed for them is written before, always in one order: no two boats, of this
    process or of others, wait for each other's rows."""
    # Who brings a message that is on board already is met under the lock, where the reply is found.
    own = dict(reversed([(message.key, number) for number, (message, _) in enumerate(wanted)]))
    owed = sorted((one for _, all_owed in wanted for one in all_owed), key=lambda one: (one.sql, str(one.values)))
    *_, rows = landing.ask(*((one.sql, one.values) for one in owed),
                           inbox.keeping([wanted[number][0] for number in own.values()]))
    arrived = {own[row.account, row.dedupe_key] for row in rows}
    return [number in arrived for number in range(len(wanted))]
