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

-- How long money of an order that was paid at some time waits after receipt: the plan of that time says it, as
-- PlanBook.at finds it; 7 days where it says nothing (Release.hold_days).
create or replace function release_hold(paid timestamptz) returns interval language sql stable
return (select make_interval(hours => 24 * coalesce((p.document #>> '{release,hold_days}')::int, 7)) from commission_plan p
         order by p.live_from <= paid desc, case when p.live_from <= paid then p.version else -p.version end desc limit 1);

-- A commission goes its way by what happened to its order: taken back as much as came back, by the same rule as
-- domain/commissions/rules.py, or by a case that says so; let go once, when its hold after receipt is over, and not before.
create or replace function commission_line_steps() returns trigger language plpgsql as $$
declare
    closed timestamptz;
    completed timestamptz;
    paid_at timestamptz;
    due timestamptz;
    back bigint;
    paid bigint;
begin
    if old.released_at is not null and new.released_at is distinct from old.released_at
       or old.released_at is null and new.released_at is not null
          and (new.release_at is null or new.released_at < new.release_at) then
        raise exception 'commission line %: let go once, when its hold is over', new.id using errcode = 'HT403';
    end if;
    if new.release_at is distinct from old.release_at then
        if new.release_at is null then
            if new.clawed_fen < new.amount_fen then
                raise exception 'commission line %: it is never let go', new.id using errcode = 'HT403';
            end if;
        else
            -- Its own plan says so, nearly always; one that was published later may count, too, for what is paid ahead.
            select o.completed_at + make_interval(hours => 24 * coalesce((p.document #>> '{release,hold_days}')::int, 7)),
                   o.completed_at, o.paid_at
              into due, completed, paid_at
              from customer_order o join commission_plan p on p.version = new.plan_version where o.id = new.order_id;
            if old.released_at is not null
               or new.release_at is distinct from due
                  and new.release_at is distinct from completed + release_hold(paid_at) then
                raise exception 'commission line %: it is not let go at %', new.id, new.release_at using errcode = 'HT403';
            end if;
        end if;
    end if;
    if new.confiscated_at is not null then
        if new.confiscated_at is distinct from old.confiscated_at and not exists (
            select from risk_line l join risk_case k on k.id = l.case_id
             where l.line_id = new.id and k.state = 'confiscated') then
            raise exception 'commission line %: no case confiscates it', new.id using errcode = 'HT403';
        end if;
    elsif new.clawed_fen <> old.clawed_fen then
        select o.closed_at, l.refunded_fen, l.paid_fen into closed, back, paid
          from order_line l join customer_order o on o.id = l.order_id where l.order_id = new.order_id and l.n = new.n;
        if new.clawed_fen <> (case when closed is not null then new.amount_fen
                                   else div(2 * new.amount_fen::numeric * back + paid, 2 * paid) end) then
            raise exception 'commission line %: % taken back is not what came back', new.id, new.clawed_fen
                using errcode = 'HT403';
        end if;
    end if;
    return null;
end $$;
