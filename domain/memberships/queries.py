"""Paid membership as people see it: until when, what it gives, what it has saved; and who has one, for operators."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.memberships.rules import Cards, price_bps, saved
from domain.shared.records import record


@record
class CardView:
    """The membership of somebody now. ``until`` is the end of the last card in a row; ``number`` is what the card
    shows; ``days_left`` counts calendar days in Shanghai."""

    number: str
    card: str
    tier: str
    title: str
    benefits: tuple[str, ...]
    since: datetime
    until: datetime
    days_left: int


@record
class Saved:
    """What membership has saved so far, fen: ``goods`` by the member's price, ``shipping`` by free shipping, over
    ``orders`` that were kept. Estimated from list prices of today, never more than what was really less."""

    goods_fen: int
    shipping_fen: int
    orders: int

    @property
    def fen(self) -> int:
        return self.goods_fen + self.shipping_fen


@record
class CardRow:
    """One card for operators; ``state``: running, coming, over, taken."""

    id: int
    person_id: int
    card: str
    cause: str
    days: int
    kept_days: int
    bought_at: datetime
    starts_at: datetime
    ends_at: datetime
    state: str
    reason: str
    actor: str


_OF = text("""
    select c.id, c.card, c.tier, c.title, c.benefits, f.since, f.until,
           (f.until at time zone 'Asia/Shanghai')::date - (cast(:now as timestamptz) at time zone 'Asia/Shanghai')::date
               as days_left
      from member_card c
      cross join lateral (
        select min(m.starts_at) as since, max(m.ends_at) as until from member_card m
         where m.person_id = c.person_id and m.ends_at > m.starts_at and m.ends_at > :now) f
     where c.person_id = :person and c.starts_at <= :now and c.ends_at > :now""")

_LINES = text("""
    select o.id, o.shipping_fen, l.paid_fen, l.refunded_fen, c.benefits, p.price_fen * l.quantity as list_fen
      from member_card c
      join customer_order o on o.buyer_id = c.person_id and o.paid_at >= c.starts_at and o.paid_at < c.ends_at
       and o.closed_at is null and (o.paid_fen = 0 or o.refunded_fen < o.paid_fen)
      join order_line l on l.order_id = o.id
      left join product p on p.sku = l.sku
     where c.person_id = :person and l.sku <> all(:skus) order by o.id""")

_STATE = """case when c.ends_at <= c.starts_at or c.cut_at is not null and c.ends_at <= :now then 'taken'
                 when c.ends_at <= :now then 'over' when c.starts_at > :now then 'coming' else 'running' end"""
_ROWS = text(f"""
    select c.id, c.person_id, c.card, c.cause, c.days, c.kept_days, c.bought_at, c.starts_at, c.ends_at,
           {_STATE} as state, c.reason, c.actor
      from member_card c
     where (cast(:person as bigint) is null or c.person_id = :person)
       and (cast(:within as bigint) is null
            or c.ends_at > :now
               and c.ends_at <= cast(:now as timestamptz) + make_interval(days => cast(:within as int)))
     order by c.id desc limit :limit""")  # noqa: S608 - only constants


def of(session: Session, person_id: int, now: datetime) -> CardView | None:
    """The membership that runs now; None when there is none."""
    row = session.execute(_OF, {"person": person_id, "now": now}).first()
    if row is None:
        return None
    return CardView(f"{row.id:08d}", row.card, row.tier, row.title, tuple(row.benefits), row.since, row.until,
                    row.days_left)


def ended(session: Session, person_id: int, now: datetime) -> datetime | None:
    """When the last membership of somebody ended who has none now; None when there never was one."""
    found: datetime | None = session.execute(text(
        "select max(ends_at) from member_card where person_id = :person and ends_at > starts_at and ends_at <= :now"),
        {"person": person_id, "now": now}).scalar()
    return found


def saved_by(session: Session, person_id: int, cards: Cards) -> Saved:
    """What all memberships of somebody have saved so far."""
    goods = 0
    free: dict[int, bool] = {}
    for row in session.execute(_LINES, {"person": person_id, "skus": cards.skus}):
        if row.list_fen is not None:
            fen = saved(row.list_fen, row.paid_fen, price_bps(row.benefits))
            goods += fen * (row.paid_fen - row.refunded_fen) // row.paid_fen if row.paid_fen else fen
        free[row.id] = row.shipping_fen == 0 and "free_shipping" in row.benefits
    return Saved(goods, sum(free.values()) * cards.shipping_fen, len(free))


def cards_of(
    session: Session, now: datetime, person_id: int | None = None, within_days: int | None = None, limit: int = 100
) -> list[CardRow]:
    """Cards, the newest first: of everybody or one person, or those that end within so many days."""
    rows = session.execute(_ROWS, {"person": person_id, "within": within_days, "now": now, "limit": limit})
    return [CardRow(**row._mapping) for row in rows]
