"""Orders that bring their referrer along, and what a database that asks to be tried again does to events."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from domain import workflows
from tests.integration.money.world import PEPPER, Shop


def _code(shop: Shop, name: str) -> str:
    code: str = shop.rows("select referral_code from person where id = :id", id=shop.people[name])[0][0]
    return code


def _bound(shop: Shop) -> set[tuple[int, int]]:
    """(referee, referrer) of every binding made by an order."""
    return {tuple(row) for row in shop.rows("select referee_id, referrer_id from referral where source = 'order'")}


def test_share_codes_bind_buyers_of_one_batch_and_pay_the_sharers_at_once(shop: Shop) -> None:
    one, two = shop.person("散客一"), shop.person("散客二")
    shop.tell(
        shop.pay("A1", by="散客一", share_code=_code(shop, "李姐")),
        shop.pay("A2", by="散客二", share_code=_code(shop, "小王")),
        shop.pay("A3", by="从未见过", share_code=_code(shop, "小王")),
        shop.pay("A4", by="散客一", share_code=_code(shop, "新客")),
    )
    bound = _bound(shop)
    assert {(one, shop.people["李姐"]), (two, shop.people["小王"])} < bound and len(bound) == 3
    assert [shop.money(name)[0] for name in ("李姐", "小王", "新客")] == [2 * 792 + 2 * 198, 2 * 792, 0]


def test_buyers_who_name_each_other_make_no_circle(shop: Shop) -> None:
    one, two = shop.person("甲"), shop.person("乙")
    crossing = {"甲": "乙", "乙": "甲"}
    shop.tell(*[shop.pay(f"A-{who}", by=who, share_code=_code(shop, whom)) for who, whom in crossing.items()])
    assert len(_bound(shop) & {(one, two), (two, one)}) == 1
    assert {state for state, _ in shop.states().values()} == {"done"}


def test_a_purchase_within_the_validity_makes_the_binding_last_longer(shop: Shop) -> None:
    buyer = shop.person("散客一")
    shop.tell(shop.pay("A1", by="散客一", share_code=_code(shop, "李姐")))
    until = shop.rows("select valid_until from referral where referee_id = :id", id=buyer)[0][0]
    shop.clock.advance(10 * 86_400)
    shop.tell(shop.pay("A2", by="散客一"))
    longer = shop.rows("select valid_until from referral where referee_id = :id", id=buyer)[0][0]
    assert (longer - until).days == 10


def _deadlock(shop: Shop, times: int) -> None:
    """From now on the database reports a deadlock whenever somebody earns, so many times. Sequences never roll back,
    so they count what is undone, too."""
    with shop.sessions.begin() as session:
        session.execute(text("create sequence deadlocks"))
        session.execute(text(
            "create function play_deadlock() returns trigger language plpgsql as $$ begin"
            f" if nextval('deadlocks') <= {times} then"
            " raise exception 'deadlock detected' using errcode = '40P01'; end if; return null; end $$"))
        session.execute(text(
            "create trigger play_deadlock before insert on earned_news"
            " for each statement execute function play_deadlock()"))


def test_a_deadlock_runs_the_batch_again_and_counts_against_no_event(shop: Shop) -> None:
    _deadlock(shop, times=3)
    shop.tell(shop.pay("A1", by="小王"))
    assert shop.rows("select state, attempts from commerce_event_now") == [("done", 0)]
    assert shop.money("李姐") == (792, 0, 0)


def test_deadlocks_without_end_are_told_after_a_few_tries_and_leave_the_events_due(shop: Shop) -> None:
    _deadlock(shop, times=1_000)
    shop.tell(shop.pay("A1", by="小王"), apply=False)
    with pytest.raises(OperationalError):
        workflows.apply_events(shop.sessions, shop.clock.now(), PEPPER, 100)
    assert shop.rows("select last_value <= 10 from deadlocks") == [(True,)]
    assert shop.rows("select state, attempts, reason from commerce_event_now") == [("new", 0, "")]
    with shop.sessions() as session:
        assert workflows.anything_due(session, shop.clock.now())


def test_what_waited_for_a_poisoned_payment_waits_on_and_comes_along_with_a_good_one(shop: Shop) -> None:
    shop.tell(shop.receive("A1"))
    waiting = shop.states()["e1"]
    shop.tell(shop.pay("A1", by="小王", event_id="bad"), apply=False)
    with shop.sessions.begin() as session:
        session.execute(text("update commerce_event set payload = payload - 'lines' where event_id = 'bad'"))
    shop.work()
    assert (shop.states()["e1"], shop.states()["bad"][0]) == (waiting, "new")
    shop.tell(shop.pay("A1", by="小王"))
    assert shop.states()["e1"] == ("done", "")
    assert shop.rows("select completed_at is not null from customer_order") == [(True,)]


def test_what_waited_and_is_poisoned_itself_waits_on_and_holds_up_nobody(shop: Shop) -> None:
    shop.tell(shop.receive("A1"))
    with shop.sessions.begin() as session:
        session.execute(text("update commerce_event set payload = payload - 'received_at'"))
    standing = "select state, attempts, reason from commerce_event_now where event_id = 'e1'"
    waiting = shop.rows(standing)
    assert waiting[0].state == "parked"
    shop.tell(shop.pay("A1", by="小王"))
    assert shop.rows(standing) == waiting
    assert (shop.rows("select order_no from customer_order"), shop.money("李姐")) == ([("A1",)], (792, 0, 0))


def test_deadlocks_while_events_are_done_one_by_one_count_against_no_event(shop: Shop) -> None:
    shop.tell(shop.pay("GOOD", by="小王"), shop.pay("BAD", by="小王", event_id="bad"), apply=False)
    with shop.sessions.begin() as session:
        session.execute(text("update commerce_event set payload = payload - 'lines' where event_id = 'bad'"))
    _deadlock(shop, times=2)
    shop.work()
    assert shop.rows("select event_id, state, attempts from commerce_event_now order by event_id") == [
        ("bad", "new", 1), ("e1", "done", 0)]
