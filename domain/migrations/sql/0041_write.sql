-- What booking writes comes as typed rows, and people are looked up once a statement. See ADR 0048.

-- ---- Rows as they come --------------------------------------------------------------------------------------------

-- One array of each a batch, made by domain/shared/rows.py; reading a document and picking rows out of it cost three times as
-- much as reading these. Columns that a new row always has alike are left out.
create type new_order as (
    id bigint, channel text, order_no text, source text, buyer_id bigint, paid_fen bigint, shipping_fen bigint,
    refunded_fen bigint, region text, share_code text, digest text, paid_at timestamptz, shipped_at timestamptz,
    carrier text, tracking_no text, received_at timestamptz, closed_at timestamptz, receive_due_at timestamptz,
    completed_at timestamptz, seller_id bigint, leader_id bigint, signals jsonb
);
create type new_line as (
    order_id bigint, n bigint, line_id text, sku text, title text, category text, quantity bigint, paid_fen bigint,
    refunded_fen bigint, refunded_quantity bigint
);
create type new_deal as (
    order_id bigint, n bigint, beneficiary_id bigint, level bigint, kind text, base_fen bigint, rate_bps bigint, rule text,
    plan_version bigint, uncut_fen bigint, amount_fen bigint, clawed_fen bigint, accrued_at timestamptz,
    release_at timestamptz, rule_bps bigint, phase text, phase_bps bigint, boost_bps bigint
);
create type new_journal as (
    idem text, digest text, kind text, effective_at timestamptz, source_type text, source_id bigint, label text, actor text,
    reverses bigint, resolves bigint
);
-- ``journal`` is the place of its journal among those that come along, from 1; an owner of null is the platform.
create type new_posting as (
    journal bigint, n bigint, debit_owner bigint, debit text, credit_owner bigint, credit text, currency text, amount bigint
);
create type new_fact as (kind text, key text, person_id bigint);
create type new_verdict as (id bigint, state text, reason text);

-- ---- People: looked up and held once a statement -------------------------------------------------------------------

-- A foreign key looks a person up for each row and each of its columns, five times an order. These look everybody of a
-- statement up at once, in the order of their ids, and hold them as a key does: a merge that has begun is waited for,
-- one that begins waits. Who is not there is refused with the words of the key. Nobody is ever taken out of ``person``
-- (0039), so that nothing needs to be asked when rows there change.
create function refuse_unknown_person(the_table text, the_column text) returns void language plpgsql as $$
begin
    raise exception 'insert or update on table "%" violates foreign key constraint "fk_%_%"', the_table, the_table, the_column
        using errcode = 'foreign_key_violation', table = the_table, constraint = format('fk_%s_%s', the_table, the_column);
end $$;

-- New orders are news as well (0030), written along.
create or replace function order_news_of() returns trigger language plpgsql as $$
declare
    missing bigint;
begin
    with told as (
        insert into order_news (order_id) select id from fresh
    )
    select min(w.id) into missing
      from (select distinct p.id from fresh f cross join lateral (values (f.buyer_id), (f.seller_id), (f.leader_id)) as p (id)
             where p.id is not null order by 1) w
      left join lateral (select p.id from person p where p.id = w.id for key share) known on true
     where known.id is null;
    if missing is not null then
        perform refuse_unknown_person('customer_order', (
            select case missing when f.buyer_id then 'buyer_id' when f.seller_id then 'seller_id' else 'leader_id' end
              from fresh f where missing in (f.buyer_id, f.seller_id, f.leader_id) limit 1));
    end if;
    return null;
end $$;

create function order_person_moves() returns trigger language plpgsql as $$
declare
    missing bigint;
begin
    select min(w.id) into missing
      from (select distinct p.id from (values (new.buyer_id), (new.seller_id), (new.leader_id)) as p (id)
             where p.id is not null order by 1) w
      left join lateral (select p.id from person p where p.id = w.id for key share) known on true
     where known.id is null;
    if missing is not null then
        perform refuse_unknown_person('customer_order', case missing when new.buyer_id then 'buyer_id'
            when new.seller_id then 'seller_id' else 'leader_id' end);
    end if;
    return null;
end $$;
create trigger customer_order_person_moves after update on customer_order for each row
    when (old.buyer_id is distinct from new.buyer_id or old.seller_id is distinct from new.seller_id
          or old.leader_id is distinct from new.leader_id) execute function order_person_moves();

-- All commissions of an order line together never exceed what was paid for it; line, plan and whoever earns are there. The
-- line is locked first, so that two writers cannot both find room.
create or replace function commission_within_paid() returns trigger language plpgsql as $$
declare
    lines boolean;
    people boolean;
    broken text;
begin
    select bool_and(l.n is not null), bool_and(p.id is not null) into lines, people
      from (select distinct beneficiary_id, order_id, n from fresh order by 1, 2, 3) f
      left join lateral (select p.id from person p where p.id = f.beneficiary_id for key share) p on true
      left join lateral (select l.n from order_line l where l.order_id = f.order_id and l.n = f.n for no key update) l
        on true;
    if not lines then
        broken := 'fk_commission_line_order_id_n';
    elsif not people then
        broken := 'fk_commission_line_beneficiary_id';
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

create function commission_person_moves() returns trigger language plpgsql as $$
begin
    perform 1 from person p where p.id = new.beneficiary_id for key share;
    if not found then
        perform refuse_unknown_person('commission_line', 'beneficiary_id');
    end if;
    return null;
end $$;
create trigger commission_line_person_moves after update on commission_line for each row
    when (old.beneficiary_id is distinct from new.beneficiary_id) execute function commission_person_moves();

alter table customer_order
    alter constraint fk_customer_order_buyer_id not enforced,
    alter constraint fk_customer_order_seller_id not enforced,
    alter constraint fk_customer_order_leader_id not enforced;
alter table commission_line alter constraint fk_commission_line_beneficiary_id not enforced;

-- ---- The ledger ----------------------------------------------------------------------------------------------------

drop function ledger_post(jsonb);
drop function ledger_write(jsonb);
drop function ledger_write_one(jsonb);

-- The accounts of people among some postings that are not open yet, opened with a balance row.
create function ledger_open_sides(postings new_posting[]) returns void language sql as $$
    select ledger_open((
        select jsonb_agg(distinct jsonb_build_object('owner', s.owner, 'kind', s.kind, 'currency', p.currency))
          from unnest(postings) p
         cross join lateral (values (p.debit_owner, p.debit), (p.credit_owner, p.credit)) as s (owner, kind)
         where s.owner is not null))
$$;

-- Books journals with their postings; for callers who hold the booking lock and have the settings. A key that is there with
-- the same digest is skipped with its postings; with another digest HT409 is raised. Journals come in the order of their
-- keys, and balances are locked in account order before any is written. Returns how many journals were booked.
create function ledger_write(at timestamptz, journals new_journal[], postings new_posting[]) returns bigint
language plpgsql as $$
declare
    ids bigint[];
    booked bigint;
    clash text;
    debits bigint[];
    credits bigint[];
    debit_normals text[];
    credit_normals text[];
    unopened boolean;
    touched bigint[];
    deltas bigint[];
begin
    with fresh as (
        insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id, label, actor,
                             reverses, resolves)
        select idem, digest, kind, effective_at, at, source_type, source_id, label, actor, reverses, resolves
          from unnest(journals)
            on conflict (idem) do nothing
        returning id
    )
    select array_agg(id), count(*) into ids, booked from fresh;
    if booked < cardinality(journals) then
        select g.idem into clash from unnest(journals) g
          join journal j on j.idem = g.idem and j.digest <> g.digest limit 1;
        if clash is not null then
            raise exception 'journal % is already booked with other content', clash using errcode = 'HT409';
        end if;
        if booked = 0 then
            return 0;
        end if;
        select array_agg(j.id order by g.place) into ids from unnest(journals) with ordinality as g (
            idem, digest, kind, effective_at, source_type, source_id, label, actor, reverses, resolves, place)
          left join journal j on j.idem = g.idem and j.id = any (ids);
    end if;
    -- A platform account has no owner, and no index finds "not distinct from": people and platform are looked up apart.
    for round in 1 .. 2 loop
        select array_agg(d.id), array_agg(c.id), array_agg(d.normal), array_agg(c.normal),
               bool_or(p.debit_owner is not null and d.id is null or p.credit_owner is not null and c.id is null)
          into debits, credits, debit_normals, credit_normals, unopened
          from unnest(postings) p
          left join lateral (
            select a.id, a.normal from account a
             where a.owner_id = p.debit_owner and a.kind = p.debit and a.currency = p.currency
            union all
            select a.id, null from account a
             where p.debit_owner is null and a.owner_id is null and a.kind = p.debit and a.currency = p.currency) d on true
          left join lateral (
            select a.id, a.normal from account a
             where a.owner_id = p.credit_owner and a.kind = p.credit and a.currency = p.currency
            union all
            select a.id, null from account a
             where p.credit_owner is null and a.owner_id is null and a.kind = p.credit and a.currency = p.currency) c on true;
        exit when not unopened;
        perform ledger_open_sides(postings);
    end loop;
    -- A side that no look-up finds is null and is refused.
    insert into posting (journal_id, n, debit, credit, currency, amount)
    select ids[p.journal], p.n, p.debit_id, p.credit_id, p.currency, p.amount
      from unnest(postings, debits, credits) as p (journal, n, debit_owner, debit, credit_owner, credit, currency, amount,
                                                   debit_id, credit_id)
     where ids[p.journal] is not null;
    select array_agg(s.id), array_agg(s.delta) into touched, deltas
      from (select s.id, sum(case s.normal when s.side then p.amount else -p.amount end)::bigint as delta
              from unnest(postings, debits, credits, debit_normals, credit_normals) as p (journal, n, debit_owner, debit,
                   credit_owner, credit, currency, amount, debit_id, credit_id, debit_normal, credit_normal)
             cross join lateral (values (p.debit_id, p.debit_normal, 'debit'),
                                        (p.credit_id, p.credit_normal, 'credit')) as s (id, normal, side)
             where s.normal is not null and ids[p.journal] is not null
             group by 1 order by 1) s
     cross join lateral (select from balance k where k.account_id = s.id for update) held;
    update balance b set amount = b.amount + m.delta, seq = b.seq + 1
      from unnest(touched, deltas) as m (id, delta) where b.account_id = m.id;
    return booked;
end $$;

-- As ledger_write, for everybody else.
create function ledger_post(at timestamptz, journals new_journal[], postings new_posting[]) returns bigint language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
begin
    perform booking_lock();
    return ledger_write(at, journals, postings);
end $$;

-- ---- Everything that a batch of facts changes, in one call ---------------------------------------------------------

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

-- Likewise for new orders.
create function settlement_note_new(orders new_order[]) returns void language sql as $$
    insert into settlement_late (month, person_id)
    select distinct shop_month(o.paid_at), p.id from unnest(orders) o
     cross join lateral (values (o.seller_id), (o.leader_id)) as p (id)
      join month_close m on m.month = shop_month(o.paid_at)
     where p.id is not null;
$$;

-- What became of orders that were known. doc: changed [{id, shipped_at, carrier, tracking_no, received_at, closed_at,
-- receive_due_at, completed_at, refunded_fen}], refunded [{order_id, n, refunded_fen, refunded_quantity}], refunds,
-- refund_lines (these of new orders, too), commissions_changed [{id, clawed_fen, release_at, released_at}].
create function orders_change(doc jsonb) returns void language plpgsql as $$
begin
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
    if doc ? 'commissions_changed' then
        update commission_line c
           set clawed_fen = g.clawed_fen, release_at = g.release_at, released_at = g.released_at
          from jsonb_populate_recordset(null::commission_line, doc -> 'commissions_changed') g
         where c.id = g.id;
    end if;
    if doc ? 'refunds' or doc ? 'changed' then
        perform settlement_note_late(doc);
        perform milestone_note(doc);
    end if;
end $$;

-- New orders with what they hold and what was struck for them, what became of known ones (changes: see orders_change), money,
-- verdicts on events, facts for others, and what journeys hear (changes: events). Whatever there is nothing of is null.
-- Journals and facts come in the order of their keys; ``payloads`` is one JSON array for all facts, in their order.
drop function money_apply_and_tell(jsonb);
drop function orders_store(jsonb);
drop function commissions_store(jsonb);
create function money_apply(at timestamptz, orders new_order[], lines new_line[], deals new_deal[], journals new_journal[],
                            postings new_posting[], facts new_fact[], payloads jsonb, verdicts new_verdict[],
                            changes jsonb)
returns void language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
begin
    -- As booking_lock; asked this way it is no statement of its own.
    if not pg_try_advisory_xact_lock_shared(7114001) then
        perform booking_lock();
    end if;
    if orders is not null then
        insert into customer_order (id, channel, order_no, source, buyer_id, currency, paid_fen, shipping_fen, refunded_fen,
                region, share_code, digest, paid_at, shipped_at, carrier, tracking_no, received_at, closed_at,
                receive_due_at, completed_at, booked_at, seller_id, leader_id, signals)
        select id, channel, order_no, source, buyer_id, 'CNY', paid_fen, shipping_fen, refunded_fen,
               region, share_code, digest, paid_at, shipped_at, carrier, tracking_no, received_at, closed_at,
               receive_due_at, completed_at, at, seller_id, leader_id, signals from unnest(orders);
        insert into order_line (order_id, n, line_id, sku, title, category, quantity, paid_fen, refunded_fen,
                                refunded_quantity)
        select order_id, n, line_id, sku, title, category, quantity, paid_fen, refunded_fen, refunded_quantity
          from unnest(lines);
        if exists (select from month_close m where m.ends_at > (select min(o.paid_at) from unnest(orders) o)) then
            perform settlement_note_new(orders);
        end if;
    end if;
    if deals is not null then
        insert into commission_line (order_id, n, beneficiary_id, level, kind, base_fen, rate_bps, rule, plan_version,
                                     uncut_fen, amount_fen, clawed_fen, accrued_at, release_at, rule_bps, phase,
                                     phase_bps, boost_bps)
        select order_id, n, beneficiary_id, level, kind, base_fen, rate_bps, rule, plan_version, uncut_fen, amount_fen,
               clawed_fen, accrued_at, release_at, rule_bps, phase, phase_bps, boost_bps from unnest(deals);
    end if;
    if changes is not null then
        perform orders_change(changes);
    end if;
    if journals is not null and ledger_write(at, journals, postings) is null then
        raise exception 'nothing was booked';
    end if;
    if verdicts is not null then
        update commerce_event e
           set state = v.state, reason = v.reason, ended_at = case when v.state = 'parked' then null else at end,
               payload = case when e.payload -> 'buyer' ? 'phone' or e.payload -> 'identities' ? 'phone'
                              then (e.payload #- '{buyer,phone}') #- '{identities,phone}' else e.payload end
          from unnest(verdicts) v
         where e.id = v.id;
    end if;
    if facts is not null then
        insert into outbox (queue, kind, key, person_id, payload, created_at, due_at)
        select 'fact', f.kind, f.key, f.person_id, f.payload, at, at
          from rows from (unnest(facts), jsonb_array_elements(payloads)) as f (kind, key, person_id, payload)
         where not exists (select from outbox o where o.key = f.key offset 0);
    end if;
    if changes ? 'events' then
        perform journey_hear(changes -> 'events', at);
    end if;
end $$;

-- ---- Checks that are read anew by every statement -------------------------------------------------------------------

-- PostgreSQL parses a CHECK for each statement that inserts. A list of words as one constant is a third of the text of a list of
-- constants; it refuses the same.
alter table outbox drop constraint ck_outbox_queue, drop constraint ck_outbox_state, drop constraint ck_outbox_reason;
alter table outbox
    add constraint ck_outbox_queue check (queue = any ('{fact,notice,slow}'::text[])),
    add constraint ck_outbox_state check (state = any ('{waiting,running,done,refused,dead}'::text[])),
    add constraint ck_outbox_reason check (reason <> '' or state <> all ('{refused,dead}'::text[]));
alter table commerce_event drop constraint ck_commerce_event_state, drop constraint ck_commerce_event_reason;
alter table commerce_event
    add constraint ck_commerce_event_state check (state = any ('{new,done,parked,conflict,dead}'::text[])),
    add constraint ck_commerce_event_reason check (reason <> '' or state <> all ('{parked,conflict,dead}'::text[]));
