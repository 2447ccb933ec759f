-- Who brought whom: a forest, whatever happens at the same time.

-- How two edges that would close a ring together are kept apart (docs/adr/0008):
--  * an edge referrer -> referee locks its referee exclusively and its referrer shared, in id order: whoever makes
--    the referee a referrer meanwhile waits, while any number of newcomers bind to one referrer side by side;
--  * a referee who already referred somebody could close a ring: the edge then takes the whole graph exclusively and
--    walks up; all others hold it shared.
-- A transaction that took the whole graph (referral_take_all: merges, batches) needs no vertex locks any more.
create or replace function referral_vertex(person_id bigint) returns bigint language sql immutable as $$
    select (x'52454600'::bigint << 32) + person_id
$$;

create or replace function referral_take_all() returns void language plpgsql as $$
begin
    if coalesce(current_setting('huitou.referral_all', true), '') <> '1' then
        perform pg_advisory_xact_lock(x'52454601'::bigint << 32);
        perform set_config('huitou.referral_all', '1', true);
    end if;
end $$;

create or replace function referral_take_edges(referees bigint[], referrers bigint[]) returns void language plpgsql as $$
declare
    vertex record;
begin
    if coalesce(current_setting('huitou.referral_all', true), '') = '1' then
        return;
    end if;
    for vertex in
        select id, bool_or(exclusive) as exclusive
        from (select unnest(referees) as id, true as exclusive union all select unnest(referrers), false) ends
        group by id order by id
    loop
        if vertex.exclusive then
            perform pg_advisory_xact_lock(referral_vertex(vertex.id));
        else
            perform pg_advisory_xact_lock_shared(referral_vertex(vertex.id));
        end if;
    end loop;
    if referees && referrers
       or exists (select 1 from referral r where r.referrer_id = any (referees) and r.ended_at is null) then
        perform referral_take_all();
    else
        perform pg_advisory_xact_lock_shared(x'52454601'::bigint << 32);
        -- A holder of the whole graph may have moved edges while we waited, without asking for vertices.
        if exists (select 1 from referral r where r.referrer_id = any (referees) and r.ended_at is null) then
            perform referral_take_all();
        end if;
    end if;
end $$;

-- Walks up from the referrer, under the locks described above: who is met again would close a ring.
create or replace function referral_refuse_cycle() returns trigger language plpgsql as $$
declare
    above bigint := new.referrer_id;
    steps int := 0;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'referral edges need READ COMMITTED: an older snapshot would hide a cycle';
    end if;
    perform referral_take_edges(array[new.referee_id], array[new.referrer_id]);
    if not exists (select 1 from referral r where r.referrer_id = new.referee_id and r.ended_at is null) then
        return new;
    end if;
    while above is not null loop
        steps := steps + 1;
        if above = new.referee_id or steps > 1000000 then
            raise exception 'referral cycle: % -> %', new.referrer_id, new.referee_id
                using errcode = 'integrity_constraint_violation', constraint = 'referral_no_cycle';
        end if;
        select r.referrer_id into above from referral r
        where r.referee_id = above and r.ended_at is null and r.id <> new.id;
    end loop;
    return new;
end $$;

-- The way up from some people, each at a time of its own: level 0 is the person (or whoever they became), 1 is who brought
-- them. Ends after ``levels`` or where nobody was above; never meets anybody twice.
create or replace function referral_uplines(ids bigint[], ats timestamptz[], levels bigint)
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
