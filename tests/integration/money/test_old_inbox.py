"""Events that lay in the inbox when it was made anew (0055): each stands as it stood, and goes on its way."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from bot.runtime import embedded
from domain import migrations
from domain.orders import queries
from domain.orders import service as orders
from domain.orders.events import CommerceEvent
from domain.shared.clock import FixedClock
from tests.integration.money.world import Shop

BEFORE = "0054"
EARLY = "the order is not known yet"
OLD = text(
    "insert into commerce_event (source, event_id, digest, type, subject, payload, occurred_at, received_at, state,"
    " attempts, reason, due_at, ended_at) values ('mall', :event_id, :digest, :type, :subject, cast(:payload as jsonb),"
    " :at, :at, :state, :attempts, :reason, :due_at, :ended_at)")


@pytest.fixture
def old(postgres: embedded.Server) -> Iterator[Engine]:
    """A database from before the inbox was made anew."""
    admin = create_engine(postgres.url.replace("/huitou?", "/postgres?"), isolation_level="AUTOCOMMIT")
    with admin.connect() as db:
        db.execute(text("create database old_inbox"))
    engine = create_engine(postgres.url.replace("/huitou?", "/old_inbox?"))
    migrations.upgrade(engine, BEFORE)
    yield engine
    engine.dispose()
    with admin.connect() as db:
        db.execute(text("drop database old_inbox with (force)"))
    admin.dispose()


def lay(engine: Engine, clock: FixedClock, event: CommerceEvent, state: str, reason: str = "", **more: Any) -> None:
    """Put an event into the old inbox, in ``state``."""
    row = orders.row_of(event)
    with engine.begin() as db:
        db.execute(OLD, {
            "event_id": row.event_id, "digest": row.digest, "type": row.type, "subject": row.subject,
            "payload": bytes(row.payload).decode(), "at": clock.now(), "state": state, "reason": reason,
            "attempts": 0, "due_at": clock.now(), "ended_at": None} | more)


def test_events_of_every_state_come_through(old: Engine, clock: FixedClock) -> None:
    told = Shop(old, clock, plan="")
    paid = told.pay("A0", by="小王", event_id="done")
    lay(old, clock, paid, "done", ended_at=clock.now())
    lay(old, clock, told.refund("A0", "R0", 1), "done", "dismissed: typing error", ended_at=clock.now())
    lay(old, clock, told.pay("A1", by="小王", event_id="new"), "new")
    later = {"attempts": 2, "due_at": clock.now() + timedelta(hours=1)}
    lay(old, clock, told.pay("A2", by="小王", event_id="failed"), "new", "KeyError: 'x'", **later)
    lay(old, clock, told.receive("A3"), "parked", EARLY)
    lay(old, clock, told.refund("A1", "R1", 9_901), "conflict", "more would go back", ended_at=clock.now())
    lay(old, clock, told.pay("A4", by="小王", event_id="dead"), "dead", "KeyError: 'y'", attempts=5)
    standing = "select event_id, state, attempts, reason from {} order by event_id"
    with old.connect() as db:
        before = db.execute(text(standing.format("commerce_event"))).all()

    migrations.upgrade(old)
    shop = Shop(old, clock)
    assert shop.rows(standing.format("commerce_event_now")) == before
    shop.person("李姐")
    shop.person("小王", invited_by="李姐")
    shop.work()
    assert shop.rows("select order_no from customer_order") == [("A1",)], "new is booked; failed waits, done stays done"
    assert shop.tell(paid) == orders.Received(0, 1)

    clock.advance(3_601)
    shop.work()
    assert shop.states()["failed"] == ("done", "")
    assert shop.tell(told.pay("A3", by="小王")) == orders.Received(1, 0)
    with shop.sessions() as session:
        assert [one.state for one in queries.stuck(session, 10, clock.now())] == ["conflict", "dead"]
        for one in queries.stuck(session, 10):
            if one.state == "dead":
                orders.retry(session, one.id, clock.now())
            else:
                orders.dismiss(session, one.id, "settled by hand", clock.now())
        session.commit()
    shop.work()
    assert shop.rows("select order_no, completed_at is not null from customer_order order by 1") == [
        ("A1", False), ("A2", False), ("A3", True), ("A4", False)]
    assert {state for state, _ in shop.states().values()} == {"done"}
    assert shop.rows("select count(*) from commerce_open") == [(0,)]
    assert shop.money("李姐") == (792 * 4, 0, 0)
    shop.check()


def test_what_was_dismissed_loses_its_phone(old: Engine, clock: FixedClock) -> None:
    """An event that may be tried again keeps it: a payment finds its buyer by it."""
    told = Shop(old, clock, plan="")
    buyer = {"mall_user_id": "小王", "phone": "13800138000"}
    lay(old, clock, told.pay("A1", by="", buyer=buyer, event_id="gone"), "done", "dismissed: typing error",
        ended_at=clock.now())
    lay(old, clock, told.event("customer.upserted", id="nobody", identities={"phone": "13800138000"}), "done",
        "dismissed: who is it?", ended_at=clock.now())
    lay(old, clock, told.pay("A2", by="", buyer=buyer, event_id="dead"), "dead", "KeyError: 'y'", attempts=5)
    migrations.upgrade(old)
    phones = Shop(old, clock).rows("select event_id, payload::text like '%138%' from commerce_event order by 1")
    assert phones == [("dead", True), ("gone", False), ("nobody", False)]
