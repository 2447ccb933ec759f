-- Operators, second people, and the sealed log.

-- New names are one spelling of what they look like; older ones stay what the log knows.
create or replace function operator_plain_name() returns trigger language plpgsql as $$
begin
    if new.name <> lower(normalize(new.name, nfkc)) or new.name ~ '[[:space:][:cntrl:]<>&"''`/\\]' then
        raise exception 'an operator name in another spelling' using errcode = '23514',
            constraint = 'ck_operator_plain_name';
    end if;
    return new;
end $$;

-- Whose hand holds an operator's key: whoever made it, else their own.
create or replace function operator_hand(the_name text) returns text language sql stable as $$
    select coalesce(nullif(o.key_by, ''), o.name) from operator o where o.name = the_name
$$;

-- Whoever made a colleague's key could use it: a yes with it is no second person's.
create or replace function approval_two_hands() returns trigger language plpgsql as $$
begin
    if operator_hand(new.decided_by) = operator_hand(new.asked_by) then
        raise exception 'one hand asked and decided' using errcode = 'HT403';
    end if;
    return new;
end $$;

-- What is sealed of a row: every column, in one spelling.
create or replace function audit_canonical(e audit_event) returns text language sql stable as $$
    select jsonb_build_array(e.id, to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
        to_char(e.written_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), e.operator, e.role, e.act, e.subject,
        e.detail)::text
$$;
