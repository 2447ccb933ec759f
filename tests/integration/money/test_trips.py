"""What travels together: nothing is committed that failed, and who is recognised in passing earns the same deal."""

import gc
import weakref
from datetime import UTC, date, datetime
from decimal import Decimal

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from domain.orders.service import spread_news
from domain.shared import trips, wire
from domain.shared.clock import SHANGHAI
from domain.shared.outbox import Effect, put
from domain.shared.rows import Written
from domain.shared.trips import Closing
from tests.integration.money.world import Shop

COUNT = "select count(*) from risk_queue"
ADD = "insert into risk_queue (order_id) values (%(id)s)"
LINES = """
    select c.beneficiary_id, c.level, c.rate_bps, c.amount_fen, c.rule from commission_line c
      join customer_order o on o.id = c.order_id where o.order_no = :order order by c.level
"""


def test_the_last_statement_is_committed_with_its_transaction(shop: Shop) -> None:
    with shop.sessions.begin() as session:
        assert trips.opening(session, f"{COUNT} where order_id >= %(least)s", {"least": 0}) == 0
        session.execute(text("insert into risk_queue (order_id) values (1)"))
        trips.close(session, Closing(ADD, {"id": 2}))
    assert shop.rows(COUNT) == [(2,)]


def test_nothing_is_committed_when_the_last_statement_fails(shop: Shop) -> None:
    with pytest.raises(DBAPIError) as caught, shop.sessions.begin() as session:
        session.execute(text("insert into risk_queue (order_id) values (1)"))
        trips.close(session, Closing(ADD, {"id": 1}))
    assert getattr(caught.value.orig, "sqlstate", "") == "23505"
    assert shop.rows(COUNT) == [(0,)]


def test_a_database_that_goes_away_is_told_as_always(shop: Shop) -> None:
    """The doors answer 503 to an OperationalError, and 500 to a fault they do not know."""
    gone = "select pg_terminate_backend(pg_backend_pid())"
    with pytest.raises(OperationalError) as caught, shop.sessions() as session:
        trips.opening(session, gone, {})
    assert caught.value.connection_invalidated
    with pytest.raises(OperationalError), shop.sessions() as session:
        trips.close(session, Closing(gone, {}))
    assert shop.rows(COUNT) == [(0,)]


def test_a_refusal_at_the_commit_itself_is_raised(shop: Shop) -> None:
    with shop.sessions.begin() as session:
        session.execute(text("create table pledge (n int unique deferrable initially deferred)"))
    with pytest.raises(DBAPIError) as caught, shop.sessions.begin() as session:
        session.execute(text("insert into pledge values (1)"))
        trips.close(session, Closing("insert into pledge values (%(n)s)", {"n": 1}))
    assert getattr(caught.value.orig, "sqlstate", "") == "23505"
    assert shop.rows("select count(*) from pledge") == [(0,)]


LISTS = [
    ("text[]", []), ("text[]", [""]), ("text[]", ["a", "", "null", "NULL", " b ", "c,d", "{e}", "佣金"]),
    ("text[]", ['"', "\\", '\\"', 'x"y\\z', '{"a": "b\\\\\\"c"}', "\n\t\r\x01", "'"]), ("text[]", ["a", None, 'b"\\']),
    ("bigint[]", [1, -2, None, 2**62]), ("bool[]", [True, False, None]), ("text[]", [None]),
    ("timestamptz[]", [datetime(2026, 11, 29, 23, 59, 59, 123, UTC), None]),
]


@pytest.mark.parametrize(("kind", "values"), LISTS)
def test_lists_arrive_as_they_were_sent(shop: Shop, kind: str, values: list[object]) -> None:
    with shop.sessions.begin() as session:
        assert trips.opening(session, f"select %(values)s::{kind}", {"values": values}) == values


KINDS: list[tuple[str, object, object]] = [
    ("text", "佣金 100%", "佣金 100%"), ("text", "", ""), ("text", None, None), ("bigint", -(2**63), -(2**63)),
    ("int", 0, 0), ("bool", True, True), ("bool", False, False), ("text[]", ["佣", None], ["佣", None]),
    ("timestamptz", datetime(1, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)),
    ("timestamptz", datetime(2026, 11, 29, 23, 59, 59, 123456, SHANGHAI),
     datetime(2026, 11, 29, 15, 59, 59, 123456, UTC)),
    ("numeric", Decimal("1.50"), Decimal("1.50")), ("date", date(2026, 2, 28), date(2026, 2, 28)),
    ("text", Written("佣金".encode()), "佣金"), ("jsonb", Written(b'{"a": [1]}'), {"a": [1]}),
]


@pytest.mark.parametrize(("kind", "value", "read"), KINDS)
def test_values_arrive_as_they_were_sent_each_time(shop: Shop, kind: str, value: object, read: object) -> None:
    """The first time the driver writes them, and tells their types; then they are written without it."""
    ask = f"select %(value)s::{kind} as value, %(other)s::text as other"
    with shop.sessions.begin() as session:
        for other in ("one", "two", None, "three"):
            (row,) = trips.rows(session, ask, {"value": value, "other": other})
            assert (row.value, row.other) == (read, other)
        written = session.execute(text(f"select cast(:value as {kind})"), {"value": value}).scalar_one()
        assert written == read, "the driver knows it as well"


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("value", ["a\0b", Written(b"a\0b"), ["\0"], ["a", "b\0c"], ["a\0", None]])
def test_a_nul_is_refused(shop: Shop, value: object, before: bool) -> None:
    """libpq would send what stands before it."""
    kind = "text[]" if isinstance(value, list) else "text"
    with pytest.raises(DBAPIError) as caught, shop.sessions.begin() as session:
        if before:
            trips.opening(session, f"select %(value)s::{kind}", {"value": type(value)()})
        trips.opening(session, f"select %(value)s::{kind}", {"value": value})
    assert isinstance(caught.value.orig, psycopg.DataError)


def test_a_document_is_given_as_it_came(shop: Shop) -> None:
    with shop.sessions.begin() as session:
        assert trips.document(session, "select %(doc)s::json", {"doc": '{"名":  1}'}) == '{"名":  1}'.encode()
        assert trips.document(session, "select %(doc)s::json", {"doc": None}) is None
        assert trips.document(session, "select 1 where %(none)s::bool", {"none": False}) is None
    with pytest.raises(DBAPIError) as caught, shop.sessions.begin() as session:
        trips.document(session, "select %(doc)s::json", {"doc": "{"})
    assert getattr(caught.value.orig, "sqlstate", "") == "22P02"


def test_a_buyer_recognised_in_passing_earns_others_what_a_buyer_looked_up_does(shop: Shop) -> None:
    """A phone is stored as a hash that only the service can make, so that order is looked up step by step."""
    shop.tell(shop.pay("FIRST", by="新客", buyer={"mall_user_id": "新客", "phone": "13812345678"}))
    shop.tell(shop.pay("PASSING", by="新客"))
    shop.tell(shop.pay("PHONE", by="新客", buyer={"phone": "13812345678"}))
    assert shop.rows(LINES, order="PASSING") == shop.rows(LINES, order="PHONE") == shop.rows(LINES, order="FIRST")
    assert len(shop.rows(LINES, order="PASSING")) == 2
    shop.check()


def test_a_batch_with_a_stranger_and_a_friend_knows_both(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="新客"), shop.pay("A2", by="谁也不认识"))
    assert {state for state, _ in shop.states().values()} == {"done"}
    assert len(shop.rows(LINES, order="A1")) == 2
    assert shop.rows(LINES, order="A2") == []


def test_customers_merged_by_the_same_batch_are_one_when_the_order_is_struck(shop: Shop) -> None:
    """The claim recognised the buyer before the news that they are somebody else was read."""
    shop.tell(shop.event("customer.upserted", identities={"unionid": "u-other"}))
    shop.tell(shop.event("customer.upserted", identities={"mall_user_id": "新客", "unionid": "u-other"}),
              shop.pay("A1", by="新客"))
    [(buyer, merged)] = shop.rows("select o.buyer_id, p.merged_into from customer_order o"
                                  " join person p on p.id = o.buyer_id where o.order_no = 'A1'")
    assert merged is None
    assert buyer == shop.people["新客"]
    assert len(shop.rows(LINES, order="A1")) == 2


def test_a_connection_that_broke_is_told_as_such_and_given_to_nobody_again(engine: Engine) -> None:
    with sessionmaker(engine)() as session:
        gone = trips.rows(session, "select pg_backend_pid() as pid", ())[0].pid
        with engine.connect() as other:
            assert other.scalar(text("select pg_terminate_backend(:pid, 10000)"), {"pid": gone}), "it is gone by now"
        with pytest.raises(OperationalError) as fault:
            trips.rows(session, "select 1", ())
        assert fault.value.connection_invalidated
        session.rollback()
        assert trips.rows(session, "select %s::int as one", (1,))[0].one == 1


def test_a_refusal_is_told_as_sqlalchemy_would(session: Session) -> None:
    with pytest.raises(IntegrityError) as fault:
        trips.rows(session, "insert into role_grant default values returning id", ())
    assert fault.value.orig is not None and fault.value.orig.sqlstate == "23502"


def test_what_was_prepared_is_prepared_again_after_a_rollback(session: Session) -> None:
    """The driver drops all prepared statements of a connection then, also when only a savepoint is rolled back."""
    ask = "select %(n)s + 1 as more"
    for _ in range(8):
        session.execute(text("select 1"))
    assert trips.rows(session, ask, {"n": 1})[0].more == 2
    savepoint = session.begin_nested()
    savepoint.rollback()
    assert trips.rows(session, ask, {"n": 2})[0].more == 3
    session.rollback()
    assert trips.opening(session, ask, {"n": 3}) == 4


def test_several_questions_travel_together_and_none_counts_after_one_that_failed(shop: Shop) -> None:
    with shop.sessions.begin() as session:
        one, many = trips.together(session, ("select 1 as a, '%%' as b", ()), ("select generate_series(1, %s)", (3,)))
        assert (tuple(one[0]), [row[0] for row in many]) == ((1, "%"), [1, 2, 3])
    with pytest.raises(DBAPIError) as caught, shop.sessions.begin() as session:
        trips.together(session, ("insert into risk_queue (order_id) values (7)", ()), (ADD, {"id": 7}), (COUNT, ()),
                       commit=True)
    assert getattr(caught.value.orig, "sqlstate", "") == "23505"
    assert shop.rows(COUNT) == [(0,)]


def test_new_orders_are_handed_on_to_everybody_who_looks_at_them_and_once(shop: Shop) -> None:
    """One buyer twice in a batch is recognised in passing, too: no id was spent on a second try."""
    shop.tell(shop.pay("FIRST", by="新客"))
    shop.tell(shop.pay("A1", by="新客"), shop.pay("A2", by="新客"))
    orders = shop.rows("select id from customer_order order by id")
    assert [id for id, in orders] == [1, 2, 3]
    with shop.sessions.begin() as session:
        assert (spread_news(session, 1), spread_news(session, 1), spread_news(session)) == (1, 2, 0)
    assert shop.rows("select order_id from risk_queue order by 1") == orders
    assert shop.rows("select distinct person_id from programme_stale") == [(shop.people["新客"],)]
    sellers = shop.rows("select seller_id from customer_order where id = 1")
    assert shop.rows("select distinct person_id from milestone_due") == sellers
    assert {shop.people["新客"], sellers[0][0]} <= {id for id, in shop.rows("select person_id from insight_stale")}


def test_a_fact_that_was_told_already_is_not_told_again(shop: Shop) -> None:
    """Facts are written with their cause, so their keys are new; should one be there, the order is booked."""
    shop.tell(shop.pay("A1", by="新客"))
    (first,), = shop.rows("select id from customer_order")
    li, wang = shop.people["李姐"], shop.people["小王"]
    keys = [f"commission.clawed_back:{n}:closed:{li}" for n in range(first + 1, first + 200)]
    with shop.sessions.begin() as session:
        put(session, [Effect("fact", "commission.clawed_back", key) for key in keys], shop.clock.now())
    shop.tell(shop.pay("A2", by="新客"), shop.close("A2"))
    (second,), = shop.rows("select id from customer_order where order_no = 'A2'")
    assert first < second < first + 200
    mine = f"commission.clawed_back:{second}:closed"
    facts = shop.rows("select key, payload <> '{}' from outbox where key like :mine order by 2", mine=f"{mine}:%")
    assert facts == [(f"{mine}:{li}", False), (f"{mine}:{wang}", True)]


def test_nothing_is_kept_of_a_connection_that_is_gone(own_database: str) -> None:
    """A pool closes each of its connections every quarter of an hour; what was made for it goes along."""
    held = create_engine(own_database).raw_connection()
    connection = held.driver_connection
    held.detach()
    assert wire.ask(connection, ("select %(n)s::bigint as n", {"n": 1}), commit=True) == [[(1,)]]
    connection.close()
    known = weakref.ref(connection)
    del held, connection
    gc.collect()
    assert known() is None
