"""What the rules see of a real shop's orders, and what they must not see twice."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.risk import watch
from domain.shared.errors import Conflict
from domain.shared.seal import Seal
from tests.integration.money.world import PEPPER
from tests.integration.risk.world import Watched


def test_L13_self_referral_by_a_second_account_with_the_same_phone(shop: Watched) -> None:
    phone = "13812345678"
    first = {"mall_user_id": "李姐", "phone": phone} | shop.openid("李姐")
    shop.tell(shop.event("customer.upserted", identities=first))
    second = {"mall_user_id": "小王", "phone": phone} | shop.openid("小王")
    shop.tell(shop.pay("A1", by="小王", buyer=second), shop.receive("A1"))
    shop.look()
    assert shop.rules_hit() == [("李姐", "self_phone")]
    shop.days(30)
    assert (shop.money("李姐"), shop.frozen("李姐")) == ((0, 0, 0), 792)


def test_L13_self_referral_by_a_second_account_with_the_same_payer(shop: Watched) -> None:
    known = shop.openid("李姐")
    shop.tell(shop.event("customer.upserted", identities={"mall_user_id": "李姐"} | known))
    shop.tell(shop.pay("A1", by="小王", risk={"payer": known["openid"]}))
    shop.look()
    assert shop.cases() == []
    shop.tell(shop.pay("A2", by="小王", risk={"payer": known["openid"]}))
    shop.look()
    assert shop.rules_hit() == [("李姐", "self_payer")]
    assert shop.only_case().lines == 2
    assert shop.frozen("李姐") == 2 * 792


def test_the_sharers_own_order_may_come_last(shop: Watched) -> None:
    shop.tell(shop.pay("A1", by="小王", risk={"payer": "card"}), shop.pay("A2", by="小王", risk={"payer": "card"}))
    shop.look()
    assert shop.cases() == []
    shop.tell(shop.pay("B1", by="李姐", risk={"payer": "card"}))
    shop.look()
    assert shop.rules_hit() == [("李姐", "self_payer")]


def test_P20_five_orders_a_day_go_to_a_reviewer(shop: Watched) -> None:
    shop.tell(*(shop.pay(f"A{n}", by="小王") for n in range(4)))
    shop.look()
    assert shop.cases() == []
    shop.tell(shop.pay("A4", by="小王"))
    shop.look()
    assert shop.rules_hit() == [("李姐", "velocity")]
    assert shop.only_case().held_fen == 5 * 792
    shop.tell(shop.pay("A5", by="小王"))
    shop.look()
    assert shop.only_case().held_fen == 6 * 792
    shop.person("孤")
    shop.tell(*(shop.pay(f"C{n}", by="孤") for n in range(5)))
    shop.look()
    assert ("孤", "velocity") in shop.rules_hit()


def test_one_device_for_many(shop: Watched) -> None:
    for n in range(3):
        shop.person(f"号{n}", invited_by="李姐")
        shop.tell(shop.pay(f"A{n}", by=f"号{n}", risk={"device": "d-1", "address": f"street {n}"}))
    shop.look()
    assert shop.rules_hit() == [("李姐", "many_device")]
    assert shop.only_case().lines == 3


def test_a_circle_of_buyers_and_earners(shop: Watched) -> None:
    """Bindings are a forest at any time, so a circle takes time: the first one must have ended."""
    for n in range(2):
        shop.tell(shop.pay(f"A{n}", by="小王"))
    with shop.sessions.begin() as session:
        session.execute(text("update referral set ended_at = now(), end_reason = 'test' where referee_id = :who"),
                        {"who": shop.people["小王"]})
        session.execute(text(
            "insert into referral (referee_id, referrer_id, source, bound_at, protected_until, end_reason)"
            " values (:who, :by, 'scan', :at, :at, '')"),
            {"who": shop.people["李姐"], "by": shop.people["小王"], "at": shop.clock.now() - timedelta(days=1)})
    for n in range(2):
        shop.tell(shop.pay(f"B{n}", by="李姐"))
    shop.look()
    assert [hit for hit in shop.rules_hit() if hit[1] == "ring"] == [("小王", "ring"), ("李姐", "ring")]


def newcomers(shop: Watched, number: int, fen: int = 900) -> None:
    """New accounts below 李姐, each buying once."""
    for n in range(number):
        shop.person(f"新{n}", invited_by="李姐")
        shop.tell(shop.pay(f"N{n}", by=f"新{n}", fen=fen))
        shop.clock.advance(600)


def test_a_rush_of_new_accounts_with_tiny_orders(shop: Watched) -> None:
    newcomers(shop, 5)
    shop.look()
    assert shop.rules_hit() == [("李姐", "burst")]
    assert shop.only_case().held_fen == 5 * 72


def test_a_launch_evening_with_proper_orders_is_none(shop: Watched) -> None:
    newcomers(shop, 12, fen=5_900)
    shop.look()
    assert shop.cases() == []


def test_buying_and_sending_back_again_and_again_never_creates_value(shop: Watched) -> None:
    for n in range(4):
        shop.tell(shop.pay(f"A{n}", by="小王"), shop.receive(f"A{n}"))
        shop.days(8)
        shop.tell(shop.refund(f"A{n}", "R", 9_900))
        shop.look()
        assert shop.wallet("李姐").total_earned_fen == 0
    assert shop.rules_hit() == [("李姐", "refund_abuse")]
    shop.tell(shop.pay("A9", by="小王"))
    shop.look()
    assert shop.frozen("李姐") == 792
    shop.tell(shop.refund("A9", "R", 9_900))
    assert (shop.money("李姐"), shop.frozen("李姐")) == ((0, 0, 0), 0)


def test_what_was_released_is_trusted_and_what_was_confiscated_is_not_held_twice(shop: Watched) -> None:
    newcomers(shop, 5)
    shop.look()
    shop.decide(shop.only_case().id, "released")
    shop.person("新9", invited_by="李姐")
    shop.tell(shop.pay("N9", by="新9", fen=900))
    shop.look()
    assert shop.cases() == []
    shop.clock.advance((shop.rules.trust_days + 1) * 86_400)
    for n in range(20, 25):
        shop.person(f"新{n}", invited_by="李姐")
    with shop.sessions.begin() as session:
        session.execute(text("update person set joined_at = :now where id > 8"), {"now": shop.clock.now()})
    for n in range(20, 25):
        shop.tell(shop.pay(f"N{n}", by=f"新{n}", fen=900))
    shop.look()
    case = next(case for case in shop.cases() if case.rule == "burst")
    assert case.lines == 5
    shop.decide(case.id, "confiscated")
    shop.tell(shop.pay("N30", by="新20", fen=900))
    shop.look()
    assert "burst" not in [rule for _, rule in shop.rules_hit()]


def test_looking_again_and_by_two_at_once_finds_nothing_new(shop: Watched) -> None:
    newcomers(shop, 5)
    shop.look()
    before = shop.rows("select count(*) from risk_step")
    with shop.sessions.begin() as session:
        session.execute(text("insert into risk_queue select id from customer_order"))
        session.execute(text("insert into risk_watch (person_id) select id from person"))
    shop.look()
    assert shop.rows("select count(*) from risk_step") == before


def test_a_look_is_a_fixed_number_of_statements(shop: Watched) -> None:
    from sqlalchemy import event

    def statements(orders: int, name: str) -> int:
        for n in range(orders):
            shop.tell(shop.pay(f"{name}{n}", by="新客" if n % 2 else "小王", at=shop.clock.now() - timedelta(days=n),
                               risk={"payer": f"{name}{n}", "device": f"d{name}{n}"}))
        seen: list[str] = []
        listen = lambda *args: seen.append(args[2])  # noqa: E731
        event.listen(shop.engine, "before_cursor_execute", listen)
        with shop.sessions.begin() as session:
            assert watch.scan(session, shop.rules, Seal(PEPPER), shop.clock.now(), 100) == orders
        event.remove(shop.engine, "before_cursor_execute", listen)
        return len(seen)

    assert statements(2, "A") == statements(12, "B")


def test_the_doctor_tells_of_appeals_that_nobody_answers(shop: Watched) -> None:
    from bot.runtime import backlog
    from domain.risk import service

    shop.tell(*(shop.pay(f"A{n}", by="小王") for n in range(5)))
    shop.look()
    with shop.sessions.begin() as session:
        service.appeal(session, shop.people["李姐"], "真的", shop.rules, shop.clock.now())

    def told() -> list[str]:
        with shop.engine.connect() as db:
            return [one.check for one in backlog.findings(db, {}, shop.clock.now(), shop.clock.now())
                    if one.check in ("appeals", "risk")]

    shop.clock.advance((shop.rules.answer_hours - 1) * 3_600)
    assert told() == []
    shop.clock.advance(7_200)
    assert told() == ["appeals"]


def test_signals_are_kept_as_hashes_and_only_what_is_known(shop: Watched) -> None:
    shop.tell(shop.pay("A1", by="小王", risk={"payer": "card-4711", "device": "", "wifi": "home"}))
    shop.look()
    assert shop.rows("select kind, length(hash) from risk_signal") == [("payer", 64)]
    everywhere = shop.rows("select payload::text from commerce_event") + shop.rows("select signals::text from"
                                                                                   " customer_order")
    assert not any("4711" in row[0] or "wifi" in row[0] for row in everywhere)


def test_cases_of_a_person_who_is_found_to_be_the_buyer_stay_whole(shop: Watched) -> None:
    """The second account turns out to be the same human: the case and its money follow."""
    shop.tell(*(shop.pay(f"A{n}", by="小王") for n in range(5)))
    shop.look()
    case = shop.only_case()
    with shop.sessions.begin() as session:
        from domain import workflows

        session.execute(text("update referral set ended_at = bound_at, end_reason = 'test'"))
        done = people.merge(session, shop.people["李姐"], shop.people["小王"], "same", shop.clock.now(),
                            workflows.MOVERS)
    assert done.conflict == ""
    assert shop.only_case().id == case.id
    shop.decide(case.id, "confiscated")
    assert shop.wallet("李姐").total_earned_fen == 0
    with pytest.raises(Conflict):
        shop.decide(case.id, "released")


def test_a_phone_that_belongs_to_one_person_is_no_case(shop: Watched) -> None:
    with shop.sessions.begin() as session:
        people.resolve(session, [IdentityRef("phone", "13900000000")], shop.clock.now(), pepper=PEPPER)
    shop.tell(shop.pay("A1", by="小王", buyer={"mall_user_id": "小王", "phone": "13900000000"}))
    shop.look()
    assert shop.cases() == []
