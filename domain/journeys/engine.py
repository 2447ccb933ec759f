"""Moves people through journeys: claims due runs in batches, walks each one, writes what came of all of them at once.

The row lock is the lease. It goes with the transaction, so whoever dies leaves nothing behind, and who hangs loses it
to the database, which ends transactions that stand idle (bot.runtime.bootstrap); nobody else can have written
meanwhile. The caller commits. A fault of one person's run is kept with the run: tried again later, parked after five
times; the others go on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from domain.journeys import store
from domain.journeys.crowd import ArmWanted, Crowd
from domain.journeys.deeds import effects_of, events_of
from domain.journeys.document import END
from domain.journeys.library import Library, Shelf
from domain.journeys.rules import advance, moved
from domain.journeys.runs import Edition, Event, Run, Visit, Walk
from domain.shared import outbox, trips
from domain.shared.clock import SHANGHAI

ATTEMPTS = 5
"""So often a run is tried; then it is parked until an operator looks at it."""
BACKOFF = timedelta(minutes=1)
"""Wait after the first failure; doubles with each."""

_DUE = text("""
    select j.id from journey j
     where j.state in ('live', 'draining')
       and exists (select from enrolment_due d where d.journey_id = j.id and d.due_at <= :now)
     order by j.id
""")


@dataclass(slots=True)
class Batch:
    """What a batch of walks adds up to."""

    runs: list[Run] = field(default_factory=list)
    visits: list[tuple[int, Visit]] = field(default_factory=list)
    effects: list[outbox.Effect] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    told: list[Run] = field(default_factory=list)
    failed: list[tuple[Run, str]] = field(default_factory=list)

    def take(self, edition: Edition, walk: Walk, before: Run, now: datetime) -> None:
        """Add the walk of a run that looked like ``before``."""
        run = walk.run
        self.runs.append(run)
        self.visits += [(run.id, visit) for visit in walk.visits]
        self.effects += effects_of(edition.journey, run, walk.deeds, now)
        self.events += events_of(run, walk.deeds, now)
        if run.loops != before.loops or run.doubted_at != before.doubted_at:
            self.told.append(run)


def journeys_due(session: Session, now: datetime) -> list[int]:
    """The journeys in which somebody can be moved."""
    return list(session.scalars(_DUE, {"now": now}))


def move_batch(session: Session, library: Library, journey_id: int, now: datetime, limit: int) -> int:
    """Move up to ``limit`` due people of a journey; how many were taken. Raises what the database refuses: the caller
    rolls back and turns to ``move_singly``.
    """
    runs = store.claim(session, journey_id, now, limit)
    if runs:
        _write(session, _walk(session, library, library.shelf(session), runs, now), now)
    return len(runs)


def move_singly(session: Session, library: Library, journey_id: int, now: datetime, limit: int) -> int:
    """As ``move_batch``, but each person in a savepoint of their own: what the database refuses is kept with that
    person.
    """
    runs = store.claim(session, journey_id, now, limit)
    shelf = library.shelf(session)
    for run in runs:
        try:
            with session.begin_nested():
                _write(session, _walk(session, library, shelf, [run], now), now)
        except SQLAlchemyError as fault:
            _fail(session, run, _said(fault), now)
    return len(runs)


def _walk(session: Session, library: Library, shelf: Shelf, runs: Sequence[Run], now: datetime) -> Batch:
    """Walk all of them in memory. Who comes to a split waits until the arms of everybody there are asked for at once,
    and then walks from the start again: nothing of a walk counts before it is over."""
    batch = Batch()
    crowd = Crowd(session, now, [(run.person_id, run.event) for run in runs])
    waiting = list(runs)
    while waiting:
        at_split: dict[str, list[Run]] = {}
        for before in waiting:
            try:
                _walk_one(session, library, shelf, batch, crowd, before, now)
            except ArmWanted as split:
                at_split.setdefault(split.experiment, []).append(before)
            except SQLAlchemyError:
                raise
            except Exception as fault:  # noqa: BLE001 - one person's fault must not stop the others
                batch.failed.append((before, _said(fault)))
        for experiment, people in at_split.items():
            crowd.assign(experiment, [run.person_id for run in people])
        waiting = [run for people in at_split.values() for run in people]
    return batch


def _walk_one(session: Session, library: Library, shelf: Shelf, batch: Batch, crowd: Crowd, before: Run,
              now: datetime) -> None:
    run = before.twin()
    edition = _settle(session, library, shelf, run, now)
    walk = Walk(run)
    if run.state != "ended":
        walk = advance(edition, run, crowd.of(run.person_id, run.event), now, SHANGHAI)
    batch.take(edition, walk, before, now)


def _settle(session: Session, library: Library, shelf: Shelf, run: Run, now: datetime) -> Edition:
    """The edition that a run goes on in: a newer one if somebody moved the people at its step."""
    edition = library.edition(session, run.journey_id, run.version)
    while run.state != "ended" and (move := shelf.moves.get((run.journey_id, run.version, run.step))):
        edition = library.edition(session, run.journey_id, move[0])
        moved(run, edition, move[1], now)
    if run.state != "ended" and run.step == END:
        raise LookupError("the run stands at its end")
    return edition


def _write(session: Session, batch: Batch, now: datetime) -> None:
    asked = store.writing(batch.runs, batch.visits, now, batch.told) + outbox.putting(session, batch.effects, now)
    if asked:
        trips.together(session, *asked)
    store.hear(session, batch.events, now)
    for run, fault in batch.failed:
        _fail(session, run, fault, now)


def _fail(session: Session, run: Run, fault: str, now: datetime) -> None:
    store.fail(session, run, fault, now + BACKOFF * 2**run.attempts, parked=run.attempts + 1 >= ATTEMPTS)


def _said(fault: Exception) -> str:
    return f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}"[:300]
