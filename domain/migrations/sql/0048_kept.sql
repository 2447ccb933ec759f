-- Money goes to people, not to who they were. Work that was planned for somebody who is merged away before it is written
-- would leave its money, points and presents with a person whom nobody is any more: the database refuses it (HT410), and it
-- is done again for the one who was kept. 0046 does so for orders. See ADR 0058.

-- ---- The books ----------------------------------------------------------------------------------------------------

-- An account has ceased when its owner was merged into another: it is empty and stays so. A merge holds every balance of
-- who goes, so whoever books for them comes before it, and is moved along, or after it, and is refused. That costs the
-- books nothing: the row that is written says it itself.
alter table balance add column ceased boolean not null default false;
alter table balance add constraint ck_balance_ceased check (not ceased or amount = 0);

-- Whoever is empty already. Where something was left behind, "python -m bot people gather" moves it first.
update balance b set ceased = true
  from account a join person p on p.id = a.owner_id
 where a.id = b.account_id and p.merged_into is not null
   and not exists (select from account x join balance y on y.account_id = x.id
                    where x.owner_id = p.id and y.amount <> 0)
   and not exists (select from withdrawal w where w.person_id = p.id and w.state in ('asked', 'approved', 'paying'));

-- ---- What is written for people besides ----------------------------------------------------------------------------

create trigger account_living after insert on account
    referencing new table as fresh for each statement execute function people_living('owner_id');
create trigger reward_living after insert on reward
    referencing new table as fresh for each statement execute function people_living('person_id', 'buyer_id');

do $$
declare
    the_table text;
begin
    foreach the_table in array array[
        'account_hold', 'check_in', 'commission_boost', 'coupon', 'draw', 'draw_entrant', 'draw_ticket', 'fulfilment',
        'mall_exchange', 'member_card', 'membership', 'milestone', 'point_lot', 'point_spending', 'service_act',
        'withdrawal'
    ] loop
        execute format('create trigger %I after insert on %I referencing new table as fresh'
                       ' for each statement execute function person_living()', the_table || '_living', the_table);
    end loop;
end $$;
