"""What became of a person's notices, and what the policy would say now: for whoever asks why nothing came."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.shared.records import record


@record
class Told:
    """One notice: its text's key and purpose, and what became of it. ``reason`` says why it waits or was refused;
    ``way`` by which it left, ``ways``: why the others were not taken; ``reported``: what the platform told later."""

    effect_id: int
    purpose: str
    key: str
    state: str
    reason: str
    created_at: datetime
    due_at: datetime
    ended_at: datetime | None
    way: str
    ways: dict[str, str]
    reported: str


@record
class Off:
    """A purpose that is switched off for everybody."""

    purpose: str
    stopped_at: datetime
    stopped_by: str
    why: str


def told(session: Session, person_id: int, limit: int) -> list[Told]:
    """The newest notices of a person first."""
    rows = session.execute(text("""
        select id as effect_id, payload ->> 'purpose' as purpose, coalesce(payload ->> 'key', kind) as key, state,
               reason, created_at, due_at, ended_at, coalesce(result ->> 'way', '') as way,
               coalesce(result -> 'ways', '{}') as ways, coalesce(result ->> 'reported', '') as reported
          from outbox where person_id = :person and queue = 'notice' order by id desc limit :limit"""),
        {"person": person_id, "limit": limit})
    return [Told(**row._mapping) for row in rows]


def words(session: Session, person_id: int) -> list[dict[str, Any]]:
    """Every word on consent, oldest first."""
    rows = session.execute(text(
        "select purpose, given, source, at from consent_word where person_id = :person order by id"),
        {"person": person_id})
    return [dict(row._mapping) for row in rows]


def switched_off(session: Session) -> list[Off]:
    rows = session.execute(text("select purpose, stopped_at, stopped_by, why from notice_switch order by purpose"))
    return [Off(**row._mapping) for row in rows]


_PROMISED = text("""
    select distinct o.person_id from outbox o
     where o.person_id = any(:people) and o.queue = 'slow' and o.state in ('waiting', 'running')
       and o.payload ? 'promised' and o.expires_at > :now""")


def promised(session: Session, people: Collection[int], now: datetime) -> set[int]:
    """Who of some people waits for a picture that they were told would come."""
    return set(session.scalars(_PROMISED, {"people": sorted(people), "now": now})) if people else set()
