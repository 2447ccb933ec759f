"""Occasions: what the calendar brings somebody, told to the journeys once. Callers know what counts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.journeys.runs import Event
from domain.journeys.service import happened
from domain.shared.records import record


@record
class Occasion:
    """``key`` makes it once for the person, e.g. the year; ``data``: the fields of the event."""

    person_id: int
    key: str
    data: dict[str, Any]


_LISTENED = text("select exists (select from journey where :kind = any (listens)"
                 " and state in ('live', 'paused', 'draining'))")

_KEEP = text("""
    insert into occasion (person_id, kind, key, at)
    select person_id, :kind, key, :now
      from unnest(cast(:people as bigint[]), cast(:keys as text[])) as o (person_id, key)
        on conflict do nothing returning person_id, key
""")


def wanted(session: Session, kind: str) -> bool:
    """Whether any journey listens. What nobody hears is not told, so that a journey published later misses nothing."""
    return bool(session.execute(_LISTENED, {"kind": kind}).scalar_one())


def tell(session: Session, kind: str, found: Sequence[Occasion], now: datetime) -> int:
    """Tell the occasions that were not told before; how many those were."""
    if not found:
        return 0
    kept = {(row.person_id, row.key) for row in session.execute(_KEEP, {
        "kind": kind, "now": now, "people": [one.person_id for one in found], "keys": [one.key for one in found]})}
    fresh = [one for one in found if (one.person_id, one.key) in kept]
    happened(session, [Event(kind, f"{kind}:{one.person_id}:{one.key}", one.person_id, now, one.data)
                       for one in fresh], now)
    return len(fresh)


def told(session: Session, kind: str, key: str) -> bool:
    """Whether this occasion was told to anybody."""
    return bool(session.execute(text("select exists (select from occasion where kind = :kind and key = :key)"),
                                {"kind": kind, "key": key}).scalar_one())


def told_to(session: Session, kind: str, person_id: int, key: str) -> bool:
    """Whether this person was told this occasion."""
    return bool(session.execute(
        text("select exists (select from occasion where kind = :kind and person_id = :person and key = :key)"),
        {"kind": kind, "person": person_id, "key": key}).scalar_one())


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part: what one of them was told, the other was told."""
    ends = {"kept": kept_id, "gone": gone_id}
    session.execute(text("insert into occasion (person_id, kind, key, at) select :kept, kind, key, at from occasion"
                         " where person_id = :gone on conflict do nothing"), ends)
    moved = session.execute(text("delete from occasion where person_id = :gone returning key"), ends).all()
    return {"occasion": len(moved)} if moved else {}
