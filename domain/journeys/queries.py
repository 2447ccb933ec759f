"""Reading journeys: how they stand, who is parked, and what became of everybody, step by step."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import sqrt
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.journeys.document import Journey
from domain.journeys.library import journey_of
from domain.journeys.reading import read
from domain.shared.errors import NotFound
from domain.shared.records import record

STUCK = timedelta(minutes=15)
"""Due for longer than this, and nobody came: workers or clock do not run, or something is wrong."""


@record
class JourneyView:
    """A journey and how many people are where. ``version`` None: a draft that was never published."""

    key: str
    title: str
    state: str
    version: int | None
    open: int
    held: int
    parked: int
    ended: int
    changed_at: datetime
    changed_by: str


@record
class Parked:
    """A run that failed too often."""

    id: int
    key: str
    version: int
    person_id: int
    step: str
    fault: str
    due_at: datetime


@record
class Stuck:
    """People of a journey whose time came long ago."""

    key: str
    people: int
    oldest: datetime


@record
class StepFigures:
    """One step of one edition. ``outcomes``: visits by outcome, with the reason where there is one
    (``skipped:expired``).

    ``sent``, ``refused``: what became of its messages, refusals by reason. ``lag_p50``, ``lag_p95``: seconds between
    when a visit was planned and when it was made.
    """

    version: int
    step: str
    waiting: int
    visits: int
    outcomes: dict[str, int]
    sent: int
    refused: dict[str, int]
    lag_p50: int
    lag_p95: int


@record
class Uplift:
    """Treated against held out: converted of all, and the difference with its 95 % interval, in basis points.

    ``low`` and ``high`` are None while one side has nobody.
    """

    treated: int
    treated_converted: int
    held: int
    held_converted: int
    difference_bps: int | None
    low_bps: int | None
    high_bps: int | None


@record
class Stats:
    """The funnel of a journey since a time."""

    key: str
    entered: int
    ends: dict[str, int]
    steps: list[StepFigures]
    uplift: Uplift


_LIST = text("""
    select j.key, j.state, j.version, j.changed_at, j.changed_by, v.doc ->> 'title' as title,
           count(e.id) filter (where e.state = 'open') as open, count(e.id) filter (where e.state = 'held') as held,
           count(e.id) filter (where e.state = 'parked') as parked,
           count(e.id) filter (where e.state = 'ended') as ended
      from journey j left join journey_version v on v.journey_id = j.id and v.n = j.version
      left join enrolment e on e.journey_id = j.id
     group by j.id, v.journey_id, v.n order by j.key
""")
_WITHOUT = text("""
    select j.key from journey j
      join unnest(cast(:keys as text[]), cast(:sums as text[])) as w (key, sum) on w.key = j.key
     where j.state <> 'archived' and not exists (
           select from journey_version v where v.journey_id = j.id and v.checksum = w.sum)""")
_PARKED = text("""
    select e.id, j.key, e.version, e.person_id, e.step, e.fault, e.due_at from enrolment e
      join journey j on j.id = e.journey_id
     where e.state = 'parked' and (cast(:key as text) is null or j.key = :key) order by e.id limit :limit
""")
_STUCK = text("""
    select j.key, count(*) as people, min(d.due_at) as oldest from journey j join enrolment_due d on d.journey_id = j.id
     where j.state in ('live', 'draining') and d.due_at < :before
     group by j.key order by j.key
""")
_ENDS = text("""
    select case when state = 'ended' then end_reason else state end as reason, count(*) as people,
           count(*) filter (where not holdout) as treated,
           count(*) filter (where not holdout and converted_at is not null) as treated_converted,
           count(*) filter (where holdout) as held,
           count(*) filter (where holdout and converted_at is not null) as held_converted
      from enrolment where journey_id = :id and entered_at >= :since group by 1 order by 1
""")
_WAITING = text("""
    select version, step, count(*) as people from enrolment where journey_id = :id and state = 'open'
       and entered_at >= :since group by 1, 2
""")
_VISITS = text("""
    select e.version, v.step, v.outcome || case when v.reason <> '' then ':' || v.reason else '' end
               || case when v.arm <> '' then ':' || v.arm else '' end as outcome, count(*) as visits
      from step_visit v join enrolment e on e.id = v.enrolment_id
     where e.journey_id = :id and e.entered_at >= :since group by 1, 2, 3
""")
_LAGS = text("""
    select e.version, v.step,
           percentile_disc(array[0.5, 0.95]) within group (
               order by greatest(0, extract(epoch from v.at - v.planned_at))) as lags
      from step_visit v join enrolment e on e.id = v.enrolment_id
     where e.journey_id = :id and e.entered_at >= :since group by 1, 2
""")
_MESSAGES = text("""
    select e.version, v.step, o.state, o.reason, count(*) as messages
      from step_visit v join enrolment e on e.id = v.enrolment_id
      join outbox o on o.key = 'notice:journey:' || e.id || ':' || e.run_no || ':' || v.no
     where e.journey_id = :id and e.entered_at >= :since and v.outcome = 'told' group by 1, 2, 3, 4
""")


def every(session: Session) -> list[JourneyView]:
    """All journeys with their people."""
    rows = session.execute(_LIST).mappings()
    return [JourneyView(**(dict(row) | {"title": row["title"] or ""})) for row in rows]


def current(session: Session, key: str) -> Journey:
    """The document of the edition that new runs take. Raises NotFound."""
    doc = session.execute(text("select v.doc from journey j join journey_version v on v.journey_id = j.id"
                               " and v.n = j.version where j.key = :key"), {"key": key}).scalar()
    if doc is None:
        raise NotFound("journey_unknown", key=key)
    return journey_of(doc)


def without_edition(session: Session, checksums: Mapping[str, str]) -> set[str]:
    """Which of these journeys (key → checksum of a document) are known here, but never had that document."""
    return set(session.scalars(_WITHOUT, {"keys": list(checksums), "sums": list(checksums.values())}))


def parked(session: Session, key: str | None = None, limit: int = 200) -> list[Parked]:
    """Runs that wait for an operator, oldest first."""
    return [Parked(**row) for row in session.execute(_PARKED, {"key": key, "limit": limit}).mappings()]


def stuck(session: Session, now: datetime) -> list[Stuck]:
    """Journeys with people whose time came long ago."""
    return [Stuck(**row) for row in session.execute(_STUCK, {"before": now - STUCK}).mappings()]


def stats(session: Session, key: str, since: datetime) -> Stats:
    """The funnel of everybody who entered after ``since``. Raises NotFound."""
    journey_id = session.execute(text("select id from journey where key = :key"), {"key": key}).scalar()
    if journey_id is None:
        raise NotFound("journey_unknown", key=key)
    asked = {"id": journey_id, "since": since}
    ends = session.execute(_ENDS, asked).all()
    sums = {name: sum(getattr(row, name) for row in ends) for name in
            ("people", "treated", "treated_converted", "held", "held_converted")}
    return Stats(key, sums.pop("people"), {row.reason: row.people for row in ends}, _steps(session, journey_id, asked),
                 uplift(**sums))


def _steps(session: Session, journey_id: int, asked: dict[str, Any]) -> list[StepFigures]:
    """Every step of every edition that somebody was in, in the order of the documents."""
    waiting = {(row.version, row.step): row.people for row in session.execute(_WAITING, asked)}
    outcomes: dict[tuple[int, str], dict[str, int]] = {}
    for row in session.execute(_VISITS, asked):
        outcomes.setdefault((row.version, row.step), {})[row.outcome] = row.visits
    lags = {(row.version, row.step): row.lags for row in session.execute(_LAGS, asked)}
    messages: dict[tuple[int, str], dict[str, int]] = {}
    for row in session.execute(_MESSAGES, asked):
        word = {"done": "sent", "waiting": "waiting", "running": "waiting"}.get(row.state, row.reason or row.state)
        counts = messages.setdefault((row.version, row.step), {})
        counts[word] = counts.get(word, 0) + row.messages
    figures = []
    for place in _places(session, journey_id, set(waiting) | set(outcomes)):
        counts = dict(messages.get(place, {}))
        sent, _ = counts.pop("sent", 0), counts.pop("waiting", 0)
        seen, lag = outcomes.get(place, {}), lags.get(place) or (0, 0)
        figures.append(StepFigures(*place, waiting.get(place, 0), sum(seen.values()), seen, sent, counts,
                                   round(lag[0]), round(lag[1])))
    return figures


def _places(session: Session, journey_id: int, wanted: set[tuple[int, str]]) -> list[tuple[int, str]]:
    docs = session.execute(text("select n, doc from journey_version where journey_id = :id order by n"),
                           {"id": journey_id})
    inside = {version for version, _ in wanted}
    return [(row.n, step.id) for row in docs if row.n in inside for step in read(row.doc).steps]


def uplift(treated: int, treated_converted: int, held: int, held_converted: int) -> Uplift:
    """The difference of two shares with its Wald interval (1.96 standard errors), in basis points."""
    if not treated or not held:
        return Uplift(treated, treated_converted, held, held_converted, None, None, None)
    p, q = treated_converted / treated, held_converted / held
    error = 1.96 * sqrt(p * (1 - p) / treated + q * (1 - q) / held)
    bounds = [round(10_000 * value) for value in (p - q, p - q - error, p - q + error)]
    return Uplift(treated, treated_converted, held, held_converted, *bounds)
