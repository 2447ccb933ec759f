-- The books: double entry, append-only, balances that never fall below nothing.

-- Statement triggers, so that TRUNCATE is refused like any other way of forgetting. Open for an erasure (it says so for
-- its transaction) where personal data stands in rows that are otherwise fixed: the account that a withdrawal went to,
-- the words of an appeal. Triggers of rows see that it only empties them.
create or replace function refuse_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and tg_level = 'STATEMENT' and tg_table_name in ('withdrawal', 'risk_step')
            and current_setting('huitou.erasing', true) = 'yes' then
        return null;
    end if;
    raise exception '% on % is refused: rows are only ever added', lower(tg_op), tg_table_name
        using errcode = 'HT403';
end $$;

-- What an index of broken rows asks of each row that is written (0075). Such an index keeps the rules of a table as a CHECK
-- does: no row that breaks one gets in, whoever writes it. A CHECK's text is parsed anew by each statement, an index's once a
-- session. ``the_rule`` is the name of the first rule that is broken; null, when none is, calls nothing.
create or replace function refuse_row(the_table text, the_rule text) returns boolean language plpgsql immutable strict as $$
begin
    raise exception 'new row for relation "%" violates check constraint "%"', the_table, the_rule
        using errcode = 'check_violation', schema = 'public', table = the_table, constraint = the_rule;
end $$;

-- The normal side of an account of somebody's.
create or replace function account_normal(kind text) returns text language plpgsql immutable as $$
begin
    return case kind
        when 'pending' then 'credit' when 'available' then 'credit' when 'held' then 'credit'
        when 'frozen' then 'credit' when 'points' then 'credit' when 'debt' then 'debit'
        when 'points_debt' then 'debit' end;
end $$;

-- The lock between booking and closing. Every booking shares it until it is committed; a close that starts or ends takes it
-- alone for a moment: what was being booked is then there to be counted, and what comes after knows of the close. It would
-- not know on an older snapshot, whatever a database or a connection is set to.
create or replace function booking_lock() returns void language plpgsql as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'booking needs READ COMMITTED: an older snapshot would hide a close' using errcode = 'HT403';
    end if;
    perform pg_advisory_xact_lock_shared(7114001);
end $$;

create or replace function booking_lock_alone() returns void language sql as $$ select pg_advisory_xact_lock(7114001) $$;

-- Locks the spendable accounts of some people, opened when new, in account order. Nobody decides by the empty purse of
-- somebody who is gone.
create or replace function ledger_lock(owners bigint[]) returns table (owner_id bigint, kind text, amount bigint)
language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    locked record;
begin
    perform ledger_open((
        select coalesce(jsonb_agg(jsonb_build_object('owner', o, 'kind', k, 'currency', 'CNY')), '[]')
          from unnest(owners) o cross join unnest(array['available', 'debt', 'pending']) k));
    for locked in
        select a.owner_id, a.kind, b.amount, b.ceased from account a join balance b on b.account_id = a.id
         where a.owner_id = any (owners) and a.currency = 'CNY'
         order by b.account_id for update of b
    loop
        if locked.ceased then
            perform refuse_merged_person(locked.owner_id);
        end if;
        owner_id := locked.owner_id;
        kind := locked.kind;
        amount := locked.amount;
        return next;
    end loop;
end $$;

-- Ids of the accounts named in refs [{owner, kind, currency}], opened (with a balance row) when new.
create or replace function ledger_open(refs jsonb) returns void language plpgsql as $$
begin
    -- Nearly always all are open already, and to look costs a third of preparing to write.
    if not exists (
        select from jsonb_to_recordset(refs) as r (owner bigint, kind text, currency text)
         where r.owner is not null and not exists (
            select from account a where a.owner_id = r.owner and a.kind = r.kind and a.currency = r.currency)
    ) then
        return;
    end if;
    with missing as (
        select distinct r.owner, r.kind, r.currency
          from jsonb_to_recordset(refs) as r (owner bigint, kind text, currency text)
         where r.owner is not null and not exists (
            select from account a where a.owner_id = r.owner and a.kind = r.kind and a.currency = r.currency)
         order by 1, 2, 3
    ), opened as (
        insert into account (owner_id, kind, currency, normal)
        select owner, kind, currency, account_normal(kind) from missing
            on conflict on constraint uq_account_owner_id_kind_currency do nothing
        returning id
    )
    insert into balance (account_id) select id from opened;
end $$;

-- The accounts of people among some postings that are not open yet, opened with a balance row.
create or replace function ledger_open_sides(postings new_posting[]) returns void language sql as $$
    select ledger_open((
        select jsonb_agg(distinct jsonb_build_object('owner', s.owner, 'kind', s.kind, 'currency', p.currency))
          from unnest(postings) p
         cross join lateral (values (p.debit_owner, p.debit), (p.credit_owner, p.credit)) as s (owner, kind)
         where s.owner is not null))
$$;

-- As ledger_write, for everybody else. doc: {at, journals: [{idem, digest, kind, effective_at, source_type, source_id,
-- label, actor, reverses?, resolves?}], postings: [{idem, n, debit_owner?, debit, credit_owner?, credit, currency,
-- amount}], opens}.
create or replace function ledger_post(at timestamptz, journals new_journal[], postings new_posting[]) returns bigint language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
begin
    perform booking_lock();
    return ledger_write(at, journals, postings);
end $$;

-- Books journals with their postings; for callers who hold the booking lock and have the settings. A key that is there with
-- the same digest is skipped with its postings; with another digest HT409 is raised. Journals come in the order of their
-- keys, and balances are written in account order, each locked as it is reached. Returns how many journals were booked.
create or replace function ledger_write(at timestamptz, journals new_journal[], postings new_posting[]) returns bigint
language plpgsql set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    ids bigint[];
    booked bigint;
    clash text;
    sides bigint[];
    moves bigint[];
    whole boolean;
    platform bigint[];
    kinds text[];
begin
    if cardinality(journals) = 1 then
        ids := array[nextval('journal_id_seq')];
    else
        ids := array(select nextval('journal_id_seq') from generate_series(1, cardinality(journals)));
    end if;
    -- Several are written as if none were there; only if the key tells that some are, they are passed over.
    if cardinality(journals) > 1 then
        begin
            insert into journal (id, idem, digest, kind, effective_at, posted_at, source_type, source_id, label, actor,
                                 reverses, resolves) overriding system value
            select ids[place], idem, digest, kind, effective_at, at, source_type, source_id, label, actor, reverses, resolves
              from unnest(journals) with ordinality as g (
                    idem, digest, kind, effective_at, source_type, source_id, label, actor, reverses, resolves, place);
            booked := cardinality(journals);
        exception when unique_violation then
        end;
    end if;
    if booked is null then
        insert into journal (id, idem, digest, kind, effective_at, posted_at, source_type, source_id, label, actor,
                             reverses, resolves) overriding system value
        select ids[place], idem, digest, kind, effective_at, at, source_type, source_id, label, actor, reverses, resolves
          from unnest(journals) with ordinality as g (
                idem, digest, kind, effective_at, source_type, source_id, label, actor, reverses, resolves, place)
            on conflict (idem) do nothing;
        get diagnostics booked = row_count;
    end if;
    if booked < cardinality(journals) then
        select g.idem into clash from unnest(journals) g
          join journal j on j.idem = g.idem and j.digest <> g.digest limit 1;
        if clash is not null then
            raise exception 'journal % is already booked with other content', clash using errcode = 'HT409';
        end if;
        if booked = 0 then
            return 0;
        end if;
        select array_agg(j.id order by g.place) into ids from unnest(journals) with ordinality as g (
            idem, digest, kind, effective_at, source_type, source_id, label, actor, reverses, resolves, place)
          left join journal j on j.idem = g.idem and j.id = any (ids);
    end if;
    -- What each side of each posting is, and what it adds to the balance of somebody's account (null on the platform's).
    -- A platform account has no owner; the index (ix_account_key) has 0 for it, and that 0 is nobody's is asked beside it. Of
    -- many postings, those accounts are few and are looked up once.
    if cardinality(postings) > 8 then
        select array_agg(k.id), array_agg(k.kind || k.currency) into platform, kinds from account k
         where coalesce(k.owner_id, 0) = 0 and k.owner_id is null;
    end if;
    for round in 1 .. 2 loop
        select array_agg(case when s.owner is null and kinds is not null
                              then platform[array_position(kinds, s.kind || p.currency)] else a.id end),
               array_agg(case when s.owner is null or ids[p.journal] is null then null
                              when a.normal = s.side then p.amount else -p.amount end),
               count(*) filter (where p.n = 1) = 2 * cardinality(journals)
               and bool_and((p.journal between 1 and cardinality(journals)) is true)
          into sides, moves, whole
          from unnest(postings) p
         cross join lateral (values (p.debit_owner, p.debit, 'debit'),
                                    (p.credit_owner, p.credit, 'credit')) as s (owner, kind, side)
          -- "offset 0" keeps this a look-up by key, one a side, also in a plan that was made when there were few accounts.
          left join lateral (
            select k.id, k.normal from account k
             where (s.owner is not null or kinds is null)
               and coalesce(k.owner_id, 0) = coalesce(s.owner, 0) and k.kind = s.kind and k.currency = p.currency
               and k.owner_id is not distinct from s.owner offset 0) a on true;
        exit when array_position(sides, null) is null;
        perform ledger_open_sides(postings);
    end loop;
    if not whole then
        raise exception 'journals and postings do not belong together' using errcode = 'HT422';
    end if;
    -- A side that no look-up finds is null and is refused.
    insert into posting (journal_id, n, debit, credit, currency, amount)
    select ids[p.journal], p.n, sides[2 * p.place - 1], sides[2 * p.place], p.currency, p.amount
      from unnest(postings) with ordinality as p (journal, n, debit_owner, debit, credit_owner, credit, currency, amount,
                                                  place)
     where ids[p.journal] is not null;
    -- Each balance is locked as it is reached, and they are reached in the order of their accounts: no other join is allowed.
    update balance b set amount = b.amount + m.delta, seq = b.seq + 1
      from (select s.id, whole_sum(s.delta) as delta
              from unnest(sides, moves) as s (id, delta)
             where s.delta is not null group by 1 order by 1) m
     where b.account_id = m.id;
    return booked;
end $$;

-- What Entry.digest makes of one pair expense -> pending. Stable, as convert_to is: called immutable it would not be
-- written into the statement that asks for it, and run as a query of its own for each row.
create or replace function ledger_earned_digest(kind text, source_type text, source bigint, expense text, owner bigint,
                                                amount bigint)
returns text language sql stable
return encode(sha256(convert_to('["' || kind || '","' || source_type || '",' || source || ',[[null,"' || expense || '",'
    || owner || ',"pending","CNY",' || amount || ']],null,null]', 'UTF8')), 'hex');

-- Books what many people earned at once, one journal and one pair each: expense -> pending. Kinds of journals, each
-- with its expense; rows of arrays: keys (idem), places (of the kind, from 1), sources (ids), owners, amounts. The same
-- rules as ledger_write: a key that is there with the same content is skipped, with other content HT409 is raised. All
-- are written as if none were there; the unique key tells when that is wrong, and what is left is booked then. Balances
-- are written in account order, each locked as it is reached: the look-ups follow the sorted accounts, as no other join
-- is allowed here. Look-ups go by index whatever the planner knows: it knows nothing of rows that were written a moment
-- ago. Returns how many were booked.
create or replace function ledger_earn(kinds text[], expenses text[], keys text[], places bigint[], sources bigint[],
                            owners bigint[], amounts bigint[], the_source text, the_label text, happened timestamptz,
                            at timestamptz)
returns bigint language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    expense_ids bigint[] := (
        select array_agg(a.id order by e.place) from unnest(expenses) with ordinality as e (kind, place)
          left join account a on a.owner_id is null and a.kind = e.kind and a.currency = 'CNY');
    accounts bigint[];
    unopened boolean;
    clash text;
    known bigint;
begin
    perform booking_lock();
    for round in 1 .. 2 loop
        select array_agg(a.id), bool_or(a.id is null) into accounts, unopened
          from unnest(owners) o
          left join lateral (select id from account
                              where owner_id = o and kind = 'pending' and currency = 'CNY' offset 0) a on true;
        exit when unopened is not true;
        with opened as (
            insert into account (owner_id, kind, currency, normal)
            select distinct owner, 'pending', 'CNY', account_normal('pending')
              from unnest(owners, accounts) as u (owner, account) where account is null order by 1
                on conflict on constraint uq_account_owner_id_kind_currency do nothing
            returning id
        )
        insert into balance (account_id) select id from opened;
    end loop;

    begin
        with fresh as materialized (
            select g.*, nextval('journal_id_seq') as journal_id
              from unnest(keys, places, sources, owners, amounts, accounts)
                   as g (idem, place, source, owner, amount, account_id)
        ), journals as (
            insert into journal (id, idem, digest, kind, effective_at, posted_at, source_type, source_id, label)
            overriding system value
            select journal_id, idem, ledger_earned_digest(kinds[place], the_source, source, expenses[place], owner, amount),
                   kinds[place], happened, at, the_source, source, the_label from fresh
        ), postings as (
            insert into posting (journal_id, n, debit, credit, currency, amount)
            select journal_id, 1, expense_ids[place], account_id, 'CNY', amount from fresh
        )
        update balance b set amount = b.amount + s.fen, seq = b.seq + 1
          from (select account_id, whole_sum(amount) as fen from fresh group by account_id order by account_id) s
         where b.account_id = s.account_id;
        return coalesce(cardinality(keys), 0);
    exception when unique_violation then
        select count(*), min(j.idem) filter (where j.digest <> ledger_earned_digest(
                   kinds[g.place], the_source, g.source, expenses[g.place], g.owner, g.amount)) into known, clash
          from unnest(keys, places, sources, owners, amounts) as g (idem, place, source, owner, amount)
         cross join lateral (select idem, digest from journal where idem = g.idem offset 0) j;
        if clash is not null then
            raise exception 'journal % is already booked with other content', clash using errcode = 'HT409';
        elsif known = 0 then
            raise;
        end if;
    end;
    select array_agg(idem), array_agg(place), array_agg(source), array_agg(owner), array_agg(amount)
      into keys, places, sources, owners, amounts
      from unnest(keys, places, sources, owners, amounts) as g (idem, place, source, owner, amount)
     where not exists (select from journal j where j.idem = g.idem offset 0);
    return ledger_earn(kinds, expenses, keys, places, sources, owners, amounts, the_source, the_label, happened, at);
end $$;

-- A foreign key is checked row by row and locks the row it points to, so that nobody deletes it meanwhile. Journals,
-- accounts, plans and order lines cannot be deleted or renamed by anybody: the lock guards nothing, and on the
-- platform's accounts and on the live plan it is the one row that all orders at once have to write. These keys stay
-- declared; a trigger refuses the same rows with the same words, a whole statement at a time. What a piece of a month
-- close writes is read as one stretch of each key instead of a look for each row.
create or replace function posting_refers() returns trigger language plpgsql as $$
declare
    many bigint;
    first_journal bigint;
    last_journal bigint;
    lowest bigint;
    highest bigint;
    mixed boolean;
    broken text;
begin
    -- Of few, one statement counts and looks at each; of more, each key is one look along its index.
    select count(*), min(k.name) into many, broken from (select * from fresh limit 9) f
     cross join lateral (select case
        when not exists (select from journal j where j.id = f.journal_id offset 0) then 'fk_posting_journal_id'
        when not exists (select from account a where a.id = f.debit and a.currency = f.currency offset 0)
            then 'fk_posting_debit_currency'
        when not exists (select from account a where a.id = f.credit and a.currency = f.currency offset 0)
            then 'fk_posting_credit_currency' end) as k (name);
    if many = 9 and broken is null then
        select count(*), min(journal_id), max(journal_id), min(credit), max(credit), min(currency) < max(currency)
          into many, first_journal, last_journal, lowest, highest, mixed from fresh;
        if many >= 400 and last_journal - first_journal < 8 * many and highest - lowest < 8 * many then
            broken := case
                when exists (select journal_id from fresh
                             except select id from journal where id between first_journal and last_journal)
                    then 'fk_posting_journal_id'
                when exists (select from (select distinct debit, currency from fresh) f
                              where not exists (select from account a
                                                 where a.id = f.debit and a.currency = f.currency offset 0))
                    then 'fk_posting_debit_currency'
                when exists (select credit, currency from fresh
                             except select id, currency from account where id between lowest and highest)
                    then 'fk_posting_credit_currency' end;
        elsif not mixed then
            select case
                when (select count(*) from journal j where j.id = any (a.journals)) < cardinality(a.journals)
                    then 'fk_posting_journal_id'
                when (select count(*) from account d where d.id = any (a.debits) and d.currency = a.currency)
                     < cardinality(a.debits) then 'fk_posting_debit_currency'
                when (select count(*) from account c where c.id = any (a.credits) and c.currency = a.currency)
                     < cardinality(a.credits) then 'fk_posting_credit_currency' end into broken
              from (select array_agg(distinct journal_id) as journals, array_agg(distinct debit) as debits,
                           array_agg(distinct credit) as credits, min(currency) as currency from fresh) a;
        else
            select k.name into broken from fresh f
             cross join lateral (select case
                when not exists (select from journal j where j.id = f.journal_id offset 0) then 'fk_posting_journal_id'
                when not exists (select from account a where a.id = f.debit and a.currency = f.currency offset 0)
                    then 'fk_posting_debit_currency'
                when not exists (select from account a where a.id = f.credit and a.currency = f.currency offset 0)
                    then 'fk_posting_credit_currency' end) as k (name)
             where k.name is not null limit 1;
        end if;
    end if;
    if broken is not null then
        raise exception 'insert on table "posting" violates foreign key constraint "%"', broken
            using errcode = 'foreign_key_violation', table = 'posting', constraint = broken;
    end if;
    return null;
end $$;

-- The journal that one reverses or resolves is there. As above; most have none, and are not even looked at.
create or replace function journal_refers() returns trigger language plpgsql as $$
declare
    broken text := case when new.reverses is null then 'fk_journal_resolves' else 'fk_journal_reverses' end;
begin
    if not exists (select from journal where id = coalesce(new.reverses, new.resolves)) then
        raise exception 'insert on table "journal" violates foreign key constraint "%"', broken
            using errcode = 'foreign_key_violation', table = 'journal', constraint = broken;
    end if;
    return null;
end $$;
