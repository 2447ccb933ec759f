-- Experiments: immutable documents, periods of weights, and who was shown what first. An arm once written stays.

create table experiment (
    key text not null,
    document jsonb not null,
    digest text not null,
    state text not null default 'draft',
    winner text not null default '',
    reason text not null default '',
    created_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,
    constraint pk_experiment primary key (key),
    constraint ck_experiment_state check (state in ('draft', 'running', 'stopped', 'adopted')),
    constraint ck_experiment_started check ((state = 'draft') = (started_at is null)),
    constraint ck_experiment_ended check ((state in ('stopped', 'adopted')) = (ended_at is not null)),
    constraint ck_experiment_winner check ((state = 'adopted') = (winner <> ''))
);

create table experiment_period (
    experiment text not null,
    n bigint not null,
    weights jsonb not null,
    from_at timestamptz not null,
    constraint pk_experiment_period primary key (experiment, n),
    constraint fk_experiment_period_experiment foreign key (experiment) references experiment (key)
);

create table exposure (
    experiment text not null,
    person_id bigint not null,
    arm text not null,
    period bigint not null,
    uniform boolean not null default false,
    exposed_at timestamptz not null,
    constraint pk_exposure primary key (experiment, person_id),
    constraint fk_exposure_experiment_period foreign key (experiment, period) references experiment_period (experiment, n),
    constraint fk_exposure_person_id foreign key (person_id) references person (id)
);
create index ix_exposure_person_id on exposure (person_id);

create function experiment_fixed() returns trigger language plpgsql as $$
begin
    if old.document is distinct from new.document or old.key <> new.key then
        raise exception 'an experiment''s document never changes' using errcode = 'HT403';
    end if;
    if old.state in ('stopped', 'adopted') and new.state in ('draft', 'running') then
        raise exception 'an experiment that ended does not start again' using errcode = 'HT403';
    end if;
    return new;
end $$;
create trigger experiment_fixed before update on experiment for each row execute function experiment_fixed();

create trigger experiment_period_append_only before update or delete or truncate on experiment_period
    for each statement execute function refuse_change();
create trigger exposure_arm_fixed before update of experiment, arm, period, exposed_at, uniform on exposure
    for each statement execute function refuse_change();
