-- An order that was closed stays closed. Two reports of it need not come in their order: that it was earlier may become
-- known, that it was later or never may not.

drop trigger customer_order_stays on customer_order;
create trigger customer_order_stays after update of refunded_fen, closed_at on customer_order for each row
    when (new.refunded_fen < old.refunded_fen
          or old.closed_at is not null and (new.closed_at is null or new.closed_at > old.closed_at))
    execute function refuse_change();
