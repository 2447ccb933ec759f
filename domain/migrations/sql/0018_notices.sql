-- Manners: what each person wants, what rests, what is switched off, and which messages count against the caps.

create table notice_slot (
    effect_id bigint not null,
    person_id bigint not null,
    purpose text not null,
    digest text not null,
    taken_at timestamptz not null,
    constraint pk_notice_slot primary key (effect_id),
    constraint fk_notice_slot_person_id foreign key (person_id) references person (id)
);
create index ix_notice_slot_person_id_taken_at on notice_slot (person_id, taken_at);

create table notice_preference (
    person_id bigint not null,
    less boolean not null default false,
    zone text not null default 'Asia/Shanghai',
    quiet_from time,
    quiet_until time,
    changed_at timestamptz not null,
    constraint pk_notice_preference primary key (person_id),
    constraint fk_notice_preference_person_id foreign key (person_id) references person (id),
    constraint ck_notice_preference_hours check ((quiet_from is null) = (quiet_until is null))
);

create table notice_pause (
    person_id bigint not null,
    purpose text not null,
    until timestamptz not null,
    reason text not null,
    constraint pk_notice_pause primary key (person_id, purpose),
    constraint fk_notice_pause_person_id foreign key (person_id) references person (id)
);

create table notice_switch (
    purpose text not null,
    stopped_at timestamptz not null,
    stopped_by text not null,
    why text not null,
    constraint pk_notice_switch primary key (purpose),
    constraint ck_notice_switch_purpose check (purpose in ('money', 'service', 'marketing'))
);

-- Every word on consent that was ever given or taken back; table consent holds only the latest.
create table consent_word (
    id bigint generated always as identity,
    person_id bigint not null,
    purpose text not null,
    given boolean not null,
    source text not null,
    at timestamptz not null,
    constraint pk_consent_word primary key (id),
    constraint fk_consent_word_person_id foreign key (person_id) references person (id)
);
create index ix_consent_word_person_id_id on consent_word (person_id, id);
create trigger consent_word_kept before delete or truncate on consent_word
    for each statement execute function refuse_change();
create trigger consent_word_fixed before update of purpose, given, source, at on consent_word
    for each statement execute function refuse_change();
