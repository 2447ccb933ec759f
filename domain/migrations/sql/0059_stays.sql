-- Steps of a month close are taken once, counted people are there when they are paid, and what came back stays back:
-- refused by the database, as all else is that would forget. After triggers, whose heads cost nearly nothing.

create trigger month_close_steps after update on month_close for each row
    when (old.closed_at is not null and (new.closed_at, new.upto_journal, new.done_upto)
                                        is distinct from (old.closed_at, old.upto_journal, old.done_upto)
          or old.counted_at is not null and new.counted_at is distinct from old.counted_at
          or (new.plan_version, new.started_at, new.actor) is distinct from (old.plan_version, old.started_at, old.actor)
          or new.done_upto < old.done_upto or new.told_upto < old.told_upto)
    execute function refuse_change();

-- A merge takes the rows of who is gone away before it says so: it is asked when it is committed.
create trigger month_volume_kept before truncate on month_volume for each statement execute function refuse_change();
create constraint trigger month_volume_counted after delete on month_volume deferrable initially deferred for each row
    execute function refuse_uncounted();

create trigger customer_order_stays after update of refunded_fen, closed_at on customer_order for each row
    when (new.refunded_fen < old.refunded_fen or old.closed_at is not null and new.closed_at is distinct from old.closed_at)
    execute function refuse_change();
create trigger order_line_stays after update of refunded_fen on order_line for each row
    when (new.refunded_fen < old.refunded_fen) execute function refuse_change();
