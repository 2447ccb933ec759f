-- Points as lots, each with its own life; what happened to them, row by row; check-ins and their streaks.

create or replace function account_normal(kind text) returns text language plpgsql immutable as $$
begin
    return case kind
        when 'pending' then 'credit' when 'available' then 'credit' when 'held' then 'credit'
        when 'frozen' then 'credit' when 'points' then 'credit' when 'debt' then 'debit'
        when 'points_debt' then 'debit' end;
end $$;

create table point_lot (
    id bigint generated always as identity,
    person_id bigint not null,
    cause text not null,
    amount bigint not null,
    remaining bigint not null,
    reversed bigint not null default 0,
    state text not null,
    earned_at timestamptz not null,
    active_at timestamptz not null,
    expires_at timestamptz not null,
    constraint pk_point_lot primary key (id),
    constraint fk_point_lot_person_id foreign key (person_id) references person (id),
    constraint uq_point_lot_cause unique (cause),
    constraint ck_point_lot_amount check (amount > 0 and remaining between 0 and amount and reversed between 0 and amount),
    constraint ck_point_lot_state check (state in ('pending', 'active', 'closed')),
    constraint ck_point_lot_closed check (state <> 'closed' or remaining = 0),
    constraint ck_point_lot_times check (earned_at <= active_at and active_at < expires_at)
);
create index ix_point_lot_person_id on point_lot (person_id, expires_at) where state <> 'closed';
create index ix_point_lot_pending on point_lot (active_at) where state = 'pending';
create index ix_point_lot_expiring on point_lot (expires_at) where state = 'active';

create table point_move (
    id bigint generated always as identity,
    lot_id bigint not null,
    kind text not null,
    delta bigint not null,
    idem text not null,
    at timestamptz not null,
    constraint pk_point_move primary key (id),
    constraint fk_point_move_lot_id foreign key (lot_id) references point_lot (id),
    constraint uq_point_move_idem_lot_id unique (idem, lot_id),
    constraint ck_point_move_kind check (kind in ('activate', 'repay', 'spend', 'undo', 'expire', 'reverse')),
    constraint ck_point_move_delta check (delta <> 0)
);
create index ix_point_move_lot_id_id on point_move (lot_id, id);
create trigger point_move_append_only before update or delete or truncate on point_move
    for each statement execute function refuse_change();
create trigger point_lot_kept before delete or truncate on point_lot
    for each statement execute function refuse_change();
create trigger point_lot_fixed before update of cause, amount, earned_at on point_lot
    for each statement execute function refuse_change();

create table point_spending (
    idem text not null,
    person_id bigint not null,
    amount bigint not null,
    undone bigint not null default 0,
    what text not null,
    at timestamptz not null,
    constraint pk_point_spending primary key (idem),
    constraint fk_point_spending_person_id foreign key (person_id) references person (id),
    constraint ck_point_spending_amount check (amount > 0 and undone between 0 and amount)
);
create index ix_point_spending_person_id on point_spending (person_id);

-- The only way to change a lot: rows of what happened, and the lots as they make them. moves: [{lot_id, kind, delta, idem}],
-- reversed: [{lot_id, back}] is how much of a lot returns have taken back, from wherever the points came.
-- A pending lot becomes active by its 'activate' row; a lot is closed when nothing of it remains or can come.
create function points_apply(moves jsonb, backs jsonb, at timestamptz) returns void language plpgsql as $$
begin
    insert into point_move (lot_id, kind, delta, idem, at)
    select m.lot_id, m.kind, m.delta, m.idem, points_apply.at
      from jsonb_to_recordset(moves) as m (lot_id bigint, kind text, delta bigint, idem text);
    update point_lot l
       set reversed = l.reversed + b.back,
           state = case when l.state = 'pending' and l.reversed + b.back = l.amount then 'closed' else l.state end
      from jsonb_to_recordset(backs) as b (lot_id bigint, back bigint)
     where l.id = b.lot_id;
    update point_lot l
       set remaining = l.remaining + c.delta, state = case when l.remaining + c.delta > 0 then 'active' else 'closed' end,
           expires_at = greatest(l.expires_at, c.until)
      from (select m.lot_id, sum(m.delta) as delta, max(m.until) as until
              from jsonb_to_recordset(moves) as m (lot_id bigint, delta bigint, until timestamptz) group by 1) c
     where l.id = c.lot_id;
end $$;

create table check_in (
    person_id bigint not null,
    day date not null,
    streak bigint not null,
    points bigint not null,
    bridged boolean not null default false,
    at timestamptz not null,
    constraint pk_check_in primary key (person_id, day),
    constraint fk_check_in_person_id foreign key (person_id) references person (id),
    constraint ck_check_in_streak check (streak > 0 and points >= 0)
);
