-- What an order of a batch costs the database, a little less of it. See ADR 0054.

-- One row of news for all orders that came together.
alter table order_news add column order_ids bigint[];
update order_news set order_ids = array[order_id];
alter table order_news alter column order_ids set not null, drop column order_id;

-- The key of lines to orders is checked once a statement, without a lock for each: orders cannot be deleted (0002), and from now
-- on not be renamed either.
alter table order_line alter constraint fk_order_line_order_id not enforced;
drop trigger customer_order_fixed on customer_order;
create trigger customer_order_fixed before update of id, channel, order_no, paid_fen, currency, digest, paid_at
    on customer_order for each statement execute function refuse_change();
