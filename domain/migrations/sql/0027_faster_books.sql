-- Books kept faster. Functions as before (0002, 0011) that looked up whole tables or locked rows for nothing; see ADR 0030.

-- ---- Notes about orders: look-ups by key, whatever the planner thought when the tables were small ------------------

-- Whether any plan pays milestones is asked with every order; the index answers without opening a document.
create index ix_commission_plan_milestones on commission_plan (version) where document ? 'milestones';

-- Orders that came back or were closed, by what a batch of facts says. doc: refunds, changed (see orders_store).
create function orders_undone(doc jsonb) returns setof bigint language sql immutable as $$
    select (f ->> 'order_id')::bigint from jsonb_array_elements(doc -> 'refunds') f
    union
    select (f ->> 'id')::bigint from jsonb_array_elements(doc -> 'changed') f where f ->> 'closed_at' is not null
$$;

-- Written only for shops one of whose plans pays milestones. A new order says who sold it; others are looked up.
create or replace function milestone_note(doc jsonb) returns void language plpgsql as $$
begin
    if not exists (select from commission_plan where document ? 'milestones') then
        return;
    end if;
    if doc ? 'orders' then
        insert into milestone_due (person_id)
        select distinct (f ->> 'seller_id')::bigint
          from jsonb_array_elements(doc -> 'orders') f where f ->> 'seller_id' is not null;
    end if;
    if doc ? 'refunds' or doc ? 'changed' then
        insert into milestone_due (person_id)
        select distinct o.seller_id from orders_undone(doc) as t (id)
         cross join lateral (select c.seller_id from customer_order c where c.id = t.id offset 0) o
         where o.seller_id is not null;
    end if;
end $$;

-- Notes who must be looked at again because an order of theirs in a counted month is new, went back, or was closed.
create or replace function settlement_note_late(doc jsonb) returns void language plpgsql as $$
declare
    counted timestamptz := (select max(ends_at) from month_close);
begin
    if counted is null or not (doc ? 'refunds' or doc ? 'changed' or exists (
            select from jsonb_array_elements(doc -> 'orders') f where (f ->> 'paid_at')::timestamptz < counted)) then
        return;
    end if;
    insert into settlement_late (month, person_id)
    select distinct shop_month(o.paid_at), p.id
      from (select (f ->> 'id')::bigint as id from jsonb_array_elements(doc -> 'orders') f
            union select orders_undone(doc)) touched
     cross join lateral (select c.paid_at, c.seller_id, c.leader_id from customer_order c
                          where c.id = touched.id and c.paid_at < counted offset 0) o
     cross join lateral (values (o.seller_id), (o.leader_id)) as p (id)
      join month_close m on m.month = shop_month(o.paid_at)
     where p.id is not null;
end $$;

-- ---- References to rows that can never go: checked once a statement, without locks --------------------------------

-- A foreign key is checked row by row and locks the row it points to, so that nobody deletes it meanwhile. Journals,
-- accounts, plans and order lines cannot be deleted or renamed by anybody: the lock guards nothing, and on the
-- platform's accounts and on the live plan it is the one row that all orders at once have to write. These keys stay
-- declared; the triggers below refuse the same rows with the same words, a whole statement at a time.
create function posting_refers() returns trigger language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    broken text;
begin
    select k.name into broken from fresh f
     cross join lateral (select case
        when not exists (select from journal j where j.id = f.journal_id offset 0) then 'fk_posting_journal_id'
        when not exists (select from account a where a.id = f.debit and a.currency = f.currency offset 0)
            then 'fk_posting_debit_currency'
        when not exists (select from account a where a.id = f.credit and a.currency = f.currency offset 0)
            then 'fk_posting_credit_currency' end) as k (name)
     where k.name is not null limit 1;
    if broken is not null then
        raise exception 'insert on table "posting" violates foreign key constraint "%"', broken
            using errcode = 'foreign_key_violation', table = 'posting', constraint = broken;
    end if;
    return null;
end $$;
create trigger posting_refers after insert on posting
    referencing new table as fresh for each statement execute function posting_refers();
alter table posting
    alter constraint fk_posting_journal_id not enforced,
    alter constraint fk_posting_debit_currency not enforced,
    alter constraint fk_posting_credit_currency not enforced;

-- All commissions of an order line together never exceed what was paid for it, and line and plan are there. The line is
-- locked first, so that two writers cannot both find room.
create or replace function commission_within_paid() returns trigger language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    wanted bigint;
    there bigint;
begin
    select count(distinct (order_id, n)) into wanted from fresh;
    perform 1 from (select distinct order_id, n from fresh order by 1, 2) f
      cross join lateral (select from order_line l where l.order_id = f.order_id and l.n = f.n for no key update) l;
    get diagnostics there = row_count;
    if there < wanted then
        raise exception 'insert on table "commission_line" violates foreign key constraint'
            ' "fk_commission_line_order_id_n"' using errcode = 'foreign_key_violation', table = 'commission_line',
            constraint = 'fk_commission_line_order_id_n';
    end if;
    if exists (select from (select distinct plan_version from fresh) f
                where not exists (select from commission_plan p where p.version = f.plan_version offset 0)) then
        raise exception 'insert on table "commission_line" violates foreign key constraint'
            ' "fk_commission_line_plan_version"' using errcode = 'foreign_key_violation', table = 'commission_line',
            constraint = 'fk_commission_line_plan_version';
    end if;
    if exists (
        select from (select distinct order_id, n from fresh) f
         cross join lateral (select sum(c.amount_fen) as fen from commission_line c
                              where c.order_id = f.order_id and c.n = f.n offset 0) c
         cross join lateral (select l.paid_fen from order_line l
                              where l.order_id = f.order_id and l.n = f.n offset 0) l
         where c.fen > l.paid_fen
    ) then
        raise exception 'commissions of an order line exceed what was paid' using errcode = 'HT422';
    end if;
    return null;
end $$;
alter table commission_line
    alter constraint fk_commission_line_order_id_n not enforced,
    alter constraint fk_commission_line_plan_version not enforced;
-- What the key of the lines refused: a line that is renamed under its commissions.
drop trigger order_line_fixed on order_line;
create trigger order_line_fixed before update of order_id, n, line_id, sku, category, quantity, paid_fen
    on order_line for each statement execute function refuse_change();

-- ---- Intake: one trip to learn everything, one to write it down ---------------------------------------------------

-- Holds everybody's role until the transaction ends; returns those who have enough orders for one to hang on them once
-- ``coming`` (one entry an order) are booked.
create function role_regulars_coming(ids bigint[], coming bigint[]) returns setof bigint language plpgsql volatile
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

-- Who is behind the payments among some events, who stood above them, and who of all buyers comes back often:
-- {standings: {subject: [[level, person, roles, renews, boost_bps, frozen], …]}, regulars: [person, …]}; level 0 is the
-- buyer.
-- Empty when that needs more than a look: somebody new, a phone (stored as a hash that only the service can make), a
-- sharer's code, two payments of one order, somebody not seen for long.
create function intake_meet(events jsonb, orders jsonb, seen_since timestamptz) returns jsonb language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    subjects text[];
    ats timestamptz[];
    plain boolean;
    places int[];
    kinds text[];
    scopes text[];
    vals text[];
    buyers bigint[] := '{}';
    known bigint;
    standings jsonb := '{}';
begin
    select array_agg(p.subject order by p.subject), array_agg(p.at order by p.subject),
           count(*) = count(distinct p.subject) and not bool_or(p.buyer ? 'phone' or p.code <> '')
      into subjects, ats, plain
      from (select e ->> 'subject' as subject, e #> '{data,buyer}' as buyer,
                   coalesce(e #>> '{data,share_code}', '') as code, (e #>> '{data,paid_at}')::timestamptz as at
              from jsonb_array_elements(events) e where e ->> 'type' = 'order.paid') p;
    if subjects is not null then
        if not plain then
            return '{}';
        end if;
        select array_agg(p.place), array_agg(k.kind), array_agg(k.scope), array_agg(k.value)
          into places, kinds, scopes, vals
          from (select e #> '{data,buyer}' as buyer, row_number() over (order by e ->> 'subject') as place
                  from jsonb_array_elements(events) e where e ->> 'type' = 'order.paid') p
         cross join lateral (values
            ('openid', p.buyer ->> 'app_id', p.buyer ->> 'openid'), ('unionid', '', p.buyer ->> 'unionid'),
            ('external_userid', '', p.buyer ->> 'external_userid'), ('mall_user_id', '', p.buyer ->> 'mall_user_id')
         ) as k (kind, scope, value) where k.value is not null;
        select array_agg(g.person order by g.place), sum(g.found) into buyers, known
          from (select places[r.place] as place, min(r.person_id) as person, count(*) as found
                  from resolve_known(places, kinds, scopes, vals) r group by 1
                having count(distinct r.person_id) = 1 and min(r.seen_at) >= seen_since) g;
        if known is distinct from cardinality(kinds) or cardinality(buyers) < cardinality(subjects) then
            return '{}';
        end if;
        select jsonb_object_agg(subjects[s.place], s.people) into standings
          from (select w.place, jsonb_agg(jsonb_build_array(w.level, w.person_id, to_jsonb(w.roles), w.renews,
                           w.boost_bps, exists (select from account_hold h
                                                 where h.person_id = w.person_id and h.lifted_at is null))
                       order by w.level) as people
                  from intake_standing(buyers, ats, 3) w group by w.place) s;
    end if;
    return jsonb_build_object('standings', standings, 'regulars', array(select role_regulars_coming(
        array(select (o ->> 'buyer_id')::bigint from jsonb_array_elements(orders) o), buyers)));
end $$;

-- As intake_claim, and all that booking the claimed events needs to know of people.
create function intake_take(at timestamptz, most bigint, seen_since timestamptz) returns jsonb language plpgsql as $$
declare
    claimed jsonb := intake_claim(at, most);
begin
    return claimed || intake_meet(claimed -> 'events', claimed -> 'orders', seen_since);
end $$;

-- ---- Month closes -------------------------------------------------------------------------------------------------

-- As before (0011). Sums that fit are worked out in whole numbers of 64 bits; the rest as numerics.
create or replace function ladder_fen(volume bigint, whole boolean, froms bigint[], rates bigint[]) returns bigint
language plpgsql immutable parallel safe as $$
declare
    total bigint := 0;
    upto bigint := volume;
begin
    if volume > 900000000000000 then
        for i in reverse cardinality(froms) .. 1 loop
            if volume >= froms[i] then
                if whole then
                    return div(volume::numeric * rates[i] + 5000, 10000);
                end if;
                total := total + div((upto - froms[i])::numeric * rates[i] + 5000, 10000);
                upto := froms[i];
            end if;
        end loop;
        return total;
    end if;
    for i in reverse cardinality(froms) .. 1 loop
        if volume >= froms[i] then
            if whole then
                return (volume * rates[i] + 5000) / 10000;
            end if;
            total := total + ((upto - froms[i]) * rates[i] + 5000) / 10000;
            upto := froms[i];
        end if;
    end loop;
    return total;
end $$;

-- What Entry.digest makes of one pair expense -> pending.
create or replace function ledger_earned_digest(kind text, source_type text, source bigint, expense text, owner bigint,
                                                amount bigint)
returns text language sql immutable
return encode(sha256(convert_to('["' || kind || '","' || source_type || '",' || source || ',[[null,"' || expense || '",'
    || owner || ',"pending","CNY",' || amount || ']],null,null]', 'UTF8')), 'hex');

-- As before (0011). The content of keys that are there is compared only when there are some. Balances are written in
-- account order, each locked as it is reached: the look-ups follow the sorted accounts, as no other join is allowed here.
create or replace function ledger_earn(keys text[], kinds text[], expenses text[], sources bigint[], owners bigint[],
                            amounts bigint[], the_source text, the_label text, happened timestamptz, at timestamptz)
returns bigint language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    booked bigint;
    clash text;
    accounts bigint[];
    sums bigint[];
begin
    perform booking_lock();
    with opened as (
        insert into account (owner_id, kind, currency, normal)
        select distinct o, 'pending', 'CNY', account_normal('pending') from unnest(owners) o
         where not exists (select from account a
                            where a.owner_id = o and a.kind = 'pending' and a.currency = 'CNY' offset 0)
         order by 1
            on conflict on constraint uq_account_owner_id_kind_currency do nothing
        returning id
    )
    insert into balance (account_id) select id from opened;

    with expense as materialized (
        select id, kind from account where owner_id is null and currency = 'CNY'
    ), fresh as materialized (
        select g.*, a.id as account_id, (select e.id from expense e where e.kind = g.expense) as expense_id,
               nextval('journal_id_seq') as journal_id
          from unnest(keys, kinds, expenses, sources, owners, amounts)
               as g (idem, kind, expense, source, owner, amount)
         cross join lateral (select id from account
                              where owner_id = g.owner and kind = 'pending' and currency = 'CNY' offset 0) a
         where not exists (select from journal j where j.idem = g.idem offset 0)
    ), journals as (
        insert into journal (id, idem, digest, kind, effective_at, posted_at, source_type, source_id, label)
        overriding system value
        select journal_id, idem, ledger_earned_digest(kind, the_source, source, expense, owner, amount), kind, happened,
               at, the_source, source, the_label from fresh
    ), postings as (
        insert into posting (journal_id, n, debit, credit, currency, amount)
        select journal_id, 1, expense_id, account_id, 'CNY', amount from fresh
    )
    select sum(s.n), array_agg(s.account_id order by s.account_id), array_agg(s.fen order by s.account_id)
      into booked, accounts, sums
      from (select account_id, count(*) as n, sum(amount)::bigint as fen from fresh group by account_id) s;
    if coalesce(booked, 0) < cardinality(keys) then
        select g.idem into clash
          from unnest(keys, kinds, expenses, sources, owners, amounts) as g (idem, kind, expense, source, owner, amount)
         where exists (select from journal j where j.idem = g.idem and j.digest <> ledger_earned_digest(
                           g.kind, the_source, g.source, g.expense, g.owner, g.amount) offset 0) limit 1;
        if clash is not null then
            raise exception 'journal % is already booked with other content', clash using errcode = 'HT409';
        end if;
    end if;
    update balance b set amount = b.amount + s.amount, seq = b.seq + 1
      from unnest(accounts, sums) as s (id, amount) where b.account_id = s.id;
    return coalesce(booked, 0);
end $$;

-- As before (0011); keys are put together without format(), which costs as much as the rest of a row.
create or replace function month_close_some(the_month date, most bigint, at timestamptz, due timestamptz, whole boolean,
                                 froms bigint[], rates bigint[], team_bps bigint, team_roles text[])
returns bigint language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    month_name text := to_char(the_month, 'YYYY-MM');
    state month_close;
    last_instant timestamptz;
    last_one bigint;
    people bigint;
    booked bigint;
begin
    select * into state from month_close where month = the_month for update;
    last_instant := state.ends_at - interval '1 microsecond';
    if state.counted_at is null or state.closed_at is not null then
        return 0;
    end if;
    select max(person_id), count(*) into last_one, people from (
        select person_id from month_volume where month = the_month and person_id > state.done_upto
         order by person_id limit most) next;
    if people = 0 then
        return 0;
    end if;
    with batch as materialized (
        select v.person_id, v.direct_fen, v.team_fen,
               ladder_fen(v.direct_fen, whole, froms, rates) as ladder,
               case when team_bps > 0 and v.team_fen > 0 and role_was(v.person_id, last_instant, team_roles)
                    then div(v.team_fen::numeric * team_bps + 5000, 10000)::bigint else 0 end as team
          from month_volume v
         where v.month = the_month and v.person_id > state.done_upto and v.person_id <= last_one
    ), fresh as (
        insert into settlement (month, person_id, kind, n, cause, volume_fen, target_fen, change_fen, held_fen,
                                plan_version, booked_at, release_at)
        select the_month, s.person_id, k.kind, 0, 'close', k.volume, k.fen, k.fen, k.fen, state.plan_version, at, due
          from batch s cross join lateral (values ('ladder', s.direct_fen, s.ladder), ('team', s.team_fen, s.team))
               as k (kind, volume, fen)
         where k.fen > 0
        returning id, person_id, kind, change_fen
    )
    select ledger_earn(array_agg('month:' || month_name || ':' || kind || ':' || person_id),
                       array_agg('settlement.' || kind), array_agg('expense.' || kind), array_agg(id),
                       array_agg(person_id), array_agg(change_fen), 'settlement', month_name, last_instant, at)
      into booked from fresh having count(*) > 0;
    update month_close set done_upto = last_one where month = the_month;
    return people;
end $$;

-- A month that is being closed is never forgotten or renamed: its key is checked as those above.
create function settlement_refers() returns trigger language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
begin
    if exists (select from (select distinct month from fresh) f
                where not exists (select from month_close c where c.month = f.month offset 0)) then
        raise exception 'insert on table "settlement" violates foreign key constraint "fk_settlement_month"'
            using errcode = 'foreign_key_violation', table = 'settlement', constraint = 'fk_settlement_month';
    end if;
    return null;
end $$;
create trigger settlement_refers after insert on settlement
    referencing new table as fresh for each statement execute function settlement_refers();
alter table settlement alter constraint fk_settlement_month not enforced;
create trigger month_close_kept before delete or truncate on month_close
    for each statement execute function refuse_change();
create trigger month_close_fixed before update of month, ends_at on month_close
    for each statement execute function refuse_change();
