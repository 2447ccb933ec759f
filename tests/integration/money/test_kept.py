"""What was sold, closed and paid is never forgotten or taken back by plain SQL: every table of money is tried."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.people import service as people
from domain.workflows import MOVERS
from tests.integration.money.world import Shop

DECEMBER = datetime(2026, 11, 30, 18, 0, tzinfo=UTC)
ALSO_MONEY = ("journal", "month_close", "commission_plan", "operator", "person")
"""Without a column of money, and yet money hangs on them."""
NO_MONEY = {
    "check_in": "points are given by point_move; this says that the day was used",
    "coupon": "what a coupon is worth in the mall; it is no money here",
    "fund_day": "a copy of the provider's, fetched again",
    "month_volume": "sums of orders; a merge takes rows away: see below",
    "pay_incident": "an alarm",
    "person_insight": "counted anew from orders",
    "point_spending": "a request that is under way; point_move says what became of it",
    "product": "the catalogue",
    "topic": "what a word will bring", "topic_word": "what was said; points are given by point_move",
}
TABLES_OF_MONEY = """
    select distinct c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
       and (a.attname like '%\\_fen' or a.attname in ('amount', 'points', 'delta', 'remaining')) order by 1
"""
CLOSED = "where month = '2026-11-01'"
ATTACKS = {
    "open a closed month again": f"update month_close set closed_at = null, upto_journal = null {CLOSED}",
    "count a closed month again": f"update month_close set counted_at = null, closed_at = null {CLOSED}",
    "close it later": f"update month_close set closed_at = closed_at + interval '1 day' {CLOSED}",
    "another last journal": f"update month_close set upto_journal = upto_journal - 1 {CLOSED}",
    "settle people again": f"update month_close set done_upto = 0 {CLOSED}",
    "leave people out of it": f"update month_close set done_upto = done_upto + 1000 {CLOSED}",
    "tell people again": f"update month_close set told_upto = told_upto - 1 {CLOSED}",
    "another plan": f"update month_close set plan_version = plan_version + 0, started_at = now() {CLOSED}",
    "somebody else closed it": f"update month_close set actor = 'nobody' {CLOSED}",
    "another month": f"update month_close set month = '2026-10-01' {CLOSED}",
    "another target": "update settlement set target_fen = target_fen + 1",
    "another sum": "update settlement set change_fen = change_fen + 1",
    "hold more than was booked": "update settlement set held_fen = change_fen + 1",
    "forget what somebody sold": "delete from month_volume where direct_fen > 0",
    "forget what all sold": "truncate month_volume",
    "a return that never was": "update customer_order set refunded_fen = 0 where order_no = 'A1'",
    "a line that never came back": "update order_line set refunded_fen = 0 where refunded_fen > 0",
    "an order that was never closed": "update customer_order set closed_at = null where order_no = 'A2'",
    "an order closed at another time": "update customer_order set closed_at = now() where order_no = 'A2'",
    "paid in another month": "update customer_order set paid_at = paid_at + interval '1 month'",
    "paid more": "update customer_order set paid_fen = paid_fen + 1",
}


@pytest.fixture
def closed(shop: Shop) -> Shop:
    """A sale, a return, a closed order, and the month of them closed and told."""
    shop.tell(shop.pay("A1", by="新客", fen=90_000), shop.pay("A2", by="新客", fen=5_000), shop.pay("A3", by="小王"))
    shop.tell(shop.refund("A1", "R1", 10_000), shop.close("A2"))
    shop.clock.advance((DECEMBER - shop.clock.now()).total_seconds())
    shop.close_month("2026-11")
    with shop.sessions.begin() as session:
        session.execute(text("update month_close set told_upto = 9"))
    return shop


def everything(shop: Shop) -> list[object]:
    return [shop.rows(f"select * from {table} order by 1, 2") for table in (
        "month_close", "month_volume", "settlement", "customer_order", "order_line", "journal", "posting", "balance")]


def survived(shop: Shop, attacks: dict[str, str]) -> list[str]:
    found = []
    for name, sql in attacks.items():
        try:
            with shop.sessions.begin() as session:
                done = session.execute(text(sql))
                assert done.rowcount, f"{name}: there was nothing to attack"
        except DBAPIError as refused:
            if getattr(refused.orig, "sqlstate", "") in ("HT403", "23514"):
                continue
        found.append(name)
    return found


def test_what_was_closed_or_came_back_stays_so(closed: Shop) -> None:
    before = everything(closed)
    assert survived(closed, ATTACKS) == []
    assert everything(closed) == before


def test_no_table_of_money_forgets(closed: Shop) -> None:
    tables = {name for name, in closed.rows(TABLES_OF_MONEY)}
    assert set(NO_MONEY) <= tables, "a reason for a table that is none"
    kept = sorted(tables - set(NO_MONEY) | set(ALSO_MONEY))
    attacks = {f"{way} {table}": sql for table in kept for way, sql in (
        ("delete", f"delete from {table}"), ("truncate", f"truncate {table} cascade"))}
    assert [name for name, sql in attacks.items() if not refused(closed, sql)] == []
    assert "delete settlement" in attacks and "truncate withdrawal" in attacks


def refused(shop: Shop, sql: str) -> bool:
    """Refused because it forgets, whether there is something to forget or not."""
    with shop.sessions() as session:
        try:
            session.execute(text(sql))
        except DBAPIError as fault:
            return getattr(fault.orig, "sqlstate", "") == "HT403"
    return False


def test_who_was_merged_leaves_a_month_and_nobody_else(closed: Shop) -> None:
    twin = closed.person("旧号")
    with closed.sessions.begin() as session:
        session.execute(text("insert into month_volume values ('2026-11-01', :twin, 500, 1, 0)"), {"twin": twin})
    with closed.sessions.begin() as session:
        people.merge(session, closed.people["小王"], twin, "operator", closed.clock.now(), MOVERS)
    assert closed.rows("select direct_fen from month_volume where person_id = :one", one=closed.people["小王"]) == [
        (80_500,)]
    assert survived(closed, {"forget": "delete from month_volume where direct_fen > 0"}) == []
