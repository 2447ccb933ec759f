-- Whose hand made an operator's key, if not their own: '' for nobody else's. Both are one person where two are needed.
alter table operator add column key_by text not null default '';

-- Keys of before: the newest one that somebody else made, unless it was replaced at the terminal under their own name.
update operator o set key_by = coalesce((
    select e.operator from audit_event e
     where e.act = 'operator.key' and e.subject = 'operator:' || o.name and e.operator <> o.name
       and not exists (select from audit_event own
                        where own.id > e.id and own.act = e.act and own.subject = e.subject and own.operator = o.name
                          and own.detail ->> 'via' like 'cli:%')
     order by e.id desc limit 1), '')
 where exists (select from audit_event e where e.act = 'operator.key' and e.subject = 'operator:' || o.name);

create function operator_hand(the_name text) returns text language sql stable as $$
    select coalesce(nullif(o.key_by, ''), o.name) from operator o where o.name = the_name
$$;

-- Whoever made a colleague's key could use it: a yes with it is no second person's.
create function approval_two_hands() returns trigger language plpgsql as $$
begin
    if operator_hand(new.decided_by) = operator_hand(new.asked_by) then
        raise exception 'one hand asked and decided' using errcode = 'HT403';
    end if;
    return new;
end $$;
create trigger approval_two_hands before update of state on approval
    for each row when (old.state = 'open' and new.state = 'approved') execute function approval_two_hands();

-- New names are one spelling of what they look like; older ones stay what the log knows.
create function operator_plain_name() returns trigger language plpgsql as $$
begin
    if new.name <> lower(normalize(new.name, nfkc)) or new.name ~ '[[:space:][:cntrl:]<>&"''`/\\]' then
        raise exception 'an operator name in another spelling' using errcode = '23514',
            constraint = 'ck_operator_plain_name';
    end if;
    return new;
end $$;
create trigger operator_plain_name before insert on operator
    for each row execute function operator_plain_name();
