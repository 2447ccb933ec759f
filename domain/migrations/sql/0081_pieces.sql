-- The people of a counted month are cut into pieces, so that a close has several hands. See ADR 0080.

create table month_piece (
    month date not null constraint fk_month_piece_month references month_close (month),
    above bigint not null,
    upto bigint not null,
    constraint pk_month_piece primary key (month, above),
    constraint ck_month_piece_some check (above < upto)
);

create trigger month_piece_fixed before update or truncate on month_piece for each statement execute function refuse_change();

drop function month_count(date);
