"""Runs between the database and the rules: claimed and read as ``rules.Run``, written back many at a time."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.journeys.runs import Event, Run, Visit

Json = dict[str, Any]

STALL = "set local idle_in_transaction_session_timeout = '30s'"
"""A worker that hangs in the middle of a batch loses its locks after this: the database ends its transaction."""

_PLAIN = ("id", "journey_id", "version", "person_id", "run_no", "visit_no", "attempts", "depth", "entered_at",
          "anchor_at", "since_at", "planned_at", "due_at", "goal_until", "converted_at", "ended_at", "begun",
          "holdout", "state", "step", "run_key", "event_key", "end_reason")
_COLUMNS = ", ".join(f"e.{name}" for name in _PLAIN) + ", e.ctx"

_CLAIM = f"""
    select {_COLUMNS} from enrolment e
     where e.journey_id = %s and e.state in ('open', 'held') and e.due_at <= %s
     order by e.due_at limit %s for update skip locked
"""  # noqa: S608 - only constants

_LATEST = f"""
    select {_COLUMNS} from enrolment e
     where e.person_id = any(%s) and e.journey_id = any(%s)
       and not exists (select from enrolment n where n.person_id = e.person_id and n.journey_id = e.journey_id
                          and n.run_key = e.run_key and n.run_no > e.run_no)
     order by e.id for update of e
"""  # noqa: S608

_ONE = f"select {_COLUMNS} from enrolment e where e.id = %s"  # noqa: S608

_CHANGED = """
    update enrolment e
       set version = r.version, visit_no = r.visit_no, attempts = r.attempts, depth = r.depth, anchor_at = r.anchor_at,
           since_at = r.since_at, planned_at = r.planned_at, due_at = r.due_at, goal_until = r.goal_until,
           converted_at = r.converted_at, ended_at = r.ended_at, begun = r.begun, state = r.state, step = r.step,
           event_key = r.event_key, end_reason = r.end_reason, ctx = coalesce(r.ctx, e.ctx), fault = ''
      from jsonb_populate_recordset(null::enrolment, %s::jsonb) r
     where e.id = r.id
"""
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
    select enrolment_id, no, step, outcome, reason, arm, planned_at, at
      from jsonb_populate_recordset(null::step_visit, %s::jsonb)
"""
_FAILED = text("""
    update enrolment set attempts = :attempts, due_at = :due, state = :state, fault = :fault where id = :id
""")
_HEAR = "select journey_hear(%s::jsonb, %s)"


def claim(session: Session, journey_id: int, now: datetime, limit: int) -> list[Run]:
    """Due runs of a journey, locked for us until the transaction ends; those that somebody else works on are left out.
    """
    session.connection().exec_driver_sql(STALL)
    return _runs(session, _CLAIM, (journey_id, now, limit))


def latest(session: Session, people: Iterable[int], journeys: Iterable[int]) -> list[Run]:
    """The latest run of each run key of these people in these journeys, locked."""
    return _runs(session, _LATEST, (sorted(people), sorted(journeys)))


def one(session: Session, run_id: int) -> Run | None:
    """A run as it is, not locked."""
    return next(iter(_runs(session, _ONE, (run_id,))), None)


def _runs(session: Session, statement: str, asked: tuple[Any, ...]) -> list[Run]:
    rows = session.connection().exec_driver_sql(statement, asked)
    return [Run(**dict(zip(_PLAIN, row[:-1], strict=True)), **_from_ctx(row[-1])) for row in rows]


def _from_ctx(ctx: Json) -> Json:
    doubted = ctx.get("doubted_at")
    return {"event": ctx["event"], "loops": ctx.get("loops", {}),
            "doubted_at": datetime.fromisoformat(doubted) if doubted else None}


def write(session: Session, runs: Sequence[Run], visits: Sequence[tuple[int, Visit]], now: datetime,
          changed_ctx: frozenset[int] = frozenset()) -> None:
    """Store runs that were claimed, and the steps that they passed (run id, visit). ``changed_ctx``: ids whose event or
    loops are other than before.
    """
    if runs:
        rows = [_row(run, run.id in changed_ctx) for run in runs]
        session.connection().exec_driver_sql(_CHANGED, (_json(rows),))
    if visits:
        made = [{"enrolment_id": run_id, "no": visit.no, "step": visit.step, "outcome": visit.outcome,
                 "reason": visit.reason, "arm": visit.arm, "planned_at": visit.planned_at, "at": now}
                for run_id, visit in visits]
        session.connection().exec_driver_sql(_VISITS, (_json(made),))


def insert(session: Session, runs: Sequence[Run]) -> int:
    """Store new runs; the unique indexes decide who really enters. Returns how many did."""
    if not runs:
        return 0
    return session.connection().exec_driver_sql(_NEW, (_json([_row(run, True) for run in runs]),)).rowcount


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


def _row(run: Run, with_ctx: bool) -> Json:
    row = {name: getattr(run, name) for name in _PLAIN}
    if with_ctx:
        row["ctx"] = {"event": run.event} | ({"loops": run.loops} if run.loops else {}) | (
            {"doubted_at": run.doubted_at} if run.doubted_at else {})
    return row


def _json(rows: list[Json]) -> str:
    return msgspec.json.encode(rows).decode()


def journey_id(session: Session, key: str) -> int | None:
    """The id of a journey, None when nobody knows it."""
    found: int | None = session.execute(text("select id from journey where key = :key"), {"key": key}).scalar()
    return found
