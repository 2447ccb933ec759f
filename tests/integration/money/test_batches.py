"""Payments that came in one batch wait in one row: none is lost, late or booked twice, whoever takes them."""

import random
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from domain import workflows
from domain.orders.events import CommerceEvent
from domain.workflows import forgetting, leaving
from domain.workflows.forgetting import Leaver
from domain.workflows.leaving import Leaving
from tests.integration.money.world import PEPPER, Shop
from tests.together import at_once

TOGETHER = 10
"""So many events are a batch."""
WAITING = "select cardinality(events) from commerce_batch order by id"
ALONE = "select e.event_id, o.state, o.attempts from commerce_open o join commerce_event e using (id) order by 1"


def payments(shop: Shop, count: int, first: int = 1) -> list[CommerceEvent]:
    return [shop.pay(f"A{n}", by="新客", event_id=f"e{n:03}") for n in range(first, first + count)]


def take(shop: Shop, limit: int) -> int:
    return workflows.apply_events(shop.sessions, shop.clock.now(), PEPPER, limit)


def column(shop: Shop, sql: str) -> list[object]:
    return [row[0] for row in shop.rows(sql)]


@pytest.mark.parametrize(("count", "batches"), [
    (1, []), (TOGETHER - 1, []), (TOGETHER, [TOGETHER]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])])
def test_many_payments_are_a_row_for_each_hundred(shop: Shop, count: int, batches: list[int]) -> None:
    shop.tell(*payments(shop, count), apply=False)
    assert column(shop, WAITING) == batches
    assert len(shop.rows(ALONE)) == (0 if batches else count)
    assert column(shop, "select state from commerce_event_now") == ["new"] * count
    with shop.sessions() as session:
        assert workflows.next_due(session) == shop.clock.now()
    assert shop.work() == count
    assert column(shop, WAITING) == [] and shop.rows(ALONE) == []
    assert column(shop, "select state from commerce_event_now") == ["done"] * count


def test_what_is_no_payment_stands_alone(shop: Shop) -> None:
    shop.tell(*payments(shop, TOGETHER), shop.ship("A1"), apply=False)
    assert column(shop, WAITING) == [] and len(shop.rows(ALONE)) == TOGETHER + 1
    shop.work()
    assert column(shop, "select distinct state from commerce_event_now") == ["done"]
    assert column(shop, "select order_no from customer_order where shipped_at is not null") == ["A1"]
    shop.tell(*[shop.ship(f"A{n}") for n in range(1, TOGETHER + 1)], apply=False)
    assert column(shop, WAITING) == [] and len(shop.rows(ALONE)) == TOGETHER


def test_a_batch_of_which_some_are_known_is_told_one_by_one(shop: Shop) -> None:
    shop.tell(*payments(shop, 1))
    received = shop.tell(*payments(shop, TOGETHER), apply=False)
    assert (received.accepted, received.duplicates) == (TOGETHER - 1, 1)
    assert column(shop, WAITING) == [] and len(shop.rows(ALONE)) == TOGETHER - 1
    assert shop.work() == TOGETHER - 1


def test_whoever_takes_fewer_than_a_batch_gets_them_one_after_the_other(shop: Shop) -> None:
    shop.tell(*payments(shop, TOGETHER), apply=False)
    assert take(shop, 4) == 4
    assert column(shop, WAITING) == [] and len(shop.rows(ALONE)) == TOGETHER - 4
    assert column(shop, "select order_no from customer_order order by id") == ["A1", "A2", "A3", "A4"]
    assert [take(shop, 1), take(shop, 100), take(shop, 100)] == [1, TOGETHER - 5, 0]


def test_whole_batches_are_taken_together(shop: Shop) -> None:
    for first in (1, 21, 41):
        shop.tell(*payments(shop, 20, first), apply=False)
    assert take(shop, 59) == 40 and column(shop, WAITING) == [20]
    assert take(shop, 59) == 20 and column(shop, WAITING) == []


def test_what_has_waited_longer_comes_first(shop: Shop) -> None:
    shop.tell(shop.pay("first", by="小王"), apply=False)
    shop.clock.advance(1)
    shop.tell(*payments(shop, TOGETHER), apply=False)
    shop.clock.advance(1)
    shop.tell(shop.pay("later", by="小王"), shop.pay("last", by="小王"), apply=False)
    taken = []
    for limit in (1, 100, 100):
        taken.append((take(shop, limit), column(shop, "select order_no from customer_order order by id")[-1]))
    assert taken == [(1, "first"), (TOGETHER, f"A{TOGETHER}"), (2, "last")]


def test_one_that_came_alone_does_not_wait_for_batches(shop: Shop) -> None:
    shop.tell(*payments(shop, TOGETHER), apply=False)
    shop.clock.advance(1)
    shop.tell(shop.pay("alone", by="小王"), apply=False)
    assert take(shop, 100) == 1 and column(shop, "select order_no from customer_order") == ["alone"]
    assert take(shop, 100) == TOGETHER


def test_an_order_that_somebody_holds_waits_alone_and_holds_up_nobody(shop: Shop) -> None:
    twice = shop.pay("A3", by="小王", event_id="e003-again")
    shop.tell(*payments(shop, TOGETHER), twice, apply=False)
    with shop.sessions.begin() as session:
        session.execute(text("select pg_advisory_xact_lock(hashtextextended('order:mall/A3', 0))"))
        assert take(shop, 100) == TOGETHER - 1
        assert shop.rows(ALONE) == [("e003", "new", 0), ("e003-again", "new", 0)]
        assert column(shop, "select due_at from commerce_open") == [shop.clock.now()] * 2
        assert take(shop, 100) == 0
    assert take(shop, 100) == 2
    assert column(shop, "select count(*) from customer_order") == [TOGETHER]
    assert shop.rows(ALONE) == [] and column(shop, WAITING) == []


def test_an_order_that_somebody_holds_is_passed_by_the_batches_behind_it(shop: Shop) -> None:
    shop.tell(shop.pay("held", by="小王"), apply=False)
    shop.clock.advance(1)
    shop.tell(*payments(shop, TOGETHER), apply=False)
    with shop.sessions.begin() as session:
        session.execute(text("select pg_advisory_xact_lock(hashtextextended('order:mall/held', 0))"))
        assert [take(shop, 100), take(shop, 100)] == [TOGETHER, 0]
    assert take(shop, 100) == 1


def test_a_batch_all_of_whose_orders_are_held_is_not_lost(shop: Shop) -> None:
    shop.tell(*[shop.pay("A1", by="小王", event_id=f"e{n}") for n in range(TOGETHER)], apply=False)
    with shop.sessions.begin() as session:
        session.execute(text("select pg_advisory_xact_lock(hashtextextended('order:mall/A1', 0))"))
        assert take(shop, 100) == 0
        assert len(shop.states()) == TOGETHER and {state for state, _ in shop.states().values()} == {"new"}
    shop.work()
    assert column(shop, "select order_no from customer_order") == ["A1"]


def test_a_poisoned_payment_of_a_batch_is_put_off_alone(shop: Shop) -> None:
    shop.tell(*payments(shop, TOGETHER), apply=False)
    with shop.sessions.begin() as session:
        session.execute(text("update commerce_event set payload = payload - 'lines' where event_id = 'e004'"))
    assert take(shop, 100) == TOGETHER
    assert shop.rows(ALONE) == [("e004", "new", 1)] and column(shop, WAITING) == []
    assert column(shop, "select count(*) from customer_order") == [TOGETHER - 1]


def test_a_worker_that_dies_leaves_the_batch(shop: Shop) -> None:
    shop.tell(*payments(shop, TOGETHER), apply=False)
    with shop.sessions() as session:
        session.execute(text("select intake_take(:now, 100, :now)"), {"now": shop.clock.now()}).one()
        assert session.execute(text(WAITING)).all() == []
        session.rollback()
    assert column(shop, WAITING) == [TOGETHER] and shop.work() == TOGETHER


@pytest.mark.parametrize("seed", range(4))
def test_batches_and_single_events_at_several_workers_book_what_one_worker_books(shop: Shop, seed: int) -> None:
    chance = random.Random(seed)
    told: list[Sequence[CommerceEvent]] = []
    for first in range(1, 200, 40):
        batch = payments(shop, 40, first)
        chance.shuffle(batch)
        told += [batch[:chance.choice([12, 25])], *([one] for one in batch[-3:]), batch[5:30],
                 [shop.receive(f"A{first}"), shop.refund(f"A{first + 1}", "R1", 100)]]
    chance.shuffle(told)
    expected = {event.subject for events in told for event in events if event.type == "order.paid"}
    for events in told:
        shop.tell(*events, apply=False)

    def run() -> None:
        while take(shop, chance.choice([1, 7, 100])):
            pass

    at_once(*[run] * 4)
    shop.work()
    assert {f"order:mall/{number}" for number in column(shop, "select order_no from customer_order")} == expected
    assert shop.rows("select event_id from commerce_event_now where state not in ('done', 'parked')") == []
    assert column(shop, "select count(*) from commission_line group by order_id") == [2] * len(expected)


def test_who_paid_in_a_batch_is_not_gone_before_it_is_booked(shop: Shop) -> None:
    shop.person("客人")
    rules = Leaving(order_days=7, declared_on=1)
    with shop.sessions() as session:
        assert not leaving.standing(session, shop.people["客人"], rules, shop.clock.now()).order
    shop.tell(*payments(shop, TOGETHER), shop.pay("mine", by="客人"), apply=False)
    with shop.sessions() as session:
        assert leaving.standing(session, shop.people["客人"], rules, shop.clock.now()).order
        assert not leaving.standing(session, shop.people["李姐"], rules, shop.clock.now()).order


def test_what_waits_in_a_batch_keeps_its_buyer_until_it_is_booked(shop: Shop) -> None:
    """Somebody is forgotten by letter: their events lose the buyer when they were applied, and not before."""
    shop.tell(*payments(shop, 1))
    again = [shop.pay("A1", by="新客", event_id=f"again-{n}") for n in range(TOGETHER)]
    shop.tell(*again, apply=False)
    named = "select count(*) from commerce_event where payload ? 'buyer'"
    who = Leaver((shop.people["新客"],), (), "")
    with shop.sessions.begin() as session:
        assert forgetting.forget(session, who, shop.clock.now())["order_event"] == 1
    assert column(shop, named) == [TOGETHER]
    shop.work()
    with shop.sessions.begin() as session:
        forgetting.forget(session, who, shop.clock.now())
    assert column(shop, named) == [0]
