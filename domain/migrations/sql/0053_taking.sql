-- Points that operators take back by hand. See ADR 0067.
alter table point_move drop constraint ck_point_move_kind;
alter table point_move add constraint ck_point_move_kind
    check (kind in ('activate', 'repay', 'spend', 'undo', 'expire', 'reverse', 'take')) not valid;
alter table point_move validate constraint ck_point_move_kind;

create table point_taking (
    approval_id bigint not null,
    lot_id bigint not null,
    points bigint not null,
    owed bigint not null,
    at timestamptz not null,
    constraint pk_point_taking primary key (approval_id),
    constraint fk_point_taking_approval_id foreign key (approval_id) references approval (id),
    constraint fk_point_taking_lot_id foreign key (lot_id) references point_lot (id),
    constraint ck_point_taking_points check (points > 0 and owed between 0 and points)
);
create index ix_point_taking_lot_id on point_taking (lot_id);
create trigger point_taking_append_only before update or delete or truncate on point_taking
    for each statement execute function refuse_change();
