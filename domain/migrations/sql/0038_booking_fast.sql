-- Booking with less to prepare. Functions as before (0002, 0030); see ADR 0043.

-- ---- The ledger: one journal by look-ups, many by one statement ----------------------------------------------------

-- As ledger_write, of one journal: an order that comes alone. Preparing the one statement that books hundreds costs more than
-- a look-up by key for each side of a few postings.
create function ledger_write_one(doc jsonb) returns bigint language plpgsql as $$
declare
    fact journal := jsonb_populate_record(null::journal, doc #> '{journals,0}');
    pair jsonb;
    side text;
    owner bigint;
    the_account bigint;
    grows text;
    change bigint;
    place int;
    sides bigint[] := '{}';
    touched bigint[] := '{}';
    deltas bigint[] := '{}';
begin
    insert into journal as j (idem, digest, kind, effective_at, posted_at, source_type, source_id, label, actor,
                              reverses, resolves)
    values (fact.idem, fact.digest, fact.kind, fact.effective_at, (doc ->> 'at')::timestamptz, fact.source_type,
            fact.source_id, fact.label, fact.actor, fact.reverses, fact.resolves)
        on conflict (idem) do nothing
    returning j.id into fact.id;
    if fact.id is null then
        if exists (select from journal j where j.idem = fact.idem and j.digest <> fact.digest) then
            raise exception 'journal % is already booked with other content', fact.idem using errcode = 'HT409';
        end if;
        return 0;
    end if;
    for i in 0 .. jsonb_array_length(doc -> 'postings') - 1 loop
        pair := doc -> 'postings' -> i;
        foreach side in array array['debit', 'credit'] loop
            owner := pair ->> (side || '_owner');
            if owner is null then
                select a.id into the_account from account a
                 where a.owner_id is null and a.kind = pair ->> side and a.currency = pair ->> 'currency';
            else
                select a.id, a.normal into the_account, grows from account a
                 where a.owner_id = owner and a.kind = pair ->> side and a.currency = pair ->> 'currency';
                if not found then
                    perform ledger_open(doc -> 'opens');
                    select a.id, a.normal into the_account, grows from account a
                     where a.owner_id = owner and a.kind = pair ->> side and a.currency = pair ->> 'currency';
                end if;
                change := pair ->> 'amount';
                if grows <> side then
                    change := -change;
                end if;
                place := array_position(touched, the_account);
                if place is null then
                    touched := touched || the_account;
                    deltas := deltas || change;
                else
                    deltas[place] := deltas[place] + change;
                end if;
            end if;
            sides := sides || the_account;
        end loop;
    end loop;
    -- A side that no look-up finds is null and is refused.
    insert into posting (journal_id, n, debit, credit, currency, amount)
    select fact.id, (p.pair ->> 'n')::bigint, sides[2 * p.place - 1], sides[2 * p.place], p.pair ->> 'currency',
           (p.pair ->> 'amount')::bigint
      from jsonb_array_elements(doc -> 'postings') with ordinality as p (pair, place);
    update balance b set amount = b.amount + m.delta, seq = b.seq + 1
      from (select u.id, u.delta from unnest(touched, deltas) as u (id, delta) order by 1) m where b.account_id = m.id;
    return 1;
end $$;

-- As ledger_post, for callers who hold the booking lock and have the settings.
create or replace function ledger_write(doc jsonb) returns bigint language plpgsql as $$
declare
    at timestamptz := doc ->> 'at';
    booked bigint;
    clash text;
    touched bigint[];
    deltas bigint[];
begin
    if jsonb_array_length(doc -> 'journals') = 1 then
        return ledger_write_one(doc);
    end if;
    -- A platform account has no owner, and no index finds "not distinct from": people and platform are looked up apart.
    perform ledger_open(doc -> 'opens');
    with booked as (
        insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id, label, actor,
                             reverses, resolves)
        select idem, digest, kind, effective_at, at, source_type, source_id, label, actor, reverses, resolves
          from jsonb_to_recordset(doc -> 'journals') as j (idem text, digest text, kind text,
               effective_at timestamptz, source_type text, source_id bigint, label text, actor text,
               reverses bigint, resolves bigint)
         order by idem
            on conflict (idem) do nothing
        returning id, idem
    ), legs as materialized (
        select b.id, p.n, coalesce(d.id, case when p.debit_owner is null then (
                   select a.id from account a where a.owner_id is null and a.kind = p.debit and a.currency = p.currency)
               end) as debit,
               coalesce(c.id, case when p.credit_owner is null then (
                   select a.id from account a where a.owner_id is null and a.kind = p.credit and a.currency = p.currency)
               end) as credit,
               p.currency, p.amount, d.normal as debit_normal, c.normal as credit_normal
          from jsonb_to_recordset(doc -> 'postings') as p (idem text, n bigint, debit_owner bigint, debit text,
               credit_owner bigint, credit text, currency text, amount bigint)
          join booked b on b.idem = p.idem
          left join lateral (select a.id, a.normal from account a
                              where a.owner_id = p.debit_owner and a.kind = p.debit and a.currency = p.currency
                             offset 0) d on true
          left join lateral (select a.id, a.normal from account a
                              where a.owner_id = p.credit_owner and a.kind = p.credit and a.currency = p.currency
                             offset 0) c on true
    ), written as (
        -- A side that no look-up finds stays null and is refused.
        insert into posting (journal_id, n, debit, credit, currency, amount)
        select id, n, debit, credit, currency, amount from legs
    )
    select (select count(*) from booked), array_agg(s.id order by s.id), array_agg(s.delta order by s.id)
      into booked, touched, deltas
      from (select id, sum(delta)::bigint as delta
              from (select credit as id, case credit_normal when 'credit' then amount else -amount end as delta
                      from legs where credit_normal is not null
                    union all
                    select debit, case debit_normal when 'credit' then -amount else amount end
                      from legs where debit_normal is not null) sides
             group by id) s;
    if booked < jsonb_array_length(doc -> 'journals') then
        select g.idem into clash
          from jsonb_to_recordset(doc -> 'journals') as g (idem text, digest text)
          join journal j on j.idem = g.idem and j.digest <> g.digest limit 1;
        if clash is not null then
            raise exception 'journal % is already booked with other content', clash using errcode = 'HT409';
        end if;
    end if;
    perform 1 from balance where account_id = any (touched) order by account_id for update;
    update balance b set amount = b.amount + m.delta, seq = b.seq + 1
      from unnest(touched, deltas) as m (id, delta) where b.account_id = m.id;
    return booked;
end $$;

-- ---- Taking in: a buyer who comes alone -----------------------------------------------------------------------------

-- As intake_recognise, of one buyer: each name looked up by its key.
create function intake_recognise_one(buyer jsonb, seen_since timestamptz) returns bigint[] language plpgsql as $$
declare
    the_kind text;
    name bigint;
    names bigint[] := '{}';
    somebody bigint;
    owner bigint;
    seen timestamptz;
begin
    foreach the_kind in array array['openid', 'unionid', 'external_userid', 'mall_user_id'] loop
        continue when buyer ->> the_kind is null;
        select i.id, i.person_id, i.seen_at into name, somebody, seen from identity i
         where i.kind = the_kind and i.value = buyer ->> the_kind
           and i.scope = case the_kind when 'openid' then buyer ->> 'app_id' else '' end;
        if somebody is null or seen < seen_since or owner <> somebody then
            return null;
        end if;
        owner := somebody;
        names := names || name;
    end loop;
    perform 1 from person p where p.id = owner and p.merged_into is null for key share;
    if not found then
        return null;
    end if;
    -- Whoever was waited for may have become somebody else: then the names say so now.
    if (select count(*) from identity i where i.id = any (names) and i.person_id = owner) < cardinality(names) then
        return null;
    end if;
    return array[owner];
end $$;

-- Who is behind some payments, by their identities; held against being merged until the transaction ends. Null when that
-- needs more than a look: somebody new, two people, somebody not seen for long.
create or replace function intake_recognise(buyers jsonb[], seen_since timestamptz) returns bigint[] language plpgsql as $$
declare
    names bigint[];
    owners bigint[];
    places bigint[];
    complete boolean;
    found bigint;
begin
    if cardinality(buyers) = 1 then
        return intake_recognise_one(buyers[1], seen_since);
    end if;
    select array_agg(i.id), array_agg(i.person_id order by b.place), array_agg(b.place order by b.place),
           bool_and(i.id is not null and i.seen_at >= seen_since)
      into names, owners, places, complete
      from unnest(buyers) with ordinality as b (buyer, place)
     cross join lateral (values
        ('openid', b.buyer ->> 'app_id', b.buyer ->> 'openid'), ('unionid', '', b.buyer ->> 'unionid'),
        ('external_userid', '', b.buyer ->> 'external_userid'), ('mall_user_id', '', b.buyer ->> 'mall_user_id')
     ) as n (kind, scope, value)
      left join lateral (select i.id, i.person_id, i.seen_at from identity i
                          where i.kind = n.kind and i.scope = n.scope and i.value = n.value offset 0) i on true
     where n.value is not null;
    if complete is not true or array_position(owners, null) is not null then
        return null;
    end if;
    select array_agg(g.one order by g.place), bool_and(g.one = g.other) into owners, complete
      from (select o.place, min(o.person) as one, max(o.person) as other
              from unnest(places, owners) as o (place, person) group by 1) g;
    if not complete or cardinality(owners) < cardinality(buyers) then
        return null;
    end if;
    perform 1 from person p where p.id = any (owners) and p.merged_into is null order by p.id for key share;
    get diagnostics found = row_count;
    -- Whoever was waited for may have become somebody else: then the names say so now.
    if found < (select count(distinct o) from unnest(owners) o)
       or (select count(*) from identity i where i.id = any (names) and i.person_id = any (owners))
          < (select count(distinct n) from unnest(names) n) then
        return null;
    end if;
    return owners;
end $$;
