"""Cases through the operator API: seen, asked about by one, decided by another, logged."""

import threading
from typing import Any

import pytest
from sqlalchemy import text

from domain.orders import service as orders
from domain.risk import watch
from domain.shared.seal import Seal
from tests.e2e.waiting import until
from tests.integration.money.world import PEPPER, Shop
from tests.integration.risk.world import RULES, of_one_level
from tests.web.operators import Office


@pytest.fixture
def shop(engine, clock) -> Shop:
    return of_one_level(engine, clock)


@pytest.fixture
def office(shop, engine, clock) -> Office:
    return Office(engine, clock)


def suspicion(shop: Shop) -> None:
    shop.tell(*(shop.pay(f"A{n}", by="小王") for n in range(5)))
    with shop.sessions.begin() as session:
        watch.scan(session, RULES, Seal(PEPPER), shop.clock.now(), 100)


def test_a_case_is_listed_read_and_released_by_two(shop, office) -> None:
    suspicion(shop)
    case, = office.get("reviewer", "/risk/cases")["cases"]
    assert (case["rule"], case["effect"], case["held_fen"], case["state"]) == ("velocity", "hold", 5 * 792, "open")
    assert "一天内下单较多" in case["reason"]
    found = office.get("operator", f"/risk/cases/{case['id']}")
    assert found["evidence"]["people"] == [shop.people["小王"]]
    assert [step["what"] for step in found["steps"]] == ["opened"]
    asked = office.post("operator", f"/risk/cases/{case['id']}/release", {"reason": "公司团购"}, expect=201)
    assert (asked["act"], asked["subject"]) == ("person.release", f"case:{case['id']}")
    office.post("operator", f"/approvals/{asked['id']}/approve", expect=403)
    office.post("finance", f"/approvals/{asked['id']}/approve", expect=403)
    office.post("reviewer", f"/approvals/{asked['id']}/approve")
    assert office.get("owner", "/risk/cases")["cases"] == []
    done, = office.get("owner", "/risk/cases?state=all")["cases"]
    assert (done["state"], done["decided_by"], done["held_fen"]) == ("released", "chen", 0)
    said = office.post("finance", f"/risk/cases/{case['id']}/confiscate", {"reason": "x"}, expect=409)["error"]
    assert (said["code"], "已有结果" in said["message"]) == ("case_decided", True)
    acts = [one["act"] for one in office.get("owner", f"/audit?subject=approval:{asked['id']}")["events"]]
    assert acts == ["approval.approve", "approval.ask"]


def test_confiscation_is_decided_with_the_rights_of_money(shop, office) -> None:
    suspicion(shop)
    asked = office.post("reviewer", "/risk/cases/1/confiscate", {"reason": "自己的账号"}, expect=201)
    office.post("operator", f"/approvals/{asked['id']}/approve", expect=403)
    office.post("finance", f"/approvals/{asked['id']}/approve")
    case, = office.get("owner", "/risk/cases?state=confiscated")["cases"]
    assert case["confiscated_fen"] == 5 * 792
    assert shop.money("李姐") == (0, 0, 0)


def test_somebody_is_frozen_once(shop, office) -> None:
    person = shop.people["李姐"]
    asked = office.post("operator", f"/risk/people/{person}/freeze", {"reason": "举报"}, expect=201)
    assert office.post("finance", f"/risk/people/{person}/freeze", {"reason": "再"}, expect=409)["error"]["code"] == \
        "approval_open"
    office.post("reviewer", f"/approvals/{asked['id']}/approve")
    said = office.post("finance", f"/risk/people/{person}/freeze", {"reason": "再"}, expect=409)["error"]
    assert (said["code"], "已经被冻结" in said["message"]) == ("already_frozen", True)
    office.post("finance", "/risk/people/999/freeze", {"reason": "谁"}, expect=404)
    office.get("finance", "/risk/cases/999", expect=404)
    assert [case["rule"] for case in office.get("owner", f"/risk/cases?person_id={person}")["cases"]] == ["freeze"]
    assert office.rings


def test_a_freeze_that_meets_a_worker_on_its_way_is_done_again(shop, office) -> None:
    """A worker has the order and then wants the person, a freeze has the person and then wants the order: the server
    ends one of the two, and here that is the freeze, which has waited longer."""
    shop.tell(shop.pay("A1", by="小王"))
    person = shop.people["李姐"]
    asked = office.post("operator", f"/risk/people/{person}/freeze", {"reason": "举报"}, expect=201)
    answers: list[Any] = []
    path = f"/approvals/{asked['id']}/approve"
    freezing = threading.Thread(target=lambda: answers.append(office.post("reviewer", path)))
    waits = text("select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'advisory'")
    with shop.sessions.begin() as worker:
        order_id = worker.execute(text("select id from customer_order")).scalar_one()
        orders.lease(worker, [order_id])
        freezing.start()
        with office.engine.connect() as watching:
            until(lambda: watching.execute(waits).scalar_one(), "the freeze waits for the order")
        worker.execute(text("select from person where id = :id for update"), {"id": person})
    freezing.join(30)
    assert [answer["state"] for answer in answers] == ["approved"]
    held = shop.rows("select held_at is not null from commission_line where beneficiary_id = :id", id=person)
    assert held == [(True,)]


def test_lists_of_decided_cases_turn_their_pages(shop, office) -> None:
    shop.people_bound({f"p{n}": "" for n in range(60)})
    with shop.sessions.begin() as session:
        session.execute(text("set local session_replication_role = replica"))  # sixty decisions by two people
        session.execute(text(
            "insert into risk_case (person_id, rule, effect, severity, opened_by, opened_at, state, decided_by,"
            " decided_at) select id, 'star', 'hold', 80, 'huitou', now(), 'released', 'lin', now() from person"))
    first = office.get("owner", "/risk/cases?state=all")
    second = office.get("owner", f"/risk/cases?state=all&before={first['next_before']}")
    assert (len(first["cases"]), len(second["cases"]), second["next_before"]) == (50, 12, None)
