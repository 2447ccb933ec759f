"""What somebody's points are, for chat, pages and the API; and whether lots and ledger agree."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.ledger import invariants
from domain.shared import trips, wire
from domain.shared.records import record


@record
class Points:
    """``active`` can be spent now; ``coming`` waits for return windows, the next of it until ``coming_at``; ``debt``
    was taken back after it was spent, and is repaid first. ``expiring`` points go at ``expires_at``."""

    active: int
    coming: int
    coming_at: datetime | None
    debt: int
    expiring: int
    expires_at: datetime | None


@record
class Change:
    """One line of the history: ``points`` came (+) or went (-) because of ``cause``."""

    at: datetime
    points: int
    kind: str
    cause: str


_NOW = """
    select one.id as person, coalesce(lots.active, 0) as active, coalesce(lots.coming, 0) as coming, lots.coming_at,
           coalesce(owed.debt, 0) as debt, coalesce(soon.points, 0) as expiring, soon.at as expires_at
      from unnest(%(people)s::bigint[]) as one (id)
      left join lateral (
            select sum(remaining) filter (where state = 'active' and expires_at > %(now)s)::bigint as active,
                   sum(amount - reversed) filter (where state = 'pending')::bigint as coming,
                   min(active_at) filter (where state = 'pending') as coming_at
              from point_lot where person_id = one.id and state <> 'closed') lots on true
      left join lateral (
            select min(expires_at) as at, sum(remaining)::bigint as points from point_lot
             where person_id = one.id and state <> 'closed' and state = 'active' and expires_at > %(now)s
             group by (expires_at at time zone 'Asia/Shanghai')::date order by min(expires_at) limit 1) soon on true
      left join lateral (
            select b.amount as debt from account a join balance b on b.account_id = a.id
             where a.owner_id = one.id and a.kind = 'points_debt') owed on true"""
_HISTORY = """
    select one.id as person, h.at, h.points, h.kind, h.cause
      from unnest(%(people)s::bigint[]) as one (id)
      cross join lateral (
            select m.id, m.at, m.delta as points, m.kind, coalesce(s.what, l.cause) as cause
              from point_lot l join point_move m on m.lot_id = l.id
              left join point_spending s on m.kind = 'spend' and s.idem = m.idem
             where l.person_id = one.id order by m.id desc limit %(limit)s) h
     order by one.id, h.id desc"""


def of(session: Session, person_id: int, now: datetime) -> Points:
    """Everything in one statement; all zeros for somebody who never had any."""
    found, = trips.rows(session, _NOW, {"people": [person_id], "now": now})
    return _points(found)


def shown(session: Session, person_id: int, now: datetime, limit: int) -> tuple[Points, list[Change]]:
    """What somebody's points are, and how they came to be: the newest ``limit`` changes first. What came and waits is
    no change yet. In one round trip."""
    (found,), changes = trips.together(session, *questions([person_id], now, limit))
    return _points(found), [Change(row.at, row.points, row.kind, row.cause) for row in changes]


def questions(people: Sequence[int], now: datetime, limit: int) -> tuple[wire.Question, wire.Question]:
    """What ``shown`` asks, of several people, for whoever asks it ahead."""
    return (_NOW, {"people": people, "now": now}), (_HISTORY, {"people": people, "limit": limit})


def _points(row: Any) -> Points:
    return Points(row.active, row.coming, row.coming_at, row.debt, row.expiring, row.expires_at)


@record
class LotView:
    """Points that somebody got together because of ``cause``. ``back``: taken back so far, by returns and operators;
    ``expired`` unused; ``takeable``: what an operator may still take back, spent or not."""

    id: int
    person_id: int
    cause: str
    amount: int
    remaining: int
    back: int
    expired: int
    state: str
    earned_at: datetime
    expires_at: datetime

    @property
    def takeable(self) -> int:
        """What ran out unused gave nothing, so there is nothing of it to take back."""
        return self.amount - self.back - self.expired


_LOT = """
    select l.id, l.person_id, l.cause, l.amount, l.remaining, l.reversed as back, coalesce(e.points, 0) as expired,
           l.state, l.earned_at, l.expires_at
      from point_lot l
      left join lateral (select -sum(delta)::bigint as points from point_move m
                          where m.lot_id = l.id and m.kind = 'expire') e on true"""
_LOT_BY_ID = text(f"{_LOT} where l.id = :id")
_LOTS_OF = text(f"{_LOT} where l.person_id = :person order by l.id desc limit :limit")


def lot(session: Session, lot_id: int) -> LotView | None:
    row = session.execute(_LOT_BY_ID, {"id": lot_id}).one_or_none()
    return LotView(**row._mapping) if row is not None else None


def lots_of(session: Session, person_id: int, limit: int) -> list[LotView]:
    """What somebody got, the newest first."""
    return [LotView(**row._mapping) for row in session.execute(_LOTS_OF, {"person": person_id, "limit": limit})]


def disagreements(session: Session) -> list[str]:
    """People whose lots and ledger do not say the same, and lots that are not what happened to them: sentences."""
    return invariants.sentences(session, "points", "lots")
