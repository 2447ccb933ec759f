-- Months: counted, settled, and looked at again; milestones.

-- The month of a time, where the shop is.
create or replace function shop_month(at timestamptz) returns date language sql immutable
return date_trunc('month', at at time zone 'Asia/Shanghai')::date;

-- The first instant of a month; of the next one: month_start((month + interval '1 month')::date).
create or replace function month_start(month date) returns timestamptz language sql immutable
return month::timestamp at time zone 'Asia/Shanghai';

-- The sums of a month by person, in one pass over its orders: without cards and without sales in question. Of those there
-- are few: they are found by themselves and taken off again, which costs less than asking of each order whether it is one.
-- whole_sum (0054) keeps whole numbers where sum makes a numeric of each group. Runs once a close, right after it started,
-- with room for the sums of everybody in memory. Written in the order in which a close reads it: its pages, and those of
-- the key, are each filled once and left, and a piece of 5,000 people is a run of them. By the order of a hash table both
-- the count and all that follows took a tenth longer (ADR 0052). Who was counted is cut into pieces of ``most`` people.
create or replace function month_count(the_month date, most bigint default 5000) returns bigint
language plpgsql set work_mem = '64MB' as $$
declare
    people bigint;
    since timestamptz := month_start(the_month);
    upto timestamptz := month_start((the_month + interval '1 month')::date);
begin
    with doubt as materialized (
        select o.seller_id, o.leader_id, o.goods_fen as fen, bool_or(c.beneficiary_id = o.seller_id) as sold
          from commission_line c join customer_order o on o.id = c.order_id
         where (c.held_at is not null or c.confiscated_at is not null) and c.beneficiary_id in (o.seller_id, o.leader_id)
           and o.paid_at >= since and o.paid_at < upto
           and o.seller_id is not null and o.closed_at is null and o.goods_fen > 0
         group by o.id
    ), pairs as materialized (
        select o.seller_id, o.leader_id, whole_sum(o.goods_fen) as fen, count(*) as orders
          from customer_order o
         where o.paid_at >= since and o.paid_at < upto
           and o.seller_id is not null and o.closed_at is null and o.goods_fen > 0
         group by o.seller_id, o.leader_id
    )
    insert into month_volume (month, person_id, direct_fen, direct_orders, team_fen)
    select the_month, person_id, whole_sum(d_fen), whole_sum(d_orders), whole_sum(t_fen)
      from (select seller_id as person_id, fen as d_fen, orders as d_orders, bigint '0' as t_fen from pairs
            union all
            select leader_id, 0, 0, whole_sum(fen) from pairs where leader_id is not null group by leader_id
            union all
            select seller_id, -fen, -1, 0 from doubt where sold
            union all
            select leader_id, 0, 0, -fen from doubt where leader_id is not null
             order by person_id offset 0) both_sides
     group by person_id having whole_sum(d_fen) > 0 or whole_sum(t_fen) > 0
     order by person_id;
    get diagnostics people = row_count;
    perform month_cut(the_month, most);
    return people;
end $$;

-- Cuts the people of a counted month into pieces: runs of ids, without a gap between them, each of ``most`` who have sold
-- something. The last one has no end: whoever is counted by a merge is in one of them.
create or replace function month_cut(the_month date, most bigint) returns void language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    cut_upto bigint := (select done_upto from month_close where month = the_month for update);
    last_one bigint;
    people bigint;
begin
    loop
        select coalesce(max(person_id), cut_upto), count(*) into last_one, people from (
            select person_id from month_volume where month = the_month and person_id > cut_upto
             order by person_id limit most) next;
        insert into month_piece (month, above, upto)
        values (the_month, cut_upto, case when people < most then 9223372036854775807 else last_one end);
        cut_upto := last_one;
        exit when people < most;
    end loop;
    update month_close set done_upto = cut_upto where month = the_month;
end $$;

-- A month is closed when nobody who was counted is left to be paid.
create or replace function refuse_left_piece() returns trigger language plpgsql as $$
begin
    if exists (select from month_piece where month = new.month) then
        raise exception 'close of % is refused: there are people left to be paid', new.month using errcode = 'HT403';
    end if;
    return null;
end $$;

-- A count reads the sales of a whole month and holds nobody: who was merged meanwhile may be counted as who they were.
-- Their volumes go over before anybody is paid by them, and the month of whoever was kept is looked at again. Returns how
-- many people that were.
create or replace function month_volume_of_living(the_month date) returns bigint language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    people bigint;
begin
    with merged as materialized (
        select p.id, p.merged_into from person p
         where p.merged_into is not null
           and exists (select from month_volume v where v.month = the_month and v.person_id = p.id offset 0)
    ), gone as (
        delete from month_volume v using merged m where v.month = the_month and v.person_id = m.id
        returning m.merged_into as person_id, v.direct_fen, v.direct_orders, v.team_fen
    ), told as (
        insert into settlement_late (month, person_id) select the_month, person_id from gone
    )
    insert into month_volume as v (month, person_id, direct_fen, direct_orders, team_fen)
    select the_month, person_id, sum(direct_fen)::bigint, sum(direct_orders)::bigint, sum(team_fen)::bigint
      from gone group by person_id order by person_id
        on conflict (month, person_id) do update
       set direct_fen = v.direct_fen + excluded.direct_fen, team_fen = v.team_fen + excluded.team_fen,
           direct_orders = v.direct_orders + excluded.direct_orders;
    get diagnostics people = row_count;
    return people;
end $$;

-- Who was counted is paid, or was merged into somebody who is.
create or replace function refuse_uncounted() returns trigger language plpgsql as $$
begin
    if exists (select from person where id = old.person_id and merged_into is null) then
        raise exception 'delete on month_volume is refused: person % was counted', old.person_id using errcode = 'HT403';
    end if;
    return null;
end $$;

-- Settles a piece of a month that was counted, the lowest that nobody else is at: amounts and bookings. Returns how many
-- pieces that were; 0: none is free. Several at once take different pieces, and nobody waits for another. ``most`` is
-- not read any more: the count has cut the pieces. Keys are put together without format(), which costs as much as the rest
-- of a row.
create or replace function month_close_some(the_month date, most bigint, at timestamptz, due timestamptz, whole boolean,
                                 froms bigint[], rates bigint[], team_bps bigint, team_roles text[])
returns bigint language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    month_name text := to_char(the_month, 'YYYY-MM');
    state month_close;
    last_instant timestamptz;
    piece record;
    booked bigint;
    below bigint[] := ladder_below(whole, froms, rates);
begin
    select * into state from month_close where month = the_month;
    last_instant := state.ends_at - interval '1 microsecond';
    delete from month_piece p
     where p.month = the_month and p.above = (
        select above from month_piece where month = the_month order by above limit 1 for update skip locked)
    returning * into piece;
    if not found then
        return 0;
    end if;
    with batch as materialized (
        select v.person_id, v.direct_fen, v.team_fen,
               ladder_fen(v.direct_fen, whole, froms, rates, below) as ladder,
               case when team_bps > 0 and v.team_fen > 0 and role_was(v.person_id, last_instant, team_roles)
                    then share_fen(v.team_fen, team_bps) else 0 end as team
          from month_volume v
         where v.month = the_month and v.person_id > piece.above and v.person_id <= piece.upto
    ), fresh as (
        insert into settlement (month, person_id, kind, n, cause, volume_fen, target_fen, change_fen, held_fen,
                                plan_version, booked_at, release_at)
        select the_month, k.person_id, k.kind, 0, 'close', k.volume, k.fen, k.fen, k.fen, state.plan_version, at, due
          from (select person_id, 'ladder' as kind, direct_fen as volume, ladder as fen from batch where ladder > 0
                union all
                select person_id, 'team', team_fen, team from batch where team > 0) k
        returning id, person_id, kind, change_fen
    )
    select ledger_earn(array['settlement.ladder', 'settlement.team'], array['expense.ladder', 'expense.team'],
                       array_agg('month:' || month_name || ':' || kind || ':' || person_id),
                       array_agg(case kind when 'ladder' then 1::bigint else 2 end), array_agg(id), array_agg(person_id),
                       array_agg(change_fen), 'settlement', month_name, last_instant, at)
      into booked from fresh having count(*) > 0;
    return 1;
end $$;

-- Fen of an amount at a rate in bps, halves up; 0 or more. In whole numbers of 64 bits where that fits.
create or replace function share_fen(amount bigint, rate bigint) returns bigint language sql immutable parallel safe
return case when amount <= 900000000000000 then (amount * rate + 5000) / 10000
            else div(amount::numeric * rate + 5000, 10000)::bigint end;

-- What the full brackets below each of ``froms`` bring: nothing where the whole volume is paid at the rate it reaches.
create or replace function ladder_below(whole boolean, froms bigint[], rates bigint[]) returns bigint[]
language plpgsql immutable parallel safe as $$
declare
    below bigint[] := array_fill(bigint '0', array[cardinality(froms)]);
begin
    for i in 2 .. cardinality(froms) loop
        exit when whole;
        below[i] := below[i - 1] + share_fen(froms[i] - froms[i - 1], rates[i - 1]);
    end loop;
    return below;
end $$;

-- What a month's own sales bring: rates in bps from each of ``froms`` (ascending, inclusive) on; halves up in each
-- bracket. The same rule as domain/commissions/ladder.py, beside the data: a close asks it for everybody at once, so it is
-- one expression, which is written into the statement that asks.
create or replace function ladder_fen(volume bigint, whole boolean, froms bigint[], rates bigint[], below bigint[])
returns bigint language sql immutable parallel safe
return coalesce(below[width_bucket(volume, froms)]
                + share_fen(volume - case when whole then 0 else froms[width_bucket(volume, froms)] end,
                            rates[width_bucket(volume, froms)]), 0);

-- A month that is being closed is never forgotten or renamed: its key is checked as those of posting_refers.
create or replace function settlement_refers() returns trigger language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
begin
    if exists (select from (select distinct month from fresh) f
                where not exists (select from month_close c where c.month = f.month offset 0)) then
        raise exception 'insert on table "settlement" violates foreign key constraint "fk_settlement_month"'
            using errcode = 'foreign_key_violation', table = 'settlement', constraint = 'fk_settlement_month';
    end if;
    return null;
end $$;

-- People of counted months are looked at again for their new orders.
create or replace function settlement_note_new(orders new_order[]) returns void language sql as $$
    insert into settlement_late (month, person_id)
    select distinct shop_month(o.paid_at), p.id from unnest(orders) o
     cross join lateral (values (o.seller_id), (o.leader_id)) as p (id)
      join month_close m on m.month = shop_month(o.paid_at)
     where p.id is not null;
$$;

-- Orders that came back or were closed, by what a batch of facts says: people of counted months are looked at again.
create or replace function settlement_note_late(doc jsonb) returns void language plpgsql as $$
begin
    insert into settlement_late (month, person_id)
    select distinct shop_month(o.paid_at), p.id
      from orders_undone(doc) as touched (id)
     cross join lateral (select c.paid_at, c.seller_id, c.leader_id from customer_order c where c.id = touched.id offset 0) o
     cross join lateral (values (o.seller_id), (o.leader_id)) as p (id)
      join month_close m on m.month = shop_month(o.paid_at)
     where p.id is not null;
end $$;

-- Notes whose counted month changes when a sale comes into question, is cleared, or is confiscated.
create or replace function settlement_note_doubt() returns trigger language plpgsql as $$
begin
    perform booking_lock();
    insert into settlement_late (month, person_id)
    select c.month, p.id
      from customer_order o cross join lateral (values (o.seller_id), (o.leader_id)) as p (id)
      join month_close c on c.month = shop_month(o.paid_at)
     where o.id = new.order_id and p.id is not null and new.beneficiary_id in (o.seller_id, o.leader_id);
    return null;
end $$;

-- Whose sales came back, for shops one of whose plans pays milestones; new orders are news (order_news_of).
create or replace function milestone_note(doc jsonb) returns void language plpgsql as $$
begin
    if exists (select from commission_plan where document ? 'milestones') then
        insert into milestone_due (person_id)
        select distinct o.seller_id from orders_undone(doc) as t (id)
         cross join lateral (select c.seller_id from customer_order c where c.id = t.id offset 0) o
         where o.seller_id is not null;
    end if;
end $$;

-- What people's sales as promoters (or more) are worth as milestones: ``held`` by every unreturned sale since
-- ``since``, ``firm`` by those alone whose hold is over at ``now``. A first sale counts only for who had none before
-- ``since``; a sale that was confiscated is none, one in question is none that can no longer be lost.
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
