-- Cases, freezes and what is looked at for them.

-- Orders to be looked at.
create or replace function risk_queue_orders() returns trigger language plpgsql as $$
begin
    insert into risk_queue (order_id) select id from fresh;
    return null;
end $$;

-- Who earned on what came back.
create or replace function risk_watch_refunds() returns trigger language plpgsql as $$
begin
    insert into risk_watch (person_id)
        select distinct c.beneficiary_id from commission_line c
         where c.order_id in (select order_id from fresh) order by 1;
    return null;
end $$;

-- Nothing is let go to who is frozen.
create or replace function refuse_release_of_frozen() returns trigger language plpgsql as $$
begin
    if exists (select from account_hold h where h.person_id = new.beneficiary_id and h.lifted_at is null) then
        raise exception 'person % is frozen: nothing is let go', new.beneficiary_id using errcode = 'HT423';
    end if;
    return new;
end $$;

-- Judged when the balances are written, after the wait for their locks: who was frozen meanwhile is seen as frozen.
create or replace function refuse_withdrawal_of_frozen() returns trigger language plpgsql as $$
begin
    -- Mostly nobody is; to ask both at once would prepare the whole look for nothing.
    if not exists (select from account_hold where lifted_at is null) then
        return null;
    end if;
    if exists (
        select from after_it a join before_it b on b.account_id = a.account_id and a.amount > b.amount
          join account on account.id = a.account_id and account.kind = 'held'
          join account_hold h on h.person_id = account.owner_id and h.lifted_at is null
    ) then
        raise exception 'a frozen account pays nothing out' using errcode = 'HT423';
    end if;
    return null;
end $$;

create or replace function refuse_after_decision() returns trigger language plpgsql as $$
begin
    raise exception 'case % is decided: that is final', old.id using errcode = 'HT403';
end $$;

create or replace function refuse_after_confiscation() returns trigger language plpgsql as $$
begin
    raise exception 'commission line % is confiscated: that is final', old.id using errcode = 'HT403';
end $$;

-- A freeze ends once, with the case that it is for, or in a merge, when its person is another's other half.
create or replace function account_hold_lifted() returns trigger language plpgsql as $$
begin
    if (new.cause, new.since) is distinct from (old.cause, old.since) or old.lifted_at is not null
       or not exists (select from risk_case k where 'case:' || k.id = old.cause and k.state in ('released', 'confiscated'))
          and not exists (select from person where id = old.person_id and merged_into is not null) then
        raise exception 'hold %: no case ends it', old.id using errcode = 'HT403';
    end if;
    return null;
end $$;

-- A case ends as two people agreed, or because a merge found another one about the same thing, which goes on.
create or replace function risk_case_two_people() returns trigger language plpgsql as $$
begin
    if not exists (select from approval a
                    where a.act = case new.state when 'released' then 'person.release' else 'person.confiscate' end
                      and a.subject = 'case:' || new.id and a.state = 'approved' and a.decided_by = new.decided_by)
       and not (new.state = 'released'
                and exists (select from risk_step s
                              join risk_case mine on mine.id = s.case_id  -- the merge gave it to whoever was kept
                              join risk_case k on k.id = (s.facts ->> 'case')::bigint and k.id <> mine.id
                               and (k.person_id, k.rule, k.object) = (mine.person_id, mine.rule, mine.object)
                             where s.case_id = new.id and s.what = 'merged')) then
        raise exception 'case %: two people have not agreed to it', new.id using errcode = 'HT403';
    end if;
    return null;
end $$;
