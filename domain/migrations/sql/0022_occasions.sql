-- Occasions that were told to journeys: each once for its person and key.

create table occasion (
    kind text not null,
    person_id bigint not null,
    key text not null,
    at timestamptz not null,
    constraint pk_occasion primary key (person_id, kind, key),
    constraint fk_occasion_person_id foreign key (person_id) references person (id),
    constraint ck_occasion_names check (kind <> '' and key <> '')
);
create index ix_occasion_kind_key on occasion (kind, key);
