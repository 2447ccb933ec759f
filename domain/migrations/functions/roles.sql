-- Roles by what people buy and sell.

-- Whether somebody's highest role at a time is one of ``wanted``.
create or replace function role_was(the_person bigint, at timestamptz, wanted text[]) returns boolean language sql stable
return coalesce((
    select g.role from role_grant g
     where g.person_id = the_person and g.granted_at <= at and (g.revoked_at is null or g.revoked_at > at)
     order by array_position(array['promoter', 'gold', 'partner'], g.role) desc limit 1), 'member') = any (wanted);

-- Which of some buyers come back so often that a role may hang on it. They are locked (in id order, until the end of the
-- transaction) before they are counted, so that of two orders booked at once the later one sees both.
create or replace function role_regulars(ids bigint[]) returns setof bigint language plpgsql volatile
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    least_orders bigint;
begin
    select min(regular_orders) into least_orders from role_rulebook;
    if least_orders is null then
        return;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('role:' || b.id, 0))
       from (select distinct i as id from unnest(ids) as i order by 1) b;
    return query
        select o.buyer_id from customer_order o where o.buyer_id = any (ids)
         group by o.buyer_id having count(*) >= least_orders order by 1;
end $$;

-- Holds everybody's role until the transaction ends; returns those who have enough orders for one to hang on them once
-- ``coming`` (one entry an order) are booked.
create or replace function role_regulars_coming(ids bigint[], coming bigint[]) returns setof bigint language plpgsql volatile
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    least_orders bigint;
begin
    select min(regular_orders) into least_orders from role_rulebook;
    if least_orders is null then
        return;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('role:' || b.id, 0))
       from (select distinct i as id from unnest(ids || coming) as i order by 1) b;
    return query
        select w.id from (select i, count(*) from unnest(coming) as i group by i
                          union all select i, 0 from unnest(ids) as i) as w (id, more)
         group by w.id
        having sum(w.more) + (select count(*) from (select from customer_order o where o.buyer_id = w.id
                                                     limit least_orders) known) >= least_orders
         order by 1;
end $$;

-- As role_regulars_coming, of one order to be: the buyer, held, when a role hangs on how often they come back (least_orders,
-- this one counted).
create or replace function role_regular_coming(buyer bigint, least_orders bigint) returns bigint[] language plpgsql as $$
begin
    if least_orders is null then
        return '{}';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('role:' || buyer, 0));
    -- A statement of its own: it sees the orders of whoever was waited for.
    if (select count(*) from (select from customer_order o where o.buyer_id = buyer limit least_orders) known) + 1
       >= least_orders then
        return array[buyer];
    end if;
    return '{}';
end $$;

-- Nobody is demoted by the assessment who was not warned at an earlier one.
create or replace function role_demotion_needs_warning() returns trigger language plpgsql as $$
begin
    if not exists (select from role_decision d where d.person_id = new.person_id and d.role = new.role
                      and d.what = 'warned' and d.month < new.month and d.at < new.at) then
        raise exception 'person % was never warned about losing %', new.person_id, new.role using errcode = 'HT409';
    end if;
    return new;
end $$;
