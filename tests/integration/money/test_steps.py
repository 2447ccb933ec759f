"""What changes in rows of money goes by what justifies it: each attack is plain SQL, on a shop where something of
everything happened."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.integration.money.test_kept import DECEMBER
from tests.integration.money.world import Shop

LI = "(select min(id) from person)"
ATTACKS = {
    "an order came back": "update customer_order set refunded_fen = refunded_fen + 1 where order_no = 'A1'",
    "all of an order came back": "update customer_order set refunded_fen = paid_fen where order_no = 'A3'",
    "a line came back": "update order_line set refunded_fen = refunded_fen + 1 where refunded_fen > 0",
    "a line came back that did not": "update order_line set refunded_fen = paid_fen where refunded_fen = 0",
    "pieces came back": "update order_line set refunded_quantity = 1 where refunded_quantity = 0",
    "an order is a card": "update customer_order set card_fen = 100, card_paid_fen = 100 where order_no = 'A3'",
    "an order was received": "update customer_order set completed_at = now() where order_no = 'A4'",
    "it was received earlier": "update customer_order set completed_at = completed_at - interval '9 days'"
                               " where order_no = 'A3'",
    "it was never received": "update customer_order set completed_at = null where order_no = 'A3'",
    "another buyer": f"update customer_order set buyer_id = {LI} where order_no = 'A3'",
    "another seller": f"update customer_order set seller_id = {LI} where order_no = 'A3'",
    "no seller": "update customer_order set seller_id = null where order_no = 'A3'",
    "another leader": f"update customer_order set leader_id = {LI} where order_no = 'A4'",
    "more taken back": "update commission_line set clawed_fen = clawed_fen + 1 where clawed_fen < amount_fen",
    "all taken back": "update commission_line set clawed_fen = amount_fen where clawed_fen < amount_fen",
    "less taken back": "update commission_line set clawed_fen = clawed_fen - 1 where clawed_fen > 0",
    "released early": "update commission_line set release_at = release_at - interval '1 day' where released_at is null",
    "released late": "update commission_line set release_at = release_at + interval '1 day' where released_at is null",
    "released never": "update commission_line set release_at = null where release_at is not null",
    "released before receipt": "update commission_line set release_at = now() where release_at is null"
                               " and clawed_fen < amount_fen",
    "let go at once": "update commission_line set released_at = release_at - interval '1 second'"
                      " where released_at is null and release_at is not null",
    "let go without a date": "update commission_line set released_at = now() where release_at is null",
    "let go twice": "update commission_line set released_at = null where released_at is not null",
    "let go at another time": "update commission_line set released_at = released_at + interval '1 day'"
                              " where released_at is not null",
    "confiscated by nobody": "update commission_line set confiscated_at = now(), clawed_fen = amount_fen"
                             " where released_at is null",
    "somebody else earns": f"update commission_line set beneficiary_id = {LI} where beneficiary_id <> {LI}",
    "a month let go early": "update settlement set release_at = booked_at where held_fen > 0",
    "a month let go at once": "update settlement set held_fen = 0, released_at = booked_at where held_fen > 0",
    "a month let go twice": "update settlement set released_at = null where released_at is not null",
    "a month held again": "update settlement set held_fen = change_fen where held_fen = 0 and change_fen > 0",
    "somebody else's month": f"update settlement set person_id = {LI}, n = n + 9 where person_id <> {LI}",
}


@pytest.fixture
def busy(shop: Shop) -> Shop:
    """November: sold, partly returned, closed, let go, closed and paid. December: sold and received, not let go yet."""
    shop.tell(shop.pay("A1", by="新客", fen=9_000_000), shop.pay("A2", by="新客", fen=5_000),
              shop.pay("A0", by="小王", fen=9_000_000))
    shop.tell(shop.refund("A1", "R1", 10_000), shop.close("A2"), shop.receive("A1"))
    shop.days(8)
    shop.clock.advance((DECEMBER - shop.clock.now()).total_seconds())
    shop.close_month("2026-11")
    shop.days(8)
    shop.tell(shop.pay("A5", by="新客", fen=9_000_000, at=DECEMBER.replace(day=29)))
    shop.adjust()
    shop.tell(shop.pay("A3", by="新客"), shop.pay("A4", by="小王"), shop.receive("A3"))
    return shop


def survived(shop: Shop, attacks: dict[str, str]) -> list[str]:
    """What was done, and what had nothing to be done to."""
    found = []
    for name, sql in attacks.items():
        try:
            with shop.sessions.begin() as session:
                if not session.execute(text(sql)).rowcount:
                    found.append(f"{name}: nothing to attack")
        except DBAPIError as refused:
            if getattr(refused.orig, "sqlstate", "") in ("HT403", "HT409", "HT423", "23514"):
                continue
            found.append(f"{name}: {refused.orig}")
            continue
        found.append(name)
    return found


def test_steps_of_money_go_by_what_justifies_them(busy: Shop) -> None:
    tables = ("customer_order", "order_line", "commission_line", "settlement", "balance")
    before = [busy.rows(f"select * from {table} order by 1, 2") for table in tables]
    assert survived(busy, ATTACKS) == []
    assert [busy.rows(f"select * from {table} order by 1, 2") for table in tables] == before


def test_a_closing_that_is_told_again_of_an_earlier_time_is_booked_once(shop: Shop) -> None:
    """Two reports of one closing need not come in their order: the earlier time counts, and no human is asked."""
    shop.tell(shop.pay("A1", by="新客"), shop.receive("A1"))
    before = shop.clock.now()
    shop.clock.advance(3_600)
    shop.tell(shop.close("A1"))
    money = shop.balances()
    shop.tell(shop.close("A1", at=before, channel="mall"), shop.refund("A1", "R1", 9_900))
    shop.tell(shop.close("A1"))
    for _ in range(6):
        shop.clock.advance(3_600)
        shop.work()
    assert {state for state, _ in shop.states().values()} == {"done"}
    assert shop.rows("select closed_at, refunded_fen from customer_order") == [(before, 9_900)]
    assert shop.balances() == money
    shop.check()
