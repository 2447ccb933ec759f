"""Answers that only read: the sender is not locked first, and those who ask at the same time are served together.

A handler that says what it asks (``router.on(…, asks=…)``) is run on the answers alone. One crossing brings who wrote,
where their dialogue stands and what the handler asks; another keeps the message with its reply, if the person is still
as they were read: their row is locked then, and must be the very version that was seen. Whoever is merged, forgotten or
busy with another message just now, whoever asks for more than was foreseen, and whatever else is not usual, is
handled from the start under their lock, as everybody else: an attempt leaves nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from datetime import datetime
from typing import Any

import psycopg
import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.kit.messages import Incoming, Reply
from bot.kit.records import record
from bot.kit.router import Asks
from bot.runtime import metrics, reception
from bot.runtime.reception import Guest
from domain.inbox import service as inbox
from domain.shared import trips, wire
from domain.shared.ferry import Ferry, Landing, Sunk
from domain.shared.late import LateSession

log = structlog.get_logger(__name__)

BOATS = 2
"""One is at the database while handlers work for those of the other."""


class NotForeseen(Exception):
    """A handler asked for more than it had said."""


class Foreseen(LateSession):
    """Stands for a session where only what was foreseen may be asked, once. Raises NotForeseen for all else."""

    def __init__(self, foreseen: dict[str, tuple[wire.Values, list[Any]]]) -> None:
        self._connection = None
        self._foreseen = foreseen

    @property
    def driver(self) -> psycopg.Connection[Any]:
        raise NotForeseen

    def _make(self) -> None:
        raise NotForeseen


@record
class Met:
    """A sender as they were read at ``now``, and a session that knows what their message's handler asks."""

    guest: Guest
    session: Session
    version: str
    now: datetime


@record
class Said:
    """What a handler answers, and how the message is to be kept with it."""

    reply: Reply
    kept: inbox.Kept


Work = Callable[[Met], Said]


@record
class _Passage:
    """A message on its way: whose it probably is, what its handler asks, what is done with the answers."""

    message: Incoming
    app_id: str
    now: datetime
    person_id: int
    asks: Asks
    work: Work
    circumstances: Context
    """Whose request it is, for what is logged about it: one thread works for all on board."""


@record
class _Found:
    """What a crossing brought for a message: its row of ``reception.looking``, and what is foreseen for its handler."""

    look: reception.Look
    row: Any
    foreseen: dict[str, tuple[wire.Values, list[Any]]]


_Answered = tuple[Said, tuple[trips.Closing, ...]]
"""What a handler says, and what its sender is owed for writing."""


class Reading:
    """Answers messages that come at the same time on one crossing there and one back. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._landings = [Landing(engine) for _ in range(BOATS)]
        self._ferry = Ferry[_Passage, Reply | None](self._cross, BOATS)

    def answer(
        self, message: Incoming, app_id: str, now: datetime, person_id: int, asks: Asks, work: Work
    ) -> Reply | None:
        """The reply to a new message, probably of ``person_id``, which is kept and committed with it. None if its
        sender is to be met under their lock: then nothing was kept."""
        try:
            return self._ferry.carry(_Passage(message, app_id, now, person_id, asks, work, copy_context()))
        except Sunk as sunk:
            log.warning("reading.sunk", fault=type(sunk.__cause__).__name__)
            return None

    def _cross(self, aboard: list[_Passage]) -> list[Reply | None]:
        """All on board are answered at the time at which the last of them came: what depends on it (the month, where a
        window ends) is worked out once."""
        landing = self._landings.pop()
        try:
            now = max([one.now for one in aboard])
            done = [one.circumstances.run(_answered, one, found, now) if found else None
                    for one, found in zip(aboard, _look(landing, aboard, now), strict=True)]
            kept = _keep(landing, [one for one in done if one], now)
            metrics.inbox("done", len(kept))
            return [one[0].reply if one and one[0].kept.key in kept else None for one in done]
        finally:
            self._landings.append(landing)


def _look(landing: Landing, aboard: Sequence[_Passage], now: datetime) -> list[_Found | None]:
    """What is found for each, None for a sender whom nobody knows. Each handler's questions are asked once for all."""
    looks = [reception.Look(one.message, one.app_id, reception.circumstances(one.message, now)) for one in aboard]
    people: defaultdict[Asks, list[int]] = defaultdict(list)
    for one in aboard:
        if one.person_id not in people[one.asks]:
            people[one.asks].append(one.person_id)
    questions = [(asks, sql, values) for asks, some in people.items() for sql, values in asks(some, now)]
    rows, *answers = landing.ask(reception.looking(looks), *[(sql, values) for _, sql, values in questions])
    foreseen: dict[tuple[Asks, int], dict[str, tuple[wire.Values, list[Any]]]] = {
        (asks, person): {} for asks, some in people.items() for person in some}
    for (asks, sql, values), found in zip(questions, answers, strict=True):
        for person in people[asks]:
            foreseen[asks, person][sql] = {**values, "people": [person]}, []
        for row in found:
            foreseen[asks, row[0]][sql][1].append(row)
    met = {row.n: row for row in rows}
    return [_Found(look, met[n], foreseen[one.asks, one.person_id]) if n in met else None
            for n, (one, look) in enumerate(zip(aboard, looks, strict=True), 1)]


def _answered(passage: _Passage, found: _Found, now: datetime) -> _Answered | None:
    """What one handler says, None if its message is not that simple: more was asked than foreseen, or the handler
    failed, which it then does once more under the lock, where faults are told and kept."""
    met = reception.usual(found.look, found.row)
    if met is None:
        return None
    guest, owed = met
    try:
        return passage.work(Met(guest, Foreseen(found.foreseen), found.row.version, now)), owed
    except Exception:  # noqa: BLE001 - as the docstring says
        return None


def _keep(landing: Landing, answered: Sequence[_Answered], now: datetime) -> set[tuple[str, str]]:
    """The keys of the messages that were kept. What is owed for these is written behind them, always in one order: no
    two boats, of this process or of others, wait for each other's rows. For a retry that another process answered
    nothing is owed. A message that is on board twice is kept by nobody: who brings it is met under the lock, where the
    second finds the reply of the first."""
    keys = [said.kept.key for said, _ in answered]
    alone = answered if len(set(keys)) == len(keys) else [
        one for one, key in zip(answered, keys, strict=True) if keys.count(key) == 1]
    if not alone:
        return set()
    owed = sorted([inbox.if_kept(said.kept, one) for said, all_owed in alone for one in all_owed],
                  key=lambda one: (one.sql, str(one.values)))
    rows, *_ = landing.ask(inbox.keeping([said.kept for said, _ in alone], now),
                           *[(one.sql, one.values) for one in owed])
    return {(row.account, row.dedupe_key) for row in rows}
