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


def disagreements(session: Session) -> list[str]:
    """People whose lots and ledger do not say the same, and lots that are not what happened to them: sentences."""
    return invariants.sentences(session, "points", "lots")
