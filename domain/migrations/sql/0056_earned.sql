-- What was earned by orders that were booked together is one row, told by reading the books. See ADR 0063.

-- The number is one of the outbox's: whatever is told later of the same orders has a higher one.
create table earned_news (
    id bigint primary key default nextval('outbox_id_seq'),
    order_ids bigint[] not null,
    at timestamptz not null
);
