-- Coupons that take a part of the price; and what is given for coming back, row by row, so that it can be taken back.

alter table coupon
    add column pay_bps bigint not null default 10000,
    add column max_off_fen bigint not null default 0,
    drop constraint ck_coupon_money,
    add constraint ck_coupon_money check (off_fen >= 0 and min_spend_fen >= 0 and max_off_fen >= 0
        and pay_bps between 1 and 10000 and (off_fen > 0) <> (pay_bps < 10000));

-- What somebody's orders opened. ``buyer_id``: whose orders; ``person_id``: who has it (for an invite, who shared). A rung is
-- opened once a buyer; when a return closes it and a later order opens it again, its ``turn`` counts on. ``needed`` and
-- ``within_days`` are the terms as they were when it was opened: a new document changes nothing that somebody has.
create table reward (
    id bigint generated always as identity,
    ladder text not null,
    rung text not null,
    buyer_id bigint not null,
    person_id bigint not null,
    what text not null,
    amount bigint not null,
    detail text not null,
    title text not null,
    benefits text[] not null,
    needed bigint not null,
    within_days bigint,
    order_id bigint not null,
    since timestamptz not null,
    final_at timestamptz,
    state text not null,
    reason text not null default '',
    turn bigint not null default 0,
    changed_at timestamptz not null,
    constraint pk_reward primary key (id),
    constraint fk_reward_buyer_id foreign key (buyer_id) references person (id),
    constraint fk_reward_person_id foreign key (person_id) references person (id),
    constraint fk_reward_order_id foreign key (order_id) references customer_order (id),
    constraint uq_reward_ladder_rung_buyer_id unique (ladder, rung, buyer_id),
    constraint ck_reward_what check (what in ('red_packet', 'points', 'coupon', 'tier')),
    constraint ck_reward_amount check (amount >= 0 and (amount > 0) = (what in ('red_packet', 'points'))),
    constraint ck_reward_needed check (needed >= 2 and within_days > 0),
    constraint ck_reward_state check (state in ('provisional', 'final', 'revoked')),
    constraint ck_reward_reason check ((state = 'revoked') = (reason <> '')),
    constraint ck_reward_final check (state <> 'final' or final_at is not null),
    constraint ck_reward_turn check (turn >= 0)
);
create index ix_reward_person_id_id on reward (person_id, id);
create index ix_reward_buyer_id on reward (buyer_id);
create index ix_reward_due on reward (final_at) where state = 'provisional';
create trigger reward_kept before delete or truncate on reward for each statement execute function refuse_change();

-- Memberships in time. ``cause`` names what gave it: reward:<id>:<turn>.
create table membership (
    id bigint generated always as identity,
    person_id bigint not null,
    tier text not null,
    benefits text[] not null,
    cause text not null,
    since timestamptz not null,
    until timestamptz,
    constraint pk_membership primary key (id),
    constraint fk_membership_person_id foreign key (person_id) references person (id),
    constraint uq_membership_cause unique (cause),
    constraint ck_membership_times check (until >= since)
);
create index ix_membership_person_id on membership (person_id) where until is null;

-- Whose orders are to be counted again: marked in the transaction that changed them, a mark each time.
create table programme_stale (
    id bigint generated always as identity,
    person_id bigint not null,
    constraint pk_programme_stale primary key (id)
);

create function programme_of_orders() returns trigger language plpgsql as $$
begin
    insert into programme_stale (person_id) select distinct buyer_id from changed;
    return null;
end $$;
create trigger programme_of_new_orders after insert on customer_order
    referencing new table as changed for each statement execute function programme_of_orders();
create trigger programme_of_changed_orders after update on customer_order
    referencing new table as changed for each statement execute function programme_of_orders();

-- A phone that is verified opens what waited for it: for the friend, and for who had brought friends.
create function programme_of_phones() returns trigger language plpgsql as $$
begin
    insert into programme_stale (person_id)
    select new.id union select buyer_id from customer_order where seller_id = new.id;
    return null;
end $$;
create trigger programme_of_phones after update of phone_verified_at on person
    for each row when (old.phone_verified_at is distinct from new.phone_verified_at) execute function programme_of_phones();
