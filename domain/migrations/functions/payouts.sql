-- Withdrawals: what needs two people.

-- What was asked for with two people's yes in mind leaves with an approval that says so.
create or replace function withdrawal_two_people() returns trigger language plpgsql as $$
begin
    if not exists (select from approval where act = 'withdrawal.approve' and subject = 'withdrawal:' || new.no
                      and state = 'approved') then
        raise exception 'withdrawal %: two people have not agreed to it', new.no using errcode = 'HT403';
    end if;
    return null;
end $$;
