"""What was sold in a time: the net volumes that ladder, team bonus and ranking count. From orders as they stand now."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

# Two look-ups by index, one a side: an "or" would read the month.
_SOLD = text("""
    select person_id, sum(own_fen)::bigint as own_fen, sum(team_fen)::bigint as team_fen, sum(orders)::bigint as orders
      from (select seller_id as person_id, paid_fen - refunded_fen as own_fen, 0 as team_fen,
                   (refunded_fen < paid_fen)::int as orders
              from customer_order
             where seller_id = any(:people) and paid_at >= :since and paid_at < :until and closed_at is null
            union all
            select leader_id, 0, paid_fen - refunded_fen, 0
              from customer_order
             where leader_id = any(:people) and paid_at >= :since and paid_at < :until and closed_at is null) as s
     group by person_id
""")


@dataclass(frozen=True, slots=True)
class Volume:
    """Net of refunds, without closed orders, goods only: ``own_fen`` sold directly (``orders`` of them unreturned),
    ``team_fen`` sold by the people they had brought."""

    own_fen: int = 0
    team_fen: int = 0
    orders: int = 0


def sold(session: Session, person_ids: Collection[int], since: datetime, until: datetime) -> dict[int, Volume]:
    """The volumes of orders paid from ``since`` until before ``until``; who sold nothing is not in it."""
    rows = session.execute(_SOLD, {"people": list(person_ids), "since": since, "until": until})
    return {row.person_id: Volume(row.own_fen, row.team_fen, row.orders) for row in rows}
