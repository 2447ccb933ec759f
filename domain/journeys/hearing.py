"""Lets journeys hear what happened: people enter, begin again, are woken from a wait, leave, and reach goals.

Events are claimed with their people, so that one person's events are heard by one worker, in order. The unique indexes
decide who is really inside. The caller commits.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from domain.journeys import store
from domain.journeys.conditions import holds
from domain.journeys.crowd import Crowd
from domain.journeys.library import Library, Placed, Shelf
from domain.journeys.rules import entered, entry, hear, key_of, looking, restarted
from domain.journeys.runs import Event, Run, Visit, Walk
from domain.shared import trips
from domain.shared.records import record

ATTEMPTS = 5
BACKOFF = timedelta(seconds=20)

_CLAIM = text("""
    with due as materialized (
        select id, person_id from journey_event where state = 'new' and due_at <= :now
         order by due_at, id limit :limit for update skip locked
    ), free as materialized (
        select person_id from (select distinct person_id from due) d
         where pg_try_advisory_xact_lock(hashtextextended('journeys', person_id))
    )
    select e.id, e.kind, e.key, e.person_id, e.at, e.depth, e.data, e.attempts
      from journey_event e join due using (id) where e.person_id in (select person_id from free) order by e.id
""")
_DONE = text("update journey_event set state = 'done', fault = '' where id = any(:ids)")
_FAIL = text("""
    update journey_event set attempts = attempts + 1, fault = :fault, due_at = :due,
           state = case when attempts + 1 >= :most then 'dead' else 'new' end where id = :id
""")


@record
class Heard:
    """An event with its row."""

    row_id: int
    event: Event
    attempts: int


@dataclass(slots=True)
class Scene:
    """The runs that the people of a batch are in, as they change while it is worked on."""

    runs: dict[tuple[int, int, str], Run] = field(default_factory=dict)
    of_whom: dict[int, list[Run]] = field(default_factory=lambda: defaultdict(list))
    changed: dict[int, Run] = field(default_factory=dict)
    fresh: list[Run] = field(default_factory=list)
    visits: list[tuple[int, Visit]] = field(default_factory=list)

    def add(self, run: Run) -> None:
        self.runs[run.person_id, run.journey_id, run.run_key] = run
        self.of_whom[run.person_id].append(run)

    def touch(self, run: Run) -> None:
        if run.id:
            self.changed[run.id] = run


def hear_batch(session: Session, library: Library, now: datetime, limit: int) -> int:
    """Let journeys hear up to ``limit`` events; how many were taken. Raises what went wrong: the caller rolls back and
    turns to ``hear_singly``.
    """
    claimed = _claim(session, now, limit)
    if claimed:
        _hear(session, library, claimed, now)
    return len(claimed)


def hear_singly(session: Session, library: Library, now: datetime, limit: int) -> int:
    """As ``hear_batch``, but each event in a savepoint of its own: a bad one is put off, and dead after five times."""
    claimed = _claim(session, now, limit)
    for one in claimed:
        try:
            with session.begin_nested():
                _hear(session, library, [one], now)
        except Exception as fault:
            if isinstance(fault, SQLAlchemyError) and not session.is_active:
                raise
            said = f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}"[:300]
            session.execute(_FAIL, {"id": one.row_id, "fault": said, "most": ATTEMPTS,
                                    "due": now + BACKOFF * 2**one.attempts})
    return len(claimed)


def _claim(session: Session, now: datetime, limit: int) -> list[Heard]:
    return [Heard(row.id, Event(row.kind, row.key, row.person_id, row.at, row.data, row.depth), row.attempts)
            for row in session.execute(_CLAIM, {"now": now, "limit": limit})]


def _hear(session: Session, library: Library, heard: Sequence[Heard], now: datetime) -> None:
    shelf = library.shelf(session)
    events = [one.event for one in heard]
    placed = shelf.listening({event.kind for event in events})
    scene = Scene()
    if placed:
        for run in store.latest(session, {event.person_id for event in events}, [one.id for one in placed]):
            scene.add(run)
        _play(session, library, shelf, scene, events, now)
        changed = list(scene.changed.values())
        if changed:
            trips.together(session, *store.writing(changed, scene.visits, now, changed))
        store.insert(session, scene.fresh)
    session.execute(_DONE, {"ids": [one.row_id for one in heard]})


def _play(session: Session, library: Library, shelf: Shelf, scene: Scene, events: Sequence[Event],
          now: datetime) -> None:
    """Every event in order: first whoever is inside hears it, then somebody may enter."""
    inside = Crowd(session, now, [(run.person_id, run.event) for run in scene.runs.values()])
    outside = Crowd(session, now, [(event.person_id, event.data) for event in events])
    live = {kind: [one for one in shelf.listening([kind]) if one.state == "live"]
            for kind in {event.kind for event in events}}
    for event in events:
        for run in scene.of_whom[event.person_id]:
            walk = Walk(run)
            edition = library.edition(session, run.journey_id, run.version)
            if hear(edition, walk, event, inside.of(run.person_id, run.event), now):
                scene.touch(run)
                scene.visits += [(run.id, visit) for visit in walk.visits]
        for one in live[event.kind]:
            _enter(session, library, scene, one, event, outside, now)


def _enter(session: Session, library: Library, scene: Scene, one: Placed, event: Event, crowd: Crowd,
           now: datetime) -> None:
    """Begin a run, or begin the open one again, if the journey wants it."""
    edition = library.edition(session, one.id, one.version)
    journey = edition.journey
    if journey.on != event.kind:
        return
    known = scene.runs.get((event.person_id, one.id, key_of(journey, event)))
    verdict = entry(journey, known, event, now)
    if verdict == "no":
        return
    if not holds(journey.when, looking(event.data, crowd.of(event.person_id, event.data))):
        return
    if verdict == "restart":
        assert known is not None
        restarted(edition, known, event, now)
        scene.touch(known)
    else:
        newcomer = entered(edition, event, known, now)
        scene.add(newcomer)
        scene.fresh.append(newcomer)
