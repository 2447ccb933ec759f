-- Paid membership, draws that can be checked, the points mall, and what an operator still has to hand over.

-- A card that was bought (a line of an order) or given. ``days``: as bought; ``kept_days``: what refunds have left of them.
-- Where the cards of a person lie in time is counted from all of them (domain/memberships/rules.py); none overlap.
create table member_card (
    id bigint generated always as identity,
    person_id bigint not null,
    cause text not null,
    order_id bigint,
    card text not null,
    tier text not null,
    title text not null,
    benefits text[] not null,
    days bigint not null,
    kept_days bigint not null,
    bought_at timestamptz not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    cut_at timestamptz,
    reason text not null default '',
    actor text not null default '',
    turn bigint not null default 0,
    constraint pk_member_card primary key (id),
    constraint fk_member_card_person_id foreign key (person_id) references person (id),
    constraint fk_member_card_order_id foreign key (order_id) references customer_order (id),
    constraint uq_member_card_cause unique (cause),
    constraint ck_member_card_days check (days > 0 and kept_days between 0 and days),
    constraint ck_member_card_times check (bought_at <= starts_at and starts_at <= ends_at),
    constraint ck_member_card_cut check (cut_at is null or reason <> ''),
    constraint ck_member_card_given check (order_id is not null or (actor <> '' and reason <> '')),
    constraint ck_member_card_turn check (turn >= 0),
    constraint ex_member_card_one_at_a_time exclude using gist (
        int8range(person_id, person_id, '[]') with &&, tstzrange(starts_at, ends_at) with &&
    ) where (ends_at > starts_at) deferrable initially deferred
);
create index ix_member_card_person_id on member_card (person_id, ends_at);
create trigger member_card_kept before delete or truncate on member_card
    for each statement execute function refuse_change();
create trigger member_card_fixed before update of cause, order_id, card, tier, title, benefits, days, bought_at
    on member_card for each statement execute function refuse_change();

-- What a draw promises, as it was published: never changed, only stopped.
create table draw_campaign (
    id bigint generated always as identity,
    key text not null,
    title text not null,
    document jsonb not null,
    digest text not null,
    opens_at timestamptz not null,
    closes_at timestamptz not null,
    points bigint not null,
    daily_free bigint not null,
    daily_most bigint not null,
    total_most bigint not null,
    published_at timestamptz not null,
    stopped_at timestamptz,
    stop_reason text not null default '',
    constraint pk_draw_campaign primary key (id),
    constraint uq_draw_campaign_key unique (key),
    constraint ck_draw_campaign_times check (opens_at < closes_at),
    constraint ck_draw_campaign_limits check (
        points >= 0 and daily_most > 0 and total_most >= daily_most and daily_free between 0 and daily_most),
    constraint ck_draw_campaign_stopped check ((stopped_at is null) = (stop_reason = ''))
);
create trigger draw_campaign_kept before delete or truncate on draw_campaign
    for each statement execute function refuse_change();
create trigger draw_campaign_fixed before update of key, title, document, digest, opens_at, closes_at, points, daily_free,
    daily_most, total_most, published_at on draw_campaign for each statement execute function refuse_change();

-- The law against unfair competition caps a prize at 50,000 yuan.
create table draw_prize (
    campaign_id bigint not null,
    n bigint not null,
    key text not null,
    title text not null,
    kind text not null,
    detail text not null default '',
    amount bigint not null default 0,
    worth_fen bigint not null,
    odds_bps bigint not null,
    stock bigint,
    given bigint not null default 0,
    constraint pk_draw_prize primary key (campaign_id, n),
    constraint fk_draw_prize_campaign_id foreign key (campaign_id) references draw_campaign (id),
    constraint uq_draw_prize_campaign_id_key unique (campaign_id, key),
    constraint ck_draw_prize_kind check (kind in ('coupon', 'points', 'red_packet', 'product')),
    constraint ck_draw_prize_worth check (worth_fen between 0 and 5000000 and amount >= 0),
    constraint ck_draw_prize_odds check (odds_bps between 1 and 10000),
    constraint ck_draw_prize_stock check (given >= 0 and stock > 0 and (stock is null or given <= stock))
);
create trigger draw_prize_kept before delete or truncate on draw_prize
    for each statement execute function refuse_change();
create trigger draw_prize_fixed before update of campaign_id, n, key, title, kind, detail, amount, worth_fen, odds_bps, stock
    on draw_prize for each statement execute function refuse_change();

-- A day's promise: the hash of its seed before the day, the seed after it. A seed that is not what was promised is refused.
create table draw_seed (
    campaign_id bigint not null,
    day date not null,
    commitment text not null,
    published_at timestamptz not null,
    seed text not null default '',
    revealed_at timestamptz,
    constraint pk_draw_seed primary key (campaign_id, day),
    constraint fk_draw_seed_campaign_id foreign key (campaign_id) references draw_campaign (id),
    constraint ck_draw_seed_revealed check ((revealed_at is null) = (seed = '')),
    constraint ck_draw_seed_kept check (seed = '' or encode(sha256(decode(seed, 'hex')), 'hex') = commitment)
);
create trigger draw_seed_kept before delete or truncate on draw_seed
    for each statement execute function refuse_change();
create trigger draw_seed_fixed before update of campaign_id, day, commitment, published_at on draw_seed
    for each statement execute function refuse_change();

-- Who takes part, under a code of their own: what is published names nobody.
create table draw_entrant (
    campaign_id bigint not null,
    person_id bigint not null,
    code text not null,
    drawn bigint not null default 0,
    constraint pk_draw_entrant primary key (campaign_id, person_id),
    constraint fk_draw_entrant_campaign_id foreign key (campaign_id) references draw_campaign (id),
    constraint fk_draw_entrant_person_id foreign key (person_id) references person (id),
    constraint uq_draw_entrant_code unique (code),
    constraint ck_draw_entrant_drawn check (drawn >= 0)
);

create table draw_ticket (
    id bigint generated always as identity,
    campaign_id bigint not null,
    person_id bigint not null,
    cause text not null,
    given_at timestamptz not null,
    used_at timestamptz,
    constraint pk_draw_ticket primary key (id),
    constraint fk_draw_ticket_campaign_id foreign key (campaign_id) references draw_campaign (id),
    constraint fk_draw_ticket_person_id foreign key (person_id) references person (id),
    constraint uq_draw_ticket_cause unique (cause),
    constraint ck_draw_ticket_used check (used_at >= given_at)
);
create index ix_draw_ticket_open on draw_ticket (person_id, campaign_id, id) where used_at is null;

-- One draw. ``prize_n`` null: nothing; sold_out: hit a prize of which nothing is left, and cost nothing.
create table draw (
    id bigint generated always as identity,
    campaign_id bigint not null,
    person_id bigint not null,
    code text not null,
    number bigint not null,
    day date not null,
    key text not null,
    paid_by text not null,
    points bigint not null,
    ticket_id bigint,
    roll bigint not null,
    prize_n bigint,
    state text not null,
    at timestamptz not null,
    constraint pk_draw primary key (id),
    constraint fk_draw_campaign_id_day foreign key (campaign_id, day) references draw_seed (campaign_id, day),
    constraint fk_draw_campaign_id_prize_n foreign key (campaign_id, prize_n) references draw_prize (campaign_id, n),
    constraint fk_draw_person_id foreign key (person_id) references person (id),
    constraint fk_draw_ticket_id foreign key (ticket_id) references draw_ticket (id),
    constraint uq_draw_campaign_id_code_number unique (campaign_id, code, number),
    constraint uq_draw_key unique (key),
    constraint uq_draw_ticket_id unique (ticket_id),
    constraint ck_draw_roll check (roll between 0 and 9999 and number > 0),
    constraint ck_draw_state check (state in ('won', 'nothing', 'sold_out') and (state = 'nothing') = (prize_n is null)),
    constraint ck_draw_paid check (
        paid_by in ('points', 'ticket', 'free', 'none') and (paid_by = 'points') = (points > 0)
        and (paid_by = 'ticket') = (ticket_id is not null) and (paid_by = 'none') = (state = 'sold_out'))
);
create index ix_draw_person_id_campaign_id_id on draw (person_id, campaign_id, id);
create index ix_draw_campaign_id_day_id on draw (campaign_id, day, id);
create trigger draw_kept before delete or truncate on draw for each statement execute function refuse_change();
create trigger draw_fixed before update of campaign_id, code, number, day, key, paid_by, points, ticket_id, roll, prize_n,
    state, at on draw for each statement execute function refuse_change();

-- Nobody draws outside the time, above the limits, before the day's promise or after its seed was shown. The entrant's row is
-- the lock: two draws of one person come one after the other.
create function draw_allowed() returns trigger language plpgsql as $$
declare
    terms draw_campaign;
    promise draw_seed;
    today bigint;
    ever bigint;
begin
    perform from draw_entrant where campaign_id = new.campaign_id and person_id = new.person_id for update;
    select * into terms from draw_campaign where id = new.campaign_id;
    select * into promise from draw_seed where campaign_id = new.campaign_id and day = new.day for share;
    select count(*) filter (where day = new.day), count(*) into today, ever
      from draw where campaign_id = new.campaign_id and person_id = new.person_id and state <> 'sold_out';
    if terms.stopped_at is not null or new.at < terms.opens_at or new.at >= terms.closes_at then
        raise exception 'draw %: the campaign is not open', terms.key using errcode = 'HT409';
    end if;
    if promise.published_at > new.at or promise.revealed_at is not null
       or new.day <> (new.at at time zone 'Asia/Shanghai')::date then
        raise exception 'draw %: no promise holds for %', terms.key, new.day using errcode = 'HT409';
    end if;
    if new.state <> 'sold_out' and (today >= terms.daily_most or ever >= terms.total_most) then
        raise exception 'draw %: above the limits', terms.key using errcode = 'HT409';
    end if;
    return new;
end $$;
create trigger draw_is_allowed before insert on draw for each row execute function draw_allowed();

-- What points buy. ``taken`` never passes ``stock``; ``most``: how many one customer may have, null: no limit.
create table mall_item (
    key text not null,
    n bigint not null,
    title text not null,
    points bigint not null,
    kind text not null,
    detail text not null default '',
    amount bigint not null default 1,
    worth_fen bigint not null default 0,
    stock bigint,
    taken bigint not null default 0,
    most bigint,
    listed boolean not null default true,
    constraint pk_mall_item primary key (key),
    constraint ck_mall_item_kind check (kind in ('coupon', 'product', 'ticket')),
    constraint ck_mall_item_numbers check (points > 0 and amount > 0 and worth_fen >= 0 and most > 0),
    constraint ck_mall_item_stock check (taken >= 0 and (stock is null or taken <= stock))
);
create trigger mall_item_kept before delete or truncate on mall_item
    for each statement execute function refuse_change();

-- ``key``: the request that made it, once ever.
create table mall_exchange (
    id bigint generated always as identity,
    person_id bigint not null,
    item_key text not null,
    key text not null,
    title text not null,
    kind text not null,
    points bigint not null,
    at timestamptz not null,
    cancelled_at timestamptz,
    reason text not null default '',
    constraint pk_mall_exchange primary key (id),
    constraint fk_mall_exchange_person_id foreign key (person_id) references person (id),
    constraint fk_mall_exchange_item_key foreign key (item_key) references mall_item (key),
    constraint uq_mall_exchange_key unique (key),
    constraint ck_mall_exchange_points check (points > 0),
    constraint ck_mall_exchange_cancelled check ((cancelled_at is null) = (reason = ''))
);
create index ix_mall_exchange_person_id_id on mall_exchange (person_id, id);
create trigger mall_exchange_kept before delete or truncate on mall_exchange
    for each statement execute function refuse_change();
create trigger mall_exchange_fixed before update of item_key, key, title, kind, points, at on mall_exchange
    for each statement execute function refuse_change();

create function mall_exchange_allowed() returns trigger language plpgsql as $$
declare
    wanted mall_item;
begin
    select * into wanted from mall_item where key = new.item_key for update;
    if wanted.most is not null and wanted.most <= (
        select count(*) from mall_exchange
         where person_id = new.person_id and item_key = new.item_key and cancelled_at is null) then
        raise exception 'item %: above what one customer may have', new.item_key using errcode = 'HT409';
    end if;
    return new;
end $$;
create trigger mall_exchange_is_allowed before insert on mall_exchange
    for each row execute function mall_exchange_allowed();

-- What somebody has coming and an operator has to hand over. ``cause``: draw:<id> or mall:<id>.
create table fulfilment (
    id bigint generated always as identity,
    person_id bigint not null,
    cause text not null,
    title text not null,
    worth_fen bigint not null,
    asked_at timestamptz not null,
    state text not null default 'waiting',
    ended_at timestamptz,
    note text not null default '',
    actor text not null default '',
    constraint pk_fulfilment primary key (id),
    constraint fk_fulfilment_person_id foreign key (person_id) references person (id),
    constraint uq_fulfilment_cause unique (cause),
    constraint ck_fulfilment_state check (state in ('waiting', 'sent', 'cancelled')),
    constraint ck_fulfilment_ended check ((state = 'waiting') = (ended_at is null) and (state = 'waiting') = (actor = ''))
);
create index ix_fulfilment_person_id on fulfilment (person_id);
create index ix_fulfilment_waiting on fulfilment (id) where state = 'waiting';
create trigger fulfilment_kept before delete or truncate on fulfilment
    for each statement execute function refuse_change();
create trigger fulfilment_fixed before update of cause, title, worth_fen, asked_at on fulfilment
    for each statement execute function refuse_change();
