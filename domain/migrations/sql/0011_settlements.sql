-- Month closes, their results, milestones and service incentives; and what the deal of a line is made of.

-- The platform's side of what is earned beside commissions. (expense.ladder, expense.team, expense.redpacket,
-- clearing.wechat, tax.payable and writeoff are there since 0002.)
insert into account (id, owner_id, kind, currency, normal) values
    (8, null, 'expense.milestone', 'CNY', 'debit'), (9, null, 'expense.service', 'CNY', 'debit');

-- A rate that is multiplied for one person for a time: seed promoters, prizes. The highest one that is running counts.
create table commission_boost (
    id bigint generated always as identity constraint pk_commission_boost primary key,
    person_id bigint not null constraint fk_commission_boost_person_id references person (id),
    bps bigint not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    cause text not null,
    granted_at timestamptz not null,
    constraint uq_commission_boost_person_id_cause unique (person_id, cause),
    constraint ck_commission_boost_bps check (bps between 10001 and 100000),
    constraint ck_commission_boost_times check (ends_at >= starts_at),
    constraint ck_commission_boost_cause check (cause <> '')
);

-- rate_bps is what was applied; these say what it was made of.
alter table commission_line
    add column rule_bps bigint,
    add column phase text not null default '',
    add column phase_bps bigint not null default 10000,
    add column boost_bps bigint not null default 10000;
update commission_line set rule_bps = rate_bps;
alter table commission_line
    alter column rule_bps set not null,
    add constraint ck_commission_line_factors check (rule_bps >= 0 and phase_bps >= 0 and boost_bps >= 10000);

drop trigger commission_line_frozen on commission_line;
create trigger commission_line_frozen before update of order_id, n, level, kind, base_fen, rate_bps, rule, rule_bps,
    phase, phase_bps, boost_bps, plan_version, uncut_fen, amount_fen, accrued_at on commission_line
    for each statement execute function refuse_change();

-- doc: commissions [new rows without id], commissions_changed [{id, clawed_fen, release_at, released_at}]
create or replace function commissions_store(doc jsonb) returns void language plpgsql as $$
begin
    if doc ? 'commissions' then
        insert into commission_line (order_id, n, beneficiary_id, level, kind, base_fen, rate_bps, rule, rule_bps, phase,
                                     phase_bps, boost_bps, plan_version, uncut_fen, amount_fen, clawed_fen, accrued_at,
                                     release_at)
        select order_id, n, beneficiary_id, level, kind, base_fen, rate_bps, rule, rule_bps, phase, phase_bps, boost_bps,
               plan_version, uncut_fen, amount_fen, clawed_fen, accrued_at, release_at
          from jsonb_populate_recordset(null::commission_line, doc -> 'commissions');
    end if;
    if doc ? 'commissions_changed' then
        update commission_line c
           set clawed_fen = g.clawed_fen, release_at = g.release_at, released_at = g.released_at
          from jsonb_populate_recordset(null::commission_line, doc -> 'commissions_changed') g
         where c.id = g.id;
    end if;
end $$;

-- Who sold an order, and who had brought the seller, both as they stood at payment: what ladder, team, ranking and
-- milestones count. Not every order earns a commission line (a rate of 0 %), but every order has a seller or none.
alter table customer_order
    add column seller_id bigint constraint fk_customer_order_seller_id references person (id),
    add column leader_id bigint constraint fk_customer_order_leader_id references person (id);
create index ix_customer_order_seller_id_paid_at on customer_order (seller_id, paid_at) where seller_id is not null;
create index ix_customer_order_leader_id_paid_at on customer_order (leader_id, paid_at) where leader_id is not null;
-- Orders lie in the table nearly as they were paid, so a month is found by a few kilobytes of index.
create index ix_customer_order_paid_at on customer_order using brin (paid_at);

-- As before (0002), and what each one's rates are multiplied by.
drop function intake_standing(bigint[], timestamptz[], bigint);
create function intake_standing(ids bigint[], ats timestamptz[], levels bigint)
returns table (place bigint, level bigint, person_id bigint, roles text[], renews boolean, boost_bps bigint)
language plpgsql stable set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
begin
    return query
        select u.place, u.level, u.person_id,
               array(select g.role from role_grant g
                      where g.person_id = u.person_id and g.granted_at <= u.at
                        and (g.revoked_at is null or g.revoked_at > u.at)),
               u.level = 0 and exists (
                   select from referral r where r.referee_id = u.person_id and r.ended_at is null
                      and r.first_until is not null and r.bound_at <= u.at),
               coalesce((select max(b.bps) from commission_boost b
                          where b.person_id = u.person_id and b.starts_at <= u.at and b.ends_at > u.at), 10000)
          from referral_uplines(ids, ats, levels) u order by u.place, u.level;
end $$;
