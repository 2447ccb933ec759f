-- An order's event that was dismissed told who bought it: an erasure goes by orders, and there is none.
-- First: it looks through all events, and nobody who books should wait for that behind the locks of what follows.
update commerce_event e set payload = e.payload - 'buyer' - 'risk' - 'region' - 'carrier' - 'tracking_no'
 where e.reason like 'dismissed: %' and e.type like 'order.%'
   and e.payload ?| array['buyer', 'risk', 'region', 'carrier', 'tracking_no']
   and not exists (select from commerce_open o where o.id = e.id);

-- What changes in rows of money goes by what justifies it: plain SQL that says otherwise is refused. After triggers with a
-- condition, so that whatever else is written does not pay for them; new orders, lines and commissions have none.

create trigger customer_order_refunded after update of refunded_fen on customer_order for each row
    when (new.refunded_fen is distinct from old.refunded_fen) execute function order_refunded();
create trigger customer_order_card after update of card_fen, card_paid_fen on customer_order for each row
    when (new.card_fen is distinct from old.card_fen or new.card_paid_fen is distinct from old.card_paid_fen)
    execute function order_card_fits();
create trigger customer_order_completed after update of completed_at on customer_order for each row
    when (new.completed_at is distinct from old.completed_at) execute function order_completed();
create trigger order_line_refunded after update of refunded_fen, refunded_quantity on order_line for each row
    when (new.refunded_fen <> old.refunded_fen or new.refunded_quantity <> old.refunded_quantity)
    execute function order_line_refunded();

create trigger commission_line_steps after update of clawed_fen, release_at, released_at, confiscated_at on commission_line
    for each row when (new.clawed_fen <> old.clawed_fen or new.release_at is distinct from old.release_at
                       or new.released_at is distinct from old.released_at
                       or new.confiscated_at is distinct from old.confiscated_at)
    execute function commission_line_steps();

-- What a month, a milestone and service brought: pending money goes down, is let go once, and not before its time.
create trigger settlement_release_fixed before update of release_at on settlement
    for each statement execute function refuse_change();
create trigger settlement_steps after update of held_fen, released_at on settlement for each row
    when (new.held_fen > old.held_fen or new.released_at < new.release_at
          or old.released_at is not null and new.released_at is distinct from old.released_at)
    execute function refuse_change();
create trigger service_act_release_fixed before update of release_at on service_act
    for each statement execute function refuse_change();
create trigger service_act_steps after update of released_at, revoked_at on service_act for each row
    when (new.released_at < new.release_at
          or old.released_at is not null and new.released_at is distinct from old.released_at
          or old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at)
    execute function refuse_change();
create trigger milestone_steps after update of state, ended_at on milestone for each row
    when (old.state in ('revoked', 'merged') and new.state <> old.state
          or old.state = 'final' and new.state not in ('final', 'merged'))
    execute function refuse_change();

-- Nobody's money, sales and gifts become another's but by a merge.
do $$
declare
    the_table text;
begin
    foreach the_table in array array[
        'commission_line', 'coupon', 'draw', 'mall_exchange', 'member_card', 'milestone', 'point_lot', 'reward',
        'role_grant', 'service_act', 'settlement', 'withdrawal'
    ] loop
        execute format('create constraint trigger %I after update on %I deferrable initially deferred for each row'
                       ' when (new.%I is distinct from old.%3$I) execute function moves_by_merge(%3$L)',
                       the_table || '_moves', the_table,
                       case the_table when 'commission_line' then 'beneficiary_id' else 'person_id' end);
    end loop;
end $$;
create constraint trigger customer_order_moves after update on customer_order deferrable initially deferred for each row
    when (new.buyer_id is distinct from old.buyer_id or new.seller_id is distinct from old.seller_id
          or new.leader_id is distinct from old.leader_id)
    execute function moves_by_merge('buyer_id', 'seller_id', 'leader_id');
