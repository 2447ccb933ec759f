"""Reading referrals: uplines at a time, members, and why somebody belongs to somebody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, or_, select, text
from sqlalchemy.orm import Session

from domain.people.models import Person
from domain.people.queries import survivors
from domain.referrals.models import Referral, Touch

_UPLINES = text("""
    select place, person_id
      from referral_uplines(cast(:ids as bigint[]), cast(:ats as timestamptz[]), cast(:levels as bigint))
     where level > 0 order by place, level
""")

_INVITEES = text("""
    with mine as (
        select r.referee_id, min(r.bound_at) as bound_at
        from referral r where r.referrer_id = :person_id and r.referee_id <> :person_id group by r.referee_id
        order by min(r.bound_at) desc, r.referee_id desc limit :limit offset :offset
    )
    select mine.referee_id as person_id, p.nickname, least(t.met_at, mine.bound_at) as invited_at,
           p.joined_at as registered_at, o.paid[1] as ordered_at, o.paid[2] as repurchased_at,
           coalesce(cardinality(o.paid), 0) as orders
    from mine join person p on p.id = mine.referee_id
    left join lateral (
        select min(t.at) as met_at from touch t where t.visitor_id = mine.referee_id and t.sharer_id = :person_id
    ) t on true
    left join lateral (
        select array_agg(c.paid_at order by c.paid_at, c.id) as paid from customer_order c
        where c.buyer_id = mine.referee_id and c.paid_at >= mine.bound_at and c.goods_fen > 0
    ) o on true
    order by mine.bound_at desc, mine.referee_id desc
""")


@dataclass(frozen=True, slots=True)
class Invitee:
    """P6: how far somebody invited has come. Only paid orders count that were not returned in full."""

    person_id: int
    nickname: str
    invited_at: datetime
    registered_at: datetime
    ordered_at: datetime | None
    repurchased_at: datetime | None
    orders: int


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody bound to a referrer. ``valid``: a purchase now would count."""

    person_id: int
    nickname: str
    avatar_url: str
    bound_at: datetime
    until: datetime | None
    valid: bool


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


def direct_members(
    session: Session, person_id: int, now: datetime, *, limit: int = 100, offset: int = 0
) -> list[Member]:
    """Whoever is bound to this person (not ended; expired ones with ``valid`` False), the newest first."""
    alive = survivors(session, [person_id]).get(person_id)
    rows = session.execute(
        select(Referral, Person).join(Person, Person.id == Referral.referee_id)
        .where(Referral.referrer_id == alive, Referral.ended_at.is_(None))
        .order_by(Referral.bound_at.desc(), Referral.id.desc()).limit(limit).offset(offset),
        execution_options={"populate_existing": True},
    )
    return [
        Member(person.id, person.nickname, person.avatar_url, edge.bound_at, edge.valid_until,
               edge.bound_at <= now and (edge.valid_until is None or now < edge.valid_until))
        for edge, person in rows
    ]


def invitees(session: Session, person_id: int, *, limit: int = 100, offset: int = 0) -> list[Invitee]:
    """Everybody whom this person ever brought, newest first, with the steps they have taken since."""
    alive = survivors(session, [person_id]).get(person_id)
    rows = session.execute(_INVITEES, {"person_id": alive, "limit": limit, "offset": offset})
    return [Invitee(*row) for row in rows]


def count_members(session: Session, person_id: int) -> int:
    """How many are bound to this person (not ended)."""
    alive = survivors(session, [person_id]).get(person_id)
    counted = select(func.count()).where(Referral.referrer_id == alive, Referral.ended_at.is_(None))
    return session.scalar(counted) or 0


def count_touches(session: Session, person_id: int, since: datetime) -> int:
    """How often this sharer's posters and links were met since then, by anybody."""
    alive = survivors(session, [person_id]).get(person_id)
    return session.scalar(select(func.count()).where(Touch.sharer_id == alive, Touch.at >= since)) or 0
