-- Whose figures must be counted again.

create or replace function insight_mark(people bigint[]) returns void language sql as $$
    insert into insight_stale (person_id) select distinct p from unnest(people) as p where p is not null;
$$;

-- The buyer, and who brought them.
create or replace function insight_of_orders() returns trigger language plpgsql as $$
begin
    perform insight_mark(array(
        select buyer_id from changed
        union
        select r.referrer_id from changed c join referral r on r.referee_id = c.buyer_id and r.ended_at is null));
    return null;
end $$;

-- Whoever brought somebody.
create or replace function insight_of_referrals() returns trigger language plpgsql as $$
begin
    perform insight_mark(array(select referrer_id from changed));
    return null;
end $$;
