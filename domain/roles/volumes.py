"""What people sold themselves, month by month: the fact that partners are made and measured by."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, time

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.roles.rules import later
from domain.shared.clock import SHANGHAI

_VOLUMES = text("""
    select c.beneficiary_id, date_trunc('month', o.paid_at at time zone 'Asia/Shanghai')::date as month,
           sum(case when o.closed_at is null then l.paid_fen - l.refunded_fen else 0 end)::bigint as fen
      from commission_line c
      join customer_order o on o.id = c.order_id
      join order_line l on l.order_id = c.order_id and l.n = c.n
     where c.beneficiary_id = any (:ids) and c.level = 1 and c.kind = 'base'
       and l.category <> 'membership'
       and c.accrued_at >= :since and c.accrued_at < :until and c.confiscated_at is null
     group by 1, 2
""")


def begins(month: date) -> datetime:
    """The moment at which a business month begins."""
    return datetime.combine(month, time(), SHANGHAI)


def direct_net(
    session: Session, person_ids: Collection[int], months: Sequence[date]
) -> dict[int, dict[date, int]]:
    """Fen of goods that came through each person directly in each of these months, less what was refunded since, and
    without what was confiscated. A sale that only waits for a reviewer counts: a suspicion must cost nobody a role.

    A sale belongs to the month in which it was paid. People and months without sales are missing.
    """
    if not months or not person_ids:
        return {}
    asked = {"ids": sorted(person_ids), "since": begins(min(months)), "until": begins(later(max(months), 1))}
    found: dict[int, dict[date, int]] = {}
    for person_id, month, fen in session.execute(_VOLUMES, asked):
        found.setdefault(person_id, {})[month] = fen
    return found


def newest_first(known: dict[date, int], newest: date, count: int, after: date | None = None) -> tuple[int, ...]:
    """``count`` months back from ``newest`` as fen, 0 without sales; ends with the first month not ``after`` a month.
    """
    months = [later(newest, -back) for back in range(count)]
    return tuple(known.get(month, 0) for month in months if after is None or month > after)
