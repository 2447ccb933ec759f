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
      -- "offset 0" keeps this a look-up by key, one a subject, also in a plan that was made when there were no orders.
      cross join lateral (
        select * from customer_order c
         where c.channel = split_part(substr(s.subject, 7), '/', 1)
           and c.order_no = substr(s.subject, 8 + length(split_part(substr(s.subject, 7), '/', 1))) offset 0
      ) o
     where s.subject like 'order:%';
$$;

-- The plans of both functions below never depend on the values: planning them anew costs as much as running them. And a
-- plan lives as long as its connection: one made while the shop was new must not read whole tables when it has grown.
-- Such plans, those of the foreign keys included, were most of what a single order cost.

-- Everything that a batch of facts changes, in one call: orders, deals, money, verdicts, and the facts for others.
create function money_apply(doc jsonb) returns void language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
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
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
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

-- The way up from some people, each at a time of its own: level 0 is the person (or whoever they became), 1 is who brought
-- them. Ends after ``levels`` or where nobody was above; never meets anybody twice.
create function referral_uplines(ids bigint[], ats timestamptz[], levels bigint)
returns table (place bigint, level bigint, person_id bigint, at timestamptz) language plpgsql stable
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
begin
    return query
        with recursive up (place, level, person_id, at, path) as (
            select w.place, 0::bigint, coalesce(p.merged_into, p.id), w.at, array[coalesce(p.merged_into, p.id)]
              from unnest(ids, ats) with ordinality as w (id, at, place) join person p on p.id = w.id
            union all
            select up.place, up.level + 1, e.referrer_id, up.at, up.path || e.referrer_id
              from up cross join lateral (
                select r.referrer_id from referral r
                 where r.referee_id = up.person_id and r.bound_at <= up.at
                   and (r.valid_until is null or r.valid_until > up.at) and (r.ended_at is null or r.ended_at > up.at)
                 order by r.bound_at, r.id limit 1
              ) e
             where up.level < levels and e.referrer_id <> all (up.path)
        )
        select up.place, up.level, up.person_id, up.at from up;
end $$;

-- Who stood above some buyers when each paid, nearest first (level 0: the buyer), with the roles that they held at that time;
-- ``renews``: the buyer's own binding had begun and ends one day, so this purchase may make it last longer.
create function intake_standing(ids bigint[], ats timestamptz[], levels bigint)
returns table (place bigint, level bigint, person_id bigint, roles text[], renews boolean) language plpgsql stable
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
begin
    return query
        select u.place, u.level, u.person_id,
               array(select g.role from role_grant g
                      where g.person_id = u.person_id and g.granted_at <= u.at
                        and (g.revoked_at is null or g.revoked_at > u.at)),
               u.level = 0 and exists (
                   select from referral r where r.referee_id = u.person_id and r.ended_at is null
                      and r.first_until is not null and r.bound_at <= u.at)
          from referral_uplines(ids, ats, levels) u order by u.place, u.level;
end $$;

-- Read once for each batch of orders and by nobody else, so the plans may stay: planning took three times as long.
alter function resolve_known(int[], text[], text[], text[]) set plan_cache_mode = force_generic_plan;
alter function resolve_known(int[], text[], text[], text[]) set enable_seqscan = off;
