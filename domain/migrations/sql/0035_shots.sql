-- Customers' own pictures: sent, allowed by their author, looked at by the shop, shown around.

create table shot (
    id bigint generated always as identity constraint pk_shot primary key,
    person_id bigint not null constraint fk_shot_person_id references person (id),
    sku text not null default '',
    words text not null default '',
    account text not null,
    media_id text not null default '',
    state text not null default 'draft',
    consent text not null default '',
    picture bytea,
    digest bytea,
    width bigint not null default 0,
    height bigint not null default 0,
    sent_at timestamptz not null,
    reviewed_at timestamptz,
    reviewed_by text not null default '',
    thanked_at timestamptz,
    ended_at timestamptz,
    why text not null default '',
    constraint ck_shot_state check (state in ('draft', 'waiting', 'approved', 'declined', 'withdrawn', 'retired')),
    constraint ck_shot_consent check (consent in ('', 'named', 'anonymous')),
    constraint ck_shot_allowed check ((state in ('waiting', 'approved')) = (consent <> '')),
    -- A picture is here only while it may be of use; one that is shown around is whole, and about something.
    constraint ck_shot_kept check (picture is null or state in ('draft', 'waiting', 'approved')),
    constraint ck_shot_shown check (state <> 'approved' or picture is not null and sku <> ''),
    constraint ck_shot_picture check (octet_length(picture) between 1 and 1048576
        and (picture is null) = (digest is null) and (picture is null) = (width = 0)
        and (picture is null) = (height = 0) and (digest is null or octet_length(digest) = 32)),
    constraint ck_shot_words check (char_length(words) <= 300),
    constraint ck_shot_ended check ((state in ('declined', 'withdrawn', 'retired')) = (ended_at is not null)
        and (ended_at is null) = (why = '')),
    constraint ck_shot_reviewed check ((reviewed_at is null) = (reviewed_by = '')
        and (state not in ('approved', 'declined', 'retired') or reviewed_at is not null)),
    constraint ck_shot_thanked check (thanked_at is null or reviewed_at is not null)
);
-- Lists and counts never read the pictures; they are stored apart, as they are: a JPEG does not shrink.
alter table shot alter column picture set storage external;
create index ix_shot_person_id_id on shot (person_id, id);
create index ix_shot_state_id on shot (state, id);
create index ix_shot_shown on shot (sku) where state = 'approved';

-- What is over stays over, and nothing is shown around that was not allowed and looked at.
create function shot_moves() returns trigger language plpgsql as $$
begin
    if (old.state, new.state) not in (('draft', 'waiting'), ('draft', 'withdrawn'), ('waiting', 'approved'),
        ('waiting', 'declined'), ('waiting', 'withdrawn'), ('approved', 'withdrawn'), ('approved', 'retired')) then
        raise exception 'shot % is %, not %', old.id, old.state, new.state using errcode = 'HT403';
    end if;
    return new;
end $$;
create trigger shot_moves before update of state on shot for each row
    when (old.state is distinct from new.state) execute function shot_moves();

create function shot_thanked_once() returns trigger language plpgsql as $$
begin
    raise exception 'the author of shot % was thanked at %', old.id, old.thanked_at using errcode = 'HT403';
end $$;
create trigger shot_thanked_once before update of thanked_at on shot for each row
    when (old.thanked_at is not null and new.thanked_at is distinct from old.thanked_at)
    execute function shot_thanked_once();

-- Every word on what may be done with a picture, and the very words it was asked in. Never changed.
create table shot_word (
    id bigint generated always as identity constraint pk_shot_word primary key,
    shot_id bigint not null constraint fk_shot_word_shot_id references shot (id),
    person_id bigint not null constraint fk_shot_word_person_id references person (id),
    word text not null,
    wording text not null,
    at timestamptz not null,
    constraint ck_shot_word_word check (word in ('named', 'anonymous', 'no', 'revoked')),
    constraint ck_shot_word_wording check (wording <> '')
);
create index ix_shot_word_shot_id_id on shot_word (shot_id, id);
create trigger shot_word_kept before delete or truncate on shot_word for each statement execute function refuse_change();
create trigger shot_word_fixed before update of shot_id, word, wording, at on shot_word
    for each statement execute function refuse_change();

-- Who was given which picture to share.
create table shot_given (
    shot_id bigint not null constraint fk_shot_given_shot_id references shot (id),
    person_id bigint not null constraint fk_shot_given_person_id references person (id),
    times bigint not null default 1,
    first_at timestamptz not null,
    constraint pk_shot_given primary key (shot_id, person_id),
    constraint ck_shot_given_times check (times > 0)
);
create index ix_shot_given_person_id on shot_given (person_id);

-- The code on a poster with a picture: what comes by it is the picture's doing.
alter table scene add column shot_id bigint constraint fk_scene_shot_id references shot (id);
create index ix_scene_shot_id on scene (shot_id) where shot_id is not null;
