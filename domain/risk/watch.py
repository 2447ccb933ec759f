"""Looking: new orders as they come (``scan``), and the whole recent business of a sharer (``sweep``).

Both take what they look at from a queue that the booking transaction filled, and load what belongs to it in a few
bounded statements, whatever the number of orders; rules.py judges.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.orders.service import spread_news
from domain.risk import rules as judge
from domain.risk.rules import Hit, Paid, Rules, Sale, Trace
from domain.risk.service import suspect
from domain.shared.seal import Seal

MOST_ALIKE = 200
"""Orders with one payer, device or address that are looked at, newest first: a pickup point has thousands."""
MOST_A_DAY = 200
"""Orders of one buyer and day that are looked at."""
MOST_RECENT = 1_500
"""Commission lines of one sharer that the sweep looks at, newest first."""
RING_LENGTH = 5
"""People in a circle at most."""

_TAKE_ORDERS = text("""
    delete from risk_queue where order_id in (
        select order_id from risk_queue order by order_id limit :limit for update skip locked) returning order_id
""")

_NOTE = text("""
    with signals as (
        insert into risk_signal (order_id, kind, hash, at)
        select o.id, s.key, s.value, o.paid_at from customer_order o cross join lateral jsonb_each_text(o.signals) s
         where o.id = any (:orders) on conflict do nothing
    )
    insert into risk_watch (person_id)
    select distinct c.beneficiary_id from commission_line c where c.order_id = any (:orders) and c.level = 1
     order by 1
""")

_ALIKE = text("""
    with touched as (
        select distinct kind, hash from risk_signal where order_id = any (:orders)
    )
    select s.kind, s.hash, s.order_id, o.buyer_id, s.at, array(
               select c.beneficiary_id from commission_line c where c.order_id = s.order_id
                group by 1 order by min(c.level)) as earners,
           (select count(*) from (select from customer_order x
                                   where x.buyer_id = o.buyer_id and x.paid_at > :since limit :most) few) as orders
      from touched t cross join lateral (
        select * from risk_signal r where r.kind = t.kind and r.hash = t.hash and r.at > :since
         order by r.at desc limit :most
      ) s join customer_order o on o.id = s.order_id
""")

_OPENIDS = text("select person_id, value from identity where person_id = any (:people) and kind = 'openid'")

_PHONES = text("""
    select c.beneficiary_id, o.buyer_id, array_agg(distinct o.id order by o.id) as orders
      from customer_order o join commission_line c on c.order_id = o.id
      join person_merge_conflict m on m.one_id = least(o.buyer_id, c.beneficiary_id)
           and m.other_id = greatest(o.buyer_id, c.beneficiary_id) and m.conflict = 'two_accounts'
           and m.settled_at is null
     where o.id = any (:orders) group by 1, 2 having count(distinct o.id) >= :threshold
""")

_SAME_DAY = text("""
    with days as (
        select distinct buyer_id, (paid_at at time zone 'Asia/Shanghai')::date as day
          from customer_order where id = any (:orders)
    )
    select o.id, d.buyer_id, o.paid_at, (
               select c.beneficiary_id from commission_line c where c.order_id = o.id order by level limit 1) as earner,
           coalesce((select s.hash from risk_signal s where s.order_id = o.id and s.kind = 'address'), '') as address
      from days d cross join lateral (
        select id, paid_at from customer_order o
         where o.buyer_id = d.buyer_id and o.closed_at is null
           and o.paid_at >= d.day::timestamp at time zone 'Asia/Shanghai'
           and o.paid_at < (d.day + 1)::timestamp at time zone 'Asia/Shanghai'
         order by o.paid_at limit :most
      ) o
""")

_TAKE_PEOPLE = text("""
    with taken as (
        delete from risk_watch where id in (
            select id from risk_watch order by id limit :limit for update skip locked) returning person_id
    ) select distinct coalesce(p.merged_into, p.id) from taken t join person p on p.id = t.person_id order by 1
""")

_SALES = text("""
    with recent as (
        select w.person, c.order_id, bool_and(c.released_at is not null) as released, min(c.released_at) as released_at
          from unnest(cast(:people as bigint[])) as w (person) cross join lateral (
            select * from commission_line c where c.beneficiary_id = w.person order by c.id desc limit :most
          ) c
         where c.level = 1 and c.confiscated_at is null and c.accrued_at > :since
         group by 1, 2
    )
    select r.person, o.id as order_id, o.buyer_id, o.paid_at, o.paid_fen, o.region, p.joined_at, r.released,
           (select coalesce(sum(l.quantity), 0)::bigint from order_line l where l.order_id = o.id) as pieces,
           (select count(*) from (select from customer_order x where x.buyer_id = o.buyer_id limit 2) few) as orders,
           exists (select from refund f where f.order_id = o.id and f.refunded_at >= r.released_at) as back
      from recent r join customer_order o on o.id = r.order_id join person p on p.id = o.buyer_id
     order by o.paid_at, o.id
""")

_HOMES = text("""
    select w.person, mode() within group (order by o.region) as home
      from unnest(cast(:people as bigint[])) as w (person) cross join lateral (
        select region from customer_order o where o.buyer_id = w.person order by o.paid_at desc limit 50) o
     where o.region <> '' group by 1
""")

_SIGNALS_OF = text("""
    select s.kind, s.hash, s.order_id, o.buyer_id, s.at from risk_signal s join customer_order o on o.id = s.order_id
     where s.order_id = any (:orders) and s.kind <> 'address' and s.at > :since
""")

_RINGS = text("""
    with recursive walk (start, member, path, edges, steps) as (
        select p, p, array[p], '[]'::jsonb, 0 from unnest(cast(:people as bigint[])) as w (p)
        union all
        select w.start, e.earner, w.path || e.earner,
               w.edges || jsonb_build_array(jsonb_build_array(w.member, e.earner, e.orders)), w.steps + 1
          from walk w cross join lateral (
            select c.beneficiary_id as earner, jsonb_agg(distinct o.id) as orders
              from (select id from customer_order where buyer_id = w.member and paid_at > :since
                     order by paid_at desc limit 50) o
              join commission_line c on c.order_id = o.id and c.level = 1 and c.confiscated_at is null
             group by 1 order by count(*) desc, 1 limit 5
          ) e
         where w.steps < :longest and (w.steps = 0 or w.member <> w.start)
           and (e.earner = w.start or e.earner <> all (w.path))
    )
    select edges from walk where steps >= 2 and member = start
""")


def scan(session: Session, rules: Rules, seal: Seal, now: datetime, limit: int) -> int:
    """Look at up to ``limit`` orders that nobody looked at yet, and open the cases that they call for; returns how many
    orders were taken."""
    spread_news(session)
    orders = list(session.scalars(_TAKE_ORDERS, {"limit": limit}))
    if not orders:
        return 0
    session.execute(_NOTE, {"orders": orders})
    hits = judge.shared(_traces(session, orders, rules, seal, now), rules)
    hits += _phones(session, orders, rules)
    days = session.execute(_SAME_DAY, {"orders": orders, "most": MOST_A_DAY})
    hits += judge.velocity([Paid(*row) for row in days], rules)
    suspect(session, hits, rules, now)
    return len(orders)


def _traces(session: Session, orders: Sequence[int], rules: Rules, seal: Seal, now: datetime) -> list[Trace]:
    """What shares a payer, a device or an address with ``orders``."""
    since = now - rules.longest("self_payer", "self_device", "self_address", "many_payer", "many_device",
                                "many_address")
    rows = session.execute(_ALIKE, {"orders": orders, "since": since, "most": MOST_ALIKE})
    traces = [
        Trace(row.kind, row.hash, row.order_id, row.buyer_id, row.at, tuple(row.earners), row.orders) for row in rows
    ]
    earners = sorted({earner for trace in traces if trace.kind == "payer" for earner in trace.earners})
    if not earners:
        return traces
    accounts: dict[str, set[int]] = defaultdict(set)
    for person_id, openid in session.execute(_OPENIDS, {"people": earners}):
        accounts[seal("payer", openid)].add(person_id)
    return [
        replace(trace, own_payer=frozenset(accounts[trace.hash].intersection(trace.earners)))
        if trace.kind == "payer" and trace.hash in accounts else trace
        for trace in traces
    ]


def _phones(session: Session, orders: Sequence[int], rules: Rules) -> list[Hit]:
    """Buyer and earner share a phone: two accounts of one place that the people room kept apart."""
    rule = rules.live("self_phone")
    if rule is None:
        return []
    rows = session.execute(_PHONES, {"orders": orders, "threshold": rule.threshold})
    return [Hit(earner, "self_phone", f"buyer:{buyer}", tuple(found), (buyer,)) for earner, buyer, found in rows]


def sweep(session: Session, rules: Rules, now: datetime, limit: int) -> int:
    """Look at the recent business of people whose customers did something, ``limit`` notes of that at most; returns how
    many people were looked at."""
    people = list(session.scalars(_TAKE_PEOPLE, {"limit": limit}))
    if not people:
        return 0
    sales = _sales(session, people, now - rules.longest("star", "burst", "region", "refund_abuse", "cluster"))
    homes = {row.person: row.home for row in session.execute(_HOMES, {"people": people})}
    traces = _below(session, sales, now - rules.longest("cluster"))
    circles = session.scalars(_RINGS, {"people": people, "since": now - rules.longest("ring"), "longest": RING_LENGTH})
    hits = judge.rings(circles, rules)
    for person in people:
        hits += judge.sweep(person, sales[person], homes.get(person, ""), rules, now)
        hits += judge.cluster(person, traces[person], rules)
    suspect(session, hits, rules, now)
    return len(people)


def _sales(session: Session, people: Sequence[int], since: datetime) -> dict[int, list[Sale]]:
    found: dict[int, list[Sale]] = {person: [] for person in people}
    for row in session.execute(_SALES, {"people": people, "since": since, "most": MOST_RECENT}):
        found[row.person].append(Sale(
            row.order_id, row.buyer_id, row.paid_at, row.paid_fen, row.pieces, row.region, row.joined_at, row.orders,
            row.released, row.back,
        ))
    return found


def _below(session: Session, sales: dict[int, list[Sale]], since: datetime) -> dict[int, list[Trace]]:
    """The payers and devices of everybody's sales."""
    earner = {sale.order_id: person for person, sold in sales.items() for sale in sold}
    found: dict[int, list[Trace]] = {person: [] for person in sales}
    for row in session.execute(_SIGNALS_OF, {"orders": list(earner), "since": since}):
        person = earner[row.order_id]
        found[person].append(Trace(row.kind, row.hash, row.order_id, row.buyer_id, row.at, (person,)))
    return found
