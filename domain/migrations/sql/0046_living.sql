-- Functions as before (0041), but who was merged away meanwhile is refused as well. Who stands above a buyer is asked first
-- and written last; a merge in between has moved all it saw, and never sees what is written behind it: the commission
-- would lie with somebody whom nobody is any more. HT410 makes the batch be done again, event by event, with people as
-- they are then; it is no serialisation failure, so that whatever stays wrong puts off one event and not all of them.

create function refuse_merged_person(the_person bigint) returns void language plpgsql as $$
begin
    raise exception 'person % was merged into another', the_person using errcode = 'HT410';
end $$;

create or replace function order_news_of() returns trigger language plpgsql as $$
declare
    missing bigint;
    merged bigint;
begin
    with told as (
        insert into order_news (order_id) select id from fresh
    )
    select min(w.id) filter (where known.id is null), min(w.id) filter (where known.merged_into is not null)
      into missing, merged
      from (select distinct p.id from fresh f cross join lateral (values (f.buyer_id), (f.seller_id), (f.leader_id)) as p (id)
             where p.id is not null order by 1) w
      left join lateral (select p.id, p.merged_into from person p where p.id = w.id for key share) known on true
     where known.id is null or known.merged_into is not null;
    if missing is not null then
        perform refuse_unknown_person('customer_order', (
            select case missing when f.buyer_id then 'buyer_id' when f.seller_id then 'seller_id' else 'leader_id' end
              from fresh f where missing in (f.buyer_id, f.seller_id, f.leader_id) limit 1));
    elsif merged is not null then
        perform refuse_merged_person(merged);
    end if;
    return null;
end $$;

create or replace function commission_within_paid() returns trigger language plpgsql as $$
declare
    lines boolean;
    people boolean;
    merged bigint;
    broken text;
begin
    select bool_and(l.n is not null), bool_and(p.id is not null), min(p.id) filter (where p.merged_into is not null)
      into lines, people, merged
      from (select distinct beneficiary_id, order_id, n from fresh order by 1, 2, 3) f
      left join lateral (select p.id, p.merged_into from person p where p.id = f.beneficiary_id for key share) p on true
      left join lateral (select l.n from order_line l where l.order_id = f.order_id and l.n = f.n for no key update) l
        on true;
    if not lines then
        broken := 'fk_commission_line_order_id_n';
    elsif not people then
        broken := 'fk_commission_line_beneficiary_id';
    elsif merged is not null then
        perform refuse_merged_person(merged);
    else
        select case when not exists (select from commission_plan p where p.version = f.plan_version offset 0)
                    then 'fk_commission_line_plan_version' else 'paid' end into broken
          from (select distinct order_id, n, plan_version from fresh) f
         where not exists (select from commission_plan p where p.version = f.plan_version offset 0)
            or (select sum(c.amount_fen) from commission_line c where c.order_id = f.order_id and c.n = f.n)
               > (select l.paid_fen from order_line l where l.order_id = f.order_id and l.n = f.n)
         limit 1;
    end if;
    if broken = 'paid' then
        raise exception 'commissions of an order line exceed what was paid' using errcode = 'HT422';
    elsif broken is not null then
        raise exception 'insert on table "commission_line" violates foreign key constraint "%"', broken
            using errcode = 'foreign_key_violation', table = 'commission_line', constraint = broken;
    end if;
    return null;
end $$;
