-- Messages that come, and the rights and budgets of those that leave.

-- Meets the sender of a message: made on first sight, locked until the transaction ends, so that messages of one person
-- are handled one after the other. ``the_key`` null: the message was taken in earlier. ``known``: it was here before;
-- then only ``reply`` is told, and nothing else was done. ``tap`` null: what they did opens no window.
create or replace function hear_message(
    the_account text, the_key text, the_app text, the_openid text, wrote boolean, at timestamptz,
    tap boolean, rights bigint, ends timestamptz,
    out known boolean, out reply jsonb, out person_id bigint, out nickname text, out referral_code text,
    out identity_id bigint, out followed_before boolean, out state text, out memory jsonb, out woken bigint)
language plpgsql as $$
#variable_conflict use_column
declare
    met record;
    place record;
begin
    woken := 0;
    loop
        select i.id, i.seen_at, p.id as person_id, p.nickname, p.referral_code into met
          from identity i join person p on p.id = i.person_id
         where i.kind = 'openid' and i.scope = the_app and i.value = the_openid and p.merged_into is null
           for no key update of p;
        exit when found;
        perform resolve_person('openid', the_app, the_openid, at, wrote);
    end loop;
    -- A statement of its own: what the message before has changed must be seen by the statement after the wait.
    select m.id, m.reply, i.followed_at, i.unfollowed_at, c.state, c.memory, c.expires_at,
           exists (select from outbox o where o.person_id = met.person_id and o.state = 'waiting'
                      and o.reason = 'no_right') as waits
      into place
      from identity i
      left join inbox_message m on m.account = the_account and m.dedupe_key = the_key
      left join conversation c on c.person_id = met.person_id and c.account = the_account
     where i.id = met.id;
    known := place.id is not null;
    reply := place.reply;
    if known then
        return;
    end if;
    if met.seen_at < at - interval '1 hour'
            or wrote and (place.followed_at is null or place.unfollowed_at < at) then
        perform identity_touch(met.id, at, wrote);
    end if;
    if tap is not null then
        perform grant_right(the_account, the_openid, tap, rights, ends);
        if place.waits then
            woken := wake_notices(met.person_id, at);
        end if;
    end if;
    person_id := met.person_id;
    nickname := met.nickname;
    referral_code := met.referral_code;
    identity_id := met.id;
    followed_before := wrote or place.followed_at is not null;
    -- A place whose name ends with '*' is secret: it is known as such (state '*') even after the dialogue has expired.
    if place.expires_at > at then
        state := place.state;
        memory := place.memory;
    elsif right(place.state, 1) = '*' then
        state := '*';
    end if;
end $$;

-- The person did something: their window (of taps, or of messages) is refreshed to its maximum, never added to. An older
-- trigger that is handled late changes nothing.
create or replace function grant_right(the_account text, the_openid text, tap boolean, rights bigint, ends timestamptz)
returns void language plpgsql as $$
begin
    if tap then
        insert into send_right as r (account, openid, tap_left, tap_until) values (the_account, the_openid, rights, ends)
        on conflict (account, openid) do update set tap_left = excluded.tap_left, tap_until = excluded.tap_until
            where r.tap_until is null or r.tap_until <= excluded.tap_until;
    else
        insert into send_right as r (account, openid, message_left, message_until)
        values (the_account, the_openid, rights, ends)
        on conflict (account, openid) do update
            set message_left = excluded.message_left, message_until = excluded.message_until
            where r.message_until is null or r.message_until <= excluded.message_until;
    end if;
end $$;

-- Notices and pictures that waited only for a right are due now; returns how many.
create or replace function wake_notices(the_person bigint, at timestamptz) returns bigint language plpgsql as $$
declare
    woken bigint;
begin
    update outbox set due_at = at
    where person_id = the_person and state = 'waiting' and reason = 'no_right';
    get diagnostics woken = row_count;
    return woken;
end $$;

-- May one more call leave? '' and counted; 'day' when the day (for marketing: its share of the day) is used up; 'closed'
-- for marketing after the platform itself said so; 'pace' with the seconds to wait. One statement in a transaction
-- of its own that need not reach the disk: a crash may forget a few calls, never a limit.
create or replace function budget_take(the_app text, the_api text, marketing boolean, at timestamptz, per_day bigint,
                            marketing_share bigint, per_minute bigint, burst bigint)
returns table (why text, wait double precision) language plpgsql as $$
declare
    today date := (at at time zone 'Asia/Shanghai')::date;
    one interval := make_interval(secs => 60.0 / per_minute);
    budget platform_budget;
begin
    perform set_config('synchronous_commit', 'off', true);
    insert into platform_budget (app_id, api, day, next_at) values (the_app, the_api, today, at) on conflict do nothing;
    select * into budget from platform_budget b where b.app_id = the_app and b.api = the_api for no key update;
    if budget.day < today then
        budget.day := today;
        budget.used := 0;
    end if;
    if marketing and budget.marketing_until > at then
        return query select 'closed', extract(epoch from budget.marketing_until - at)::double precision;
    elsif budget.used >= (case when marketing then marketing_share else per_day end) then
        return query select 'day', extract(epoch from ((today + 1)::timestamp at time zone 'Asia/Shanghai') - at)::double precision;
    elsif budget.next_at > at + one * burst then
        return query select 'pace', extract(epoch from budget.next_at - at - one * burst)::double precision;
    else
        update platform_budget b
           set day = budget.day, used = budget.used + 1, next_at = greatest(budget.next_at, at) + one
         where b.app_id = the_app and b.api = the_api;
        return query select '', 0.0::double precision;
    end if;
end $$;

-- How many of ``wanted`` calls may leave together, counted at once by the rules of budget_take: as many as one call after
-- the other would be let out. In the caller's transaction, which also writes what leaves.
create or replace function budget_take_some(the_app text, the_api text, marketing boolean, wanted bigint, at timestamptz,
                                 per_day bigint, marketing_share bigint, per_minute bigint, burst bigint)
returns bigint language plpgsql as $$
declare
    today date := (at at time zone 'Asia/Shanghai')::date;
    seconds double precision := 60.0 / per_minute;
    budget platform_budget;
    taken bigint;
begin
    insert into platform_budget (app_id, api, day, next_at) values (the_app, the_api, today, at) on conflict do nothing;
    select * into budget from platform_budget b where b.app_id = the_app and b.api = the_api for no key update;
    if budget.day < today then
        budget.day := today;
        budget.used := 0;
    end if;
    if marketing and budget.marketing_until > at then
        return 0;
    end if;
    budget.next_at := greatest(budget.next_at, at);
    taken := least(wanted, (case when marketing then marketing_share else per_day end) - budget.used,
                   burst + 1 - ceil(extract(epoch from budget.next_at - at) / seconds)::bigint);
    if taken <= 0 then
        return 0;
    end if;
    update platform_budget b
       set day = budget.day, used = budget.used + taken,
           next_at = budget.next_at + make_interval(secs => seconds * taken)
     where b.app_id = the_app and b.api = the_api;
    return taken;
end $$;
