-- Points, the programme of repurchase rewards, draws, the mall.

-- The only way to change a lot: rows of what happened, and the lots as they make them. moves: [{lot_id, kind, delta, idem}],
-- reversed: [{lot_id, back}] is how much of a lot returns have taken back, from wherever the points came.
-- A pending lot becomes active by its 'activate' row; a lot is closed when nothing of it remains or can come.
create or replace function points_apply(moves jsonb, backs jsonb, at timestamptz) returns void language plpgsql as $$
begin
    insert into point_move (lot_id, kind, delta, idem, at)
    select m.lot_id, m.kind, m.delta, m.idem, points_apply.at
      from jsonb_to_recordset(moves) as m (lot_id bigint, kind text, delta bigint, idem text);
    update point_lot l
       set reversed = l.reversed + b.back,
           state = case when l.state = 'pending' and l.reversed + b.back = l.amount then 'closed' else l.state end
      from jsonb_to_recordset(backs) as b (lot_id bigint, back bigint)
     where l.id = b.lot_id;
    update point_lot l
       set remaining = l.remaining + c.delta, state = case when l.remaining + c.delta > 0 then 'active' else 'closed' end,
           expires_at = greatest(l.expires_at, c.until)
      from (select m.lot_id, sum(m.delta) as delta, max(m.until) as until
              from jsonb_to_recordset(moves) as m (lot_id bigint, delta bigint, until timestamptz) group by 1) c
     where l.id = c.lot_id;
end $$;

-- What operators took back of a lot is a part of what is taken back of it, and each part was approved, as many points of it.
create or replace function point_taking_allowed() returns trigger language plpgsql as $$
declare
    back bigint;
begin
    select reversed into back from point_lot where id = new.lot_id for update;
    if new.points + (select coalesce(sum(points), 0) from point_taking where lot_id = new.lot_id) > back then
        raise exception 'lot %: more taken by hand than is taken back of it', new.lot_id using errcode = 'HT409';
    end if;
    if not exists (select from approval where id = new.approval_id and act = 'points.take_back' and state = 'approved'
                      and subject = 'point_lot:' || new.lot_id and (payload ->> 'points')::bigint >= new.points) then
        raise exception 'lot %: nobody approved that it is taken back', new.lot_id using errcode = 'HT409';
    end if;
    return new;
end $$;

-- A gift is taken back whole, by an approval, which says whether it may be owed; what is said to be taken has its journal.
create or replace function gift_taking_allowed() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        if new.state <> 'calling' or new.fen is distinct from (
            select sum(p.amount) from journal j join posting p on p.journal_id = j.id
             where j.id = new.journal_id and j.kind in ('reward.given', 'reward.earned')) then
            raise exception 'gift %: % fen are not what was given', new.journal_id, new.fen using errcode = 'HT409';
        end if;
        if not exists (select from approval where id = new.approval_id and act = 'gift.take_back' and state = 'approved'
                          and subject = 'gift:' || new.journal_id and (payload ->> 'owe')::boolean = new.owe) then
            raise exception 'gift %: nobody approved that it is taken back', new.journal_id using errcode = 'HT409';
        end if;
        return new;
    end if;
    if old.state <> 'calling' or (new.approval_id, new.journal_id, new.fen, new.owe, new.at)
                                 is distinct from (old.approval_id, old.journal_id, old.fen, old.owe, old.at) then
        raise exception 'gift %: what was asked for and what has ended stays so', old.journal_id using errcode = 'HT409';
    end if;
    if new.state = 'taken' and new.fen is distinct from (
        select sum(p.amount) from journal j join posting p on p.journal_id = j.id where j.reverses = new.journal_id) then
        raise exception 'gift %: no journal takes it back', new.journal_id using errcode = 'HT409';
    end if;
    return new;
end $$;

-- Whose orders changed is counted again.
create or replace function programme_of_orders() returns trigger language plpgsql as $$
begin
    insert into programme_stale (person_id) select distinct buyer_id from changed;
    return null;
end $$;

-- A phone that is verified opens what waited for it: for the friend, and for who had brought friends.
create or replace function programme_of_phones() returns trigger language plpgsql as $$
begin
    insert into programme_stale (person_id)
    select new.id union select buyer_id from customer_order where seller_id = new.id;
    return null;
end $$;

-- Nobody draws outside the time, above the limits, before the day's promise or after its seed was shown. The entrant's row is
-- the lock: two draws of one person come one after the other.
create or replace function draw_allowed() returns trigger language plpgsql as $$
declare
    terms draw_campaign;
    promise draw_seed;
    today bigint;
    ever bigint;
begin
    perform from draw_entrant where campaign_id = new.campaign_id and person_id = new.person_id for update;
    select * into terms from draw_campaign where id = new.campaign_id;
    select * into promise from draw_seed where campaign_id = new.campaign_id and day = new.day for share;
    select count(*) filter (where day = new.day), count(*) into today, ever
      from draw where campaign_id = new.campaign_id and person_id = new.person_id and state <> 'sold_out';
    if terms.stopped_at is not null or new.at < terms.opens_at or new.at >= terms.closes_at then
        raise exception 'draw %: the campaign is not open', terms.key using errcode = 'HT409';
    end if;
    if promise.published_at > new.at or promise.revealed_at is not null
       or new.day <> (new.at at time zone 'Asia/Shanghai')::date then
        raise exception 'draw %: no promise holds for %', terms.key, new.day using errcode = 'HT409';
    end if;
    if new.state <> 'sold_out' and (today >= terms.daily_most or ever >= terms.total_most) then
        raise exception 'draw %: above the limits', terms.key using errcode = 'HT409';
    end if;
    return new;
end $$;

-- Nobody has more of an item than one customer may; its row is the lock.
create or replace function mall_exchange_allowed() returns trigger language plpgsql as $$
declare
    wanted mall_item;
begin
    select * into wanted from mall_item where key = new.item_key for update;
    if wanted.most is not null and wanted.most <= (
        select count(*) from mall_exchange
         where person_id = new.person_id and item_key = new.item_key and cancelled_at is null) then
        raise exception 'item %: above what one customer may have', new.item_key using errcode = 'HT409';
    end if;
    return new;
end $$;
