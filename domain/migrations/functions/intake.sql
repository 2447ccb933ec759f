-- Commerce events: taken in once, claimed with all that booking them needs to know, and booked in one call.

-- The rows of a batch of events: each column comes as its texts, parted by \x01, which no text of an event holds.
create or replace function events_told(ids text, digests text, types text, subjects text, payloads text, times text)
returns table (event_id text, digest text, type text, subject text, payload text, occurred_at text) language sql immutable as $$
    select * from rows from (string_to_table(ids, E'\x01'), string_to_table(digests, E'\x01'), string_to_table(types, E'\x01'),
                             string_to_table(subjects, E'\x01'), string_to_table(payloads, E'\x01'),
                             string_to_table(times, E'\x01'))
$$;

-- Takes in the events of a batch that are new; returns how many. The batch is ordered by id, so that two with the same events
-- cannot wait for each other. Raises HT409, with the ids as its detail, when some id is known with other content, or comes
-- with two: then nothing is taken. Ten new payments or more, and nothing else, are one row for each hundred of what is still to be
-- done (commerce_batch).
create or replace function events_take_in(the_source text, at timestamptz, ids text, digests text, types text, subjects text,
                                          payloads text, times text) returns bigint language plpgsql as $$
declare
    told integer := 1 + length(ids) - length(replace(ids, E'\x01', ''));
    taken bigint;
    clash jsonb;
begin
    begin
        if told >= 10 and types = 'order.paid' || repeat(E'\x01order.paid', told - 1) then
            with fresh as (
                insert into commerce_event (source, event_id, digest, type, subject, payload, occurred_at, received_at)
                select the_source, e.event_id, e.digest, 'order.paid', e.subject, e.payload::jsonb,
                       e.occurred_at::timestamptz, at
                  from events_told(ids, digests, null, subjects, payloads, times) e returning id)
            insert into commerce_batch (due_at, events)
            select at, paid.ids[n : n + 99]  -- no more than a worker takes at once
              from (select array_agg(f.id) as ids from fresh f) paid cross join generate_series(1, told, 100) n;
            return told;
        end if;
        with fresh as (
            insert into commerce_event (source, event_id, digest, type, subject, payload, occurred_at, received_at)
            select the_source, e.event_id, e.digest, e.type, e.subject, e.payload::jsonb, e.occurred_at::timestamptz, at
              from events_told(ids, digests, types, subjects, payloads, times) e returning id, type, subject)
        insert into commerce_open (id, due_at, type, subject) select id, at, type, subject from fresh;
        get diagnostics taken = row_count;
        return taken;
    exception when unique_violation then
        -- Some are known. To ask that of each before it is written would cost as much as an index more.
    end;
    with fresh as (
        insert into commerce_event (source, event_id, digest, type, subject, payload, occurred_at, received_at)
        select the_source, e.event_id, e.digest, e.type, e.subject, e.payload::jsonb, e.occurred_at::timestamptz, at
          from events_told(ids, digests, types, subjects, payloads, times) e
            on conflict (source, event_id) do nothing returning id, type, subject)
    insert into commerce_open (id, due_at, type, subject) select id, at, type, subject from fresh;
    get diagnostics taken = row_count;
    -- A statement of its own: it sees what others have just committed.
    select jsonb_agg(distinct e.event_id) into clash
      from events_told(ids, digests, types, subjects, payloads, times) e
     cross join lateral (select c.digest from commerce_event c
                          where c.source = the_source and c.event_id = e.event_id offset 0) c
     where c.digest <> e.digest;
    if clash is not null then
        raise exception 'events are known with other content' using errcode = 'HT409', detail = clash::text;
    end if;
    return taken;
end $$;

-- Takes due events whose subject no other worker has, with the facts that are parked for the same subjects, and all that
-- booking them needs to know. Null when nothing is due. What is taken is off the lists (commerce_open, commerce_batch) when the
-- transaction commits; money_apply puts back what is not done, in commerce_open. That and the advisory locks are the lease: they
-- end with the transaction. What has waited longer comes first, events on their own or those of batches; but a payment that
-- is the only one on its own comes before any batch.
-- JSON: events [commerce_event rows with their state and attempts, where it was not plainly new], orders and plans (see
-- intake_load), ids (for the orders that the payments will make), listens (kinds of events that some journey cares about),
-- and, unless it takes more than a look, standings (see intake_above) and regulars (who of all buyers comes back often; their
-- roles are held).
create or replace function intake_take(at timestamptz, most bigint, seen_since timestamptz) returns text language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    first record;
    alone text;
begin
    select e as event, o.id, o.subject, o.attempts, o.due_at into first
      from commerce_open o join commerce_event e on e.id = o.id
     where o.state = 'new' and o.due_at <= at order by o.due_at, o.id limit 1 for update of o skip locked;
    if not found then
        return intake_take_batches(at, most, seen_since);
    end if;
    if first.attempts = 0 and (most = 1 or not exists (
            select from commerce_open o where o.state = 'new' and o.due_at <= at and o.id <> first.id))
       and pg_try_advisory_xact_lock(hashtextextended(first.subject, 0)) then
        alone := intake_take_one(first.event, seen_since);
    end if;
    if alone is not null then
        return alone;
    end if;
    if exists (select from commerce_batch b where b.due_at < first.due_at) then
        alone := intake_take_batches(at, most, seen_since);
    end if;
    -- Where somebody else holds all that stands alone, batches do not wait for it.
    return coalesce(alone, intake_take_many(at, most, seen_since), intake_take_batches(at, most, seen_since));
end $$;

-- As intake_take, of any number of events of any kind that stand on the list on their own.
create or replace function intake_take_many(at timestamptz, most bigint, seen_since timestamptz) returns text language plpgsql as $$
declare
    ids bigint[];
    tried bigint[];
begin
    with taken as (
        delete from commerce_open where ctid = any (array(
            select due.place from (select ctid as place, subject from commerce_open where state = 'new' and due_at <= at
                                    order by due_at, id limit most for update skip locked) due
             where pg_try_advisory_xact_lock(hashtextextended(due.subject, 0)))) returning id, attempts)
    select array_agg(t.id), array_agg(t.attempts) into ids, tried from taken t;
    return intake_hand_out(at, ids, tried, seen_since);
end $$;

-- As intake_take, of the payments of whole batches: as many as are no more than ``most``.
create or replace function intake_take_batches(at timestamptz, most bigint, seen_since timestamptz) returns text language plpgsql as $$
declare
    batch record;
    ids bigint[] := '{}';
begin
    loop
        select b.id, b.events into batch from commerce_batch b
         where b.due_at <= at order by b.due_at, b.id limit 1 for update skip locked;
        exit when not found;
        if cardinality(ids) + cardinality(batch.events) > most then
            exit when ids <> '{}';
            perform events_apart(batch.id);
            return intake_take_many(at, most, seen_since);
        end if;
        delete from commerce_batch b where b.id = batch.id;
        ids := ids || batch.events;
    end loop;
    return intake_hand_out(at, nullif(ids, '{}'), null, seen_since);
end $$;

-- Gives each payment of a batch a place of its own on the list.
create or replace function events_apart(the_batch bigint) returns void language plpgsql as $$
begin
    with batch as (delete from commerce_batch b where b.id = the_batch returning b.due_at, b.events)
    insert into commerce_open (id, due_at, type, subject)
    select e.id, b.due_at, e.type, e.subject
      from batch b cross join unnest(b.events) n (id) join commerce_event e on e.id = n.id;
end $$;

-- What intake_take gives of events that were taken off the lists. ``tried`` says how often each was, and that its subject is
-- held. Null for those of batches, whose subjects are still to be held: those that somebody else holds get a place on the list.
create or replace function intake_hand_out(at timestamptz, taken bigint[], tried bigint[], seen_since timestamptz)
returns text language plpgsql as $$
declare
    held bigint[];
    mine text[];
    events text;
    ids bigint[];
    paid text[];
    ats timestamptz[];
    names jsonb[];
    plain boolean;
    waiting boolean;
    known boolean;
    orders jsonb := '[]';
    rules text;
    watched boolean;
    buyers bigint[] := '{}';
    told json;
begin
    select array_agg(c.id), array_agg(c.subject),
           string_agg(concat('{"id":', c.id, ',"source":', to_json(c.source), ',"event_id":', to_json(c.event_id),
               ',"type":', to_json(c.type), ',"subject":', to_json(c.subject), ',"payload":', c.payload,
               ',"occurred_at":', to_json(c.occurred_at), ',"attempts":', c.attempts, '}'), ','),
           array_agg(nextval('customer_order_id_seq')) filter (where c.type = 'order.paid'),
           array_agg(c.subject) filter (where c.type = 'order.paid'),
           array_agg((c.payload ->> 'paid_at')::timestamptz) filter (where c.type = 'order.paid'),
           array_agg(c.payload -> 'buyer') filter (where c.type = 'order.paid'),
           coalesce(bool_and(not c.payload -> 'buyer' ? 'phone' and coalesce(c.payload ->> 'share_code', '') = '')
                    filter (where c.type = 'order.paid'), true)
      into held, mine, events, ids, paid, ats, names, plain
      from (select e.*, coalesce(t.attempts, 0) as attempts from unnest(taken, tried) as t (id, attempts)
             cross join lateral (select * from commerce_event known where known.id = t.id offset 0) e
             where tried is not null or pg_try_advisory_xact_lock(hashtextextended(e.subject, 0)) order by e.id) c;
    if cardinality(held) is distinct from cardinality(taken) then
        insert into commerce_open (id, due_at, type, subject)
        select e.id, e.received_at, e.type, e.subject from unnest(taken) t (id) join commerce_event e on e.id = t.id
         where t.id <> all (coalesce(held, '{}'));
    end if;
    if mine is null then
        return null;
    end if;

    select exists (select from commerce_open o where o.subject = any (mine) and o.state = 'parked'),
           exists (select from (
                select split_part(name, '/', 1) as channel, array_agg(substr(name, 1 + strpos(name, '/'))) as numbers
                  from (select substr(m, 7) as name from unnest(mine) m where m like 'order:%') n group by 1) g
             cross join lateral (select from customer_order c
                where c.channel = g.channel and c.order_no = any (g.numbers) limit 1) o),
           ',"plans":' || to_json(array(select json_build_object('version', p.version, 'live_from', p.live_from,
                'digest', p.digest) from commission_plan p order by p.version))
           || ',"listens":' || to_json(array(
                select unnest(j.listens) from journey j where j.state in ('live', 'paused', 'draining'))),
           exists (select from role_rulebook r where r.regular_orders is not null)
      into waiting, known, rules, watched;
    if waiting then
        with taken as (
            delete from commerce_open where subject = any (mine) and state = 'parked' returning id, attempts, reason)
        select events || coalesce(string_agg(',' || (to_jsonb(e) || jsonb_build_object('state', 'parked',
                   'attempts', t.attempts, 'reason', t.reason))::text, '' order by e.id), '') into events
          from taken t join commerce_event e on e.id = t.id;
    end if;
    if known then
        orders := intake_load(array(select distinct m from unnest(mine) m)) -> 'orders';
    end if;
    if paid is not null then
        plain := plain and (cardinality(paid) = 1 or (select count(distinct p) = count(*) from unnest(paid) p));
        buyers := case when plain then intake_recognise(names, seen_since) end;
        told := case when buyers is not null then intake_above(paid, buyers, ats) end;
    end if;
    return '{"events":[' || events || '],"orders":' || orders || ',"ids":' || to_json(coalesce(ids, '{}')) || rules
        || case when buyers is null then '}'
                else ',"standings":' || coalesce(told, '[]') || case when watched
                then ',"regulars":' || to_json(array(select role_regulars_coming(
                   array(select (o ->> 'buyer_id')::bigint from jsonb_array_elements(orders) o), buyers))) || '}'
                else '}' end end;
end $$;

-- As intake_take, of one event that is held already and has none beside it: a plain payment by somebody known, for an order of
-- which nothing is known. Null when it is anything else.
create or replace function intake_take_one(event commerce_event, seen_since timestamptz) returns text language plpgsql as $$
declare
    more boolean;
    rules text;
    least_orders bigint;
    buyer bigint;
begin
    if event.type <> 'order.paid' or event.payload -> 'buyer' ? 'phone' or event.payload ->> 'share_code' <> '' then
        return null;
    end if;
    select exists (select from commerce_open o where o.subject = event.subject and o.state = 'parked')
           or exists (select from customer_order c where c.channel = event.payload ->> 'channel'
                         and c.order_no = event.payload ->> 'order_id'),
           ',"plans":' || to_json(array(select json_build_object('version', p.version, 'live_from', p.live_from,
                'digest', p.digest) from commission_plan p order by p.version))
           || ',"listens":' || to_json(array(
                select unnest(j.listens) from journey j where j.state in ('live', 'paused', 'draining'))),
           (select min(r.regular_orders) from role_rulebook r)
      into more, rules, least_orders;
    if more then
        return null;
    end if;
    buyer := intake_recognise_one(event.payload -> 'buyer', seen_since);
    if buyer is null then
        return null;
    end if;
    delete from commerce_open where id = event.id;
    return '{"events":[' || to_json(event) || '],"orders":[],"ids":[' || nextval('customer_order_id_seq') || ']' || rules
        || ',"standings":[' || intake_above_one(event.subject, buyer, (event.payload ->> 'paid_at')::timestamptz)
        || '],"regulars":' || to_json(role_regular_coming(buyer, least_orders)) || '}';
end $$;

-- Everything known about some subjects: their orders with lines, refunds and deals, and the facts parked for them.
create or replace function intake_load(subjects text[]) returns jsonb language sql stable as $$
    select jsonb_build_object('plans', (select jsonb_agg(jsonb_build_object('version', version, 'live_from', live_from,
            'digest', digest) order by version) from commission_plan),
        'orders', coalesce(jsonb_agg(to_jsonb(o) || jsonb_build_object(
            'lines', (select jsonb_agg(to_jsonb(l) order by l.n) from order_line l where l.order_id = o.id),
            'refunds', (select coalesce(jsonb_object_agg(r.refund_no, r.digest), '{}')
                          from refund r where r.order_id = o.id),
            'commissions', (select coalesce(jsonb_agg(to_jsonb(c) order by c.id), '[]')
                              from commission_line c where c.order_id = o.id))), '[]'))
      from unnest(subjects) as s (subject)
      -- "offset 0" keeps this a look-up by key, one a subject, also in a plan that was made when there were no orders.
      cross join lateral (
        select * from customer_order c
         where c.channel = split_part(substr(s.subject, 7), '/', 1)
           and c.order_no = substr(s.subject, 8 + length(split_part(substr(s.subject, 7), '/', 1))) offset 0
      ) o
     where s.subject like 'order:%';
$$;

-- Who is behind some payments, by their identities; held against being merged until the transaction ends. Null when that
-- needs more than a look: somebody new, two people, somebody not seen for long.
create or replace function intake_recognise(buyers jsonb[], seen_since timestamptz) returns bigint[] language plpgsql as $$
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
     cross join lateral jsonb_each_text(b.buyer) as n (kind, value)
      left join lateral (select i.id, i.person_id, i.seen_at from identity i
                          where i.kind = n.kind and i.value = n.value
                            and i.scope = case n.kind when 'openid' then b.buyer ->> 'app_id' else '' end offset 0) i on true
     where n.kind <> 'app_id' and n.value is not null;
    if complete is not true then
        return null;
    end if;
    -- Mostly everybody comes with one name; otherwise the names of each must agree.
    if places <> array(select generate_series(1, cardinality(buyers))::bigint) then
        select array_agg(g.one order by g.place), bool_and(g.one = g.other) into owners, complete
          from (select o.place, min(o.person) as one, max(o.person) as other
                  from unnest(places, owners) as o (place, person) group by 1) g;
    end if;
    if not complete or cardinality(owners) < cardinality(buyers) then
        return null;
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

-- As intake_recognise, of one buyer: each name looked up by its key.
create or replace function intake_recognise_one(buyer jsonb, seen_since timestamptz) returns bigint language plpgsql as $$
declare
    the_kind text;
    name bigint;
    names bigint[] := '{}';
    somebody bigint;
    owner bigint;
    seen timestamptz;
begin
    foreach the_kind in array array['openid', 'unionid', 'external_userid', 'mall_user_id'] loop
        continue when buyer ->> the_kind is null;
        select i.id, i.person_id, i.seen_at into name, somebody, seen from identity i
         where i.kind = the_kind and i.value = buyer ->> the_kind
           and i.scope = case the_kind when 'openid' then buyer ->> 'app_id' else '' end;
        if somebody is null or seen < seen_since or owner <> somebody then
            return null;
        end if;
        owner := somebody;
        names := names || name;
    end loop;
    perform from person p where p.id = owner and p.merged_into is null for key share;
    if not found then
        return null;
    end if;
    -- Whoever was waited for may have become somebody else: then the names say so now.
    foreach name in array names loop
        perform from identity i where i.id = name and i.person_id = owner;
        if not found then
            return null;
        end if;
    end loop;
    return owner;
end $$;

-- Everything that a batch of facts changes, in one call: orders, deals, money, verdicts, and the facts for others (what was
-- earned is one row of news: whoever hands it on reads it in the deals). Rows come as typed arrays (ADR 0048), null where there
-- are none; ``changes`` as orders_change takes it. Of events that are simply done, no verdict is needed: intake_take took them
-- off the list. Each other says what became of it, and loses its phone.
create or replace function money_apply(at timestamptz, orders new_order[], lines new_line[], deals new_deal[], journals new_journal[],
                            postings new_posting[], facts new_fact[], payloads jsonb, verdicts new_verdict[],
                            changes jsonb)
returns void language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    first_paid timestamptz;
    earned bigint[];
begin
    -- As booking_lock; asked this way it is no statement of its own.
    if current_setting('transaction_isolation') <> 'read committed' or not pg_try_advisory_xact_lock_shared(7114001) then
        perform booking_lock();
    end if;
    if cardinality(orders) = 1 and changes is null then  -- an order alone
        first_paid := (orders[1]).paid_at;
        earned := array[(orders[1]).id];
    elsif orders is not null or deals is not null then
        select min(o.paid_at) into first_paid from unnest(orders) o;
        earned := array(select distinct d.order_id from unnest(deals) d);
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
        if exists (select from month_close m where m.ends_at > first_paid) then
            perform settlement_note_new(orders);
        end if;
    end if;
    if deals is not null then
        insert into commission_line (order_id, n, beneficiary_id, level, kind, base_fen, rate_bps, rule, plan_version,
                                     uncut_fen, amount_fen, clawed_fen, accrued_at, release_at, rule_bps, phase,
                                     phase_bps, boost_bps)
        select order_id, n, beneficiary_id, level, kind, base_fen, rate_bps, rule, plan_version, uncut_fen, amount_fen,
               clawed_fen, accrued_at, release_at, rule_bps, phase, phase_bps, boost_bps from unnest(deals);
        insert into earned_news (order_ids, at) values (earned, at);
    end if;
    if changes is not null then
        perform orders_change(changes);
    end if;
    if journals is not null and ledger_write(at, journals, postings) is null then
        raise exception 'nothing was booked';
    end if;
    if verdicts is not null then
        insert into commerce_open (id, due_at, type, subject, state, reason)
        select e.id, at, e.type, e.subject, v.state, v.reason from unnest(verdicts) v join commerce_event e on e.id = v.id
         where v.state <> 'done';
        update commerce_event e
           set reason = case v.state when 'done' then v.reason else '' end,
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
