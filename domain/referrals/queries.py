"""Reading referrals: uplines at a time, and why somebody belongs to somebody."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import or_, select, text
from sqlalchemy.orm import Session

from domain.people.models import Person
from domain.people.queries import survivors
from domain.referrals.models import Referral
from domain.shared.records import record

_UPLINES = text("""
    select place, person_id
      from referral_uplines(cast(:ids as bigint[]), cast(:ats as timestamptz[]), cast(:levels as bigint))
     where level > 0 order by place, level
""")


@record
class Explanation:
    """客户归属: to whom somebody is bound, since when, until when, why.

    ``state``: none (never bound, other fields empty) · protected · valid · expired. ``until`` None: for ever.
    ``source`` is what bound them (scan, link, order, …).
    """

    state: Literal["none", "protected", "valid", "expired"]
    referrer_id: int | None = None
    referrer_nickname: str = ""
    since: datetime | None = None
    until: datetime | None = None
    protected_until: datetime | None = None
    source: str = ""


def uplines_at(session: Session, asked: Sequence[tuple[int, datetime]], levels: int) -> list[list[int]]:
    """For each (person, time): who stood above them then, nearest first. Never the person itself."""
    found: list[list[int]] = [[] for _ in asked]
    if asked and levels > 0:
        rows = session.execute(
            _UPLINES, {"ids": [a[0] for a in asked], "ats": [a[1] for a in asked], "levels": levels}
        )
        for place, person_id in rows:
            found[place - 1].append(person_id)
    return found


def uplines(
    session: Session, person_ids: Sequence[int], at: datetime | Mapping[int, datetime], levels: int
) -> dict[int, list[int]]:
    """``uplines_at`` by person id, with one time for all or one for each."""
    asked = [(person_id, at if isinstance(at, datetime) else at[person_id]) for person_id in dict.fromkeys(person_ids)]
    return {one[0]: above for one, above in zip(asked, uplines_at(session, asked, levels), strict=True)}


def referrer_of(session: Session, person_id: int, at: datetime) -> int | None:
    """Whom a purchase of this person at that time belongs to."""
    above = uplines_at(session, [(person_id, at)], 1)[0]
    return above[0] if above else None


def explain(session: Session, person_id: int, now: datetime) -> Explanation:
    """To whom somebody belongs now, or did last."""
    alive = survivors(session, [person_id]).get(person_id)
    row = session.execute(
        select(Referral, Person.nickname).join(Person, Person.id == Referral.referrer_id)
        .where(Referral.referee_id == alive, Referral.bound_at <= now,
               or_(Referral.ended_at.is_(None), Referral.ended_at > Referral.bound_at))
        .order_by(Referral.ended_at.is_(None).desc(), Referral.bound_at.desc()).limit(1),
        execution_options={"populate_existing": True},
    ).first()
    if row is None:
        return Explanation("none")
    edge, nickname = row
    until = min(filter(None, (edge.valid_until, edge.ended_at)), default=None)
    valid = until is None or now < until
    state: Literal["protected", "valid", "expired"] = "expired"
    if valid:
        state = "protected" if now < edge.protected_until else "valid"
    return Explanation(state, edge.referrer_id, nickname, edge.bound_at, until, edge.protected_until, edge.source)
