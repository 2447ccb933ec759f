"""What others do to journeys: tell them what happened, publish editions, pause, resume, retire, and look after runs.

The caller commits. Every act of an operator takes the name of who did it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from domain.journeys import store, writing
from domain.journeys.checking import Vocabulary, faults_of
from domain.journeys.document import END, Journey
from domain.journeys.events import EVENTS, FACTS_HEARD
from domain.journeys.library import journey_of
from domain.journeys.reading import JourneyFaults
from domain.journeys.runs import Event
from domain.shared import outbox
from domain.shared.errors import Conflict, DomainError, NotFound
from domain.shared.records import record

STAY = "stay"
"""In a map of steps: whoever is at this step finishes on the edition they are on."""
SPREAD_SECONDS = 40 * 60
"""Over this time people who became due during a pause come again, so that they do not all come at once."""
PIECE = 5_000
KEPT = timedelta(days=90)
"""So long heard events are kept, so that their keys still count."""

_TO = {
    "pause": (("live", "draining"), "paused"), "resume": (("paused",), "live"),
    "drain": (("live", "paused"), "draining"),
    "archive": (("draft", "live", "paused", "draining"), "archived"),
}


def happened(session: Session, events: Sequence[Event], now: datetime) -> int:
    """Tell journeys what happened, in the transaction of its cause; a key that was told before changes nothing.

    Only events that some journey listens to are kept; returns how many were. They are heard by a worker right after the
    commit. Raises KeyError for a kind that is not in ``events.EVENTS``.
    """
    told = [replace(one, data=EVENTS[one.kind].data(one.data)) for one in events]
    kept = store.hear(session, told, now)
    if kept:
        outbox.ring(session, "fact")
    return kept


def fact_happened(
    session: Session, kind: str, key: str, person_id: int | None, payload: Mapping[str, Any], at: datetime,
    now: datetime,
) -> bool:
    """An outbox fact is on its way; whether journeys took note of it. Repeating it changes nothing."""
    if kind not in FACTS_HEARD or person_id is None:
        return False
    return bool(happened(session, [fact_event(kind, key, person_id, payload, at)], now))


def fact_event(kind: str, key: str, person_id: int, payload: Mapping[str, Any], at: datetime) -> Event:
    """What journeys hear of a fact, under the key that it has however it comes to them."""
    return Event(kind, f"fact:{key}", person_id, at, payload)


@record
class Published:
    """``changed`` is False when this very document was the current edition already; ``moving``: people who change to
    it.
    """

    key: str
    version: int
    changed: bool
    moving: int = 0


@record
class Inside:
    """How many people are at a step of an edition."""

    version: int
    step: str
    people: int


def publish(
    session: Session, journey: Journey, vocabulary: Vocabulary, actor: str, now: datetime, *,
    moves: Mapping[str, str] | None = None, live: bool = True,
) -> Published:
    """Make this document the edition that new runs take; ``live`` False keeps a new journey as a draft.

    People inside finish on their edition, unless ``moves`` says otherwise for their step: {step: step of the new
    edition, 'end' or 'stay'}; they change at their next claim. A step that is gone while people stand at it must be in
    ``moves``. Raises JourneyFaults with everything that is wrong.
    """
    if faults := faults_of(journey, vocabulary):
        raise JourneyFaults(faults)
    row = _locked(session, journey.key, actor, now)
    if row.state == "archived":
        raise Conflict("journey_archived", key=journey.key)
    checksum = writing.checksum(journey)
    n = _edition(session, row.id, journey, checksum, actor, now)
    inside = _inside(session, row.id)
    moving = _move(session, row.id, n, journey, inside, moves or {})
    if row.version == n and not moving and not (row.state == "draft" and live):
        return Published(journey.key, n, False)
    state = row.state if row.state != "draft" else ("live" if live else "draft")
    listens = set(journey.listens())
    for version in {one.version for one in inside} - {n}:
        listens |= journey_of(_doc(session, row.id, version)).listens()
    session.execute(text("update journey set version = :n, state = :state, listens = :listens, changed_at = :now,"
                         " changed_by = :actor where id = :id"),
                    {"id": row.id, "n": n, "state": state, "listens": sorted(listens), "now": now, "actor": actor})
    return Published(journey.key, n, True, moving)


_LOCK = text("select id, state, version from journey where key = :key for update")


def _locked(session: Session, key: str, actor: str, now: datetime) -> Any:
    session.execute(text("insert into journey (key, changed_at, changed_by) values (:key, :now, :actor)"
                         " on conflict (key) do nothing"), {"key": key, "now": now, "actor": actor})
    return session.execute(_LOCK, {"key": key}).one()


def _edition(session: Session, journey_id: int, journey: Journey, checksum: str, actor: str, now: datetime) -> int:
    """The number of the edition with this document, added if it is new."""
    known = session.execute(text("select n from journey_version where journey_id = :id and checksum = :checksum"),
                            {"id": journey_id, "checksum": checksum}).scalar()
    if known is not None:
        return int(known)
    added = session.execute(_ADD, {"id": journey_id, "doc": writing.dump(journey), "checksum": checksum, "now": now,
                                   "actor": actor})
    return int(added.scalar_one())


_ADD = text("""
    insert into journey_version (journey_id, n, doc, checksum, published_at, published_by)
    select :id, coalesce(max(n), 0) + 1, :doc, :checksum, :now, :actor from journey_version where journey_id = :id
    returning n
""").bindparams(bindparam("doc", type_=JSONB))


def _doc(session: Session, journey_id: int, version: int) -> dict[str, object]:
    doc: dict[str, object] = session.execute(
        text("select doc from journey_version where journey_id = :id and n = :n"), {"id": journey_id, "n": version}
    ).scalar_one()
    return doc


def _inside(session: Session, journey_id: int) -> list[Inside]:
    rows = session.execute(text("select version, step, count(*) as people from enrolment where journey_id = :id"
                                " and state in ('open', 'held', 'parked') group by 1, 2 order by 1, 2"),
                           {"id": journey_id})
    return [Inside(row.version, row.step, row.people) for row in rows]


def _move(session: Session, journey_id: int, n: int, journey: Journey, inside: Sequence[Inside],
          moves: Mapping[str, str]) -> int:
    """Write down where people of older editions go; how many do. Raises JourneyFaults when a step has no way on."""
    steps, faults, rows, moving = journey.by_id(), [], [], 0
    faults += [f"map {step}: there is no step {to!r} in the new edition" for step, to in moves.items()
               if to not in (STAY, END) and to not in steps]
    for one in inside:
        to = moves.get(one.step)
        if one.version == n or to == STAY:
            continue
        if to is not None:
            moving += one.people
        elif one.step not in steps:
            faults.append(f"step {one.step} (edition {one.version}) is gone and {one.people} people are at it:"
                          f" map it to another step, to {END}, or to {STAY}")
    if faults:
        raise JourneyFaults(faults)
    for version in sorted({one.version for one in inside} - {n}):
        rows += [{"id": journey_id, "version": version, "step": step, "n": n, "to": "" if to == END else to}
                 for step, to in moves.items() if to != STAY]
    if rows:
        session.execute(text("insert into journey_move (journey_id, from_version, step, to_version, to_step)"
                             " values (:id, :version, :step, :n, :to) on conflict (journey_id, from_version, step)"
                             " do update set to_version = excluded.to_version, to_step = excluded.to_step"), rows)
        session.execute(text("delete from journey_move where journey_id = :id and from_version = :n"),
                        {"id": journey_id, "n": n})
    return moving


def known(session: Session) -> set[str]:
    """The keys of all journeys."""
    return set(session.scalars(text("select key from journey")))


def change_state(session: Session, key: str, act: str, actor: str, now: datetime) -> str:
    """pause, resume, drain or archive a journey; its new state. Archiving ends whoever is still inside ('operator').

    After a resume people who fell due meanwhile come spread over some time; what they were to be told keeps its expiry.
    Raises NotFound, DomainError('journey_state') when the journey is in no state for it.
    """
    allowed, to = _TO[act]
    row = session.execute(_LOCK, {"key": key}).first()
    if row is None:
        raise NotFound("journey_unknown", key=key)
    if row.state not in allowed or row.version is None:
        raise DomainError("journey_state", key=key, state=row.state, act=act)
    session.execute(text("update journey set state = :to, changed_at = :now, changed_by = :actor where id = :id"),
                    {"to": to, "now": now, "actor": actor, "id": row.id})
    if act == "resume":
        session.execute(_SPREAD, {"id": row.id, "now": now, "seconds": SPREAD_SECONDS})
    if act == "archive":
        session.execute(text("update enrolment set state = 'ended', end_reason = 'operator', ended_at = :now,"
                             " begun = false where journey_id = :id and state in ('open', 'held', 'parked')"),
                        {"id": row.id, "now": now})
    return to


_SPREAD = text("""
    update enrolment e set due_at = cast(:now as timestamptz) + make_interval(secs =>
               (hashint8extended(e.id, 7) & 1048575) * cast(:seconds as float8) / 1048576)
      from enrolment_due d
     where d.journey_id = :id and d.due_at < :now and e.id = d.enrolment_id and e.state = 'open' and e.due_at < :now
""")


def retry(session: Session, run_ids: Sequence[int], now: datetime) -> int:
    """Let parked runs try again now; how many were parked."""
    done = session.execute(text("update enrolment set state = 'open', attempts = 0, fault = '', due_at = :now"
                                " where id = any(:ids) and state = 'parked' returning id"),
                           {"ids": list(run_ids), "now": now})
    return len(done.all())


def settle(session: Session, now: datetime, limit: int = PIECE) -> int:
    """Housekeeping: drained journeys without people are archived, old events forgotten; how many rows were touched."""
    empty = session.execute(text("""
        update journey j set state = 'archived', changed_at = :now
         where state = 'draining' and not exists (select from enrolment e
               where e.journey_id = j.id and e.state in ('open', 'held', 'parked')) returning id"""), {"now": now})
    old = session.execute(text("""
        delete from journey_event where id in (select id from journey_event where state = 'done' and heard_at < :before
                                                order by heard_at limit :limit) returning id"""),
                          {"before": now - KEPT, "limit": limit})
    return len(empty.all()) + len(old.all())


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """Journeys' part of a merge (a people.service.Mover): of two runs with one key the kept person's goes on."""
    ends = {"kept": kept_id, "gone": gone_id, "now": now}
    session.execute(text("""
        update enrolment g set state = 'ended', end_reason = 'merged', ended_at = :now, begun = false
         where g.person_id = :gone and g.state in ('open', 'held', 'parked')
           and exists (select from enrolment k where k.person_id = :kept and k.journey_id = g.journey_id
                          and k.run_key = g.run_key and k.state in ('open', 'held', 'parked'))"""), ends)
    moved = session.execute(text("""
        update enrolment g set person_id = :kept, run_no = g.run_no + coalesce((
               select max(k.run_no) from enrolment k
                where k.person_id = :kept and k.journey_id = g.journey_id and k.run_key = g.run_key), 0)
         where g.person_id = :gone returning g.id"""), ends).all()
    session.execute(text("update journey_event set person_id = :kept where person_id = :gone and state = 'new'"), ends)
    return {"enrolment": len(moved)} if moved else {}
