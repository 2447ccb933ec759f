-- Drafts of commission plans and what became of them; and what a published version goes back to.

alter table commission_plan
    add column published_at timestamptz not null default 'epoch',
    add column approval_id bigint constraint uq_commission_plan_approval_id unique
        constraint fk_commission_plan_approval_id references approval (id),
    add column reverts bigint constraint fk_commission_plan_reverts references commission_plan (version),
    -- A deal is frozen by the plan of the moment of payment: no plan may begin in the past.
    add constraint ck_commission_plan_future check (live_from >= published_at),
    add constraint ck_commission_plan_reverts check (reverts < version);

-- What was published is what two people agreed to.
create function plan_agreed() returns trigger language plpgsql as $$
begin
    if new.approval_id is not null and not exists (
        select from approval a
         where a.id = new.approval_id and a.act in ('plan.publish', 'plan.rollback') and a.state = 'approved'
           and a.payload ->> 'digest' = new.digest
    ) then
        raise exception 'nobody agreed to this plan' using errcode = 'HT403';
    end if;
    return new;
end $$;
create trigger commission_plan_agreed before insert on commission_plan
    for each row execute function plan_agreed();

create table plan_draft (
    id bigint generated always as identity constraint pk_plan_draft primary key,
    name text not null,
    document jsonb not null,
    effective_on date,
    note text not null default '',
    based_on bigint constraint fk_plan_draft_based_on references commission_plan (version),
    revision bigint not null default 1,
    state text not null default 'draft',
    author text not null constraint fk_plan_draft_author references operator (name),
    approval_id bigint constraint uq_plan_draft_approval_id unique
        constraint fk_plan_draft_approval_id references approval (id),
    version bigint constraint uq_plan_draft_version unique
        constraint fk_plan_draft_version references commission_plan (version),
    created_at timestamptz not null,
    changed_at timestamptz not null,
    constraint ck_plan_draft_state check (state in ('draft', 'submitted', 'published', 'withdrawn')),
    constraint ck_plan_draft_submitted check ((state in ('submitted', 'published')) <= (approval_id is not null)),
    constraint ck_plan_draft_published check ((state = 'published') = (version is not null)),
    constraint ck_plan_draft_document check (jsonb_typeof(document) = 'object'),
    constraint ck_plan_draft_revision check (revision > 0)
);
create index ix_plan_draft_state on plan_draft (state, id);
create trigger plan_draft_kept before delete or truncate on plan_draft
    for each statement execute function refuse_change();

-- What somebody decides on does not change under their eyes, and what ended stays ended.
create function plan_draft_steps() returns trigger language plpgsql as $$
begin
    if old.state <> new.state and (old.state, new.state) not in (
        ('draft', 'submitted'), ('draft', 'withdrawn'), ('submitted', 'draft'), ('submitted', 'published'),
        ('submitted', 'withdrawn')
    ) then
        raise exception 'a % plan draft cannot become %', old.state, new.state using errcode = 'HT409';
    end if;
    if (old.state <> 'draft' and (old.name, old.document, old.effective_on, old.note, old.based_on)
            is distinct from (new.name, new.document, new.effective_on, new.note, new.based_on))
       or (old.id, old.author, old.created_at) is distinct from (new.id, new.author, new.created_at) then
        raise exception 'a % plan draft is not edited', old.state using errcode = 'HT409';
    end if;
    if new.state = 'published' and not exists (
        select from commission_plan p where p.version = new.version and p.approval_id = new.approval_id
    ) then
        raise exception 'version % is not what this draft was agreed to be', new.version using errcode = 'HT409';
    end if;
    return new;
end $$;
create trigger plan_draft_steps before update on plan_draft
    for each row execute function plan_draft_steps();
