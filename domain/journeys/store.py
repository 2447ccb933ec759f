"""Runs between the database and the rules: claimed and read as ``rules.Run``, written back many at a time."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.journeys.runs import Event, Run, Visit
from domain.shared import trips
from domain.shared.wire import Question

Json = dict[str, Any]

_COLUMNS = """
    e.person_id, e.run_key, e.ctx::text, e.event_key, e.entered_at, e.anchor_at, e.since_at, e.planned_at, e.due_at,
    e.step, e.version, e.journey_id, e.id, e.run_no, e.state, e.begun, e.holdout, e.visit_no, e.attempts, e.depth,
    e.end_reason, e.ended_at, e.goal_until, e.converted_at"""
"""In the order of the fields of ``Run``: a row becomes one without naming its fields."""

_PLAIN = ("id", "journey_id", "version", "person_id", "run_no", "visit_no", "attempts", "depth", "entered_at",
          "anchor_at", "since_at", "planned_at", "due_at", "goal_until", "converted_at", "ended_at", "begun",
          "holdout", "state", "step", "run_key", "event_key", "end_reason")

_CLAIM = f"""
    select e.* from (
        select enrolment_id from enrolment_due where journey_id = %(journey)s and due_at <= %(now)s
         order by journey_id, due_at, enrolment_id) d,
      lateral (
        select {_COLUMNS} from enrolment e
         where e.id = d.enrolment_id and e.state in ('open', 'held') and e.due_at <= %(now)s
           for update skip locked) e
     limit %(limit)s
"""  # noqa: S608 - only constants
"""Due times are read in order and each of their runs is locked if it is free, until there are enough. The run is asked
again under its lock: somebody may have moved it meanwhile. A plain join would be free to walk through all runs, and an
order outside would be free to lock them all before the first is counted."""

_INSIDE = f"""
    select {_COLUMNS} from enrolment e
     where e.person_id = any(%s) and e.journey_id = any(%s) and e.state in ('open', 'held', 'parked')
     order by e.id for update
"""  # noqa: S608
_OVER = f"""
    select {_COLUMNS} from enrolment e
     where e.person_id = any(%s) and e.journey_id = any(%s) and e.state = 'ended'
       and not exists (select from enrolment n where n.person_id = e.person_id and n.journey_id = e.journey_id
                          and n.run_key = e.run_key and n.run_no > e.run_no)
     order by e.id
"""  # noqa: S608
"""Only who is inside is locked: a lock is a write, and most runs of a person are over."""

_ONE = f"select {_COLUMNS} from enrolment e where e.id = %s"  # noqa: S608

_MOVED = """
    update enrolment e
       set version = r.version, visit_no = r.visit_no, attempts = 0, since_at = r.since_at, planned_at = r.planned_at,
           due_at = r.due_at, begun = r.begun, state = r.state, step = r.step, ended_at = r.ended_at,
           end_reason = r.end_reason, fault = ''
      from (select s.*, unnest(s.ids::bigint[]) as id
              from jsonb_to_recordset(%s::jsonb) s (ids text, version bigint, visit_no bigint, since_at timestamptz,
                   planned_at timestamptz, due_at timestamptz, begun boolean, state text, step text,
                   ended_at timestamptz, end_reason text)) r
     where e.id = r.id
"""
"""What a walk may change. People of a batch mostly come to the same: it is told once, with the ids of all of them."""
_MOVED_NAMES = ("version", "visit_no", "since_at", "planned_at", "due_at", "begun", "state", "step", "ended_at",
                "end_reason")
_changes = attrgetter(*_MOVED_NAMES)

_TOLD = """
    update enrolment e
       set depth = r.depth, anchor_at = r.anchor_at, goal_until = r.goal_until, converted_at = r.converted_at,
           event_key = r.event_key, ctx = r.ctx
      from jsonb_populate_recordset(null::enrolment, %s::jsonb) r
     where e.id = r.id
"""
"""What only an event, a loop or a doubt changes."""

_NEW = """
    insert into enrolment (journey_id, version, person_id, run_no, depth, entered_at, anchor_at, since_at, planned_at,
                           due_at, goal_until, converted_at, ended_at, holdout, state, step, run_key, event_key,
                           end_reason, ctx)
    select journey_id, version, person_id, run_no, depth, entered_at, anchor_at, since_at, planned_at, due_at,
           goal_until, converted_at, ended_at, holdout, state, step, run_key, event_key, end_reason, ctx
      from jsonb_populate_recordset(null::enrolment, %s::jsonb)
        on conflict do nothing
"""
_VISITS = """
    insert into step_visit (enrolment_id, no, step, outcome, reason, arm, planned_at, at)
    select unnest(s.ids::bigint[]), s.no, s.step, s.outcome, s.reason, s.arm, s.planned_at, %s
      from jsonb_to_recordset(%s::jsonb) s (ids text, no bigint, step text, outcome text, reason text, arm text,
           planned_at timestamptz)
"""
_FAILED = text("""
    update enrolment set attempts = :attempts, due_at = :due, state = :state, fault = :fault where id = :id
""")
_HEAR = "select journey_hear(%s::jsonb, %s)"


def claim(session: Session, journey_id: int, now: datetime, limit: int) -> list[Run]:
    """Due runs of a journey, locked for us until the transaction ends; those that somebody else works on are left out.
    """
    found = trips.rows(session, _CLAIM, {"journey": journey_id, "now": now, "limit": limit})
    return [_run(row) for row in found]


def latest(session: Session, people: Iterable[int], journeys: Iterable[int]) -> list[Run]:
    """The latest run of each run key of these people in these journeys; those that are not over are locked."""
    asked = sorted(people), sorted(journeys)
    return _runs(session, _INSIDE, asked) + _runs(session, _OVER, asked)


def one(session: Session, run_id: int) -> Run | None:
    """A run as it is, not locked."""
    return next(iter(_runs(session, _ONE, (run_id,))), None)


def _runs(session: Session, statement: str, asked: tuple[Any, ...]) -> list[Run]:
    found = session.connection().exec_driver_sql(statement, asked)
    return [_run(row) for row in found.cursor.fetchall()]


def _run(row: tuple[Any, ...]) -> Run:
    ctx = msgspec.json.decode(row[2])
    doubted = ctx.get("doubted_at")
    run = Run(row[0], row[1], ctx.get("event", {}), *row[3:])  # {}: the person was erased
    run.loops, run.doubted_at = ctx.get("loops", {}), datetime.fromisoformat(doubted) if doubted else None
    return run


def writing(runs: Sequence[Run], visits: Sequence[tuple[int, Visit]], now: datetime,
            told: Sequence[Run] = ()) -> list[Question]:
    """The statements that store runs that were claimed, and the steps that they passed (run id, visit). ``told``: those
    of them whose event, loops, doubts or goal are other than before.
    """
    asked: list[Question] = []
    if runs:
        asked.append((_MOVED, (_alike(_MOVED_NAMES, ((_changes(run), run.id) for run in runs)),)))
    if told:
        asked.append((_TOLD, (_json([_row(run) for run in told]),)))
    if visits:
        asked.append((_VISITS, (now, _alike(Visit._fields, ((visit, run_id) for run_id, visit in visits)))))
    return asked


def _alike(names: Sequence[str], rows: Iterable[tuple[tuple[Any, ...], int]]) -> str:
    """Rows (facts in the order of ``names``, id) as JSON, each set of facts once with the ids that share it."""
    shared: dict[tuple[Any, ...], list[int]] = {}
    for facts, row_id in rows:
        shared.setdefault(facts, []).append(row_id)
    return _json([dict(zip(names, facts, strict=True), ids=f"{{{','.join(map(str, ids))}}}")
                  for facts, ids in shared.items()])


def insert(session: Session, runs: Sequence[Run]) -> int:
    """Store new runs; the unique indexes decide who really enters. Returns how many did."""
    if not runs:
        return 0
    return session.connection().exec_driver_sql(_NEW, (_json([_row(run) for run in runs]),)).rowcount


def fail(session: Session, run: Run, fault: str, due: datetime, parked: bool) -> None:
    """Keep that a run could not be walked: tried again at ``due``, or parked for an operator."""
    session.execute(_FAILED, {"id": run.id, "attempts": run.attempts + 1, "due": due, "fault": fault,
                              "state": "parked" if parked else run.state})


def hear(session: Session, events: Sequence[Event], now: datetime) -> int:
    """Keep the events that any journey listens to; keys that were heard before change nothing. Returns how many were
    new.
    """
    if not events:
        return 0
    rows = [{"kind": event.kind, "key": event.key, "person_id": event.person_id, "at": event.at, "depth": event.depth,
             "data": event.data} for event in events]
    return int(session.connection().exec_driver_sql(_HEAR, (_json(rows), now)).scalar_one())


def _row(run: Run) -> Json:
    row = {name: getattr(run, name) for name in _PLAIN}
    row["ctx"] = {"event": run.event} | ({"loops": run.loops} if run.loops else {}) | (
        {"doubted_at": run.doubted_at} if run.doubted_at else {})
    return row


def _json(rows: list[Json]) -> str:
    return msgspec.json.encode(rows).decode()


def journey_id(session: Session, key: str) -> int | None:
    """The id of a journey, None when nobody knows it."""
    found: int | None = session.execute(text("select id from journey where key = :key"), {"key": key}).scalar()
    return found
