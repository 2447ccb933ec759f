-- Runs of journeys, and experiments.

-- Keep those events that some journey may care about; a key that was heard before changes nothing. [{kind, key, person_id,
-- at, depth, data}]. Whether anybody listens is asked here, in the transaction of the cause, so that no process can be wrong
-- about it because it looked a moment ago. Returns how many were kept.
create or replace function journey_hear(events jsonb, now timestamptz) returns bigint language plpgsql
set plan_cache_mode = force_generic_plan as $$
declare
    kept bigint;
begin
    insert into journey_event (kind, key, person_id, at, heard_at, due_at, depth, data)
    select e.kind, e.key, e.person_id, e.at, now, now, coalesce(e.depth, 0), coalesce(e.data, '{}')
      from rows from (jsonb_to_recordset(events) as (kind text, key text, person_id bigint, at timestamptz, depth bigint,
                      data jsonb)) with ordinality as e (kind, key, person_id, at, depth, data, place)
     where exists (select from journey j where e.kind = any (j.listens) and j.state in ('live', 'paused', 'draining'))
     order by e.place
        on conflict (key) do nothing;
    get diagnostics kept = row_count;
    return kept;
end $$;

-- An open run has its ticket: when it is due next.
create or replace function enrolment_enters() returns trigger language plpgsql as $$
begin
    insert into enrolment_due (journey_id, due_at, enrolment_id)
    select n.journey_id, n.due_at, n.id from fresh n where n.state in ('open', 'held')
     order by n.journey_id, n.due_at;
    return null;
end $$;

-- A statement moves a batch of runs or a handful; never is the table of tickets the smaller side.
create or replace function enrolment_moves() returns trigger language plpgsql
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
begin
    delete from enrolment_due d using stale o
     where o.state in ('open', 'held') and d.journey_id = o.journey_id and d.due_at = o.due_at and d.enrolment_id = o.id;
    insert into enrolment_due (journey_id, due_at, enrolment_id)
    select n.journey_id, n.due_at, n.id from fresh n where n.state in ('open', 'held')
     order by n.journey_id, n.due_at;
    return null;
end $$;

-- What was started stays as it was written, and what ended stays ended.
create or replace function experiment_fixed() returns trigger language plpgsql as $$
begin
    if old.document is distinct from new.document or old.key <> new.key then
        raise exception 'an experiment''s document never changes' using errcode = 'HT403';
    end if;
    if old.state in ('stopped', 'adopted') and new.state in ('draft', 'running') then
        raise exception 'an experiment that ended does not start again' using errcode = 'HT403';
    end if;
    return new;
end $$;
