-- Recurring work. The row is the due time and the lease; who claims it does the work.
create table chore (
    name text not null,
    due_at timestamptz not null,
    lease_until timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    fault text default '' not null,
    constraint pk_chore primary key (name)
);
