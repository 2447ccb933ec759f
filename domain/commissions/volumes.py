"""What was sold in a time: the net volumes that ladder, team bonus and ranking count. From orders as they stand now."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from domain.shared import trips
from domain.shared.records import record

# Whether a sale is in question for somebody: null no, false it waits for a reviewer, true it was confiscated.
_DOUBT = """
    left join lateral (
        select bool_or(c.confiscated_at is not null) as gone from commission_line c
         where c.order_id = o.id and c.beneficiary_id in ({whose})
           and (c.held_at is not null or c.confiscated_at is not null)) d on true
"""
SELLERS_DOUBT = _DOUBT.format(whose="o.seller_id")
"""Joins ``d.gone`` to orders ``o``, as it counts for who sold them."""
LEADERS_DOUBT = _DOUBT.format(whose="o.seller_id, o.leader_id")
"""The same, as it counts for who had brought the seller."""

# Two look-ups by index, one a side: an "or" would read the month.
SOLD = f"""
    select person_id, sum(own_fen)::bigint as own_fen, sum(team_fen)::bigint as team_fen,
           sum(orders)::bigint as orders, sum(own_held_fen)::bigint as own_held_fen,
           sum(team_held_fen)::bigint as team_held_fen
      from (select o.seller_id as person_id,
                   case when d.gone is null then o.goods_fen else 0 end as own_fen, 0 as team_fen,
                   (d.gone is null and o.goods_fen > 0)::int as orders,
                   case when not d.gone then o.goods_fen else 0 end as own_held_fen, 0 as team_held_fen
              from customer_order o {SELLERS_DOUBT}
             where o.seller_id = any (%(people)s::bigint[]) and o.paid_at >= %(since)s and o.paid_at < %(until)s
               and o.closed_at is null
            union all
            select o.leader_id, 0, case when d.gone is null then o.goods_fen else 0 end, 0, 0,
                   case when not d.gone then o.goods_fen else 0 end
              from customer_order o {LEADERS_DOUBT}
             where o.leader_id = any (%(people)s::bigint[]) and o.paid_at >= %(since)s and o.paid_at < %(until)s
               and o.closed_at is null) as s
     group by person_id
"""  # noqa: S608 - constants
"""Takes people, since, until, in the driver's style."""


@record
class Volume:
    """Net of refunds, without closed orders, goods only: ``own_fen`` sold directly (``orders`` of them unreturned),
    ``team_fen`` sold by the people they had brought. Sales whose commission was confiscated are not in it; those that
    wait for a reviewer stand apart, in ``own_held_fen`` and ``team_held_fen``."""

    own_fen: int = 0
    team_fen: int = 0
    orders: int = 0
    own_held_fen: int = 0
    team_held_fen: int = 0


def sold(session: Session, person_ids: Collection[int], since: datetime, until: datetime) -> dict[int, Volume]:
    """The volumes of orders paid from ``since`` until before ``until``; who sold nothing is not in it."""
    rows = trips.rows(session, SOLD, {"people": list(person_ids), "since": since, "until": until})
    return {row.person_id: Volume(*row[1:]) for row in rows}
