-- WeCom: which employee has which customer, the codes by which customers come, and the tags they carry there.

create table staff_member (
    corp_id text not null,
    userid text not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    constraint pk_staff_member primary key (corp_id, userid),
    constraint ck_staff_member_userid check (userid = lower(userid) and userid <> '')
);

-- A 「联系我」 code. Who comes by it arrives with ``token`` as state; the platform takes 30 characters.
create table contact_way (
    id bigint generated always as identity,
    token text not null,
    corp_id text not null,
    userid text not null,
    sharer_id bigint,
    sku text not null default '',
    config_id text not null default '',
    url text not null default '',
    made_at timestamptz not null,
    constraint pk_contact_way primary key (id),
    constraint fk_contact_way_sharer_id foreign key (sharer_id) references person (id),
    constraint uq_contact_way_token unique (token),
    constraint ck_contact_way_token check (length(token) between 8 and 30)
);
create index ix_contact_way_sharer_id on contact_way (sharer_id);

-- One employee and one customer. ``added_at`` and ``ended_at`` are the platform's dates, so that events that come in any
-- order lead to the same end; ``since`` is ours. ``stint`` counts how often they became friends anew; ``arrival``: what was
-- made of the present one, null while nobody has looked.
create table contact (
    id bigint generated always as identity,
    corp_id text not null,
    userid text not null,
    external_userid text not null,
    person_id bigint not null,
    account text not null,
    way_id bigint,
    state text not null default '',
    stint bigint not null default 1,
    half boolean not null default false,
    since timestamptz not null,
    added_at timestamptz,
    ended_at timestamptz,
    ended_by text not null default '',
    transfer_fault text not null default '',
    arrival jsonb,
    welcome text not null default '',
    welcomed_at timestamptz,
    constraint pk_contact primary key (id),
    constraint fk_contact_person_id foreign key (person_id) references person (id),
    constraint fk_contact_way_id foreign key (way_id) references contact_way (id),
    constraint uq_contact_corp_id_userid_external_userid unique (corp_id, userid, external_userid),
    constraint ck_contact_ended check ((ended_at is null) = (ended_by = '')),
    constraint ck_contact_ended_by check (ended_by in ('', 'staff', 'customer', 'transfer')),
    constraint ck_contact_stint check (stint >= 1)
);
create index ix_contact_person_id on contact (person_id);
create index ix_contact_corp_id_external_userid on contact (corp_id, external_userid);
create index ix_contact_way_id on contact (way_id);

-- A tag that a customer should carry at an employee, or (``wanted`` false) should not. ``value``: the sharer's person, the
-- category, or the key of one of our tags; ``name`` as it stands in WeCom, '' before it was written.
create table contact_tag (
    contact_id bigint not null,
    kind text not null,
    value text not null,
    name text not null default '',
    wanted boolean not null,
    state text not null default 'waiting',
    turn bigint not null default 1,
    reason text not null default '',
    changed_at timestamptz not null,
    constraint pk_contact_tag primary key (contact_id, kind, value),
    constraint fk_contact_tag_contact_id foreign key (contact_id) references contact (id),
    constraint ck_contact_tag_kind check (kind in ('sharer', 'interest', 'insight')),
    constraint ck_contact_tag_state check (state in ('waiting', 'done', 'refused')),
    constraint ck_contact_tag_reason check ((state = 'refused') = (reason <> ''))
);

-- Corp tags that we have met or made: asking for all of them each time would be a call that grows with the corp.
create table corp_tag (
    corp_id text not null,
    group_name text not null,
    name text not null,
    tag_id text not null,
    known_at timestamptz not null,
    constraint pk_corp_tag primary key (corp_id, group_name, name)
);
