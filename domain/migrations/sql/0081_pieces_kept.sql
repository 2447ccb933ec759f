-- What a close that is under way has still to do, and that it does it.

select month_cut(month, 5000) from month_close where counted_at is not null and closed_at is null;

create trigger month_close_whole after update of closed_at on month_close for each row
    when (old.closed_at is null and new.closed_at is not null) execute function refuse_left_piece();
