-- Journeys: editions that never change, people inside, every step they took, and the events they heard.

create table journey (
    id bigint generated always as identity constraint pk_journey primary key,
    key text not null constraint uq_journey_key unique,
    state text not null default 'draft',
    version bigint,
    listens text[] not null default '{}',
    changed_at timestamptz not null,
    changed_by text not null,
    constraint ck_journey_state check (state in ('draft', 'live', 'paused', 'draining', 'archived')),
    constraint ck_journey_version check (state = 'draft' or version is not null)
);

create table journey_version (
    journey_id bigint not null constraint fk_journey_version_journey_id references journey (id),
    n bigint not null,
    doc jsonb not null,
    checksum text not null,
    published_at timestamptz not null,
    published_by text not null,
    constraint pk_journey_version primary key (journey_id, n),
    constraint uq_journey_version_journey_id_checksum unique (journey_id, checksum),
    constraint ck_journey_version_n check (n > 0)
);
alter table journey add constraint fk_journey_version foreign key (id, version)
    references journey_version (journey_id, n) deferrable initially deferred;

create table journey_move (
    journey_id bigint not null,
    from_version bigint not null,
    step text not null,
    to_version bigint not null,
    to_step text not null,
    constraint pk_journey_move primary key (journey_id, from_version, step),
    constraint fk_journey_move_journey_id foreign key (journey_id, from_version)
        references journey_version (journey_id, n),
    constraint fk_journey_move_journey_id_to foreign key (journey_id, to_version)
        references journey_version (journey_id, n),
    constraint ck_journey_move_versions check (from_version <> to_version)
);

-- Fixed-width columns first: a million rows without padding between them.
create table enrolment (
    id bigint generated always as identity constraint pk_enrolment primary key,
    journey_id bigint not null,
    version bigint not null,
    person_id bigint not null constraint fk_enrolment_person_id references person (id),
    run_no bigint not null,
    visit_no bigint not null default 0,
    attempts bigint not null default 0,
    depth bigint not null default 0,
    entered_at timestamptz not null,
    anchor_at timestamptz not null,
    since_at timestamptz not null,
    planned_at timestamptz not null,
    due_at timestamptz not null,
    goal_until timestamptz,
    converted_at timestamptz,
    ended_at timestamptz,
    begun boolean not null default false,
    holdout boolean not null default false,
    state text not null,
    step text not null,
    run_key text not null,
    event_key text not null,
    end_reason text not null default '',
    fault text not null default '',
    ctx jsonb not null default '{}',
    constraint uq_enrolment_run unique (person_id, journey_id, run_key, run_no),
    constraint fk_enrolment_version foreign key (journey_id, version) references journey_version (journey_id, n),
    constraint ck_enrolment_state check (state in ('open', 'held', 'parked', 'ended')),
    constraint ck_enrolment_ended check ((state = 'ended') = (ended_at is not null)
        and (state = 'ended') = (end_reason <> '')),
    constraint ck_enrolment_parked check (state <> 'parked' or fault <> ''),
    constraint ck_enrolment_ctx check (octet_length(ctx::text) <= 4096)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
create unique index uq_enrolment_inside on enrolment (person_id, journey_id, run_key)
    where state in ('open', 'held', 'parked');
create index ix_enrolment_due on enrolment (journey_id, due_at) where state in ('open', 'held');

create table step_visit (
    enrolment_id bigint not null,
    no bigint not null,
    step text not null,
    outcome text not null,
    reason text not null,
    arm text not null,
    planned_at timestamptz not null,
    at timestamptz not null,
    constraint pk_step_visit primary key (enrolment_id, no)
);

create table journey_event (
    id bigint generated always as identity constraint pk_journey_event primary key,
    kind text not null,
    key text not null constraint uq_journey_event_key unique,
    person_id bigint not null constraint fk_journey_event_person_id references person (id),
    at timestamptz not null,
    heard_at timestamptz not null,
    due_at timestamptz not null,
    depth bigint not null default 0,
    attempts bigint not null default 0,
    state text not null default 'new',
    fault text not null default '',
    data jsonb not null,
    constraint ck_journey_event_state check (state in ('new', 'done', 'dead')),
    constraint ck_journey_event_fault check (state <> 'dead' or fault <> '')
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
create index ix_journey_event_new on journey_event (due_at, id) where state = 'new';
create index ix_journey_event_person on journey_event (person_id) where state = 'new';
create index ix_journey_event_done on journey_event (heard_at) where state = 'done';

-- Editions and visits are only ever added. Merging two people into one touches neither.
create trigger journey_version_append_only before update or delete or truncate on journey_version
    for each statement execute function refuse_change();
create trigger step_visit_append_only before update or delete or truncate on step_visit
    for each statement execute function refuse_change();
create trigger enrolment_kept before delete or truncate on enrolment
    for each statement execute function refuse_change();
create trigger enrolment_fixed before update of run_key, journey_id, entered_at, holdout on enrolment
    for each statement execute function refuse_change();

-- Keep those events that some journey may care about; a key that was heard before changes nothing. [{kind, key, person_id,
-- at, depth, data}]. Whether anybody listens is asked here, in the transaction of the cause, so that no process can be wrong
-- about it because it looked a moment ago. Returns how many were kept.
create function journey_hear(events jsonb, now timestamptz) returns bigint language plpgsql
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

-- What booking stores, and what journeys hear of it, in one round trip.
create function money_apply_and_tell(doc jsonb) returns void language plpgsql as $$
begin
    perform money_apply(doc);
    if doc ? 'events' then
        perform journey_hear(doc -> 'events', (doc ->> 'at')::timestamptz);
    end if;
end $$;
