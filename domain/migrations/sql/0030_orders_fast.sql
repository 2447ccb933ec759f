-- Orders booked faster: fewer statements an order. Functions as before (0002, 0011, 0015, 0016, 0027); see ADR 0035.

-- ---- Settings once a call -----------------------------------------------------------------------------------------

-- Every "set" of a function is put in place and taken back with each call. The doors (intake_take, money_apply_and_tell,
-- ledger_post, ledger_earn) have them; what runs behind those inherits them.
alter function posting_refers() reset all;
alter function commission_within_paid() reset all;

-- ---- Taking in: one look each for events, orders, buyers and who stands above them --------------------------------

drop function intake_take(timestamptz, bigint, timestamptz);
drop function intake_meet(jsonb, jsonb, timestamptz);
drop function intake_claim(timestamptz, bigint);

-- Who is behind some payments, by their identities; held against being merged until the transaction ends. Null when that
-- needs more than a look: somebody new, two people, somebody not seen for long.
create function intake_recognise(buyers jsonb[], seen_since timestamptz) returns bigint[] language plpgsql as $$
declare
    names bigint[];
    owners bigint[];
    places bigint[];
    complete boolean;
    found bigint;
begin
    select array_agg(i.id), array_agg(i.person_id order by b.place), array_agg(b.place order by b.place),
           bool_and(i.id is not null and i.seen_at >= seen_since)
      into names, owners, places, complete
      from unnest(buyers) with ordinality as b (buyer, place)
     cross join lateral (values
        ('openid', b.buyer ->> 'app_id', b.buyer ->> 'openid'), ('unionid', '', b.buyer ->> 'unionid'),
        ('external_userid', '', b.buyer ->> 'external_userid'), ('mall_user_id', '', b.buyer ->> 'mall_user_id')
     ) as n (kind, scope, value)
      left join lateral (select i.id, i.person_id, i.seen_at from identity i
                          where i.kind = n.kind and i.scope = n.scope and i.value = n.value offset 0) i on true
     where n.value is not null;
    if complete is not true or array_position(owners, null) is not null then
        return null;
    end if;
    if cardinality(buyers) > 1 or cardinality(places) > 1 then
        select array_agg(g.one order by g.place), bool_and(g.one = g.other) into owners, complete
          from (select o.place, min(o.person) as one, max(o.person) as other
                  from unnest(places, owners) as o (place, person) group by 1) g;
        if not complete or cardinality(owners) < cardinality(buyers) then
            return null;
        end if;
    end if;
    perform 1 from person p where p.id = any (owners) and p.merged_into is null order by p.id for key share;
    get diagnostics found = row_count;
    -- Whoever was waited for may have become somebody else: then the names say so now.
    if found < (select count(distinct o) from unnest(owners) o)
       or (select count(*) from identity i where i.id = any (names) and i.person_id = any (owners))
          < (select count(distinct n) from unnest(names) n) then
        return null;
    end if;
    return owners;
end $$;

-- Who stood above some buyers when each paid, by subject: {subject: [[level, person, roles, renews, boost_bps, frozen], …]};
-- level 0 is the buyer. What intake_standing says, as the claim needs it.
create function intake_above(subjects text[], buyers bigint[], ats timestamptz[]) returns json language plpgsql as $$
declare
    standings json;
begin
    with recursive up (place, level, person_id, at, path) as (
        select w.place, 0, w.id, w.at, array[w.id] from unnest(buyers, ats) with ordinality as w (id, at, place)
        union all
        select up.place, up.level + 1, e.referrer_id, up.at, up.path || e.referrer_id
          from up cross join lateral (
            select r.referrer_id from referral r
             where r.referee_id = up.person_id and r.bound_at <= up.at
               and (r.valid_until is null or r.valid_until > up.at) and (r.ended_at is null or r.ended_at > up.at)
             order by r.bound_at, r.id limit 1
          ) e
         where up.level < 3 and e.referrer_id <> all (up.path)
    )
    select json_object_agg(subjects[s.place], s.people) into standings
      from (select u.place, json_agg(json_build_array(
                u.level, u.person_id,
                array(select g.role from role_grant g where g.person_id = u.person_id and g.granted_at <= u.at
                         and (g.revoked_at is null or g.revoked_at > u.at)),
                u.level = 0 and exists (select from referral r where r.referee_id = u.person_id and r.ended_at is null
                                           and r.first_until is not null and r.bound_at <= u.at),
                coalesce((select max(b.bps) from commission_boost b
                           where b.person_id = u.person_id and b.starts_at <= u.at and b.ends_at > u.at), 10000),
                exists (select from account_hold h where h.person_id = u.person_id and h.lifted_at is null)
            ) order by u.level) as people from up u group by u.place) s;
    return standings;
end $$;

-- Takes due events whose subject no other worker has, with the facts that are parked for the same subjects, and all that
-- booking them needs to know. Null when nothing is due. The row locks and the advisory locks end with the transaction:
-- they are the lease. JSON: events [commerce_event rows], orders and plans (see intake_load), ids (for the orders that the
-- payments will make), listens (kinds of events that some journey cares about), and, unless it takes more than a look,
-- standings (see intake_above) and regulars (who of all buyers comes back often; their roles are held).
create function intake_take(at timestamptz, most bigint, seen_since timestamptz) returns text language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    mine text[];
    events json;
    ids json;
    paid text[];
    ats timestamptz[];
    names jsonb[];
    plain boolean;
    waiting boolean;
    known boolean;
    orders jsonb := '[]';
    common text;
    watched boolean;
    buyers bigint[] := '{}';
    told text;
begin
    select array_agg(c.subject), json_agg(json_build_object('id', c.id, 'source', c.source, 'event_id', c.event_id,
               'type', c.type, 'subject', c.subject, 'data', c.payload, 'occurred_at', c.occurred_at,
               'attempts', c.attempts, 'state', c.state) order by c.id),
           json_agg(nextval('customer_order_id_seq')) filter (where c.type = 'order.paid'),
           array_agg(c.subject order by c.id) filter (where c.type = 'order.paid'),
           array_agg((c.payload ->> 'paid_at')::timestamptz order by c.id) filter (where c.type = 'order.paid'),
           array_agg(c.payload -> 'buyer' order by c.id) filter (where c.type = 'order.paid'),
           coalesce(bool_and(not c.payload -> 'buyer' ? 'phone' and coalesce(c.payload ->> 'share_code', '') = '')
                    filter (where c.type = 'order.paid'), true)
      into mine, events, ids, paid, ats, names, plain
      from (select * from commerce_event where state = 'new' and due_at <= at
             order by due_at, id limit most for update skip locked) c
     where pg_try_advisory_xact_lock(hashtextextended(c.subject, 0));
    if mine is null then
        return null;
    end if;

    select exists (select from commerce_event e where e.subject = any (mine) and e.state = 'parked'),
           exists (select from unnest(mine) as s (subject) cross join lateral (
                select from customer_order c
                 where c.channel = split_part(substr(s.subject, 7), '/', 1)
                   and c.order_no = substr(s.subject, 8 + length(split_part(substr(s.subject, 7), '/', 1))) offset 0) o
             where s.subject like 'order:%'),
           '"plans":' || coalesce((select json_agg(json_build_object('version', p.version, 'live_from', p.live_from,
                'digest', p.digest) order by p.version) from commission_plan p), '[]')
           || ',"listens":' || (select coalesce(json_agg(l), '[]') from (
                select unnest(j.listens) as l from journey j where j.state in ('live', 'paused', 'draining')) heard),
           exists (select from role_rulebook r where r.regular_orders is not null)
      into waiting, known, common, watched;
    if waiting then
        events := (events::jsonb || (
            select jsonb_agg(jsonb_build_object('id', e.id, 'source', e.source, 'event_id', e.event_id, 'type', e.type,
                       'subject', e.subject, 'data', e.payload, 'occurred_at', e.occurred_at, 'attempts', e.attempts,
                       'state', e.state) order by e.id)
              from commerce_event e where e.subject = any (mine) and e.state = 'parked'))::json;
    end if;
    if known then
        orders := intake_load(array(select distinct m from unnest(mine) m)) -> 'orders';
    end if;
    if paid is not null then
        plain := plain and (cardinality(paid) = 1 or (select count(distinct p) = count(*) from unnest(paid) p));
        buyers := case when plain then intake_recognise(names, seen_since) end;
        told := case when buyers is not null then intake_above(paid, buyers, ats) end;
    end if;
    return '{"events":' || events || ',"orders":' || orders || ',"ids":' || coalesce(ids, '[]') || ',' || common
        || coalesce(',"standings":' || case when paid is null then '{}' else told end || ',"regulars":'
            || case when watched then array_to_json(array(select role_regulars_coming(
                   array(select (o ->> 'buyer_id')::bigint from jsonb_array_elements(orders) o), buyers)))::text
               else '[]' end, '')
        || '}';
end $$;

-- ---- Writing down: each table once, under one lock -----------------------------------------------------------------

-- All commissions of an order line together never exceed what was paid for it, and line and plan are there. The line is
-- locked first, so that two writers cannot both find room.
create or replace function commission_within_paid() returns trigger language plpgsql as $$
declare
    wanted bigint;
    there bigint;
    broken text;
begin
    select count(*), count(l.n) into wanted, there
      from (select distinct order_id, n from fresh order by 1, 2) f
      left join lateral (select l.n from order_line l where l.order_id = f.order_id and l.n = f.n for no key update) l
        on true;
    if there < wanted then
        broken := 'fk_commission_line_order_id_n';
    else
        select case when not exists (select from commission_plan p where p.version = f.plan_version offset 0)
                    then 'fk_commission_line_plan_version' else 'paid' end into broken
          from (select distinct order_id, n, plan_version from fresh) f
         where not exists (select from commission_plan p where p.version = f.plan_version offset 0)
            or (select sum(c.amount_fen) from commission_line c where c.order_id = f.order_id and c.n = f.n)
               > (select l.paid_fen from order_line l where l.order_id = f.order_id and l.n = f.n)
         limit 1;
    end if;
    if broken = 'paid' then
        raise exception 'commissions of an order line exceed what was paid' using errcode = 'HT422';
    elsif broken is not null then
        raise exception 'insert on table "commission_line" violates foreign key constraint "%"', broken
            using errcode = 'foreign_key_violation', table = 'commission_line', constraint = broken;
    end if;
    return null;
end $$;

-- Under the lock (booking_lock) of whoever calls.
create or replace function orders_store(doc jsonb) returns void language plpgsql as $$
begin
    if doc ? 'orders' then
        insert into customer_order
            select * from jsonb_populate_recordset(null::customer_order, doc -> 'orders');
        insert into order_line
            select * from jsonb_populate_recordset(null::order_line, doc -> 'lines');
    end if;
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
    if doc ? 'refunds' or doc ? 'changed' then
        perform milestone_note(doc);
    end if;
end $$;

-- As ledger_post, for callers who hold the booking lock and have the settings.
create function ledger_write(doc jsonb) returns bigint language plpgsql as $$
declare
    at timestamptz := doc ->> 'at';
    booked bigint;
    clash text;
    touched bigint[];
    deltas bigint[];
begin
    -- A platform account has no owner, and no index finds "not distinct from": people and platform are looked up apart.
    perform ledger_open(doc -> 'opens');
    with booked as (
        insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id, label, actor,
                             reverses, resolves)
        select idem, digest, kind, effective_at, at, source_type, source_id, label, actor, reverses, resolves
          from jsonb_to_recordset(doc -> 'journals') as j (idem text, digest text, kind text,
               effective_at timestamptz, source_type text, source_id bigint, label text, actor text,
               reverses bigint, resolves bigint)
         order by idem
            on conflict (idem) do nothing
        returning id, idem
    ), legs as materialized (
        select b.id, p.n, coalesce(d.id, case when p.debit_owner is null then (
                   select a.id from account a where a.owner_id is null and a.kind = p.debit and a.currency = p.currency)
               end) as debit,
               coalesce(c.id, case when p.credit_owner is null then (
                   select a.id from account a where a.owner_id is null and a.kind = p.credit and a.currency = p.currency)
               end) as credit,
               p.currency, p.amount, d.normal as debit_normal, c.normal as credit_normal
          from jsonb_to_recordset(doc -> 'postings') as p (idem text, n bigint, debit_owner bigint, debit text,
               credit_owner bigint, credit text, currency text, amount bigint)
          join booked b on b.idem = p.idem
          left join lateral (select a.id, a.normal from account a
                              where a.owner_id = p.debit_owner and a.kind = p.debit and a.currency = p.currency
                             offset 0) d on true
          left join lateral (select a.id, a.normal from account a
                              where a.owner_id = p.credit_owner and a.kind = p.credit and a.currency = p.currency
                             offset 0) c on true
    ), written as (
        -- A side that no look-up finds stays null and is refused.
        insert into posting (journal_id, n, debit, credit, currency, amount)
        select id, n, debit, credit, currency, amount from legs
    )
    select (select count(*) from booked), array_agg(s.id order by s.id), array_agg(s.delta order by s.id)
      into booked, touched, deltas
      from (select id, sum(delta)::bigint as delta
              from (select credit as id, case credit_normal when 'credit' then amount else -amount end as delta
                      from legs where credit_normal is not null
                    union all
                    select debit, case debit_normal when 'credit' then -amount else amount end
                      from legs where debit_normal is not null) sides
             group by id) s;
    if booked < jsonb_array_length(doc -> 'journals') then
        select g.idem into clash
          from jsonb_to_recordset(doc -> 'journals') as g (idem text, digest text)
          join journal j on j.idem = g.idem and j.digest <> g.digest limit 1;
        if clash is not null then
            raise exception 'journal % is already booked with other content', clash using errcode = 'HT409';
        end if;
    end if;
    perform 1 from balance where account_id = any (touched) order by account_id for update;
    update balance b set amount = b.amount + m.delta, seq = b.seq + 1
      from unnest(touched, deltas) as m (id, delta) where b.account_id = m.id;
    return booked;
end $$;

-- Books a batch. doc: {at, journals: [{idem, digest, kind, effective_at, source_type, source_id, label, actor,
-- reverses?, resolves?}], postings: [{idem, n, debit_owner?, debit, credit_owner?, credit, currency, amount}], opens}.
-- A key that is there with the same digest is skipped with its postings; with another digest HT409 is raised.
-- Balances are locked in account order before any is written. Returns how many journals were booked.
create or replace function ledger_post(doc jsonb) returns bigint language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
begin
    perform booking_lock();
    return ledger_write(doc);
end $$;

-- Everything that a batch of facts changes, in one call: orders, deals, money, verdicts, the facts for others, and what
-- journeys hear of it.
drop function money_apply(jsonb);
create or replace function money_apply_and_tell(doc jsonb) returns void language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    at timestamptz := doc ->> 'at';
begin
    perform pg_advisory_xact_lock_shared(7114001);  -- as booking_lock
    if doc ? 'orders' or doc ? 'changed' then
        perform orders_store(doc);
    end if;
    if doc ? 'commissions' or doc ? 'commissions_changed' then
        perform commissions_store(doc);
    end if;
    if doc ? 'journals' then
        perform ledger_write(doc);
    end if;
    if doc ? 'verdicts' then
        update commerce_event e
           set state = v.state, reason = v.reason, ended_at = case when v.state = 'parked' then null else at end,
               payload = (e.payload #- '{buyer,phone}') #- '{identities,phone}'
          from jsonb_to_recordset(doc -> 'verdicts') as v (id bigint, state text, reason text)
         where e.id = v.id;
    end if;
    if doc ? 'facts' then
        insert into outbox (queue, kind, key, person_id, payload, created_at, due_at)
        select 'fact', f.kind, f.key, f.person_id, f.payload, at, at
          from jsonb_to_recordset(doc -> 'facts') as f (kind text, key text, person_id bigint, payload jsonb)
         order by f.key
            on conflict (key) do nothing;
    end if;
    if doc ? 'events' then
        perform journey_hear(doc -> 'events', at);
    end if;
end $$;
drop function events_settle(jsonb, timestamptz);

-- ---- New orders, for those who look at them a little later ---------------------------------------------------------

-- Risk rules, insight, the programme and milestones all look at every new order, within a minute or so. Booking writes one
-- row for all of them; whoever looks next hands it on to the list of each.
create table order_news (
    id bigint generated always as identity,
    order_id bigint not null,
    told_at timestamptz not null default clock_timestamp(),
    constraint pk_order_news primary key (id)
);

create function order_news_of() returns trigger language plpgsql as $$
begin
    insert into order_news (order_id) select id from fresh;
    return null;
end $$;
drop trigger customer_order_risk on customer_order;
drop trigger insight_of_new_orders on customer_order;
drop trigger programme_of_new_orders on customer_order;
create trigger customer_order_news after insert on customer_order
    referencing new table as fresh for each statement execute function order_news_of();

-- Hands on up to ``most`` news, each once: to risk_queue, insight_stale (the buyer, and who brought them), programme_stale
-- (the buyer) and, where some plan pays milestones, milestone_due (the seller). Returns how many.
create function order_news_spread(most bigint) returns bigint language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    taken bigint;
begin
    with due as (
        select id from order_news order by id limit most for update skip locked
    ), gone as (
        delete from order_news n using due where n.id = due.id returning n.order_id
    ), told as materialized (
        select o.* from gone cross join lateral (
            select c.id, c.buyer_id, c.seller_id from customer_order c where c.id = gone.order_id offset 0) o
    ), risk as (
        insert into risk_queue (order_id) select id from told order by id on conflict do nothing
    ), insight as (
        insert into insight_stale (person_id)
        select buyer_id from told
        union
        select r.referrer_id from told cross join lateral (
            select x.referrer_id from referral x where x.referee_id = told.buyer_id and x.ended_at is null offset 0) r
    ), programme as (
        insert into programme_stale (person_id) select distinct buyer_id from told
    ), milestones as (
        insert into milestone_due (person_id)
        select distinct seller_id from told
         where seller_id is not null and exists (select from commission_plan where document ? 'milestones')
    )
    select count(*) into taken from gone;
    return taken;
end $$;

-- As before (0027), for what comes back; new orders are news. Written only for shops one of whose plans pays milestones.
create or replace function milestone_note(doc jsonb) returns void language plpgsql as $$
begin
    if exists (select from commission_plan where document ? 'milestones') then
        insert into milestone_due (person_id)
        select distinct o.seller_id from orders_undone(doc) as t (id)
         cross join lateral (select c.seller_id from customer_order c where c.id = t.id offset 0) o
         where o.seller_id is not null;
    end if;
end $$;

-- ---- The inbox of events -------------------------------------------------------------------------------------------

-- Takes in the events that are new ([{event_id, digest, type, subject, payload, occurred_at}]), in the order of their ids, so
-- that two batches with the same events cannot wait for each other; returns how many. Raises HT409, with the ids as its
-- detail, when some id is known with other content, or comes with two: then nothing is taken.
create function events_take_in(the_source text, at timestamptz, events jsonb) returns bigint language plpgsql as $$
declare
    taken bigint;
    clash jsonb;
begin
    insert into commerce_event (source, event_id, digest, type, subject, payload, occurred_at, received_at, due_at)
    select the_source, e.event_id, e.digest, e.type, e.subject, e.payload, e.occurred_at, at, at
      from jsonb_to_recordset(events)
           as e (event_id text, digest text, type text, subject text, payload jsonb, occurred_at timestamptz)
     order by e.event_id
        on conflict (source, event_id) do nothing;
    get diagnostics taken = row_count;
    if taken < jsonb_array_length(events) then
        -- A statement of its own: it sees what others have just committed.
        select jsonb_agg(distinct e.event_id) into clash
          from jsonb_to_recordset(events) as e (event_id text, digest text)
         cross join lateral (select c.digest from commerce_event c
                              where c.source = the_source and c.event_id = e.event_id offset 0) c
         where c.digest <> e.digest;
        if clash is not null then
            raise exception 'events are known with other content' using errcode = 'HT409', detail = clash::text;
        end if;
    end if;
    return taken;
end $$;
