-- The rules of three tables that every order writes, kept by an index that is always empty instead of by CHECKs: the text of
-- a CHECK is parsed anew by each statement that writes (a tenth of what one order cost), an index's once a session. The
-- names in errors stay. Whoever adds a column with a rule adds it here, in a revision of its own. See ADR 0072.

create index ix_customer_order_broken on customer_order (id) where refuse_row('customer_order', case
    when paid_fen < 0 or shipping_fen < 0 then 'ck_customer_order_money'
    when refunded_fen < 0 or refunded_fen > paid_fen then 'ck_customer_order_refunded'
    when currency <> 'CNY' then 'ck_customer_order_currency'
    when card_fen < 0 or card_fen > card_paid_fen or card_paid_fen > paid_fen then 'ck_customer_order_card' end);

create index ix_order_line_broken on order_line (order_id) where refuse_row('order_line', case
    when paid_fen < 0 or quantity <= 0 then 'ck_order_line_money'
    when refunded_fen < 0 or refunded_fen > paid_fen
         or refunded_quantity < 0 or refunded_quantity > quantity then 'ck_order_line_refunded' end);

create index ix_commission_line_broken on commission_line (id) where refuse_row('commission_line', case
    when level < 1 or level > 3 then 'ck_commission_line_level'
    when rate_bps < 0 or rate_bps > 10000 then 'ck_commission_line_rate'
    when amount_fen <= 0 or amount_fen > uncut_fen then 'ck_commission_line_amount'
    when clawed_fen < 0 or clawed_fen > amount_fen then 'ck_commission_line_clawed'
    when rule_bps < 0 or phase_bps < 0 or boost_bps < 10000 then 'ck_commission_line_factors'
    when held_at is not null and released_at is not null then 'ck_commission_line_held'
    when confiscated_at is not null and (clawed_fen <> amount_fen or held_at is not null)
        then 'ck_commission_line_confiscated' end);

-- The rules stay declared, where people look for them.
alter table customer_order
    drop constraint ck_customer_order_money, drop constraint ck_customer_order_refunded,
    drop constraint ck_customer_order_currency, drop constraint ck_customer_order_card,
    add constraint ck_customer_order_money check (paid_fen >= 0 and shipping_fen >= 0) not enforced,
    add constraint ck_customer_order_refunded check (refunded_fen between 0 and paid_fen) not enforced,
    add constraint ck_customer_order_currency check (currency = 'CNY') not enforced,
    add constraint ck_customer_order_card
        check (card_fen between 0 and card_paid_fen and card_paid_fen <= paid_fen) not enforced;
alter table order_line
    drop constraint ck_order_line_money, drop constraint ck_order_line_refunded,
    add constraint ck_order_line_money check (paid_fen >= 0 and quantity > 0) not enforced,
    add constraint ck_order_line_refunded check (
        refunded_fen between 0 and paid_fen and refunded_quantity between 0 and quantity) not enforced;
alter table commission_line
    drop constraint ck_commission_line_level, drop constraint ck_commission_line_rate,
    drop constraint ck_commission_line_amount, drop constraint ck_commission_line_clawed,
    drop constraint ck_commission_line_factors, drop constraint ck_commission_line_held,
    drop constraint ck_commission_line_confiscated,
    add constraint ck_commission_line_level check (level between 1 and 3) not enforced,
    add constraint ck_commission_line_rate check (rate_bps between 0 and 10000) not enforced,
    add constraint ck_commission_line_amount check (amount_fen > 0 and amount_fen <= uncut_fen) not enforced,
    add constraint ck_commission_line_clawed check (clawed_fen between 0 and amount_fen) not enforced,
    add constraint ck_commission_line_factors
        check (rule_bps >= 0 and phase_bps >= 0 and boost_bps >= 10000) not enforced,
    add constraint ck_commission_line_held check (held_at is null or released_at is null) not enforced,
    add constraint ck_commission_line_confiscated
        check (confiscated_at is null or (clawed_fen = amount_fen and held_at is null)) not enforced;
