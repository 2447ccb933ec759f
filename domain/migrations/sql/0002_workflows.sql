-- The intake of commerce events: what a worker takes on, and what is known about it, in one round trip.

-- Everything known about some subjects: their orders with lines, refunds and deals, and the facts parked for them.
create function intake_load(subjects text[]) returns jsonb language sql stable as $$
    select jsonb_build_object('plans', (select jsonb_agg(jsonb_build_object('version', version, 'live_from', live_from,
            'digest', digest) order by version) from commission_plan),
        'orders', coalesce(jsonb_agg(to_jsonb(o) || jsonb_build_object(
            'lines', (select jsonb_agg(to_jsonb(l) order by l.n) from order_line l where l.order_id = o.id),
            'refunds', (select coalesce(jsonb_object_agg(r.refund_no, r.digest), '{}')
                          from refund r where r.order_id = o.id),
            'commissions', (select coalesce(jsonb_agg(to_jsonb(c) order by c.id), '[]')
                              from commission_line c where c.order_id = o.id))), '[]'))
      from unnest(subjects) as s (subject)
      join customer_order o on 'order:' || o.channel || '/' || o.order_no = s.subject
           and o.channel = split_part(substr(s.subject, 7), '/', 1)
           and o.order_no = substr(s.subject, 8 + length(split_part(substr(s.subject, 7), '/', 1)))
     where s.subject like 'order:%';
$$;

-- The plans of both functions below never depend on the values: planning them anew costs as much as running them.

-- Everything that a batch of facts changes, in one call: orders, deals, money, verdicts, and the facts for others.
create function money_apply(doc jsonb) returns void language plpgsql
set plan_cache_mode = force_generic_plan as $$
declare
    at timestamptz := doc ->> 'at';
begin
    if doc ? 'orders' or doc ? 'changed' then
        perform orders_store(doc);
        perform commissions_store(doc);
    end if;
    if doc ? 'journals' then
        perform ledger_post(doc);
    end if;
    if doc ? 'verdicts' then
        perform events_settle(doc -> 'verdicts', at);
    end if;
    if doc ? 'facts' then
        insert into outbox (queue, kind, key, person_id, payload, created_at, due_at)
        select 'fact', f.kind, f.key, f.person_id, f.payload, at, at
          from jsonb_to_recordset(doc -> 'facts') as f (kind text, key text, person_id bigint, payload jsonb)
         order by f.key
            on conflict (key) do nothing;
    end if;
end $$;

-- Takes due events whose subject no other worker has, with the facts that are parked for the same subjects.
-- The row locks and the advisory locks end with the transaction: they are the lease. Also hands out ids for the
-- orders that the payments among them will make.
create function intake_claim(at timestamptz, most bigint) returns jsonb language plpgsql
set plan_cache_mode = force_generic_plan as $$
declare
    taken bigint[];
    mine text[];
    events jsonb;
    payments bigint;
begin
    with due as materialized (
        select id, subject from commerce_event
         where state = 'new' and due_at <= at order by due_at, id limit most for update skip locked
    ), free as materialized (
        select subject from (select distinct subject from due) d
         where pg_try_advisory_xact_lock(hashtextextended(subject, 0))
    )
    select array_agg(d.id), array_agg(distinct d.subject) into taken, mine from due d join free using (subject);
    if taken is null then
        return null;
    end if;
    select jsonb_agg(jsonb_build_object('id', id, 'source', source, 'event_id', event_id, 'type', type,
               'subject', subject, 'data', payload, 'occurred_at', occurred_at, 'attempts', attempts, 'state', state)
               order by id),
           count(*) filter (where type = 'order.paid')
      into events, payments
      from (
        select * from commerce_event where id = any (taken)
        union all
        select * from commerce_event where subject = any (mine) and state = 'parked'
      ) e;
    return intake_load(mine) || jsonb_build_object('events', events, 'ids', (
        select coalesce(jsonb_agg(nextval('customer_order_id_seq')), '[]') from generate_series(1, payments)));
end $$;
