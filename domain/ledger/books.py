"""The standing check of the books: what moved is looked at every few minutes, everything every night, piece by piece.

A fault stays open until a later look finds it mended. Never commits; one piece is a second or so of work.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.ledger.asking import FEW, Fault, Invariant, Scope, Subject, faults, faults_of
from domain.ledger.invariants import INVARIANTS
from domain.shared.records import record

JOURNALS_AT_ONCE = 3_000
STALE = timedelta(minutes=30)
"""A recent check older than this means that nobody looks."""
STALE_FULL = timedelta(hours=50)

CHUNK: Mapping[Subject, int] = {
    "account": 5_000, "journal": 100_000, "order": 5_000, "person": 5_000, "settlement": 20_000, "withdrawal": 5_000,
    "milestone": 20_000, "service": 20_000, "reward": 20_000, "grant": 50_000, "lot": 20_000,
    "seller": 5_000, "operator": 1_000, "role": 5_000, "decision": 20_000, "boost": 5_000, "plan": 1_000,
}
"""Ids that one piece of the full check looks at."""

_TABLE: Mapping[Subject, str] = {
    "account": "account", "journal": "journal", "order": "customer_order", "person": "person",
    "settlement": "settlement", "withdrawal": "withdrawal", "milestone": "milestone", "service": "service_act",
    "reward": "reward", "grant": "outbox", "lot": "point_lot", "seller": "person", "operator": "operator",
    "role": "role_grant", "decision": "role_decision", "boost": "commission_boost",
    "plan": "(select version as id from commission_plan) p",
}

_LASTS = [f"(select coalesce(max(id), 0) from {table}) as {subject}" for subject, table in _TABLE.items()]  # noqa: S608
_LAST = text("select " + ", ".join(_LASTS))
_TAKE = text("select step, place, target, previous from books_check where kind = :kind for update skip locked")
_WINDOW = text("""
    select 'journal' as subject, j.id from journal j where j.id > :after and j.id <= :upto
    union
    select 'journal', j.reverses from journal j where j.id > :after and j.id <= :upto and j.reverses is not null
    union
    select 'account', s.id from posting p cross join lateral (values (p.debit), (p.credit)) s (id)
     where p.journal_id > :after and p.journal_id <= :upto and s.id >= 1000
    union
    select 'person', a.owner_id from posting p join account a on a.id in (p.debit, p.credit)
     where p.journal_id > :after and p.journal_id <= :upto and a.owner_id is not null
    union
    select j.source_type, j.source_id from journal j
     where j.id > :after and j.id <= :upto
       and j.source_type in ('order', 'settlement', 'milestone', 'service', 'reward', 'grant', 'withdrawal')
    union
    select 'withdrawal', w.id from withdrawal w where w.state in ('asked', 'approved', 'paying')
    union
    (select 'withdrawal', w.id from withdrawal w order by w.id desc limit 500)
""")
_END_OF_WINDOW = text("select max(id) from (select id from journal where id > :after and id <= :target"
                      " order by id limit :most) s")
_OPEN = text("select invariant, subject_id from books_fault where cleared_at is null")
_NOTE = text("""
    insert into books_fault (invariant, subject_id, sentence)
    select * from unnest(cast(:names as text[]), cast(:ids as bigint[]), cast(:sentences as text[]))
    on conflict (invariant, subject_id) where cleared_at is null
    do update set seen_at = clock_timestamp(), sentence = excluded.sentence
""")
_CLEAR = text("update books_fault set cleared_at = clock_timestamp() where cleared_at is null"
              " and invariant = :name and subject_id = any(:ids)")


@record
class Piece:
    """What one piece of work found, and whether more is left of this run."""

    more: bool
    faults: tuple[Fault, ...] = ()


@record
class OpenFault:
    """A fault that is not mended yet. ``subject_id`` is an id of what the invariant speaks about."""

    invariant: str
    subject_id: int
    sentence: str
    found_at: datetime
    seen_at: datetime


@record
class BooksState:
    """How the last checks ended, in the database's own time; None for never. ``now`` is that time as well."""

    now: datetime
    since: datetime
    recent_at: datetime | None
    full_at: datetime | None
    faults: tuple[OpenFault, ...]

    @property
    def stale(self) -> bool:
        """Whether nobody looks any more."""
        return (self.now - (self.recent_at or self.since) > STALE
                or self.now - (self.full_at or self.since) > STALE_FULL)


def look_at_recent(session: Session) -> Piece:
    """Ask every invariant of what journals touched since the run before the last one, so that a transaction that took
    a few minutes to commit is not missed; and at the end of what was found broken before."""
    row = session.execute(_TAKE, {"kind": "recent"}).one_or_none()
    if row is None:
        return Piece(False)
    place, target, previous = row.place, row.target, row.previous
    if place >= target:  # a new run
        place, previous = previous, target
        target = session.execute(text("select coalesce(max(id), 0) from journal")).scalar_one()
    upto = session.execute(_END_OF_WINDOW, {"after": place, "target": target, "most": JOURNALS_AT_ONCE}).scalar()
    upto = target if upto is None else upto
    ids: defaultdict[str, list[int]] = defaultdict(list)
    for subject, one in session.execute(_WINDOW, {"after": place, "upto": upto}):
        ids[subject].append(one)
    found = faults_of(session, [(one, Scope(ids=ids[one.subject])) for one in INVARIANTS] if any(ids.values()) else [])
    more = upto < target
    if not more:
        found += _look_again(session)
    _note(session, found)
    _go_on(session, "recent", 0, upto if more else target, target, previous, ended=not more)
    return Piece(more, tuple(found))


def look_at_all(session: Session) -> Piece:
    """The next range of ids, of one invariant or of as many as have few subjects; a run ends behind the last."""
    row = session.execute(_TAKE, {"kind": "full"}).one_or_none()
    if row is None:
        return Piece(False)
    lasts = session.execute(_LAST).one()
    asked: list[tuple[Invariant, Scope]] = []
    step, place, looked = row.step, row.place, 0
    while step < len(INVARIANTS) and looked < 100:
        one = INVARIANTS[step]
        last, high = getattr(lasts, one.subject), place + CHUNK[one.subject]
        asked.append((one, Scope(low=place + 1, high=high)))
        looked += 100 * (min(high, last) - place) // CHUNK[one.subject]
        step, place = (step, high) if high < last else (step + 1, 0)
    more = step < len(INVARIANTS)
    found = faults_of(session, asked)
    _note(session, found)
    _go_on(session, "full", step if more else 0, place, 0, 0, ended=not more)
    return Piece(more, tuple(found))


def state(session: Session) -> BooksState:
    """How the books stand, as far as the checks know."""
    rows = session.execute(text("select kind, ended_at, since, clock_timestamp() as now from books_check")).all()
    ended = {row.kind: row.ended_at for row in rows}
    still = session.execute(text("select invariant, subject_id, sentence, found_at, seen_at from books_fault"
                                 " where cleared_at is null order by id limit 100"))
    return BooksState(rows[0].now, rows[0].since, ended["recent"], ended["full"],
                      tuple(OpenFault(*row) for row in still))


def _look_again(session: Session) -> list[Fault]:
    """What is still broken of the open faults; the others are cleared."""
    known: defaultdict[str, list[int]] = defaultdict(list)
    for name, subject in session.execute(_OPEN):
        known[name].append(subject)
    still: list[Fault] = []
    for one in INVARIANTS:
        left = known.pop(one.name, [])
        while left:
            part, left = left[:FEW // 2], left[FEW // 2:]
            again = faults(session, one, Scope(ids=part))
            still += again
            _clear(session, one, part, again)
    return still


def _clear(session: Session, invariant: Invariant, asked: Sequence[int], again: Sequence[Fault]) -> None:
    """What a full report does not name may be broken all the same."""
    broken = {fault.id for fault in again}
    whole = [one for one in asked if one not in broken]
    if whole and len(again) < FEW:
        session.execute(_CLEAR, {"name": invariant.name, "ids": whole})


def _note(session: Session, found: Sequence[Fault]) -> None:
    unique = {(fault.invariant, fault.id): fault for fault in found}.values()
    if unique:
        session.execute(_NOTE, {"names": [fault.invariant for fault in unique], "ids": [fault.id for fault in unique],
                                "sentences": [fault.sentence for fault in unique]})


def _go_on(session: Session, kind: str, step: int, place: int, target: int, previous: int, *, ended: bool) -> None:
    session.execute(text(
        "update books_check set step = :step, place = :place, target = :target, previous = :previous,"
        " ended_at = case when :ended then clock_timestamp() else ended_at end where kind = :kind"
    ), {"step": step, "place": place, "target": target, "previous": previous, "ended": ended, "kind": kind})
