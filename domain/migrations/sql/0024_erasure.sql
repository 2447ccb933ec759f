-- Sales in question, and people who left.

-- ---- Sales in question ------------------------------------------------------------------------------------------------

-- A sale whose commission waits for a reviewer, or was confiscated, counts for nobody's month: not for who sold it, and
-- not for who had brought the seller. ``gone``: confiscated, so for good.
create index ix_commission_line_doubt on commission_line (order_id)
    where held_at is not null or confiscated_at is not null;

-- As before (0011), without sales in question. The few of them are found first and hashed.
create or replace function month_count(the_month date) returns bigint language plpgsql as $$
declare
    people bigint;
    since timestamptz := month_start(the_month);
    upto timestamptz := month_start((the_month + interval '1 month')::date);
begin
    with doubt as materialized (
        select c.order_id, bool_or(c.beneficiary_id = o.seller_id) as sold
          from commission_line c join customer_order o on o.id = c.order_id
         where (c.held_at is not null or c.confiscated_at is not null) and c.beneficiary_id in (o.seller_id, o.leader_id)
           and o.paid_at >= since and o.paid_at < upto
         group by c.order_id
    ), pairs as materialized (
        select o.seller_id, o.leader_id,
               coalesce(sum(o.paid_fen - o.refunded_fen) filter (where d.sold is not true), 0)::bigint as fen,
               count(*) filter (where d.sold is not true) as orders,
               coalesce(sum(o.paid_fen - o.refunded_fen) filter (where d.order_id is null), 0)::bigint as above_fen
          from customer_order o left join doubt d on d.order_id = o.id
         where o.paid_at >= since and o.paid_at < upto
           and o.seller_id is not null and o.closed_at is null and o.refunded_fen < o.paid_fen
         group by o.seller_id, o.leader_id
    )
    insert into month_volume (month, person_id, direct_fen, direct_orders, team_fen)
    select the_month, person_id, sum(d_fen)::bigint, sum(d_orders)::bigint, sum(t_fen)::bigint
      from (select seller_id as person_id, fen as d_fen, orders as d_orders, 0 as t_fen from pairs where fen > 0
            union all
            select leader_id, 0, 0, above_fen from pairs where leader_id is not null and above_fen > 0) both_sides
     group by person_id;
    get diagnostics people = row_count;
    return people;
end $$;

-- Notes whose counted month changes when a sale comes into question, is cleared, or is confiscated.
create function settlement_note_doubt() returns trigger language plpgsql as $$
begin
    perform booking_lock();
    insert into settlement_late (month, person_id)
    select c.month, p.id
      from customer_order o cross join lateral (values (o.seller_id), (o.leader_id)) as p (id)
      join month_close c on c.month = shop_month(o.paid_at)
     where o.id = new.order_id and p.id is not null and new.beneficiary_id in (o.seller_id, o.leader_id);
    return null;
end $$;
create trigger commission_line_doubt after update of held_at, confiscated_at on commission_line for each row
    when ((old.held_at is null) <> (new.held_at is null) or (old.confiscated_at is null) <> (new.confiscated_at is null))
    execute function settlement_note_doubt();

-- As before (0011): a sale that was confiscated is none, one in question is none that can no longer be lost.
create or replace function milestones_reached(people bigint[], since timestamptz, now timestamptz, hold interval,
                                              days bigint, size bigint)
returns table (person_id bigint, key text, held boolean, firm boolean) language sql stable as $$
    with sale as (
        select o.seller_id, o.buyer_id, o.paid_at, (o.paid_at at time zone 'Asia/Shanghai')::date as day,
               coalesce(o.completed_at + hold <= now, false) and d.gone is null as firm
          from customer_order o
          left join lateral (
            select bool_or(c.confiscated_at is not null) as gone from commission_line c
             where c.order_id = o.id and c.beneficiary_id = o.seller_id
               and (c.held_at is not null or c.confiscated_at is not null)) d on true
         where o.seller_id = any (people) and o.closed_at is null and o.refunded_fen < o.paid_fen
           and d.gone is not true
           and exists (select from role_grant g where g.person_id = o.seller_id and g.granted_at <= o.paid_at
                          and (g.revoked_at is null or g.revoked_at > o.paid_at))
    ), counted as (
        select * from sale where since is null or paid_at >= since
    ), islands as (
        select seller_id, day, bool_or(firm) as firm,
               day - (row_number() over (partition by seller_id order by day))::int as island
          from counted group by seller_id, day
    ), firm_islands as (
        select seller_id, day - (row_number() over (partition by seller_id order by day))::int as island
          from islands where firm
    ), streak as (
        select p.id as seller_id,
               coalesce((select max(n) from (select count(*) as n from islands i where i.seller_id = p.id group by island) a),
                        0) as held,
               coalesce((select max(n) from (select count(*) as n from firm_islands i where i.seller_id = p.id
                                              group by island) b), 0) as firm
          from unnest(people) as p (id)
    )
    select p.id, 'first_sale',
           exists (select from counted c where c.seller_id = p.id)
               and not exists (select from sale s where s.seller_id = p.id and s.paid_at < since),
           exists (select from counted c where c.seller_id = p.id and c.firm)
               and not exists (select from sale s where s.seller_id = p.id and s.paid_at < since)
      from unnest(people) as p (id)
    union all
    select seller_id, 'streak', held >= days, firm >= days from streak
    union all
    select p.id, 'team', count(distinct c.buyer_id) >= size,
           count(distinct c.buyer_id) filter (where c.firm) >= size
      from unnest(people) as p (id) left join counted c on c.seller_id = p.id group by p.id;
$$;

-- ---- People who left --------------------------------------------------------------------------------------------------

-- A person whose data is to be erased: they unfollowed everywhere and the grace has passed, or they asked for it.
-- waiting → done → returned, or called_off. ``waits_for``: why it was put off when it was last looked at, '' if nothing.
create table erasure (
    id bigint generated always as identity constraint pk_erasure primary key,
    person_id bigint not null constraint fk_erasure_person_id references person (id),
    cause text not null,
    state text not null default 'waiting',
    gives_up boolean not null default false,
    actor text not null default '',
    why text not null default '',
    asked_at timestamptz not null,
    due_at timestamptz not null,
    look_at timestamptz not null,
    waits_for text not null default '',
    ended_at timestamptz,
    counts jsonb not null default '{}',
    constraint ck_erasure_cause check (cause in ('unfollowed', 'asked', 'operator')),
    constraint ck_erasure_state check (state in ('waiting', 'done', 'returned', 'called_off')),
    constraint ck_erasure_ended check ((state = 'waiting') = (ended_at is null)),
    constraint ck_erasure_actor check ((cause = 'operator') = (actor <> ''))
);
create unique index uq_erasure_waiting on erasure (person_id) where state = 'waiting';
create index ix_erasure_look on erasure (look_at) where state = 'waiting';
create index ix_erasure_person_id_id on erasure (person_id, id);
create trigger erasure_kept before delete or truncate on erasure
    for each statement execute function refuse_change();

-- Names that were erased, as HMACs under a key outside of the database: who returns is recognised, nobody is found out.
create table erased_identity (
    kind text not null,
    scope text not null,
    digest text not null,
    person_id bigint not null constraint fk_erased_identity_person_id references person (id),
    followed boolean not null,
    erased_at timestamptz not null,
    constraint pk_erased_identity primary key (kind, scope, digest),
    constraint ck_erased_identity_digest check (digest ~ '^[0-9a-f]{64}$')
);
create index ix_erased_identity_person_id on erased_identity (person_id);

-- Up to which identity newcomers were compared with those who left.
create table recall_place (
    one boolean not null default true,
    upto bigint not null,
    constraint pk_recall_place primary key (one),
    constraint ck_recall_place_one check (one)
);

create index ix_commerce_event_customer on commerce_event (id) where type = 'customer.upserted' and payload <> '{}';

-- As before (0002), and open for an erasure (it says so for its transaction) where personal data stands in rows that are
-- otherwise fixed: the account that a withdrawal went to, the words of an appeal.
create or replace function refuse_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and tg_table_name in ('withdrawal', 'risk_step')
            and current_setting('huitou.erasing', true) = 'yes' then
        return null;
    end if;
    raise exception '% on % is refused: rows are only ever added', lower(tg_op), tg_table_name
        using errcode = 'HT403';
end $$;

-- ---- Rewards ----------------------------------------------------------------------------------------------------------

-- Somebody whose rewards cannot be counted waits apart, with the reason, and is tried again; nobody waits for them.
alter table programme_stale
    add column fault text not null default '',
    add column look_at timestamptz;
create index ix_programme_stale_parked on programme_stale (person_id) where look_at is not null;
