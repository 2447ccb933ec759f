-- What is known of people as customers: their tags with the time since when, and their RFM segment. Whoever's orders or
-- referrals change is marked stale in the same transaction, by the database, so that nobody can forget to.

create table person_insight (
    person_id bigint not null,
    segment text not null default '',
    segment_since timestamptz not null,
    recency bigint not null,
    frequency bigint not null,
    money bigint not null,
    orders bigint not null,
    spent_fen bigint not null,
    last_paid_at timestamptz,
    computed_at timestamptz not null,
    look_again_at timestamptz,
    constraint pk_person_insight primary key (person_id),
    constraint fk_person_insight_person_id foreign key (person_id) references person (id),
    constraint ck_person_insight_scores check (recency between 1 and 5 and frequency between 1 and 5 and money between 1 and 5)
);
create index ix_person_insight_segment_person_id on person_insight (segment, person_id);
create index ix_person_insight_look_again_at on person_insight (look_again_at) where look_again_at is not null;

create table person_tag (
    person_id bigint not null,
    tag text not null,
    source text not null,
    since timestamptz not null,
    constraint pk_person_tag primary key (person_id, tag),
    constraint fk_person_tag_person_id foreign key (person_id) references person (id),
    constraint ck_person_tag_source check (source in ('rule', 'journey', 'operator', 'arrival'))
);
create index ix_person_tag_tag_person_id on person_tag (tag, person_id);

create table tag_change (
    id bigint generated always as identity,
    person_id bigint not null,
    tag text not null,
    added boolean not null,
    source text not null,
    at timestamptz not null,
    constraint pk_tag_change primary key (id),
    constraint fk_tag_change_person_id foreign key (person_id) references person (id)
);
create index ix_tag_change_person_id_id on tag_change (person_id, id);

-- A mark each time, not one a person: with a unique key two hundred people who follow one sharer would wait for each other.
create table insight_stale (
    id bigint generated always as identity,
    person_id bigint not null,
    marked_at timestamptz not null default clock_timestamp(),
    constraint pk_insight_stale primary key (id)
);

create table insight_rebuild (
    id bigint generated always as identity,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    people bigint not null,
    milliseconds bigint not null,
    constraint pk_insight_rebuild primary key (id)
);

create function insight_mark(people bigint[]) returns void language sql as $$
    insert into insight_stale (person_id) select distinct p from unnest(people) as p where p is not null;
$$;

create function insight_of_orders() returns trigger language plpgsql as $$
begin
    perform insight_mark(array(
        select buyer_id from changed
        union
        select r.referrer_id from changed c join referral r on r.referee_id = c.buyer_id and r.ended_at is null));
    return null;
end $$;
create trigger insight_of_new_orders after insert on customer_order
    referencing new table as changed for each statement execute function insight_of_orders();
create trigger insight_of_changed_orders after update on customer_order
    referencing new table as changed for each statement execute function insight_of_orders();

create function insight_of_referrals() returns trigger language plpgsql as $$
begin
    perform insight_mark(array(select referrer_id from changed));
    return null;
end $$;
create trigger insight_of_new_referrals after insert on referral
    referencing new table as changed for each statement execute function insight_of_referrals();
create trigger insight_of_changed_referrals after update on referral
    referencing new table as changed for each statement execute function insight_of_referrals();
