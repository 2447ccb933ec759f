-- Who stood above a buyer when they paid: for the claim of events, of many and of one, and for whoever asks apart.

-- Who stood above some buyers when each paid: [{subject, people, granted, boosts, frozen, renews}, …], what is not there left
-- out (domain.workflows.standing.Standing says what is what). Mostly no boost runs, nobody is frozen and no plan pays a
-- third level: that is asked once. Whether a purchase renews is told by the edge to the first above, if it is in force.
create or replace function intake_above(subjects text[], buyers bigint[], ats timestamptz[]) returns json language plpgsql as $$
declare
    boosted boolean := exists (select from commission_boost b where b.ends_at > (select min(t) from unnest(ats) t));
    held boolean := exists (select from account_hold h where h.lifted_at is null);
    three boolean := exists (select from commission_plan p where (p.document ->> 'levels')::bigint > 2);
    standings text;
begin
    select string_agg(concat('{"subject":', to_json(w.subject), ',"people":', to_json(u.people), ',"granted":',
               to_json(array(select json_build_array(g.person_id, g.role) from role_grant g
                              where g.person_id = any (u.people) and g.granted_at <= w.at
                                and (g.revoked_at is null or g.revoked_at > w.at))),
               case when boosted then ',"boosts":' || to_json(array(
                   select json_build_array(b.person_id, b.bps) from commission_boost b
                    where b.person_id = any (u.people) and b.starts_at <= w.at and b.ends_at > w.at)) end,
               case when held then ',"frozen":' || to_json(array(
                   select h.person_id from account_hold h where h.person_id = any (u.people) and h.lifted_at is null)) end,
               case when case when a.ended_at is null and a.id is not null then a.first_until is not null
                    else exists (select from referral r where r.referee_id = w.buyer and r.ended_at is null
                                    and r.first_until is not null and r.bound_at <= w.at) end then ',"renews":true' end,
               '}'), ',') into standings
      from unnest(subjects, buyers, ats) as w (subject, buyer, at)
      left join lateral (
        select r.referrer_id as id, r.ended_at, r.first_until from referral r
         where r.referee_id = w.buyer and r.bound_at <= w.at
           and (r.valid_until is null or r.valid_until > w.at) and (r.ended_at is null or r.ended_at > w.at)
         order by r.bound_at, r.id limit 1) a on true
      left join lateral (
        select r.referrer_id as id from referral r
         where r.referee_id = a.id and r.bound_at <= w.at
           and (r.valid_until is null or r.valid_until > w.at) and (r.ended_at is null or r.ended_at > w.at)
         order by r.bound_at, r.id limit 1) b on b.id <> w.buyer
      left join lateral (
        select r.referrer_id as id from referral r
         where three and r.referee_id = b.id and r.bound_at <= w.at
           and (r.valid_until is null or r.valid_until > w.at) and (r.ended_at is null or r.ended_at > w.at)
         order by r.bound_at, r.id limit 1) c on c.id <> w.buyer and c.id <> a.id
     cross join lateral (select array_remove(array[w.buyer, a.id, b.id, c.id], null) as people) u;
    return '[' || standings || ']';
end $$;

-- As intake_above, of one order. A loop has one small plan for all levels; what many are told by would cost more to prepare.
create or replace function intake_above_one(the_subject text, buyer bigint, at timestamptz) returns json language plpgsql as $$
declare
    the_people bigint[] := array[buyer];
    next_up bigint := buyer;
    standing json;
begin
    for level in 1 .. 3 loop
        select r.referrer_id into next_up from referral r
         where r.referee_id = next_up and r.bound_at <= at
           and (r.valid_until is null or r.valid_until > at) and (r.ended_at is null or r.ended_at > at)
         order by r.bound_at, r.id limit 1;
        exit when next_up is null or next_up = any (the_people);
        the_people := the_people || next_up;
    end loop;
    select to_json(s) into standing
      from (select the_subject as subject, the_people as people,
                   array(select json_build_array(g.person_id, g.role) from role_grant g
                          where g.person_id = any (the_people) and g.granted_at <= at
                            and (g.revoked_at is null or g.revoked_at > at)) as granted,
                   array(select json_build_array(b.person_id, b.bps) from commission_boost b
                          where b.person_id = any (the_people) and b.starts_at <= at and b.ends_at > at) as boosts,
                   array(select h.person_id from account_hold h
                          where h.person_id = any (the_people) and h.lifted_at is null) as frozen,
                   exists (select from referral r where r.referee_id = buyer and r.ended_at is null
                              and r.first_until is not null and r.bound_at <= at) as renews) s;
    return standing;
end $$;

-- Who stood above some buyers when each paid, nearest first (level 0: the buyer), with the roles and the boost that
-- they held at that time; ``renews``: the buyer's own binding had begun and ends one day, so this purchase may make it
-- last longer.
create or replace function intake_standing(ids bigint[], ats timestamptz[], levels bigint)
returns table (place bigint, level bigint, person_id bigint, roles text[], renews boolean, boost_bps bigint)
language plpgsql stable set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
begin
    return query
        select u.place, u.level, u.person_id,
               array(select g.role from role_grant g
                      where g.person_id = u.person_id and g.granted_at <= u.at
                        and (g.revoked_at is null or g.revoked_at > u.at)),
               u.level = 0 and exists (
                   select from referral r where r.referee_id = u.person_id and r.ended_at is null
                      and r.first_until is not null and r.bound_at <= u.at),
               coalesce((select max(b.bps) from commission_boost b
                          where b.person_id = u.person_id and b.starts_at <= u.at and b.ends_at > u.at), 10000)
          from referral_uplines(ids, ats, levels) u order by u.place, u.level;
end $$;
