"""The rows of orders by the barest means: how much of B5 and B6 is writing them, and how much is what we do to be
right.

One prepared call of a database function with a plain statement for each row (of a batch: one for all rows of a table),
everything known beforehand: no plan is read, no rule asked, no Python but the call. Once into the real tables, with all
that they refuse (checks, foreign keys, triggers), and once into copies with the same columns and indexes that refuse
nothing. Nobody could sell either; a goal above the second is above what the rows themselves allow.

The third way has the house's own Python strike the deal between two such calls: the worker as it is, in a database
whose ``intake_take`` asks for nothing but the payment, its buyer and the two people above, and whose ``money_apply``
writes the rows of one order and asks for nothing at all. It is what is left when every question is free.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
from sqlalchemy import Connection, Engine, create_engine, text

from bench.client import Work

GUARDED, BARE, STRUCK = "guarded", "bare", "struck"

_TABLES = ("commerce_event", "commerce_open", "customer_order", "order_line", "commission_line", "journal", "posting",
           "balance", "order_news", "earned_news", "account", "referral", "identity", "commerce_batch")
_OPEN = "select id from public.commerce_open union all select unnest(events) from public.commerce_batch"
_INBOX = {"commerce_event": f"id in ({_OPEN})", "commerce_open": "true", "commerce_batch": "true"}

_BOOK = """
create function bare.book_{name}() returns void language plpgsql set search_path = {tables} as $$
declare
    event record;
    buyer bigint;
    direct bigint;
    leader bigint;
    the_order bigint := nextval('public.customer_order_id_seq');
    the_journal bigint;
    direct_account bigint;
    leader_account bigint;
begin
    delete from commerce_open where id = (
        select id from commerce_open where state = 'new' order by due_at, id limit 1 for update skip locked)
        returning id into event;
    select e.payload into event from commerce_event e where e.id = event.id;
    select i.person_id into buyer from identity i
     where i.kind = 'mall_user_id' and i.value = event.payload -> 'buyer' ->> 'mall_user_id' and i.scope = '';
    select r.referrer_id into direct from referral r where r.referee_id = buyer and r.ended_at is null;
    select r.referrer_id into leader from referral r where r.referee_id = direct and r.ended_at is null;
    insert into customer_order (id, channel, order_no, source, buyer_id, currency, paid_fen, shipping_fen, refunded_fen,
                                region, share_code, digest, paid_at, carrier, tracking_no, receive_due_at, booked_at,
                                seller_id, leader_id, signals)
    values (the_order, 'mall', event.payload ->> 'order_id', 'bench', buyer, 'CNY', 9900, 0, 0, '', '', repeat('0', 64),
            now(), '', '', now(), now(), direct, leader, '{{}}');
    insert into order_line (order_id, n, line_id, sku, title, category, quantity, paid_fen, refunded_fen,
                            refunded_quantity)
    values (the_order, 1, '1', 'RICE-5KG', '有机大米 5kg', 'fmcg', 2, 9900, 0, 0);
    insert into commission_line (order_id, n, beneficiary_id, level, kind, base_fen, rate_bps, rule, plan_version,
                                 uncut_fen, amount_fen, clawed_fen, accrued_at, rule_bps, phase, phase_bps, boost_bps)
    values (the_order, 1, direct, 1, 'direct', 9900, 800, 'base', 1, 792, 792, 0, now(), 800, '', 0, 10000),
           (the_order, 1, leader, 2, 'level2', 9900, 200, 'base', 1, 198, 198, 0, now(), 200, '', 0, 10000);
    insert into earned_news (order_ids, at) values (array[the_order], now());
    {news}
    insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id, label)
    values ('bare:' || the_order, repeat('0', 64), 'commission.accrued', now(), now(), 'order', the_order, 'rice')
    returning id into the_journal;
    select id into direct_account from account where owner_id = direct and kind = 'pending' and currency = 'CNY';
    select id into leader_account from account where owner_id = leader and kind = 'pending' and currency = 'CNY';
    insert into posting (journal_id, n, debit, credit, currency, amount)
    values (the_journal, 1, {expense}, direct_account, 'CNY', 792),
           (the_journal, 2, {expense}, leader_account, 'CNY', 198);
    update balance set amount = amount + case account_id when direct_account then 792 else 198 end, seq = seq + 1
     where account_id = least(direct_account, leader_account);
    update balance set amount = amount + case account_id when direct_account then 792 else 198 end, seq = seq + 1
     where account_id = greatest(direct_account, leader_account);
end $$
"""
_BOOK_MANY = """
create function bare.book_many_{name}() returns bigint language plpgsql set search_path = {tables}
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
declare
    events bigint[];
    orders bigint[];
    numbers text[];
    buyers bigint[];
    directs bigint[];
    leaders bigint[];
    journals bigint[];
    accounts bigint[];
begin
    delete from commerce_batch b where b.id = (
        select w.id from commerce_batch w order by w.due_at, w.id limit 1 for update skip locked)
        returning b.events into events;
    if not found then
        return 0;
    end if;
    select array_agg(nextval('public.customer_order_id_seq')), array_agg(e.payload ->> 'order_id'),
           array_agg(i.person_id), array_agg(d.referrer_id), array_agg(l.referrer_id),
           array_agg(nextval(pg_get_serial_sequence('journal', 'id')))
      into orders, numbers, buyers, directs, leaders, journals
      from unnest(events) as t (id)
     cross join lateral (select e.payload from commerce_event e where e.id = t.id offset 0) e
     cross join lateral (select person_id from identity where kind = 'mall_user_id' and scope = ''
        and value = e.payload -> 'buyer' ->> 'mall_user_id' offset 0) i
     cross join lateral (select referrer_id from referral where referee_id = i.person_id and ended_at is null
                         offset 0) d
     cross join lateral (select referrer_id from referral where referee_id = d.referrer_id and ended_at is null
                         offset 0) l;
    insert into customer_order (id, channel, order_no, source, buyer_id, currency, paid_fen, shipping_fen, refunded_fen,
                                region, share_code, digest, paid_at, carrier, tracking_no, receive_due_at, booked_at,
                                seller_id, leader_id, signals)
    select id, 'mall', number, 'bench', buyer, 'CNY', 9900, 0, 0, '', '', repeat('0', 64), now(), '', '', now(), now(),
           direct, leader, '{{}}'
      from unnest(orders, numbers, buyers, directs, leaders) as o (id, number, buyer, direct, leader);
    insert into order_line (order_id, n, line_id, sku, title, category, quantity, paid_fen, refunded_fen,
                            refunded_quantity)
    select id, 1, '1', 'RICE-5KG', '有机大米 5kg', 'fmcg', 2, 9900, 0, 0 from unnest(orders) id;
    insert into commission_line (order_id, n, beneficiary_id, level, kind, base_fen, rate_bps, rule, plan_version,
                                 uncut_fen, amount_fen, clawed_fen, accrued_at, rule_bps, phase, phase_bps, boost_bps)
    select o.id, 1, c.who, c.level, c.kind, 9900, c.bps, 'base', 1, c.fen, c.fen, 0, now(), c.bps, '', 0, 10000
      from unnest(orders, directs, leaders) as o (id, direct, leader)
     cross join lateral (values (direct, 1, 'direct', 800, 792), (leader, 2, 'level2', 200, 198)) as
           c (who, level, kind, bps, fen);
    insert into earned_news (order_ids, at) values (orders, now());
    {news}
    insert into journal (id, idem, digest, kind, effective_at, posted_at, source_type, source_id, label)
    overriding system value
    select j, 'bare:' || o, repeat('0', 64), 'commission.accrued', now(), now(), 'order', o, 'rice'
      from unnest(journals, orders) as g (j, o);
    select array_agg(a.id) into accounts from unnest(directs, leaders) as g (direct, leader)
     cross join lateral (values (direct), (leader)) as w (who)
     cross join lateral (
        select id from account where owner_id = w.who and kind = 'pending' and currency = 'CNY' offset 0) a;
    insert into posting (journal_id, n, debit, credit, currency, amount)
    select journals[(place + 1) / 2], 2 - (place & 1), {expense}, account, 'CNY', 198 + (place & 1) * 594
      from unnest(accounts) with ordinality as a (account, place);
    update balance b set amount = b.amount + m.fen, seq = b.seq + 1
      from (select account, sum(198 + (place & 1) * 594) as fen
              from unnest(accounts) with ordinality as a (account, place) group by 1 order by 1) m
     where b.account_id = m.account;
    return cardinality(orders);
end $$
"""
_TAKE = """
create function struck.intake_take(at timestamptz, most bigint, seen_since timestamptz) returns text language plpgsql
set plan_cache_mode = force_generic_plan as $$
declare
    event commerce_event;
    buyer bigint;
    direct bigint;
    leader bigint;
begin
    delete from commerce_open where id = (
        select id from commerce_open where state = 'new' order by due_at, id limit 1 for update skip locked)
        returning id into event.id;
    if not found then
        return null;
    end if;
    select * into event from commerce_event e where e.id = event.id;
    select i.person_id into buyer from identity i
     where i.kind = 'mall_user_id' and i.value = event.payload -> 'buyer' ->> 'mall_user_id' and i.scope = '';
    select r.referrer_id into direct from referral r where r.referee_id = buyer and r.ended_at is null;
    select r.referrer_id into leader from referral r where r.referee_id = direct and r.ended_at is null;
    return '{{"events":[' || to_json(event) || '],"orders":[],"ids":[' || nextval('customer_order_id_seq')
        || '],"plans":{plans},"listens":[],"regulars":[],"standings":[{{"subject":"' || event.subject || '","people":['
        || concat_ws(',', buyer, direct, leader) || ']}}]}}';
end $$
"""
_APPLY = """
create function struck.money_apply(
    at timestamptz, orders new_order[], lines new_line[], deals new_deal[], journals new_journal[],
    postings new_posting[], facts new_fact[], payloads jsonb, verdicts new_verdict[], changes jsonb)
returns void language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
    the_journal bigint;
    one bigint;
    other bigint;
begin
    insert into customer_order (id, channel, order_no, source, buyer_id, currency, paid_fen, shipping_fen, refunded_fen,
            region, share_code, digest, paid_at, shipped_at, carrier, tracking_no, received_at, closed_at,
            receive_due_at, completed_at, booked_at, seller_id, leader_id, signals)
    select id, channel, order_no, source, buyer_id, 'CNY', paid_fen, shipping_fen, refunded_fen,
           region, share_code, digest, paid_at, shipped_at, carrier, tracking_no, received_at, closed_at,
           receive_due_at, completed_at, at, seller_id, leader_id, signals from unnest(orders);
    insert into order_line (order_id, n, line_id, sku, title, category, quantity, paid_fen, refunded_fen,
                            refunded_quantity)
    select * from unnest(lines);
    insert into commission_line (order_id, n, beneficiary_id, level, kind, base_fen, rate_bps, rule, plan_version,
                                 uncut_fen, amount_fen, clawed_fen, accrued_at, release_at, rule_bps, phase, phase_bps,
                                 boost_bps)
    select * from unnest(deals);
    insert into earned_news (order_ids, at) values (array[(orders[1]).id], at);
    insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id, label)
    select idem, digest, kind, effective_at, at, source_type, source_id, label from unnest(journals)
    returning id into the_journal;
    select id into one from account
     where owner_id = (postings[1]).credit_owner and kind = 'pending' and currency = 'CNY';
    select id into other from account
     where owner_id = (postings[2]).credit_owner and kind = 'pending' and currency = 'CNY';
    insert into posting (journal_id, n, debit, credit, currency, amount)
    values (the_journal, 1, {direct}, one, 'CNY', (postings[1]).amount),
           (the_journal, 2, {level2}, other, 'CNY', (postings[2]).amount);
    update balance set amount = amount + (postings[case account_id when one then 1 else 2 end]).amount, seq = seq + 1
     where account_id = least(one, other);
    update balance set amount = amount + (postings[case account_id when one then 1 else 2 end]).amount, seq = seq + 1
     where account_id = greatest(one, other);
end $$
"""
_ALL_NEWS = "insert into order_news (order_ids) values (orders);"
_NEWS = "insert into order_news (order_ids) values (array[the_order]);"


def prepare(engine: Engine) -> None:
    """The copies and the functions, in schemas of their own. Everybody whom the payments name has earned before,
    and has an account."""
    with engine.begin() as db:
        db.execute(text("create schema bare"))
        db.execute(text("create schema struck"))
        for table in _TABLES:
            db.execute(text(f"create table bare.{table} (like public.{table} including indexes including identity"
                            " including defaults including generated)"))
            _copy(db, table, "true")
        expense, level2 = (db.execute(text(
            "select id from account where owner_id is null and kind = :kind"), {"kind": kind}).scalar_one()
            for kind in ("expense.direct", "expense.level2"))
        plans = db.execute(text(
            "select json_agg(json_build_object('version', version, 'live_from', live_from, 'digest', digest))"
            " from commission_plan")).scalar_one()
        for name, tables, one, all_ in ((GUARDED, "public", "", ""), (BARE, "bare, public", _NEWS, _ALL_NEWS)):
            db.exec_driver_sql(_BOOK.format(name=name, tables=tables, news=one, expense=expense))
            db.exec_driver_sql(_BOOK_MANY.format(name=name, tables=tables, news=all_, expense=expense))
        db.exec_driver_sql(_TAKE.format(plans=msgspec.json.encode(plans).decode()))
        db.exec_driver_sql(_APPLY.format(direct=expense, level2=level2))


def struck(engine: Engine) -> Engine:
    """The same database, for a worker that finds the least of ``intake_take`` and ``money_apply`` there."""
    url = engine.url.update_query_dict({"options": "-csearch_path=struck,public"})
    return create_engine(url, pool_size=1)


def fill(engine: Engine) -> None:
    """The copies have the payments to book that the real inbox has now."""
    with engine.begin() as db:
        for table, wanted in _INBOX.items():
            _copy(db, table, f"{wanted} and not exists (select from bare.{table} b where b.id = public.{table}.id)")


def empty(engine: Engine) -> None:
    """What is left over is not booked: no other row of these tables is about it."""
    with engine.begin() as db:
        db.execute(text("truncate public.commerce_open, bare.commerce_open, public.commerce_batch,"
                        " bare.commerce_batch"))


def _copy(db: Connection, table: str, wanted: str) -> None:
    columns = ", ".join(db.execute(text(
        "select column_name from information_schema.columns where table_schema = 'public' and table_name = :table"
        " and is_generated = 'NEVER' order by ordinal_position"), {"table": table}).scalars())
    db.execute(text(f"insert into bare.{table} ({columns}) overriding system value"
                    f" select {columns} from public.{table} where {wanted}"))
    counted = db.execute(text(
        "select pg_get_serial_sequence(format('bare.%I', table_name), 'id') from information_schema.columns where"
        " table_schema = 'bare' and table_name = :table and column_name = 'id' and is_identity = 'YES'"),
        {"table": table})
    if sequence := counted.scalar():
        db.execute(text(f"select setval('{sequence}', (select coalesce(max(id), 0) + 1 from bare.{table}))"))


def work_of(url: str, name: str) -> Work:
    """Books payments by ``bare.book_<name>()`` one a transaction, and by ``bare.book_many_<name>()`` those of a batch;
    ``fill`` has put enough of them there."""
    plain = url.replace("postgresql+psycopg://", "postgresql://")
    held: list[psycopg.Connection[Any]] = []

    def work(batch: int, _first: int, more: Callable[[], bool]) -> int:
        if not held:
            held.append(psycopg.connect(plain, autocommit=True, prepare_threshold=0))
            held[0].execute("set plan_cache_mode = force_generic_plan")
        booking = f"select 1 from bare.book_{name}()" if batch == 1 else f"select bare.book_many_{name}()"
        count = 0
        while more():
            booked = held[0].execute(booking, prepare=True).fetchone()
            assert booked
            if not booked[0]:
                break
            count += booked[0]
        return count

    return work
