-- Commission plans and the frozen deals they made.

create table commission_plan (
    version bigint constraint pk_commission_plan primary key,
    name text not null,
    document jsonb not null,
    digest text not null,
    live_from timestamptz not null,
    actor text not null default '',
    constraint ck_commission_plan_version check (version > 0)
);
create trigger commission_plan_append_only before update or delete or truncate on commission_plan
    for each statement execute function refuse_change();

create table commission_line (
    id bigint generated always as identity constraint pk_commission_line primary key,
    order_id bigint not null,
    n bigint not null,
    beneficiary_id bigint not null constraint fk_commission_line_beneficiary_id references person (id),
    level bigint not null,
    kind text not null default 'base',
    base_fen bigint not null,
    rate_bps bigint not null,
    rule text not null,
    plan_version bigint not null constraint fk_commission_line_plan_version references commission_plan (version),
    uncut_fen bigint not null,
    amount_fen bigint not null,
    clawed_fen bigint not null default 0,
    accrued_at timestamptz not null,
    release_at timestamptz,
    released_at timestamptz,
    constraint fk_commission_line_order_id_n foreign key (order_id, n) references order_line (order_id, n),
    constraint uq_commission_line_order_id_n_kind_level unique (order_id, n, kind, level),
    constraint ck_commission_line_level check (level between 1 and 3),
    constraint ck_commission_line_rate check (rate_bps between 0 and 10000),
    constraint ck_commission_line_amount check (amount_fen > 0 and amount_fen <= uncut_fen),
    constraint ck_commission_line_clawed check (clawed_fen between 0 and amount_fen)
) with (fillfactor = 85);
create index ix_commission_line_beneficiary_id_id on commission_line (beneficiary_id, id);
create index ix_commission_line_release on commission_line (release_at)
    where released_at is null and release_at is not null;

create trigger commission_line_kept before delete or truncate on commission_line
    for each statement execute function refuse_change();
create trigger commission_line_frozen before update of order_id, n, level, kind, base_fen, rate_bps, rule,
    plan_version, uncut_fen, amount_fen, accrued_at on commission_line
    for each statement execute function refuse_change();

-- All commissions of an order line together never exceed what was paid for it. The line is locked first, so that two
-- writers cannot both find room.
create function commission_within_paid() returns trigger language plpgsql as $$
begin
    perform 1 from order_line l where (l.order_id, l.n) in (select order_id, n from fresh)
      order by l.order_id, l.n for no key update;
    if exists (
        select from commission_line c join order_line l on l.order_id = c.order_id and l.n = c.n
         where (c.order_id, c.n) in (select order_id, n from fresh)
         group by c.order_id, c.n, l.paid_fen having sum(c.amount_fen) > l.paid_fen
    ) then
        raise exception 'commissions of an order line exceed what was paid' using errcode = 'HT422';
    end if;
    return null;
end $$;
create trigger commission_line_within_paid after insert on commission_line
    referencing new table as fresh for each statement execute function commission_within_paid();

-- doc: commissions [new rows without id], clawed [{id, clawed_fen}], release_at [{order_id, n?, at}]
create function commissions_store(doc jsonb) returns void language plpgsql as $$
begin
    if doc ? 'commissions' then
        insert into commission_line (order_id, n, beneficiary_id, level, kind, base_fen, rate_bps, rule, plan_version,
                                     uncut_fen, amount_fen, clawed_fen, accrued_at, release_at)
        select order_id, n, beneficiary_id, level, kind, base_fen, rate_bps, rule, plan_version, uncut_fen, amount_fen,
               clawed_fen, accrued_at, release_at
          from jsonb_populate_recordset(null::commission_line, doc -> 'commissions');
    end if;
    if doc ? 'commissions_changed' then
        update commission_line c
           set clawed_fen = g.clawed_fen, release_at = g.release_at, released_at = g.released_at
          from jsonb_populate_recordset(null::commission_line, doc -> 'commissions_changed') g
         where c.id = g.id;
    end if;
end $$;
