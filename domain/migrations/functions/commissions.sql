-- What was earned, for those who tell it.

-- What is told of the commissions of some orders, as it is now, order by order: each by whoever was kept, none of who was
-- forgotten (no name is left of them).
create or replace function earned_of(orders bigint[]) returns json language sql stable as $$
    select coalesce(json_agg(e order by e.order_id, e.id), '[]') from (
        select c.id, c.order_id, o.order_no, o.buyer_id, o.booked_at as at, c.beneficiary_id as person_id, c.level,
               c.amount_fen, c.base_fen, c.rate_bps, c.rule, c.phase, c.phase_bps, c.boost_bps,
               coalesce(c.held_at = c.accrued_at, false) as held, l.title, b.nickname as buyer
          from unnest(orders) as g (id)
         cross join lateral (
            select c.order_no, c.buyer_id, c.booked_at from customer_order c where c.id = g.id offset 0) o
         cross join lateral (select * from commission_line c where c.order_id = g.id offset 0) c
         cross join lateral (select l.title from order_line l where l.order_id = g.id and l.n = c.n offset 0) l
         cross join lateral (select p.nickname from person p where p.id = o.buyer_id offset 0) b
         where exists (select from identity i where i.person_id = c.beneficiary_id offset 0)) e
$$;

-- Takes the news of what was earned by ``most`` orders or a few more (those that were booked together stay together), the
-- oldest first, passing over what somebody else is handing on. Null when there is none. JSON: orders (how many), heard (some
-- journey listens to commission.accrued), lines (see earned_of). Taken is what is committed.
create or replace function earned_take(most bigint) returns text language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    orders bigint[];
    heard boolean;
begin
    with oldest as (
        select n.id, sum(cardinality(n.order_ids)) over (order by n.id) - cardinality(n.order_ids) as before
          from (select id, order_ids from earned_news order by id limit most) n
    ), due as (
        select d.id from oldest cross join lateral (
            select n.id from earned_news n where n.id = oldest.id for update skip locked) d
         where oldest.before < most
    ), gone as (
        delete from earned_news n using due where n.id = due.id returning n.order_ids
    )
    select array_agg(g.id), exists (select from journey j where 'commission.accrued' = any (j.listens)
                                       and j.state in ('live', 'paused', 'draining'))
      into orders, heard
      from gone cross join unnest(gone.order_ids) as g (id);
    if orders is null then
        return null;
    end if;
    return '{"orders":' || cardinality(orders) || ',"heard":' || heard || ',"lines":' || earned_of(orders) || '}';
end $$;
