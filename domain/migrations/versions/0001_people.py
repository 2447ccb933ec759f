"""People, their identities, and who referred whom."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CODES = """
create function short_code(length int) returns text language sql volatile as $$
    -- The alphabet of domain.shared.ids. 60 random bits of a v4 uuid: plenty for up to 9 characters.
    with noise as materialized (
        select ('x' || lpad(substr(replace(gen_random_uuid()::text, '-', ''), 18, 15), 16, '0'))::bit(64)::bigint as bits
    )
    select string_agg(
        substr('23456789abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ',
               (bits / (56::numeric ^ place)::bigint % 56)::int + 1, 1), '')
    from noise, generate_series(0, length - 1) as place
$$;
"""

PEOPLE = """
create table person (
    id bigint generated always as identity constraint pk_person primary key,
    referral_code text not null default short_code(8) constraint uq_person_referral_code unique,
    nickname text not null default '',
    avatar_url text not null default '',
    birthday date,
    phone_verified_at timestamptz,
    joined_at timestamptz not null,
    merged_into bigint constraint fk_person_merged_into references person (id),
    constraint ck_person_not_merged_into_itself check (merged_into <> id)
);
create index ix_person_merged_into on person (merged_into) where merged_into is not null;
create table identity (
    id bigint generated always as identity constraint pk_identity primary key,
    person_id bigint not null constraint fk_identity_person_id references person (id),
    kind text not null,
    scope text not null default '',
    value text not null,
    seen_at timestamptz not null,
    followed_at timestamptz,
    unfollowed_at timestamptz,
    constraint uq_identity_kind_scope_value unique (kind, scope, value),
    constraint ck_identity_kind check (kind in ('openid', 'unionid', 'external_userid', 'phone', 'mall_user_id')),
    constraint ck_identity_value check (value <> '')
);
create index ix_identity_person_id on identity (person_id);
create table person_merge (
    id bigint generated always as identity constraint pk_person_merge primary key,
    kept_id bigint not null constraint fk_person_merge_kept_id references person (id),
    gone_id bigint not null constraint fk_person_merge_gone_id references person (id),
    reason text not null,
    detail jsonb not null default '{}',
    merged_at timestamptz not null,
    constraint uq_person_merge_gone_id unique (gone_id)
);
create index ix_person_merge_kept_id on person_merge (kept_id);
create table person_merge_conflict (
    id bigint generated always as identity constraint pk_person_merge_conflict primary key,
    one_id bigint not null constraint fk_person_merge_conflict_one_id references person (id),
    other_id bigint not null constraint fk_person_merge_conflict_other_id references person (id),
    conflict text not null,
    reason text not null,
    found_at timestamptz not null,
    settled_at timestamptz,
    settled_how text not null default '',
    constraint ck_person_merge_conflict_order check (one_id < other_id),
    constraint ck_person_merge_conflict_conflict check (conflict <> '')
);
create unique index uq_person_merge_conflict_open on person_merge_conflict (one_id, other_id, conflict)
    where settled_at is null;
"""

RESOLVE = """
-- Marks an identity as seen. Written once an hour only, so that the hot path reads and does not write.
-- wrote: the identity sent us a message, which the platform allows to followers only.
create function identity_touch(the_identity bigint, at timestamptz, wrote boolean) returns void language sql as $$
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
create function resolve_person(the_kind text, the_scope text, the_value text, at timestamptz, wrote boolean)
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
create function resolve_known(groups int[], kinds text[], scopes text[], vals text[])
returns table (place int, identity_id bigint, person_id bigint, seen_at timestamptz) language plpgsql as $$
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
"""

REFERRALS = """
create table touch (
    id bigint generated always as identity constraint pk_touch primary key,
    visitor_id bigint constraint fk_touch_visitor_id references person (id),
    sharer_id bigint not null constraint fk_touch_sharer_id references person (id),
    source text not null,
    scene text not null default '',
    at timestamptz not null,
    constraint uq_touch_visitor_id_sharer_id_at_source unique (visitor_id, sharer_id, at, source)
);
create index ix_touch_sharer_id_at on touch (sharer_id, at);
create table referral (
    id bigint generated always as identity constraint pk_referral primary key,
    referee_id bigint not null constraint fk_referral_referee_id references person (id),
    referrer_id bigint not null constraint fk_referral_referrer_id references person (id),
    source text not null,
    bound_at timestamptz not null,
    first_until timestamptz,
    valid_until timestamptz,
    protected_until timestamptz not null,
    ended_at timestamptz,
    end_reason text not null default '',
    constraint ck_referral_not_self check (referee_id <> referrer_id),
    constraint ck_referral_times check (ended_at >= bound_at and valid_until >= first_until),
    constraint ck_referral_ended check ((ended_at is null) = (end_reason = ''))
);
create unique index uq_referral_referee_id_active on referral (referee_id) where ended_at is null;
create index ix_referral_referee_id_bound_at on referral (referee_id, bound_at);
create index ix_referral_referrer_id_bound_at on referral (referrer_id, bound_at);
create index ix_referral_referrer_id_active on referral (referrer_id) where ended_at is null;
create table referral_renewal (
    referral_id bigint not null constraint fk_referral_renewal_referral_id references referral (id),
    at timestamptz not null,
    constraint pk_referral_renewal primary key (referral_id, at)
);
"""

NO_CYCLES = """
-- How two edges that would close a ring together are kept apart (docs/adr/0008):
--  * an edge referrer -> referee locks its referee exclusively and its referrer shared, in id order: whoever makes
--    the referee a referrer meanwhile waits, while any number of newcomers bind to one referrer side by side;
--  * a referee who already referred somebody could close a ring: the edge then takes the whole graph exclusively and
--    walks up; all others hold it shared.
-- A transaction that took the whole graph (referral_take_all: merges, batches) needs no vertex locks any more.
create function referral_vertex(person_id bigint) returns bigint language sql immutable as $$
    select (x'52454600'::bigint << 32) + person_id
$$;

create function referral_take_all() returns void language plpgsql as $$
begin
    if coalesce(current_setting('huitou.referral_all', true), '') <> '1' then
        perform pg_advisory_xact_lock(x'52454601'::bigint << 32);
        perform set_config('huitou.referral_all', '1', true);
    end if;
end $$;

create function referral_take_edges(referees bigint[], referrers bigint[]) returns void language plpgsql as $$
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

create function referral_refuse_cycle() returns trigger language plpgsql as $$
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

create trigger referral_no_cycle before insert or update of referee_id, referrer_id, ended_at on referral
    for each row when (new.ended_at is null) execute function referral_refuse_cycle();
"""


def upgrade() -> None:
    for part in (CODES, PEOPLE, RESOLVE, REFERRALS, NO_CYCLES):
        op.execute(part)


def downgrade() -> None:
    raise NotImplementedError("forward only")
