-- Messages that leave through the hands of an employee: tasks that wait for a tap, and whom they are for.

-- ``said`` is forgotten when the task is over. ``asking``: the platform was asked, and we do not know yet what it made.
create table staff_task (
    id bigint generated always as identity,
    account text not null,
    userid text not null,
    purpose text not null,
    said text not null,
    digest text not null,
    state text not null default 'gathering',
    msgid text not null default '',
    reason text not null default '',
    created_at timestamptz not null,
    expires_at timestamptz not null,
    asked_at timestamptz,
    reminded_at timestamptz,
    checked_at timestamptz,
    ended_at timestamptz,
    constraint pk_staff_task primary key (id),
    constraint ck_staff_task_purpose check (purpose in ('service', 'marketing')),
    constraint ck_staff_task_state check (state in ('gathering', 'asking', 'asked', 'sent', 'cancelled', 'dropped')),
    constraint ck_staff_task_asked check ((asked_at is null) = (state = 'gathering') or state in ('cancelled', 'dropped')),
    constraint ck_staff_task_msgid check (msgid <> '' or state not in ('asked', 'sent')),
    constraint ck_staff_task_ended check ((ended_at is null) = (state in ('gathering', 'asking', 'asked'))),
    constraint ck_staff_task_reason check (reason <> '' or state not in ('cancelled', 'dropped'))
);
create unique index ix_staff_task_gathering on staff_task (account, userid, purpose, digest) where state = 'gathering';
create unique index ix_staff_task_msgid on staff_task (account, msgid) where msgid <> '';
create index ix_staff_task_open on staff_task (account, userid) where state in ('gathering', 'asking', 'asked');

-- One message in one task: an effect of the outbox is here at most once at a time, so nobody gets it by two ways.
create table staff_task_person (
    effect_id bigint not null,
    task_id bigint not null,
    person_id bigint not null,
    external_userid text not null,
    state text not null default 'waits',
    reason text not null default '',
    joined_at timestamptz not null,
    ended_at timestamptz,
    constraint pk_staff_task_person primary key (effect_id),
    constraint fk_staff_task_person_task_id foreign key (task_id) references staff_task (id),
    constraint fk_staff_task_person_person_id foreign key (person_id) references person (id),
    constraint uq_staff_task_person_task_id_external_userid unique (task_id, external_userid),
    constraint ck_staff_task_person_state check (state in ('waits', 'sent', 'refused')),
    constraint ck_staff_task_person_ended check ((ended_at is null) = (state = 'waits')),
    constraint ck_staff_task_person_reason check ((reason = '') = (state <> 'refused'))
);
create index ix_staff_task_person_person_id_joined_at on staff_task_person (person_id, joined_at);
