-- Orders as they become, and the news of them for others.

-- What is left of an order without its cards: written ``o.goods_fen`` for an order ``o``.
create or replace function goods_fen(o customer_order) returns bigint language sql immutable parallel safe
    return o.paid_fen - o.refunded_fen - coalesce(o.card_fen, 0);

-- What an order's membership cards cost, paid and kept, beside the order: they are no goods.
create or replace function order_card() returns trigger language plpgsql as $$
begin
    update customer_order o set card_fen = l.kept, card_paid_fen = l.paid
      from (select sum(paid_fen - refunded_fen)::bigint as kept, sum(paid_fen)::bigint as paid from order_line
             where order_id = new.order_id and category = 'membership') l
     where o.id = new.order_id;
    return null;
end $$;

-- What became of orders that were known: each step by what justifies it, which is written first. doc: changed [{id, shipped_at, carrier, tracking_no, received_at, closed_at,
-- receive_due_at, completed_at, refunded_fen}], refunded [{order_id, n, refunded_fen, refunded_quantity}], refunds,
-- refund_lines (these of new orders, too), commissions_changed [{id, clawed_fen, release_at, released_at}].
create or replace function orders_change(doc jsonb) returns void language plpgsql as $$
begin
    if doc ? 'refunds' then
        insert into refund select * from jsonb_populate_recordset(null::refund, doc -> 'refunds');
        insert into refund_line select * from jsonb_populate_recordset(null::refund_line, doc -> 'refund_lines');
    end if;
    if doc ? 'changed' then
        update customer_order o
           set shipped_at = c.shipped_at, carrier = c.carrier, tracking_no = c.tracking_no,
               received_at = c.received_at, closed_at = c.closed_at, receive_due_at = c.receive_due_at,
               completed_at = c.completed_at, refunded_fen = c.refunded_fen
          from jsonb_populate_recordset(null::customer_order, doc -> 'changed') c
         where o.id = c.id;
    end if;
    if doc ? 'refunded' then
        update order_line l set refunded_fen = r.refunded_fen, refunded_quantity = r.refunded_quantity
          from jsonb_populate_recordset(null::order_line, doc -> 'refunded') r
         where l.order_id = r.order_id and l.n = r.n;
    end if;
    if doc ? 'commissions_changed' then
        update commission_line c
           set clawed_fen = g.clawed_fen, release_at = g.release_at, released_at = g.released_at
          from jsonb_populate_recordset(null::commission_line, doc -> 'commissions_changed') g
         where c.id = g.id;
    end if;
    if doc ? 'refunds' or doc ? 'changed' then
        perform settlement_note_late(doc);
        perform milestone_note(doc);
    end if;
end $$;

-- Orders that came back or were closed, by what a batch of facts says. doc: refunds, changed (see orders_change).
create or replace function orders_undone(doc jsonb) returns setof bigint language sql immutable as $$
    select (f ->> 'order_id')::bigint from jsonb_array_elements(doc -> 'refunds') f
    union
    select (f ->> 'id')::bigint from jsonb_array_elements(doc -> 'changed') f where f ->> 'closed_at' is not null
$$;

-- New orders are news, one row for all of a statement, written along; whoever they name is there (see
-- refuse_unknown_person), and was not merged away meanwhile (see refuse_merged_person).
create or replace function order_news_of() returns trigger language plpgsql as $$
declare
    many bigint;
    somebody bigint;
begin
    insert into order_news (order_ids) select g.ids from (select array(select id from fresh) as ids) g where g.ids <> '{}'
        returning cardinality(order_ids) into many;
    -- Of several, all are there by one look along the index, nearly always; otherwise, and of few, each is looked up.
    if many > 4 then
        perform from (select array_agg(distinct p.id) as ids from fresh f
                       cross join lateral (values (f.buyer_id), (f.seller_id), (f.leader_id)) as p (id) where p.id is not null) n
         where cardinality(n.ids) = (select count(*) from (
               select from person p where p.id = any (n.ids) and p.merged_into is null order by p.id for key share) l);
        if found then
            return null;
        end if;
    end if;
    select f.id into somebody
      from (select unnest(array[buyer_id, seller_id, leader_id]) as id from fresh order by 1) f
     where f.id is not null
       and (select p.merged_into is null from person p where p.id = f.id for key share) is not true;
    if somebody is null then
        return null;
    end if;
    if exists (select from person p where p.id = somebody) then
        perform refuse_merged_person(somebody);
    else
        perform refuse_unknown_person('customer_order', (
            select case somebody when f.buyer_id then 'buyer_id' when f.seller_id then 'seller_id' else 'leader_id' end
              from fresh f where somebody in (f.buyer_id, f.seller_id, f.leader_id) limit 1));
    end if;
    return null;
end $$;

-- What an order says to have given back is what its refunds say; asked when it changes.
create or replace function order_refunded() returns trigger language plpgsql as $$
begin
    if new.refunded_fen is distinct from (select sum(amount_fen) from refund where order_id = new.id) then
        raise exception 'order %: % returned are not what its refunds say', new.id, new.refunded_fen
            using errcode = 'HT403';
    end if;
    return null;
end $$;

-- Likewise of a line. Shops repeat the whole quantity with every part of a refund: pieces end at what was bought.
create or replace function order_line_refunded() returns trigger language plpgsql as $$
declare
    fen bigint;
    pieces bigint;
begin
    select sum(refund_fen), sum(quantity) into fen, pieces
      from refund_line where order_id = new.order_id and n = new.n;
    if (new.refunded_fen, new.refunded_quantity) is distinct from (fen, least(pieces, new.quantity)) then
        raise exception 'line %/%: % returned are not what its refunds say', new.order_id, new.n, new.refunded_fen
            using errcode = 'HT403';
    end if;
    return null;
end $$;

-- What an order's cards cost is what its lines say (order_card).
create or replace function order_card_fits() returns trigger language plpgsql as $$
begin
    if exists (select from (select sum(paid_fen - refunded_fen) as kept, sum(paid_fen) as paid from order_line
                             where order_id = new.id and category = 'membership') l
                where (new.card_fen, new.card_paid_fen) is distinct from (l.kept, l.paid)) then
        raise exception 'order %: its cards cost something else', new.id using errcode = 'HT403';
    end if;
    return null;
end $$;

-- An order counts as received when that was told, or when the time for it has passed; that it was does not end.
create or replace function order_completed() returns trigger language plpgsql as $$
begin
    if new.completed_at is null or new.completed_at is distinct from coalesce(new.received_at, old.receive_due_at) then
        raise exception 'order %: nobody received it at %', new.id, new.completed_at using errcode = 'HT403';
    end if;
    return null;
end $$;

-- Lines belong to an order that is there. Orders are never taken away or renamed, so that nothing needs to be held.
create or replace function order_line_refers() returns trigger language plpgsql as $$
begin
    if exists (select from fresh f where not exists (select from customer_order o where o.id = f.order_id offset 0)) then
        raise exception 'insert on table "order_line" violates foreign key constraint "fk_order_line_order_id"'
            using errcode = 'foreign_key_violation', table = 'order_line', constraint = 'fk_order_line_order_id';
    end if;
    return null;
end $$;

-- Hands on the news of ``most`` orders or a few more (those that came together stay together), each once: to risk_queue,
-- insight_stale (the buyer, and who brought them), programme_stale (the buyer) and, where some plan pays milestones,
-- milestone_due (the seller). Returns of how many orders.
create or replace function order_news_spread(most bigint) returns bigint language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    taken bigint;
begin
    with oldest as (
        select n.id, sum(cardinality(n.order_ids)) over (order by n.id) - cardinality(n.order_ids) as before
          from (select id, order_ids from order_news order by id limit most) n
    ), due as (
        select d.id from oldest cross join lateral (
            select n.id from order_news n where n.id = oldest.id for update skip locked) d
         where oldest.before < most
    ), gone as (
        delete from order_news n using due where n.id = due.id returning n.order_ids
    ), told as materialized (
        select o.* from gone cross join unnest(gone.order_ids) as g (order_id) cross join lateral (
            select c.id, c.buyer_id, c.seller_id from customer_order c where c.id = g.order_id offset 0) o
    ), risk as (
        insert into risk_queue (order_id) select id from told order by id on conflict do nothing
    ), insight as (
        insert into insight_stale (person_id)
        select buyer_id from told
        union
        select r.referrer_id from told cross join lateral (
            select x.referrer_id from referral x where x.referee_id = told.buyer_id and x.ended_at is null offset 0) r
    ), programme as (
        insert into programme_stale (person_id) select distinct buyer_id from told
    ), milestones as (
        insert into milestone_due (person_id)
        select distinct seller_id from told
         where seller_id is not null and exists (select from commission_plan where document ? 'milestones')
    )
    select count(*) into taken from told;
    return taken;
end $$;
