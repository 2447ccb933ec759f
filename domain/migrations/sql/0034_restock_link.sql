-- Where a product is bought and shown; videos for share kits; topics, and what customers say to them.

alter table product add column url text not null default '';
alter table product add column video_url text not null default '';
alter table product add constraint ck_product_addresses check (char_length(url) <= 500 and char_length(video_url) <= 500);

-- An operator's word about a video, for one product or ('') for all of the shop; it comes before the product's own.
create table share_video (
    sku text not null,
    url text not null,
    set_at timestamptz not null,
    set_by text not null,
    constraint pk_share_video primary key (sku),
    constraint ck_share_video_url check (url ~ '^https?://' and char_length(url) <= 500)
);

-- ---- Topics -----------------------------------------------------------------------------------------------------------

create table topic (
    id bigint generated always as identity constraint pk_topic primary key,
    title text not null,
    intro text not null default '',
    points bigint not null,
    opened_at timestamptz not null,
    opened_by text not null,
    ends_at timestamptz,
    closed_at timestamptz,
    closed_by text not null default '',
    constraint ck_topic_title check (char_length(title) between 2 and 60),
    constraint ck_topic_intro check (char_length(intro) <= 200),
    constraint ck_topic_points check (points between 0 and 500),
    constraint ck_topic_ends check (ends_at is null or ends_at > opened_at),
    constraint ck_topic_closed check ((closed_at is null) = (closed_by = ''))
);
create unique index ix_topic_open on topic ((true)) where closed_at is null;

create table topic_word (
    id bigint generated always as identity constraint pk_topic_word primary key,
    topic_id bigint not null constraint fk_topic_word_topic_id references topic (id),
    person_id bigint not null constraint fk_topic_word_person_id references person (id),
    words text not null,
    said_at timestamptz not null,
    changes bigint not null default 0,
    state text not null default 'new',
    judged_at timestamptz,
    judged_by text not null default '',
    thanked_at timestamptz,
    points bigint not null default 0,
    constraint uq_topic_word_topic_id_person_id unique (topic_id, person_id),
    constraint ck_topic_word_words check (char_length(words) between 1 and 500),
    constraint ck_topic_word_changes check (changes >= 0),
    constraint ck_topic_word_state check (state in ('new', 'picked', 'passed')),
    constraint ck_topic_word_judged check ((state = 'new') = (judged_at is null) and (judged_at is null) = (judged_by = '')),
    constraint ck_topic_word_points check (points >= 0 and (points = 0 or thanked_at is not null))
);
create index ix_topic_word_topic_id_state_judged_at on topic_word (topic_id, state, judged_at);
create index ix_topic_word_person_id on topic_word (person_id);

-- A word is rewarded once, however often it is replaced, passed over and picked again.
create function topic_word_thanked_once() returns trigger language plpgsql as $$
begin
    raise exception 'word % was thanked for at %', old.id, old.thanked_at using errcode = 'HT403';
end $$;
create trigger topic_word_thanked_once before update of thanked_at, points on topic_word for each row
    when (old.thanked_at is not null
          and (new.thanked_at is distinct from old.thanked_at or new.points is distinct from old.points))
    execute function topic_word_thanked_once();
