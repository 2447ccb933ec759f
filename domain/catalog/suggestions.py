"""What somebody may like: what they bought again and again and is due, what people who bought the same also buy, and
what is bought most. From orders that were kept; nothing else about people is looked at.

Likeness of two products: in how many customers' baskets both are, by the geometric mean of how many have each (cosine).
It is reckoned anew from the latest orders, so that it costs the same in a large shop. A membership card is no product
to like (orders.rules.CARD).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.shared.records import record

Why = Literal["again", "similar", "popular"]

_KEPT = "o.closed_at is null and o.paid_fen > 0 and o.refunded_fen < o.paid_fen and o.paid_at <= :now"
LATEST, BASKET = 10_000, 30
"""So many of the shop's latest orders are looked at, and of one customer at most so many products."""

SUGGESTED = f"""
    with latest as materialized (
        select o.id, o.buyer_id, o.paid_at from customer_order o where {_KEPT} order by o.id desc limit {LATEST}),
    basket as materialized (
        select buyer_id, sku from (
            select t.buyer_id, l.sku,
                   row_number() over (partition by t.buyer_id order by max(t.paid_at) desc, l.sku) as n
              from latest t join order_line l on l.order_id = t.id join product p on p.sku = l.sku
             where p.category <> 'membership' group by 1, 2) b
         where n <= {BASKET}),
    size as materialized (select sku, count(*) as people from basket group by sku),
    likeness as materialized (
        select a.sku, b.sku as other, (count(*) / sqrt(min(s.people)::float8 * min(t.people)))::float8 as likeness
          from basket a join basket b on b.buyer_id = a.buyer_id and b.sku <> a.sku
          join size s on s.sku = a.sku join size t on t.sku = b.sku group by 1, 2 having count(*) >= 2),
    own as materialized (
        select o.buyer_id, l.sku, count(distinct o.id) as times, max(o.paid_at) as last,
               min(p.consumption_days) as cycle
          from customer_order o join order_line l on l.order_id = o.id join product p on p.sku = l.sku
         where o.buyer_id = any(:people) and {_KEPT} group by 1, 2),
    found as (
        select buyer_id as person_id, sku, 'again' as why, '' as because, 1 as rank, times::float8 as score from own
         where times >= 2 and cycle is not null and last + make_interval(days => cycle::int) <= :now
        union all
        select w.buyer_id, k.other, 'similar', (array_agg(w.sku order by k.likeness desc, w.sku))[1], 2, sum(k.likeness)
          from own w join likeness k on k.sku = w.sku
         where not exists (select from own h where h.buyer_id = w.buyer_id and h.sku = k.other) group by 1, 2
        union all
        select q.person_id, s.sku, 'popular', '', 3, s.people
          from unnest(cast(:people as bigint[])) as q (person_id)
         cross join (select * from size order by people desc, sku limit 10) s
         where not exists (select from own h where h.buyer_id = q.person_id and h.sku = s.sku)),
    placed as (
        select f.*, row_number() over (partition by person_id order by rank, score desc, sku) as place from (
            select distinct on (person_id, sku) * from found order by person_id, sku, rank) f)
    select person_id, place, sku, why, because from placed
"""  # noqa: S608 - only constants


@record
class Suggestion:
    """A product and why: ``again`` (their own, due), ``similar`` (bought with ``because``, one of theirs), ``popular``.
    Both are skus."""

    sku: str
    why: Why
    because: str


def suggest(session: Session, people: Sequence[int], now: datetime, most: int) -> dict[int, list[Suggestion]]:
    """For each of them at most ``most``, the best first; [] where the shop has sold nothing yet."""
    rows = session.execute(text(f"{SUGGESTED} where place <= :most order by person_id, place"), {
        "people": sorted(set(people)), "now": now, "most": most})
    found: dict[int, list[Suggestion]] = {person: [] for person in people}
    for row in rows:
        found[row.person_id].append(Suggestion(row.sku, row.why, row.because))
    return found
