-- Promotion and demotion, certificates, invitations, badges.

-- The rules by version; immutable, live from ``live_from`` until the next version is. ``regular_orders``: from how many
-- orders on somebody's repurchases matter, so that the intake need not read the document; null when no role asks.
create table role_rulebook (
    version bigint constraint pk_role_rulebook primary key,
    document jsonb not null,
    digest text not null,
    regular_orders bigint,
    live_from timestamptz not null,
    actor text not null default '',
    constraint ck_role_rulebook_version check (version > 0),
    constraint ck_role_rulebook_regular check (regular_orders > 1)
);
create trigger role_rulebook_append_only before update or delete or truncate on role_rulebook
    for each statement execute function refuse_change();

-- A grant is a period: from granted_at until revoked_at. Provisional until confirmed_at. ``turn`` counts how often a
-- recount opened or closed it, so that each time is told once.
alter table role_grant
    add column confirmed_at timestamptz,
    add column evidence jsonb not null default '{}',
    add column turn bigint not null default 0;
update role_grant set confirmed_at = granted_at;
alter table role_grant
    add constraint ck_role_grant_period check (revoked_at >= granted_at),
    add constraint ck_role_grant_confirmed check (confirmed_at >= granted_at),
    add constraint ck_role_grant_evidence check (jsonb_typeof(evidence) = 'object');
create index ix_role_grant_provisional on role_grant (id) where revoked_at is null and confirmed_at is null;

-- What was decided about a role by the monthly assessment (``month``) or by an operator. ``afresh``: what was bought or
-- sold before does not count for this role any more.
create table role_decision (
    id bigint generated always as identity constraint pk_role_decision primary key,
    person_id bigint not null constraint fk_role_decision_person_id references person (id),
    role text not null,
    what text not null,
    at timestamptz not null,
    month date,
    reason text not null,
    actor text not null,
    afresh boolean not null default false,
    evidence jsonb not null default '{}',
    constraint ck_role_decision_role check (role in ('promoter', 'gold', 'partner')),
    constraint ck_role_decision_what check (what in ('promoted', 'warned', 'calmed', 'demoted', 'granted', 'revoked')),
    constraint ck_role_decision_why check (reason <> '' and actor <> ''),
    constraint ck_role_decision_month check (
        (month is not null) = (what in ('promoted', 'warned', 'calmed', 'demoted')) and date_trunc('month', month) = month)
);
create index ix_role_decision_person_id_role_id on role_decision (person_id, role, id);
create unique index uq_role_decision_month on role_decision (person_id, role, month, what) where month is not null;
create trigger role_decision_kept before delete or truncate on role_decision
    for each statement execute function refuse_change();
create trigger role_decision_fixed before update of role, what, at, month, reason, actor, afresh, evidence
    on role_decision for each statement execute function refuse_change();

-- Nobody is demoted by the assessment who was not warned at an earlier one.
create function role_demotion_needs_warning() returns trigger language plpgsql as $$
begin
    if not exists (select from role_decision d where d.person_id = new.person_id and d.role = new.role
                      and d.what = 'warned' and d.month < new.month and d.at < new.at) then
        raise exception 'person % was never warned about losing %', new.person_id, new.role using errcode = 'HT409';
    end if;
    return new;
end $$;
create trigger role_decision_warned before insert on role_decision
    for each row when (new.what = 'demoted') execute function role_demotion_needs_warning();

-- One assessment of one month: how far it has come, and what it did.
create table role_assessment (
    month date constraint pk_role_assessment primary key,
    after_id bigint not null default 0,
    judged bigint not null default 0,
    promoted bigint not null default 0,
    warned bigint not null default 0,
    demoted bigint not null default 0,
    started_at timestamptz not null,
    ended_at timestamptz,
    constraint ck_role_assessment_month check (date_trunc('month', month) = month),
    constraint ck_role_assessment_counts check (least(after_id, judged, promoted, warned, demoted) >= 0)
);

-- Once a person, ever: a no is remembered by its row.
create table invitation (
    person_id bigint constraint pk_invitation primary key
        constraint fk_invitation_person_id references person (id),
    asked_at timestamptz not null,
    expires_at timestamptz not null,
    state text not null default 'open',
    answered_at timestamptz,
    words text not null default '',
    evidence jsonb not null default '{}',
    constraint ck_invitation_state check (state in ('open', 'accepted', 'declined')),
    constraint ck_invitation_times check (asked_at < expires_at),
    constraint ck_invitation_answered check ((state = 'open') = (answered_at is null) and (state = 'open') = (words = ''))
);

create table badge (
    id bigint generated always as identity constraint pk_badge primary key,
    person_id bigint not null constraint fk_badge_person_id references person (id),
    key text not null,
    period text not null,
    cause text not null,
    evidence jsonb not null default '{}',
    awarded_at timestamptz not null,
    worn_until timestamptz,
    constraint uq_badge_person_id_key_period unique (person_id, key, period),
    constraint ck_badge_named check (key <> '' and cause <> ''),
    constraint ck_badge_worn check (worn_until > awarded_at)
);

-- What stands on a certificate; its code opens the public check page. One valid one for each role or badge.
create table certificate (
    id bigint generated always as identity constraint pk_certificate primary key,
    code text not null constraint uq_certificate_code unique,
    number text not null constraint uq_certificate_number unique,
    person_id bigint not null constraint fk_certificate_person_id references person (id),
    kind text not null,
    subject text not null,
    period text not null default '',
    title text not null,
    issued_at timestamptz not null,
    revoked_at timestamptz,
    revoke_reason text not null default '',
    constraint ck_certificate_kind check (kind in ('role', 'badge')),
    constraint ck_certificate_code check (length(code) >= 16),
    constraint ck_certificate_named check (subject <> '' and title <> '' and number <> ''),
    constraint ck_certificate_revoked check ((revoked_at is null) = (revoke_reason = '') and revoked_at >= issued_at)
);
create unique index uq_certificate_valid on certificate (person_id, kind, subject, period) where revoked_at is null;
create trigger certificate_kept before delete or truncate on certificate
    for each statement execute function refuse_change();

-- Which of some buyers come back so often that a role may hang on it. They are locked (in id order, until the end of the
-- transaction) before they are counted, so that of two orders booked at once the later one sees both.
create function role_regulars(ids bigint[]) returns setof bigint language plpgsql volatile
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    least_orders bigint;
begin
    select min(regular_orders) into least_orders from role_rulebook;
    if least_orders is null then
        return;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('role:' || b.id, 0))
       from (select distinct i as id from unnest(ids) as i order by 1) b;
    return query
        select o.buyer_id from customer_order o where o.buyer_id = any (ids)
         group by o.buyer_id having count(*) >= least_orders order by 1;
end $$;
