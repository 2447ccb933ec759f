-- Operators, approvals of two people, and the sealed log of what they did.

create table operator (
    id bigint generated always as identity constraint pk_operator primary key,
    name text not null constraint uq_operator_name unique,
    role text not null,
    key_hash text not null default '',
    added_at timestamptz not null,
    disabled_at timestamptz,
    constraint ck_operator_name check (name ~ '^[^[:space:][:cntrl:]]{1,40}$'),
    constraint ck_operator_role check (role in ('owner', 'finance', 'reviewer', 'operator')),
    constraint ck_operator_key_hash check (key_hash ~ '^([0-9a-f]{64})?$')
);
create trigger operator_kept before delete or truncate on operator
    for each statement execute function refuse_change();
-- A name and a role mean for ever what they meant when something was done under them.
create trigger operator_fixed before update of id, name, role, added_at on operator
    for each statement execute function refuse_change();

create table audit_event (
    id bigint generated always as identity constraint pk_audit_event primary key,
    at timestamptz not null,
    written_at timestamptz not null default clock_timestamp(),
    operator text not null,
    role text not null,
    act text not null,
    subject text not null,
    detail jsonb not null default '{}',
    constraint ck_audit_event_named check (operator <> '' and role <> '' and act <> ''),
    constraint ck_audit_event_detail check (jsonb_typeof(detail) = 'object')
);
create index ix_audit_event_subject_id on audit_event (subject, id);
create trigger audit_event_append_only before update or delete or truncate on audit_event
    for each statement execute function refuse_change();

-- One seal a row: digest = SHA-256(previous digest, row), mac = HMAC-SHA-256(key outside of the database, digest).
create table audit_seal (
    event_id bigint constraint pk_audit_seal primary key,
    digest bytea not null constraint uq_audit_seal_digest unique,
    mac bytea not null,
    sealed_at timestamptz not null,
    constraint ck_audit_seal_length check (octet_length(digest) = 32 and octet_length(mac) = 32)
);
create trigger audit_seal_append_only before update or delete or truncate on audit_seal
    for each statement execute function refuse_change();

-- What is sealed of a row: every column, in one spelling.
create function audit_canonical(e audit_event) returns text language sql stable as $$
    select jsonb_build_array(e.id, to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
        to_char(e.written_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), e.operator, e.role, e.act, e.subject,
        e.detail)::text
$$;

create table approval (
    id bigint generated always as identity constraint pk_approval primary key,
    act text not null,
    subject text not null,
    payload jsonb not null default '{}',
    reason text not null,
    asked_by text not null constraint fk_approval_asked_by references operator (name),
    asked_at timestamptz not null,
    expires_at timestamptz not null,
    state text not null default 'open',
    decided_by text constraint fk_approval_decided_by references operator (name),
    decided_at timestamptz,
    note text not null default '',
    constraint ck_approval_state check (state in ('open', 'approved', 'rejected', 'expired')),
    constraint ck_approval_two_people check (decided_by <> asked_by),
    constraint ck_approval_decided check (case when state in ('approved', 'rejected')
        then decided_by is not null and decided_at is not null and decided_at >= asked_at and decided_at < expires_at
        else decided_by is null and (decided_at is null) = (state = 'open') end),
    constraint ck_approval_life check (expires_at > asked_at and reason <> '' and act <> '' and subject <> '')
);
create unique index uq_approval_open on approval (act, subject) where state = 'open';
create index ix_approval_expires on approval (expires_at) where state = 'open';
create trigger approval_kept before delete or truncate on approval
    for each statement execute function refuse_change();
-- Who decides sees what was asked: it never changes, and what is decided stays decided.
create trigger approval_fixed before update of id, act, subject, payload, reason, asked_by, asked_at, expires_at
    on approval for each statement execute function refuse_change();
create trigger approval_closed before update on approval
    for each row when (old.state <> 'open') execute function refuse_change();

-- How far down the shop's plans may pay. Without a row: one level, no pay for a team. More than that needs an approval of
-- plan.levels that says exactly this: the owner asked after reading the law's warning, a second person agreed.
create table plan_limit (
    id bigint generated always as identity constraint pk_plan_limit primary key,
    max_levels bigint not null,
    team_pay boolean not null,
    since timestamptz not null,
    operator text not null,
    approval_id bigint constraint uq_plan_limit_approval_id unique
        constraint fk_plan_limit_approval_id references approval (id),
    constraint ck_plan_limit_levels check (max_levels between 1 and 3),
    constraint ck_plan_limit_agreed check ((max_levels = 1 and not team_pay) or approval_id is not null)
);
create trigger plan_limit_append_only before update or delete or truncate on plan_limit
    for each statement execute function refuse_change();

create function plan_limit_agreed() returns trigger language plpgsql as $$
begin
    if new.approval_id is not null and not exists (
        select from approval a
         where a.id = new.approval_id and a.act = 'plan.levels' and a.state = 'approved'
           and a.payload ->> 'max_levels' = new.max_levels::text and a.payload ->> 'team_pay' = new.team_pay::text
    ) then
        raise exception 'nobody agreed to these limits' using errcode = 'HT403';
    end if;
    return new;
end $$;
create trigger plan_limit_agreed before insert on plan_limit
    for each row execute function plan_limit_agreed();

create function plan_within_limit() returns trigger language plpgsql as $$
declare
    allowed plan_limit := (select l from plan_limit l order by l.id desc limit 1);
begin
    if coalesce((new.document ->> 'levels')::bigint, 1) > coalesce(allowed.max_levels, 1)
       or (coalesce(jsonb_typeof(new.document -> 'team'), 'null') <> 'null' and not coalesce(allowed.team_pay, false)) then
        raise exception 'the plan pays further down than the shop allows' using errcode = 'HT422';
    end if;
    return new;
end $$;
create trigger commission_plan_within_limit before insert on commission_plan
    for each row execute function plan_within_limit();

-- The standing check of the books. 'recent' looks every few minutes at what moved, 'full' every night at everything.
-- Times are the database's own: the age of a check is judged by real time.
create table books_check (
    kind text constraint pk_books_check primary key,
    step bigint not null default 0,
    place bigint not null default 0,
    target bigint not null default 0,
    previous bigint not null default 0,
    since timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    constraint ck_books_check_kind check (kind in ('recent', 'full'))
);
insert into books_check (kind) values ('recent'), ('full');

-- What was found, until it is mended: kept, so that nobody can miss an alarm by looking away for a minute.
create table books_fault (
    id bigint generated always as identity constraint pk_books_fault primary key,
    invariant text not null,
    subject_id bigint not null,
    sentence text not null,
    found_at timestamptz not null default clock_timestamp(),
    seen_at timestamptz not null default clock_timestamp(),
    cleared_at timestamptz
);
create unique index uq_books_fault_open on books_fault (invariant, subject_id) where cleared_at is null;
create trigger books_fault_kept before delete or truncate on books_fault
    for each statement execute function refuse_change();

-- Other commission journals are found by their keys; these are rare and their keys name people, who may merge.
create index ix_journal_confiscated on journal (source_id) where kind = 'commission.confiscated';
-- Orders do without: they are written by the hundred a second.
create index ix_journal_source on journal (source_type, source_id) where source_type <> 'order';
