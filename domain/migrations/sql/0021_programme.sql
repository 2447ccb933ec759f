-- Coupons that take a part of the price; and what is given for coming back, row by row, so that it can be taken back.

alter table coupon
    add column pay_bps bigint not null default 10000,
    add column max_off_fen bigint not null default 0,
    drop constraint ck_coupon_money,
    add constraint ck_coupon_money check (off_fen >= 0 and min_spend_fen >= 0 and max_off_fen >= 0
        and pay_bps between 1 and 10000 and (off_fen > 0) <> (pay_bps < 10000));
