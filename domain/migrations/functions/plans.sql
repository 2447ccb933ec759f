-- Commission plans and what they may pay.

-- What somebody decides on does not change under their eyes, and what ended stays ended.
create or replace function plan_draft_steps() returns trigger language plpgsql as $$
begin
    if old.state <> new.state and (old.state, new.state) not in (
        ('draft', 'submitted'), ('draft', 'withdrawn'), ('submitted', 'draft'), ('submitted', 'published'),
        ('submitted', 'withdrawn')
    ) then
        raise exception 'a % plan draft cannot become %', old.state, new.state using errcode = 'HT409';
    end if;
    if (old.state <> 'draft' and (old.name, old.document, old.effective_on, old.note, old.based_on)
            is distinct from (new.name, new.document, new.effective_on, new.note, new.based_on))
       or (old.id, old.author, old.created_at) is distinct from (new.id, new.author, new.created_at) then
        raise exception 'a % plan draft is not edited', old.state using errcode = 'HT409';
    end if;
    if new.state = 'published' and not exists (
        select from commission_plan p where p.version = new.version and p.approval_id = new.approval_id
    ) then
        raise exception 'version % is not what this draft was agreed to be', new.version using errcode = 'HT409';
    end if;
    return new;
end $$;

-- What was published is what two people agreed to.
create or replace function plan_agreed() returns trigger language plpgsql as $$
begin
    if new.approval_id is not null and not exists (
        select from approval a
         where a.id = new.approval_id and a.act in ('plan.publish', 'plan.rollback') and a.state = 'approved'
           and a.payload ->> 'digest' = new.digest
    ) then
        raise exception 'nobody agreed to this plan' using errcode = 'HT403';
    end if;
    return new;
end $$;

-- No plan pays further down than the shop allowed.
create or replace function plan_within_limit() returns trigger language plpgsql as $$
declare
    allowed plan_limit := (select l from plan_limit l order by l.id desc limit 1);
begin
    if coalesce((new.document ->> 'levels')::bigint, 1) > coalesce(allowed.max_levels, 1)
       or (coalesce(jsonb_typeof(new.document -> 'team'), 'null') <> 'null' and not coalesce(allowed.team_pay, false)) then
        raise exception 'the plan pays further down than the shop allows' using errcode = 'HT422';
    end if;
    return new;
end $$;

-- What a shop allows beyond the default is what two people agreed to.
create or replace function plan_limit_agreed() returns trigger language plpgsql as $$
begin
    if new.approval_id is not null and not exists (
        select from approval a
         where a.id = new.approval_id and a.act = 'plan.levels' and a.state = 'approved'
           and a.payload ->> 'max_levels' = new.max_levels::text and a.payload ->> 'team_pay' = new.team_pay::text
    ) then
        raise exception 'nobody agreed to these limits' using errcode = 'HT403';
    end if;
    return new;
end $$;

-- All commissions of an order line together never exceed what was paid for it; line, plan and whoever earns are there,
-- and are nobody who was merged away meanwhile (see refuse_merged_person). A line of others is locked first, so that
-- two writers cannot both find room; one that this very transaction wrote is seen by nobody else.
create or replace function commission_within_paid() returns trigger language plpgsql as $$
declare
    named bigint;
    living bigint;
    somebody bigint;
    broken text;
    orders bigint[];
    plans bigint[];
begin
    -- Whoever waited for a line must see what the other one found room for.
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'commissions need READ COMMITTED: an older snapshot would hide others' using errcode = 'HT403';
    end if;
    with named as materialized (
        select array_agg(distinct beneficiary_id) as ids from fresh
    )
    select cardinality(n.ids), (select count(*) from (
               select from person p where p.id = any (n.ids) and p.merged_into is null order by p.id for key share) l)
      into named, living from named n;
    if living < named then
        select p.id into somebody from fresh f join person p on p.id = f.beneficiary_id
         where p.merged_into is not null order by 1 limit 1;
        if found then
            perform refuse_merged_person(somebody);
        end if;
        broken := 'fk_commission_line_beneficiary_id';
    end if;
    for round in 1 .. 2 loop
        exit when broken is not null;
        if round = 1 and named > 4 then
            -- Of many, all lines and what they pay are found by one look along their indexes.
            select array_agg(distinct order_id), array_agg(distinct plan_version) into orders, plans from fresh;
            perform from (select c.order_id, c.n, c.amount_fen as fen, null::bigint as paid from commission_line c
                           where c.order_id = any (orders)
                          union all
                          select l.order_id, l.n, 0, l.paid_fen from order_line l
                           where l.order_id = any (orders) and l.xmin = pg_current_xact_id()::xid) u
             group by u.order_id, u.n having (whole_sum(u.fen) <= whole_sum(u.paid)) is not true
            union all
            select from unnest(plans) v where not exists (select from commission_plan p where p.version = v offset 0);
        else
            perform from (select distinct order_id, n, plan_version from fresh) f
             where not exists (select from commission_plan p where p.version = f.plan_version offset 0)
                or (select (round = 2 or l.xmin = pg_current_xact_id()::xid)
                           and (select whole_sum(c.amount_fen) from commission_line c
                                 where c.order_id = f.order_id and c.n = f.n) <= l.paid_fen
                      from order_line l where l.order_id = f.order_id and l.n = f.n) is not true;
        end if;
        exit when not found;
        if round = 1 then
            perform from (select distinct order_id, n from fresh order by 1, 2) f cross join lateral (
                select from order_line l where l.order_id = f.order_id and l.n = f.n for no key update) l;
        else
            broken := case
                when exists (select from fresh f where not exists (
                    select from order_line l where l.order_id = f.order_id and l.n = f.n offset 0))
                    then 'fk_commission_line_order_id_n'
                when exists (select from fresh f where not exists (
                    select from commission_plan p where p.version = f.plan_version offset 0))
                    then 'fk_commission_line_plan_version'
                else 'paid' end;
        end if;
    end loop;
    if broken = 'paid' then
        raise exception 'commissions of an order line exceed what was paid' using errcode = 'HT422';
    elsif broken is not null then
        raise exception 'insert on table "commission_line" violates foreign key constraint "%"', broken
            using errcode = 'foreign_key_violation', table = 'commission_line', constraint = broken;
    end if;
    return null;
end $$;
