"""What orders earned is one row of news for a batch, told by what stands in the books when it is handed on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bot.runtime import backlog, pulse
from domain import workflows
from domain.audit.rules import Actor
from domain.commissions import earned
from domain.orders import service as orders
from domain.orders.events import CommerceEvent, parse_event
from domain.people import service as people
from domain.people.leaving import Memory
from domain.shared.outbox import Effect, put
from domain.workflows import MOVERS, leaving
from domain.workflows.leaving import Leaving
from tests.dialogs.test_called_back import freeze
from tests.dialogs.test_gathered import told
from tests.dialogs.test_grants import person_id
from tests.fakes.shop import SOURCE, Person, Shop

TOLD = "佣金到账 ¥8.00"
TAKEN = "佣金扣回"
NOTICES = ("select payload ->> 'key', payload -> 'facts' ->> 'order_no' from outbox where queue = 'notice'"
           " and payload ->> 'key' like 'money.%' and person_id = :who order by id")
FACTS = "select key, person_id, state from outbox where queue = 'fact' and kind = 'commission.accrued' order by id"


@pytest.fixture
def li(shop: Shop) -> Person:
    """Somebody who may be written to, and has brought a customer."""
    li = shop.person("李姐")
    shop.person("新客", invited_by="李姐")
    li.says("佣金")
    return li


def pays(shop: Shop, order: str, fen: int = 10_000, by: str = "新客") -> CommerceEvent:
    line = {"line_id": "1", "sku": "RICE-5KG", "title": "有机大米 5kg", "category": "fmcg", "quantity": 1,
            "paid_fen": fen}
    return _event(shop, "order.paid", {
        "order_id": order, "channel": "mall", "currency": "CNY", "paid_at": shop.clock.now().isoformat(),
        "buyer": shop.person(by).identity, "share_code": "", "paid_fen": fen, "shipping_fen": 0, "lines": [line]})


def refunds(shop: Shop, order: str, fen: int) -> CommerceEvent:
    return _event(shop, "order.refunded", {
        "order_id": order, "channel": "mall", "refund_id": f"r-{order}", "refunded_at": shop.clock.now().isoformat(),
        "lines": [{"line_id": "1", "refund_fen": fen, "quantity": 1}]})


def _event(shop: Shop, kind: str, data: dict[str, Any]) -> CommerceEvent:
    event = parse_event({"id": f"e{next(shop.numbers)}", "type": kind, "data": data,
                         "occurred_at": shop.clock.now().isoformat()})
    assert isinstance(event, CommerceEvent), event
    return event


def booked(shop: Shop, *events: CommerceEvent) -> None:
    """The books are written; what follows is still to be told."""
    with shop.runtime.sessions.begin() as session:
        orders.receive(session, SOURCE, events, shop.clock.now())
    assert workflows.apply_events(shop.runtime.sessions, shop.clock.now(), shop.runtime.pepper, 200) == len(events)


def rows(shop: Shop, sql: str, **asked: Any) -> list[tuple[Any, ...]]:
    with shop.runtime.sessions() as session:
        return [tuple(row) for row in session.execute(text(sql), asked)]


def news(shop: Shop) -> list[int]:
    """Of how many orders each row of news is."""
    return [number for number, in rows(shop, "select cardinality(order_ids) from earned_news order by id")]


def facts_are_due(shop: Shop) -> bool:
    with shop.runtime.sessions() as session:
        return pulse.feel(session, shop.clock.now()).facts


def test_a_batch_leaves_one_row_which_rings_and_is_gone_when_it_is_told(shop: Shop, li: Person) -> None:
    shop.journeys("at_risk")  # its goal listens to what is earned
    booked(shop, pays(shop, "A1"), pays(shop, "A2"), pays(shop, "B1", by="路人"))
    assert (news(shop), rows(shop, FACTS), facts_are_due(shop)) == ([2], [], True), "nobody earns by B1"
    shop.follow_up()
    assert (news(shop), rows(shop, FACTS), facts_are_due(shop)) == ([], [], False)
    found = rows(shop, "select id, order_no from customer_order where order_no <> 'B1' order by id")
    assert rows(shop, NOTICES, who=person_id(shop, li)) == [("money.earned", order) for _, order in found]
    assert told(li, TOLD) == 2
    heard = rows(shop, "select key, data - 'order_id' from journey_event where kind = 'commission.accrued' order by id")
    assert heard == [
        (f"fact:commission.accrued:{number}:{person_id(shop, li)}",
         {"order_no": order, "title": "有机大米 5kg", "amount_fen": 800, "level": 1}) for number, order in found]


def test_many_orders_of_one_person_are_told_in_their_order(shop: Shop, li: Person) -> None:
    """The ninth before the tenth, and the hundredth after it: the orders' numbers pass from two digits to three."""
    for batch in range(4):
        booked(shop, *(pays(shop, f"A{batch * 30 + n:03}") for n in range(30)))
    shop.follow_up()
    found = rows(shop, "select order_no, id from customer_order order by id")
    assert [order for _, order in rows(shop, NOTICES, who=person_id(shop, li))] == [order for order, _ in found]
    assert found[-1][1] > 100


def test_earned_and_taken_back_in_one_breath_are_told_in_that_order(shop: Shop, li: Person) -> None:
    booked(shop, pays(shop, "A1"), refunds(shop, "A1", 5_000))
    booked(shop, pays(shop, "A2"))
    booked(shop, refunds(shop, "A2", 10_000))
    shop.follow_up()
    told_of = rows(shop, NOTICES, who=person_id(shop, li))
    for order in ("A1", "A2"):
        assert [key for key, of in told_of if of == order] == ["money.earned", "money.taken_back"]


def test_while_somebody_hands_on_news_nobody_else_tells_what_came_after(shop: Shop, li: Person) -> None:
    """A second worker neither waits nor overtakes; when the first dies, it does all of it."""
    who = person_id(shop, li)
    with shop.runtime.sessions.begin() as session:
        put(session, [Effect("fact", "tag.added", "before", who, {"tag": "x"})], shop.clock.now())
    booked(shop, pays(shop, "A1"))
    booked(shop, refunds(shop, "A1", 5_000))
    with shop.runtime.sessions() as dying:
        assert earned.take(dying, 500).orders == 1
        assert shop.runtime.outbox.run("fact") == 1, "only what was there before"
        assert rows(shop, NOTICES, who=who) == []
        assert facts_are_due(shop)
    shop.follow_up()
    assert [key for key, _ in rows(shop, NOTICES, who=who)] == ["money.earned", "money.taken_back"]
    assert (told(li, TOLD), news(shop)) == (1, [])


def test_facts_do_not_starve_while_news_keep_coming(shop: Shop, li: Person) -> None:
    """Each run hands on a portion and then does the facts before what is left."""
    for n in range(3):
        booked(shop, *(pays(shop, f"A{n}-{k}") for k in range(180)))
    booked(shop, refunds(shop, "A0-0", 5_000))
    for n in range(3, 6):
        booked(shop, *(pays(shop, f"A{n}-{k}") for k in range(180)))
    taken = "select count(*) from outbox where payload ->> 'key' = 'money.taken_back'"
    assert shop.runtime.outbox.run("fact") > 540, "three batches, and the facts that came before the fourth"
    assert (news(shop), rows(shop, taken)) == ([180] * 3, [(1,)])


def refusing(shop: Shop, order: str, what: str = "new.payload -> 'facts'") -> Callable[[], None]:
    """The database refuses the notice of one order, or its fact; how to mend it."""
    with shop.runtime.sessions.begin() as session:
        session.execute(text("""
            create function bad_luck() returns trigger language plpgsql as $$ begin
                raise exception 'cursed' using errcode = 'HT499';
            end $$"""))
        session.execute(text(
            "create trigger bad_luck before insert on outbox for each row"
            f" when ({what} ->> 'order_no' = '{order}') execute function bad_luck()"))

    def mend() -> None:
        with shop.runtime.sessions.begin() as session:
            session.execute(text("drop trigger bad_luck on outbox"))
    return mend


def findings(shop: Shop) -> dict[str, str]:
    """What the doctor says of what lies about."""
    with shop.runtime.engine.connect() as db:
        return {one.check: one.cause for one in backlog.findings(db, {}, shop.clock.now(), shop.clock.now())}


def test_one_broken_order_among_a_hundred_holds_up_nobody_and_is_tried_again(shop: Shop, li: Person) -> None:
    mend = refusing(shop, "A50")
    booked(shop, *(pays(shop, f"A{n}") for n in range(100)))
    shop.follow_up()
    assert len(rows(shop, NOTICES, who=person_id(shop, li))) == 99
    broken, = rows(shop, FACTS)
    assert broken[1:] == (person_id(shop, li), "waiting") and news(shop) == []
    assert "1 effect failed and is tried again" in findings(shop)["waiting (failed)"]
    mend()
    shop.wait(minutes=1)
    assert len(rows(shop, NOTICES, who=person_id(shop, li))) == 100
    assert [state for *_, state in rows(shop, FACTS)] == ["done"]


def test_what_stays_broken_is_given_up_and_shown(shop: Shop, li: Person) -> None:
    refusing(shop, "A1")
    booked(shop, pays(shop, "A1"))
    for _ in range(6):
        shop.wait(minutes=2)
    assert [state for *_, state in rows(shop, FACTS)] == ["dead"]
    assert "1 effect given up" in findings(shop)["dead letters"]


def test_news_that_cannot_even_become_facts_hold_up_none_that_were_there_before(shop: Shop, li: Person) -> None:
    """Nothing of them is lost; what came before them, and all other work, goes on."""
    booked(shop, pays(shop, "A0"), refunds(shop, "A0", 5_000))
    shop.runtime.outbox.run("fact")
    with shop.runtime.sessions.begin() as session:
        put(session, [Effect("fact", "tag.added", "before", person_id(shop, li), {"tag": "x"})], shop.clock.now())
    mend = refusing(shop, "A1", "coalesce(new.payload -> 'facts', new.payload)")
    booked(shop, pays(shop, "A1"))
    shop.work()
    assert rows(shop, "select state from outbox where key = 'before'") == [("done",)]
    assert (news(shop), told(li, TOLD)) == ([1], 1)
    mend()
    shop.wait(minutes=1)
    assert (news(shop), told(li, TOLD)) == ([], 2)


def test_news_that_lie_about_are_seen(shop: Shop, li: Person) -> None:
    """By the doctor as effects that wait, in the metrics as facts, one for each order."""
    booked(shop, pays(shop, "A1"), pays(shop, "A2"))
    shop.clock.advance(600)
    assert "an effect has waited for 10 minutes" in findings(shop)["backlog"]
    with shop.runtime.sessions.begin() as session:  # nothing but the news is due
        session.execute(text("update outbox set due_at = :later where state = 'waiting'"),
                        {"later": shop.clock.now() + timedelta(hours=1)})
    shown = dict(line.rsplit(" ", 1) for line in shop.client.get("/metrics").text.splitlines() if line[:1] != "#")
    assert shown['huitou_outbox_waiting{queue="fact"}'] == "2.0"
    assert shown['huitou_outbox_oldest_seconds{queue="fact"}'] == "600.0", "by the shop's clock"


def test_who_was_kept_is_told_what_their_other_half_earned(shop: Shop, li: Person) -> None:
    kept = shop.person("李家大姐")
    kept.says("佣金")
    booked(shop, pays(shop, "A1"))
    with shop.runtime.sessions.begin() as session:
        one, other = person_id(shop, kept), person_id(shop, li)
        session.execute(text("update person set joined_at = joined_at - interval '9 days' where id = :id"), {"id": one})
        assert people.merge(session, one, other, "one phone", shop.clock.now(), MOVERS).kept_id == one
    shop.follow_up()
    assert [key for key, _ in rows(shop, NOTICES, who=one)] == ["money.earned"]
    assert rows(shop, NOTICES, who=other) == []


def test_nothing_is_told_to_who_was_erased_meanwhile(shop: Shop, li: Person) -> None:
    shop.journeys("at_risk")
    booked(shop, pays(shop, "A1"))
    booked(shop, refunds(shop, "A1", 10_000))  # else the money would put the erasure off
    who = person_id(shop, li)
    with shop.runtime.sessions.begin() as session:
        leaving.order_erasure(session, who, Actor("zhou", "owner"), "a letter", shop.clock.now())
        done, = leaving.run_due(session, Leaving(), shop.runtime.context.tool(Memory), shop.clock.now(), 10)
        assert (done.state, done.waits_for) == ("done", "")
    assert news(shop) == [1]
    shop.follow_up()
    assert (news(shop), rows(shop, NOTICES, who=who)) == ([], [])
    assert rows(shop, "select kind from journey_event where kind = 'commission.accrued'") == []


def test_of_a_frozen_account_it_is_said_that_it_is_held(shop: Shop, li: Person) -> None:
    """Whoever is frozen after the order was booked earned it as ever: the freeze is told of by itself."""
    booked(shop, pays(shop, "A1"))
    shop.clock.advance(1)
    freeze(shop, li)
    booked(shop, pays(shop, "A2"))
    shop.work()
    assert [one for one in rows(shop, NOTICES, who=person_id(shop, li)) if one[1]] == [
        ("money.earned", "A1"), ("money.earned_held", "A2")]
    li.saw("新佣金 ¥8.00（冻结中）")


def test_a_fact_that_waited_while_the_shop_was_upgraded_is_told_and_once(shop: Shop, li: Person) -> None:
    """Whoever put a fact before there were news has it told; where fact and news tell of one order, it is told once."""
    booked(shop, pays(shop, "A1"))
    (order, buyer), = rows(shop, "select id, buyer_id from customer_order")
    with shop.runtime.sessions.begin() as session:
        put(session, [Effect("fact", "commission.accrued", f"commission.accrued:{number}:{person_id(shop, li)}",
                             person_id(shop, li), {
            "order_id": number, "order_no": name, "buyer_id": buyer, "title": "有机大米 5kg", "level": 1,
            "amount_fen": 800, "base_fen": 10_000, "rate_bps": 800, "rule": "default", "parts": 1, "phase": "",
            "phase_bps": 10_000, "boost_bps": 10_000}) for number, name in ((order, "A1"), (order + 50, "A0"))],
            shop.clock.now())
    shop.follow_up()
    assert sorted(rows(shop, NOTICES, who=person_id(shop, li))) == [("money.earned", "A0"), ("money.earned", "A1")]
    assert [state for *_, state in rows(shop, FACTS)] == ["done", "done"]
