-- Who has a chore: the database process that serves its worker. While that lives, so does the worker.
alter table chore add column lease_by bigint;

-- ---- A membership card is no purchase of goods ------------------------------------------------------------------------

-- What an order holds of cards: what was paid, and what is left of it. Null for nearly all; kept where lines are written.
alter table customer_order
    add column card_fen bigint,
    add column card_paid_fen bigint;

create function order_card() returns trigger language plpgsql as $$
begin
    update customer_order o set card_fen = l.kept, card_paid_fen = l.paid
      from (select sum(paid_fen - refunded_fen)::bigint as kept, sum(paid_fen)::bigint as paid from order_line
             where order_id = new.order_id and category = 'membership') l
     where o.id = new.order_id;
    return null;
end $$;
create trigger order_line_of_card_new after insert on order_line
    for each row when (new.category = 'membership') execute function order_card();
create trigger order_line_of_card_back after update of refunded_fen on order_line
    for each row when (new.category = 'membership') execute function order_card();

update customer_order o set card_fen = l.kept, card_paid_fen = l.paid
  from (select order_id, sum(paid_fen - refunded_fen)::bigint as kept, sum(paid_fen)::bigint as paid from order_line
         where category = 'membership' group by order_id) l
 where o.id = l.order_id;
alter table customer_order add constraint ck_customer_order_card
    check (card_fen between 0 and card_paid_fen and card_paid_fen <= paid_fen);

-- What is left of an order without its cards: written ``o.goods_fen`` for an order ``o``.
create function goods_fen(o customer_order) returns bigint language sql immutable parallel safe
    return o.paid_fen - o.refunded_fen - coalesce(o.card_fen, 0);

-- Whose counts held a card are counted again.
insert into programme_stale (person_id) select distinct buyer_id from customer_order where card_fen is not null;

-- As in 0024, without cards.
create or replace function month_count(the_month date) returns bigint language plpgsql as $$
declare
    people bigint;
    since timestamptz := month_start(the_month);
    upto timestamptz := month_start((the_month + interval '1 month')::date);
begin
    with doubt as materialized (
        select c.order_id, bool_or(c.beneficiary_id = o.seller_id) as sold
          from commission_line c join customer_order o on o.id = c.order_id
         where (c.held_at is not null or c.confiscated_at is not null) and c.beneficiary_id in (o.seller_id, o.leader_id)
           and o.paid_at >= since and o.paid_at < upto
         group by c.order_id
    ), pairs as materialized (
        select o.seller_id, o.leader_id,
               coalesce(sum(o.goods_fen) filter (where d.sold is not true), 0)::bigint as fen,
               count(*) filter (where d.sold is not true) as orders,
               coalesce(sum(o.goods_fen) filter (where d.order_id is null), 0)::bigint as above_fen
          from customer_order o left join doubt d on d.order_id = o.id
         where o.paid_at >= since and o.paid_at < upto
           and o.seller_id is not null and o.closed_at is null and o.goods_fen > 0
         group by o.seller_id, o.leader_id
    )
    insert into month_volume (month, person_id, direct_fen, direct_orders, team_fen)
    select the_month, person_id, sum(d_fen)::bigint, sum(d_orders)::bigint, sum(t_fen)::bigint
      from (select seller_id as person_id, fen as d_fen, orders as d_orders, 0 as t_fen from pairs where fen > 0
            union all
            select leader_id, 0, 0, above_fen from pairs where leader_id is not null and above_fen > 0) both_sides
     group by person_id;
    get diagnostics people = row_count;
    return people;
end $$;

create or replace function milestones_reached(people bigint[], since timestamptz, now timestamptz, hold interval,
                                              days bigint, size bigint)
returns table (person_id bigint, key text, held boolean, firm boolean) language sql stable as $$
    with sale as (
        select o.seller_id, o.buyer_id, o.paid_at, (o.paid_at at time zone 'Asia/Shanghai')::date as day,
               coalesce(o.completed_at + hold <= now, false) and d.gone is null as firm
          from customer_order o
          left join lateral (
            select bool_or(c.confiscated_at is not null) as gone from commission_line c
             where c.order_id = o.id and c.beneficiary_id = o.seller_id
               and (c.held_at is not null or c.confiscated_at is not null)) d on true
         where o.seller_id = any (people) and o.closed_at is null and o.goods_fen > 0
           and d.gone is not true
           and exists (select from role_grant g where g.person_id = o.seller_id and g.granted_at <= o.paid_at
                          and (g.revoked_at is null or g.revoked_at > o.paid_at))
    ), counted as (
        select * from sale where since is null or paid_at >= since
    ), islands as (
        select seller_id, day, bool_or(firm) as firm,
               day - (row_number() over (partition by seller_id order by day))::int as island
          from counted group by seller_id, day
    ), firm_islands as (
        select seller_id, day - (row_number() over (partition by seller_id order by day))::int as island
          from islands where firm
    ), streak as (
        select p.id as seller_id,
               coalesce((select max(n) from (select count(*) as n from islands i where i.seller_id = p.id group by island) a),
                        0) as held,
               coalesce((select max(n) from (select count(*) as n from firm_islands i where i.seller_id = p.id
                                              group by island) b), 0) as firm
          from unnest(people) as p (id)
    )
    select p.id, 'first_sale',
           exists (select from counted c where c.seller_id = p.id)
               and not exists (select from sale s where s.seller_id = p.id and s.paid_at < since),
           exists (select from counted c where c.seller_id = p.id and c.firm)
               and not exists (select from sale s where s.seller_id = p.id and s.paid_at < since)
      from unnest(people) as p (id)
    union all
    select seller_id, 'streak', held >= days, firm >= days from streak
    union all
    select p.id, 'team', count(distinct c.buyer_id) >= size,
           count(distinct c.buyer_id) filter (where c.firm) >= size
      from unnest(people) as p (id) left join counted c on c.seller_id = p.id group by p.id;
$$;

-- ---- Which secret key this database was opened with -------------------------------------------------------------------

create table key_mark (
    name text constraint pk_key_mark primary key,
    mark text not null,
    since timestamptz not null
);
