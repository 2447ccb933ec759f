"""What somebody's points are, for chat, pages and the API; and whether lots and ledger agree."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.ledger import invariants


@dataclass(frozen=True, slots=True)
class Points:
    """``active`` can be spent now; ``coming`` waits for return windows, the next of it until ``coming_at``; ``debt``
    was taken back after it was spent, and is repaid first. ``expiring`` points go at ``expires_at``."""

    active: int
    coming: int
    coming_at: datetime | None
    debt: int
    expiring: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the history: ``points`` came (+) or went (-) because of ``cause``."""

    at: datetime
    points: int
    kind: str
    cause: str


def of(session: Session, person_id: int, now: datetime) -> Points:
    """Everything in one statement; all zeros for somebody who never had any."""
    row = session.execute(text("""
        with lots as (select * from point_lot where person_id = :person and state <> 'closed'),
             soon as (select (expires_at at time zone 'Asia/Shanghai')::date as day, min(expires_at) as at,
                             sum(remaining) as points
                        from lots where state = 'active' and expires_at > :now group by 1 order by 1 limit 1)
        select coalesce((select sum(remaining) from lots where state = 'active' and expires_at > :now), 0)::bigint
                   as active,
               coalesce((select sum(amount - reversed) from lots where state = 'pending'), 0)::bigint as coming,
               (select min(active_at) from lots where state = 'pending') as coming_at,
               coalesce((select b.amount from account a join balance b on b.account_id = a.id
                          where a.owner_id = :person and a.kind = 'points_debt'), 0)::bigint as debt,
               coalesce((select points from soon), 0)::bigint as expiring, (select at from soon) as expires_at"""),
        {"person": person_id, "now": now}).one()
    return Points(**row._mapping)


def history(session: Session, person_id: int, limit: int) -> list[Change]:
    """The newest changes first; what came and waits is not a change yet."""
    rows = session.execute(text("""
        select m.at, m.delta as points, m.kind, coalesce(s.what, l.cause) as cause
          from point_lot l join point_move m on m.lot_id = l.id
          left join point_spending s on m.kind = 'spend' and s.idem = m.idem
         where l.person_id = :person order by m.id desc limit :limit"""), {"person": person_id, "limit": limit})
    return [Change(**row._mapping) for row in rows]


@dataclass(frozen=True, slots=True)
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
