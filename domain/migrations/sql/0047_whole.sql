-- As before (0041). Postings come apart from their journals since then: one that belongs to none was left out in silence, and a
-- journal without any took its key from the fact that should have it. Both are refused.

-- Books journals with their postings; for callers who hold the booking lock and have the settings. A key that is there with
-- the same digest is skipped with its postings; with another digest HT409 is raised. Journals come in the order of their
-- keys, and balances are locked in account order before any is written. Returns how many journals were booked.
create or replace function ledger_write(at timestamptz, journals new_journal[], postings new_posting[]) returns bigint
language plpgsql as $$
declare
    ids bigint[];
    booked bigint;
    clash text;
    debits bigint[];
    credits bigint[];
    debit_normals text[];
    credit_normals text[];
    unopened boolean;
    whole boolean;
    touched bigint[];
    deltas bigint[];
begin
    with fresh as (
        insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id, label, actor,
                             reverses, resolves)
        select idem, digest, kind, effective_at, at, source_type, source_id, label, actor, reverses, resolves
          from unnest(journals)
            on conflict (idem) do nothing
        returning id
    )
    select array_agg(id), count(*) into ids, booked from fresh;
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
    -- A platform account has no owner, and no index finds "not distinct from": people and platform are looked up apart.
    for round in 1 .. 2 loop
        select array_agg(d.id), array_agg(c.id), array_agg(d.normal), array_agg(c.normal),
               bool_or(p.debit_owner is not null and d.id is null or p.credit_owner is not null and c.id is null),
               count(*) filter (where p.n = 1) = cardinality(journals)
               and count(*) filter (where p.journal between 1 and cardinality(journals)) = count(*)
          into debits, credits, debit_normals, credit_normals, unopened, whole
          from unnest(postings) p
          left join lateral (
            select a.id, a.normal from account a
             where a.owner_id = p.debit_owner and a.kind = p.debit and a.currency = p.currency
            union all
            select a.id, null from account a
             where p.debit_owner is null and a.owner_id is null and a.kind = p.debit and a.currency = p.currency) d on true
          left join lateral (
            select a.id, a.normal from account a
             where a.owner_id = p.credit_owner and a.kind = p.credit and a.currency = p.currency
            union all
            select a.id, null from account a
             where p.credit_owner is null and a.owner_id is null and a.kind = p.credit and a.currency = p.currency) c on true;
        exit when not unopened;
        perform ledger_open_sides(postings);
    end loop;
    if not whole then
        raise exception 'journals and postings do not belong together' using errcode = 'HT422';
    end if;
    -- A side that no look-up finds is null and is refused.
    insert into posting (journal_id, n, debit, credit, currency, amount)
    select ids[p.journal], p.n, p.debit_id, p.credit_id, p.currency, p.amount
      from unnest(postings, debits, credits) as p (journal, n, debit_owner, debit, credit_owner, credit, currency, amount,
                                                   debit_id, credit_id)
     where ids[p.journal] is not null;
    select array_agg(s.id), array_agg(s.delta) into touched, deltas
      from (select s.id, sum(case s.normal when s.side then p.amount else -p.amount end)::bigint as delta
              from unnest(postings, debits, credits, debit_normals, credit_normals) as p (journal, n, debit_owner, debit,
                   credit_owner, credit, currency, amount, debit_id, credit_id, debit_normal, credit_normal)
             cross join lateral (values (p.debit_id, p.debit_normal, 'debit'),
                                        (p.credit_id, p.credit_normal, 'credit')) as s (id, normal, side)
             where s.normal is not null and ids[p.journal] is not null
             group by 1 order by 1) s
     cross join lateral (select from balance k where k.account_id = s.id for update) held;
    update balance b set amount = b.amount + m.delta, seq = b.seq + 1
      from unnest(touched, deltas) as m (id, delta) where b.account_id = m.id;
    return booked;
end $$;
