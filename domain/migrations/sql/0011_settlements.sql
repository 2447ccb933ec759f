-- Month closes, their results, milestones and service incentives; and what the deal of a line is made of.

-- The platform's side of what is earned beside commissions. (expense.ladder, expense.team, expense.redpacket,
-- clearing.wechat, tax.payable and writeoff are there since 0002.)
insert into account (id, owner_id, kind, currency, normal) values
    (8, null, 'expense.milestone', 'CNY', 'debit'), (9, null, 'expense.service', 'CNY', 'debit');

-- A rate that is multiplied for one person for a time: seed promoters, prizes. The highest one that is running counts.
create table commission_boost (
    id bigint generated always as identity constraint pk_commission_boost primary key,
    person_id bigint not null constraint fk_commission_boost_person_id references person (id),
    bps bigint not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    cause text not null,
    granted_at timestamptz not null,
    constraint uq_commission_boost_person_id_cause unique (person_id, cause),
    constraint ck_commission_boost_bps check (bps between 10001 and 100000),
    constraint ck_commission_boost_times check (ends_at >= starts_at),
    constraint ck_commission_boost_cause check (cause <> '')
);

-- rate_bps is what was applied; these say what it was made of.
alter table commission_line
    add column rule_bps bigint,
    add column phase text not null default '',
    add column phase_bps bigint not null default 10000,
    add column boost_bps bigint not null default 10000;
update commission_line set rule_bps = rate_bps;
alter table commission_line
    alter column rule_bps set not null,
    add constraint ck_commission_line_factors check (rule_bps >= 0 and phase_bps >= 0 and boost_bps >= 10000);

drop trigger commission_line_frozen on commission_line;
create trigger commission_line_frozen before update of order_id, n, level, kind, base_fen, rate_bps, rule, rule_bps,
    phase, phase_bps, boost_bps, plan_version, uncut_fen, amount_fen, accrued_at on commission_line
    for each statement execute function refuse_change();

-- doc: commissions [new rows without id], commissions_changed [{id, clawed_fen, release_at, released_at}]
create or replace function commissions_store(doc jsonb) returns void language plpgsql as $$
begin
    if doc ? 'commissions' then
        insert into commission_line (order_id, n, beneficiary_id, level, kind, base_fen, rate_bps, rule, rule_bps, phase,
                                     phase_bps, boost_bps, plan_version, uncut_fen, amount_fen, clawed_fen, accrued_at,
                                     release_at)
        select order_id, n, beneficiary_id, level, kind, base_fen, rate_bps, rule, rule_bps, phase, phase_bps, boost_bps,
               plan_version, uncut_fen, amount_fen, clawed_fen, accrued_at, release_at
          from jsonb_populate_recordset(null::commission_line, doc -> 'commissions');
    end if;
    if doc ? 'commissions_changed' then
        update commission_line c
           set clawed_fen = g.clawed_fen, release_at = g.release_at, released_at = g.released_at
          from jsonb_populate_recordset(null::commission_line, doc -> 'commissions_changed') g
         where c.id = g.id;
    end if;
end $$;

-- Who sold an order, and who had brought the seller, both as they stood at payment: what ladder, team, ranking and
-- milestones count. Not every order earns a commission line (a rate of 0 %), but every order has a seller or none.
alter table customer_order
    add column seller_id bigint constraint fk_customer_order_seller_id references person (id),
    add column leader_id bigint constraint fk_customer_order_leader_id references person (id);
create index ix_customer_order_seller_id_paid_at on customer_order (seller_id, paid_at) where seller_id is not null;
create index ix_customer_order_leader_id_paid_at on customer_order (leader_id, paid_at) where leader_id is not null;
-- Orders lie in the table nearly as they were paid, so a month is found by a few kilobytes of index.
create index ix_customer_order_paid_at on customer_order using brin (paid_at);

-- As before (0002), and what each one's rates are multiplied by.
drop function intake_standing(bigint[], timestamptz[], bigint);
create function intake_standing(ids bigint[], ats timestamptz[], levels bigint)
returns table (place bigint, level bigint, person_id bigint, roles text[], renews boolean, boost_bps bigint)
language plpgsql stable set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
begin
    return query
        select u.place, u.level, u.person_id,
               array(select g.role from role_grant g
                      where g.person_id = u.person_id and g.granted_at <= u.at
                        and (g.revoked_at is null or g.revoked_at > u.at)),
               u.level = 0 and exists (
                   select from referral r where r.referee_id = u.person_id and r.ended_at is null
                      and r.first_until is not null and r.bound_at <= u.at),
               coalesce((select max(b.bps) from commission_boost b
                          where b.person_id = u.person_id and b.starts_at <= u.at and b.ends_at > u.at), 10000)
          from referral_uplines(ids, ats, levels) u order by u.place, u.level;
end $$;

-- ---- Month closes -------------------------------------------------------------------------------------------------

create function shop_month(at timestamptz) returns date language sql immutable
return date_trunc('month', at at time zone 'Asia/Shanghai')::date;

-- The first instant of a month; of the next one: month_start((month + interval '1 month')::date).
create function month_start(month date) returns timestamptz language sql immutable
return month::timestamp at time zone 'Asia/Shanghai';

-- A closed month keeps its figures: every journal up to upto_journal that happened before ends_at is in it (or in an
-- earlier month), and what is booked later about it belongs to a month that is still open.
create table month_close (
    month date constraint pk_month_close primary key,
    ends_at timestamptz not null,
    plan_version bigint not null constraint fk_month_close_plan_version references commission_plan (version),
    started_at timestamptz not null,
    counted_at timestamptz,
    done_upto bigint not null default 0,
    closed_at timestamptz,
    upto_journal bigint,
    told_upto bigint not null default 0,
    actor text not null default '',
    constraint ck_month_close_month check (extract(day from month) = 1),
    constraint ck_month_close_ends check (ends_at = (month + interval '1 month') at time zone 'Asia/Shanghai'),
    constraint ck_month_close_order check (closed_at is null or (counted_at is not null and upto_journal is not null))
);

-- What a person sold, and what those they had brought sold, in a month that is closed or being closed: net of what went
-- back, as far as it is known. Follows late refunds and late orders; settlement keeps what it was at each booking.
create table month_volume (
    month date not null,
    person_id bigint not null constraint fk_month_volume_person_id references person (id),
    direct_fen bigint not null,
    direct_orders bigint not null,
    team_fen bigint not null,
    constraint pk_month_volume primary key (month, person_id),
    constraint ck_month_volume_sums check (least(direct_fen, direct_orders, team_fen) >= 0)
);

-- What a month brought a person beside commissions: the booking of the close, then adjustments for facts that came
-- late, each to a cumulative target. held_fen is what of it is still pending.
create table settlement (
    id bigint generated always as identity constraint pk_settlement primary key,
    month date not null constraint fk_settlement_month references month_close (month),
    person_id bigint not null constraint fk_settlement_person_id references person (id),
    kind text not null,
    n bigint not null,
    cause text not null,
    volume_fen bigint not null,
    target_fen bigint not null,
    change_fen bigint not null,
    held_fen bigint not null,
    plan_version bigint not null,
    booked_at timestamptz not null,
    release_at timestamptz,
    released_at timestamptz,
    constraint uq_settlement_month_person_id_kind_n unique (month, person_id, kind, n),
    constraint ck_settlement_kind check (kind in ('ladder', 'team')),
    constraint ck_settlement_cause check (cause in ('close', 'adjustment')),
    constraint ck_settlement_amounts check (volume_fen >= 0 and target_fen >= 0 and change_fen <> 0),
    constraint ck_settlement_held check (held_fen between 0 and greatest(change_fen, 0)),
    constraint ck_settlement_released check (released_at is null or held_fen = 0)
) with (fillfactor = 85);
create index ix_settlement_person_id_id on settlement (person_id, id);
create index ix_settlement_release on settlement (release_at) where held_fen > 0;
create trigger settlement_kept before delete or truncate on settlement
    for each statement execute function refuse_change();
create trigger settlement_fixed before update of month, kind, cause, volume_fen, target_fen, change_fen, plan_version,
    booked_at on settlement for each statement execute function refuse_change();

-- People whose closed (or closing) month changed after it was counted. Rows are only added and taken, never shared: two
-- facts about one person are two rows, so that none is overlooked while another is being worked on.
create table settlement_late (
    id bigint generated always as identity constraint pk_settlement_late primary key,
    month date not null,
    person_id bigint not null constraint fk_settlement_late_person_id references person (id)
);

-- The lock between booking and closing. Every booking shares it until it is committed; a close that starts or ends takes it
-- alone for a moment: what was being booked is then there to be counted, and what comes after knows of the close.
create function booking_lock() returns void language sql as $$ select pg_advisory_xact_lock_shared(7114001) $$;
create function booking_lock_alone() returns void language sql as $$ select pg_advisory_xact_lock(7114001) $$;

-- Notes who must be looked at again because an order of theirs in a counted month is new, went back, or was closed.
create function settlement_note_late(doc jsonb) returns void language plpgsql as $$
declare
    counted timestamptz := (select max(ends_at) from month_close);
begin
    if counted is null then
        return;
    end if;
    insert into settlement_late (month, person_id)
    select distinct shop_month(o.paid_at), p.id
      from (select (f ->> 'id')::bigint as id from jsonb_array_elements(doc -> 'orders') f
            union select (f ->> 'order_id')::bigint from jsonb_array_elements(doc -> 'refunds') f
            union select (f ->> 'id')::bigint from jsonb_array_elements(doc -> 'changed') f
             where f ->> 'closed_at' is not null) touched
      join customer_order o on o.id = touched.id
      cross join lateral (values (o.seller_id), (o.leader_id)) as p (id)
      join month_close c on c.month = shop_month(o.paid_at)
     where o.paid_at < counted and p.id is not null;
end $$;

-- As before (0002), and under the lock, with a note for closed months.
create or replace function orders_store(doc jsonb) returns void language plpgsql as $$
begin
    perform booking_lock();
    insert into customer_order
        select * from jsonb_populate_recordset(null::customer_order, doc -> 'orders');
    insert into order_line
        select * from jsonb_populate_recordset(null::order_line, doc -> 'lines');
    if doc ? 'changed' then
        update customer_order o
           set shipped_at = c.shipped_at, carrier = c.carrier, tracking_no = c.tracking_no,
               received_at = c.received_at, closed_at = c.closed_at, receive_due_at = c.receive_due_at,
               completed_at = c.completed_at, refunded_fen = c.refunded_fen
          from jsonb_populate_recordset(null::customer_order, doc -> 'changed') c
         where o.id = c.id;
    end if;
    if doc ? 'refunded' then
        update order_line l set refunded_fen = r.refunded_fen, refunded_quantity = r.refunded_quantity
          from jsonb_populate_recordset(null::order_line, doc -> 'refunded') r
         where l.order_id = r.order_id and l.n = r.n;
    end if;
    if doc ? 'refunds' then
        insert into refund select * from jsonb_populate_recordset(null::refund, doc -> 'refunds');
        insert into refund_line select * from jsonb_populate_recordset(null::refund_line, doc -> 'refund_lines');
    end if;
    perform settlement_note_late(doc);
    perform milestone_note(doc);
end $$;

-- As before (0002), and under the lock.
create or replace function ledger_post(doc jsonb) returns bigint language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    at timestamptz := doc ->> 'at';
    fresh_ids bigint[];
    fresh_keys text[];
    clash text;
    touched bigint[];
    deltas bigint[];
begin
    perform booking_lock();
    perform ledger_open(doc -> 'opens');
    with given as (
        select * from jsonb_to_recordset(doc -> 'journals') as j (idem text, digest text, kind text,
            effective_at timestamptz, source_type text, source_id bigint, label text, actor text,
            reverses bigint, resolves bigint)
    ), booked as (
        insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id, label, actor,
                             reverses, resolves)
        select idem, digest, kind, effective_at, at, source_type, source_id, label, actor, reverses, resolves
          from given order by idem
            on conflict (idem) do nothing
        returning id, idem
    )
    select array_agg(id), array_agg(idem) into fresh_ids, fresh_keys from booked;

    if coalesce(cardinality(fresh_ids), 0) < jsonb_array_length(doc -> 'journals') then
        select g.idem into clash
          from jsonb_to_recordset(doc -> 'journals') as g (idem text, digest text)
          join journal j on j.idem = g.idem and j.digest <> g.digest limit 1;
        if clash is not null then
            raise exception 'journal % is already booked with other content', clash using errcode = 'HT409';
        end if;
    end if;

    -- A platform account has no owner, and no index finds "not distinct from": people and platform are looked up apart.
    -- A side that neither look-up finds stays null and is refused.
    with fresh as (
        select * from unnest(fresh_ids, fresh_keys) as f (id, idem)
    ), written as (
        insert into posting (journal_id, n, debit, credit, currency, amount)
        select f.id, p.n, coalesce(d.id, od.id), coalesce(c.id, oc.id), p.currency, p.amount
          from jsonb_to_recordset(doc -> 'postings') as p (idem text, n bigint, debit_owner bigint, debit text,
               credit_owner bigint, credit text, currency text, amount bigint)
          join fresh f on f.idem = p.idem
          left join account d on d.owner_id = p.debit_owner and d.kind = p.debit and d.currency = p.currency
          left join account c on c.owner_id = p.credit_owner and c.kind = p.credit and c.currency = p.currency
          left join account od on p.debit_owner is null and od.owner_id is null and od.kind = p.debit
               and od.currency = p.currency
          left join account oc on p.credit_owner is null and oc.owner_id is null and oc.kind = p.credit
               and oc.currency = p.currency
        returning debit, credit, amount
    ), summed as (
        select id, sum(delta)::bigint as delta
          from (select credit as id, amount as delta from written where credit >= 1000
                union all select debit, -amount from written where debit >= 1000) legs
         group by id
    )
    select array_agg(s.id order by s.id),
           array_agg(case a.normal when 'credit' then s.delta else -s.delta end order by s.id)
      into touched, deltas from summed s join account a on a.id = s.id;

    perform 1 from balance where account_id = any (touched) order by account_id for update;
    update balance b set amount = b.amount + m.delta, seq = b.seq + 1
      from unnest(touched, deltas) as m (id, delta) where b.account_id = m.id;
    return coalesce(cardinality(fresh_ids), 0);
end $$;

-- What Entry.digest makes of one pair expense -> pending.
create function ledger_earned_digest(kind text, source_type text, source bigint, expense text, owner bigint, amount bigint)
returns text language sql immutable
return encode(sha256(convert_to(format('["%s","%s",%s,[[null,"%s",%s,"pending","CNY",%s]],null,null]',
                                       kind, source_type, source, expense, owner, amount), 'UTF8')), 'hex');

-- Books what many people earned at once, one journal and one pair each: expense -> pending. Rows of arrays: keys (idem),
-- kinds, expenses, sources (ids), owners, amounts. The same rules as ledger_post, without a document to take apart: a key
-- that is there with the same content is skipped, with other content HT409 is raised. Returns how many were booked.
-- Look-ups by index whatever the planner knows: it knows nothing of rows that were written a moment ago.
create function ledger_earn(keys text[], kinds text[], expenses text[], sources bigint[], owners bigint[],
                            amounts bigint[], the_source text, the_label text, happened timestamptz, at timestamptz)
returns bigint language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    booked bigint;
    clash text;
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

    select g.idem into clash
      from unnest(keys, kinds, expenses, sources, owners, amounts) as g (idem, kind, expense, source, owner, amount)
     where exists (select from journal j where j.idem = g.idem and j.digest <> ledger_earned_digest(
                       g.kind, the_source, g.source, g.expense, g.owner, g.amount) offset 0) limit 1;
    if clash is not null then
        raise exception 'journal % is already booked with other content', clash using errcode = 'HT409';
    end if;

    with fresh as materialized (
        select g.*, a.id as account_id, e.id as expense_id, nextval('journal_id_seq') as journal_id
          from (select * from unnest(keys, kinds, expenses, sources, owners, amounts)
                    as given (idem, kind, expense, source, owner, amount) order by idem) g
         cross join lateral (select id from account
                              where owner_id = g.owner and kind = 'pending' and currency = 'CNY' offset 0) a
         cross join lateral (select id from account
                              where owner_id is null and kind = g.expense and currency = 'CNY' offset 0) e
         where not exists (select from journal j where j.idem = g.idem offset 0)
    ), sums as materialized (
        select account_id, sum(amount)::bigint as amount from fresh group by account_id
    ), journals as (
        insert into journal (id, idem, digest, kind, effective_at, posted_at, source_type, source_id, label)
        overriding system value
        select journal_id, idem, ledger_earned_digest(kind, the_source, source, expense, owner, amount), kind, happened,
               at, the_source, source, the_label from fresh
    ), postings as (
        insert into posting (journal_id, n, debit, credit, currency, amount)
        select journal_id, 1, expense_id, account_id, 'CNY', amount from fresh
    )
    select (select count(*) from fresh), array_agg(account_id order by account_id), array_agg(amount order by account_id)
      into booked, owners, amounts from sums;
    perform 1 from balance where account_id = any (owners) order by account_id for update;
    update balance b set amount = b.amount + s.amount, seq = b.seq + 1
      from unnest(owners, amounts) as s (id, amount) where b.account_id = s.id;
    return booked;
end $$;

-- What a month's own sales bring: rates in bps from each of ``froms`` (ascending, inclusive) on; halves up in each bracket.
-- The same rule as domain/commissions/ladder.py, beside the data: a close asks it for everybody at once.
create function ladder_fen(volume bigint, whole boolean, froms bigint[], rates bigint[]) returns bigint
language plpgsql immutable parallel safe as $$
declare
    total bigint := 0;
begin
    for i in reverse cardinality(froms) .. 1 loop
        if volume >= froms[i] then
            if whole then
                return div(volume::numeric * rates[i] + 5000, 10000);
            end if;
            total := total
                + div((least(volume, coalesce(froms[i + 1], volume)) - froms[i])::numeric * rates[i] + 5000, 10000);
        end if;
    end loop;
    return total;
end $$;

-- The sums of a month by person, in one pass over its orders. Runs once a close, right after it started.
create function month_count(the_month date) returns bigint language plpgsql as $$
declare
    people bigint;
begin
    with pairs as materialized (
        select seller_id, leader_id, sum(paid_fen - refunded_fen)::bigint as fen, count(*) as orders
          from customer_order
         where paid_at >= month_start(the_month) and paid_at < month_start((the_month + interval '1 month')::date)
           and seller_id is not null and closed_at is null and refunded_fen < paid_fen
         group by seller_id, leader_id
    )
    insert into month_volume (month, person_id, direct_fen, direct_orders, team_fen)
    select the_month, person_id, sum(d_fen)::bigint, sum(d_orders)::bigint, sum(t_fen)::bigint
      from (select seller_id as person_id, fen as d_fen, orders as d_orders, 0 as t_fen from pairs
            union all
            select leader_id, 0, 0, fen from pairs where leader_id is not null) both_sides
     group by person_id;
    get diagnostics people = row_count;
    return people;
end $$;

-- Whether somebody's highest role at a time is one of ``wanted``.
create function role_was(the_person bigint, at timestamptz, wanted text[]) returns boolean language sql stable
return coalesce((
    select g.role from role_grant g
     where g.person_id = the_person and g.granted_at <= at and (g.revoked_at is null or g.revoked_at > at)
     order by array_position(array['promoter', 'gold', 'partner'], g.role) desc limit 1), 'member') = any (wanted);

-- Settles the next ``most`` people of a month that was counted: amounts and bookings.
-- Returns how many people were looked at; 0: there is nobody left. Several at once wait for each other.
create function month_close_some(the_month date, most bigint, at timestamptz, due timestamptz, whole boolean,
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
    select ledger_earn(array_agg(format('month:%s:%s:%s', month_name, kind, person_id)), array_agg('settlement.' || kind),
                       array_agg('expense.' || kind), array_agg(id), array_agg(person_id), array_agg(change_fen),
                       'settlement', month_name, last_instant, at)
      into booked from fresh having count(*) > 0;
    update month_close set done_upto = last_one where month = the_month;
    return people;
end $$;

-- ---- Milestones and service ---------------------------------------------------------------------------------------

-- A fixed sum for what somebody sold: the first sale, a streak of days, so many active buyers. Provisional until the sales
-- it rests on can no longer be returned; revoked when they are. Once for each person and key: at most one stands.
create table milestone (
    id bigint generated always as identity constraint pk_milestone primary key,
    person_id bigint not null constraint fk_milestone_person_id references person (id),
    key text not null,
    n bigint not null,
    state text not null default 'provisional',
    amount_fen bigint not null,
    plan_version bigint not null constraint fk_milestone_plan_version references commission_plan (version),
    reached_at timestamptz not null,
    check_at timestamptz not null,
    ended_at timestamptz,
    constraint uq_milestone_person_id_key_n unique (person_id, key, n),
    constraint ck_milestone_key check (key in ('first_sale', 'streak', 'team')),
    constraint ck_milestone_state check (state in ('provisional', 'final', 'revoked', 'merged')),
    constraint ck_milestone_amount check (amount_fen > 0),
    constraint ck_milestone_ended check ((state = 'provisional') = (ended_at is null))
);
create unique index uq_milestone_standing on milestone (person_id, key) where state in ('provisional', 'final');
create index ix_milestone_check on milestone (check_at) where state = 'provisional';
create trigger milestone_kept before delete or truncate on milestone
    for each statement execute function refuse_change();
create trigger milestone_fixed before update of key, amount_fen, plan_version, reached_at on milestone
    for each statement execute function refuse_change();

-- Sellers whose sales changed: to be looked at, then gone. As settlement_late: never shared rows.
create table milestone_due (
    id bigint generated always as identity constraint pk_milestone_due primary key,
    person_id bigint not null constraint fk_milestone_due_person_id references person (id)
);

-- Written only for shops one of whose plans pays milestones.
create function milestone_note(doc jsonb) returns void language plpgsql as $$
begin
    if not exists (select from commission_plan where document ? 'milestones') then
        return;
    end if;
    insert into milestone_due (person_id)
    select distinct o.seller_id
      from (select (f ->> 'id')::bigint as id from jsonb_array_elements(doc -> 'orders') f
            union select (f ->> 'order_id')::bigint from jsonb_array_elements(doc -> 'refunds') f
            union select (f ->> 'id')::bigint from jsonb_array_elements(doc -> 'changed') f
             where f ->> 'closed_at' is not null) touched
      join customer_order o on o.id = touched.id
     where o.seller_id is not null;
end $$;

-- What people's sales as promoters (or more) are worth as milestones: ``held`` by every unreturned sale since ``since``, ``firm`` by those alone
-- whose hold is over at ``now``. A first sale counts only for who had none before ``since``.
create function milestones_reached(people bigint[], since timestamptz, now timestamptz, hold interval, days bigint,
                                   size bigint)
returns table (person_id bigint, key text, held boolean, firm boolean) language sql stable as $$
    with sale as (
        select o.seller_id, o.buyer_id, o.paid_at, (o.paid_at at time zone 'Asia/Shanghai')::date as day,
               coalesce(o.completed_at + hold <= now, false) as firm
          from customer_order o
         where o.seller_id = any (people) and o.closed_at is null and o.refunded_fen < o.paid_fen
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

-- Service worth paying for, recorded by an operator: once for each reference, at most so often a month as the plan says.
create table service_act (
    id bigint generated always as identity constraint pk_service_act primary key,
    person_id bigint not null constraint fk_service_act_person_id references person (id),
    item text not null,
    reference text not null,
    month date not null,
    happened_at timestamptz not null,
    amount_fen bigint not null,
    plan_version bigint not null constraint fk_service_act_plan_version references commission_plan (version),
    operator text not null,
    recorded_at timestamptz not null,
    release_at timestamptz not null,
    released_at timestamptz,
    revoked_at timestamptz,
    revoke_reason text not null default '',
    constraint uq_service_act_item_reference unique (item, reference),
    constraint ck_service_act_amount check (amount_fen > 0 and item <> '' and reference <> ''),
    constraint ck_service_act_revoked check ((revoked_at is null) = (revoke_reason = ''))
);
create index ix_service_act_person_id_month on service_act (person_id, month);
create index ix_service_act_release on service_act (release_at) where released_at is null and revoked_at is null;
create trigger service_act_kept before delete or truncate on service_act
    for each statement execute function refuse_change();
create trigger service_act_fixed before update of item, reference, month, happened_at, amount_fen, plan_version, operator,
    recorded_at on service_act for each statement execute function refuse_change();
