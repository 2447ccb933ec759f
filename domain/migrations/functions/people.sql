-- Who somebody is, and that rows name people who are there.

-- A random code without letters that are read as others.
create or replace function short_code(length int) returns text language sql volatile as $$
    -- The alphabet of domain.shared.ids. 60 random bits of a v4 uuid: plenty for up to 9 characters.
    with noise as materialized (
        select ('x' || lpad(substr(replace(gen_random_uuid()::text, '-', ''), 18, 15), 16, '0'))::bit(64)::bigint as bits
    )
    select string_agg(
        substr('23456789abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ',
               (bits / (56::numeric ^ place)::bigint % 56)::int + 1, 1), '')
    from noise, generate_series(0, length - 1) as place
$$;

-- Marks an identity as seen. Written once an hour only, so that the hot path reads and does not write.
-- wrote: the identity sent us a message, which the platform allows to followers only.
create or replace function identity_touch(the_identity bigint, at timestamptz, wrote boolean) returns void language sql as $$
    update identity set
        seen_at = greatest(seen_at, at),
        followed_at = case when wrote and (followed_at is null or unfollowed_at < at) then at else followed_at end,
        unfollowed_at = case when wrote and unfollowed_at < at then null else unfollowed_at end
    where id = the_identity
      and (seen_at < at - interval '1 hour' or wrote and (followed_at is null or unfollowed_at < at))
$$;

-- The person behind one identity, made on first sight. Safe for any number of callers at once: the unique key
-- of identity decides, losers wait for it and read again. The person is locked FOR KEY SHARE, so that a merge
-- waits for whoever has just been told this id. Needs READ COMMITTED (each statement sees the latest commits).
create or replace function resolve_person(the_kind text, the_scope text, the_value text, at timestamptz, wrote boolean)
returns bigint language plpgsql as $$
declare
    found_identity bigint;
    found_person bigint;
begin
    for attempt in 1..20 loop
        select i.id, i.person_id into found_identity, found_person
        from identity i where i.kind = the_kind and i.scope = the_scope and i.value = the_value;
        if found then
            perform 1 from person p where p.id = found_person and p.merged_into is null for key share;
            if found then
                perform identity_touch(found_identity, at, wrote);
                return found_person;
            end if;
        else
            begin
                insert into person (joined_at) values (at) returning id into found_person;
                insert into identity (person_id, kind, scope, value, seen_at, followed_at)
                values (found_person, the_kind, the_scope, the_value, at, case when wrote then at end);
                return found_person;
            exception when unique_violation then
                null;  -- somebody else was first (or a referral code was drawn twice): look again
            end;
        end if;
    end loop;
    raise exception 'identity could not be resolved' using errcode = 'serialization_failure';
end $$;

-- The persons behind many identities at once: one row for each identity that exists. When the answer is clean
-- (all exist, each group belongs to one person) the persons are locked FOR KEY SHARE in id order; otherwise nothing is
-- locked and the caller plans merges first.
create or replace function resolve_known(groups int[], kinds text[], scopes text[], vals text[])
returns table (place int, identity_id bigint, person_id bigint, seen_at timestamptz) language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    people bigint[];
    locked int;
begin
    for attempt in 1..20 loop
        select array_agg(distinct i.person_id) into people
        from unnest(groups, kinds, scopes, vals) as w (g, k, s, v)
        left join identity i on i.kind = w.k and i.scope = w.s and i.value = w.v
        having count(*) = count(i.id) and count(distinct w.g) = count(distinct (w.g, i.person_id));
        exit when people is null;
        perform 1 from person p where p.id = any (people) and p.merged_into is null order by p.id for key share;
        get diagnostics locked = row_count;
        exit when locked = cardinality(people);
    end loop;
    return query
        select w.n::int, i.id, i.person_id, i.seen_at
        from unnest(groups, kinds, scopes, vals) with ordinality as w (g, k, s, v, n)
        join identity i on i.kind = w.k and i.scope = w.s and i.value = w.v;
end $$;

-- A foreign key looks a person up for each row and each of its columns, five times an order. The triggers of orders and
-- commissions look everybody of a statement up at once, in the order of their ids, and hold them as a key does: a merge
-- that has begun is waited for, one that begins waits. Who is not there is refused with the words of the key. Nobody is
-- ever taken out of ``person``, so that nothing needs to be asked when rows there change.
create or replace function refuse_unknown_person(the_table text, the_column text) returns void language plpgsql as $$
begin
    raise exception 'insert or update on table "%" violates foreign key constraint "fk_%_%"', the_table, the_table, the_column
        using errcode = 'foreign_key_violation', table = the_table, constraint = format('fk_%s_%s', the_table, the_column);
end $$;

-- Who stands above a buyer is asked first and written last; a merge in between has moved all it saw, and never sees
-- what is written behind it: the commission would lie with somebody whom nobody is any more. HT410 makes the batch be
-- done again, event by event, with people as they are then; it is no serialisation failure, so that whatever stays
-- wrong puts off one event and not all of them.
create or replace function refuse_merged_person(the_person bigint) returns void language plpgsql as $$
begin
    raise exception 'person % was merged into another', the_person using errcode = 'HT410';
end $$;

-- A foreign key locks the person of each row, one by one: a sixth of a close. Nobody is ever taken out of ``person`` or
-- renamed there, so a look at all rows of a statement at once refuses the same. Thousands who stand close together are
-- read as one stretch of the key instead of one by one.
create or replace function person_known() returns trigger language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    many bigint;
    lowest bigint;
    highest bigint;
    unknown boolean;
begin
    select count(*), min(person_id), max(person_id) into many, lowest, highest from fresh;
    if many >= 1000 and highest - lowest < 8 * many then
        unknown := exists (select person_id from fresh
                           except select id from person where id between lowest and highest);
    else
        unknown := exists (select from fresh f where not exists (
            select from person p where p.id = f.person_id offset 0));
    end if;
    if unknown then
        raise exception '% on table "%" violates foreign key constraint "fk_%_person_id"', lower(tg_op), tg_table_name,
            tg_table_name using errcode = 'foreign_key_violation', table = tg_table_name,
            constraint = 'fk_' || tg_table_name || '_person_id';
    end if;
    return null;
end $$;

-- The key has held, or waited for, each person before a statement's own triggers run; this one sees who was merged.
create or replace function person_living() returns trigger language plpgsql as $$
declare
    gone bigint;
begin
    select min(p.id) into gone from fresh f join person p on p.id = f.person_id where p.merged_into is not null;
    if gone is not null then
        perform refuse_merged_person(gone);
    end if;
    return null;
end $$;

-- Likewise where the columns have other names.
create or replace function people_living() returns trigger language plpgsql as $$
declare
    gone bigint;
begin
    select min(p.id) into gone
      from fresh f cross join lateral unnest(tg_argv) as c (name)
      join person p on p.id = (to_jsonb(f) ->> c.name)::bigint where p.merged_into is not null;
    if gone is not null then
        perform refuse_merged_person(gone);
    end if;
    return null;
end $$;

-- Whoever an order is moved to is there (see refuse_unknown_person).
create or replace function order_person_moves() returns trigger language plpgsql as $$
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

-- Whoever a commission line is moved to is there (see refuse_unknown_person).
create or replace function commission_person_moves() returns trigger language plpgsql as $$
begin
    perform 1 from person p where p.id = new.beneficiary_id for key share;
    if not found then
        perform refuse_unknown_person('commission_line', 'beneficiary_id');
    end if;
    return null;
end $$;

-- What is somebody's becomes another's by a merge alone. A merge says so last: it is asked when it is committed.
create or replace function moves_by_merge() returns trigger language plpgsql as $$
declare
    the_column text;
    before bigint;
begin
    foreach the_column in array tg_argv loop
        before := (to_jsonb(old) ->> the_column)::bigint;
        if before is distinct from (to_jsonb(new) ->> the_column)::bigint
           and not exists (select from person where id = before and merged_into is not null) then
            raise exception '% of % is somebody else''s', the_column, tg_table_name using errcode = 'HT403';
        end if;
    end loop;
    return null;
end $$;
