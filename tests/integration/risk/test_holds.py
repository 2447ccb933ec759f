"""Hold, not loss: what waits keeps its dates, and every way out of a hold books exactly once."""

from datetime import timedelta
from functools import partial

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain import workflows
from domain.commissions import queries as commissions
from domain.ledger import queries as ledger
from domain.ledger import service as ledger_service
from domain.ledger.rules import Entry, Move, person
from domain.people import service as people
from domain.risk import service
from domain.risk.rules import Rules
from domain.shared.errors import Conflict, DomainError
from tests.integration.money.world import PEPPER
from tests.integration.risk.world import Watched
from tests.together import at_once


def eager(rules: Rules) -> Rules:
    """One order is enough to be suspected of paying for oneself."""
    quick = replace(rules.rules["self_payer"], threshold=1, share_bps=1)
    return replace(rules, rules=rules.rules | {"self_payer": quick})


def suspicious(shop: Watched, order: str = "A1", by: str = "小王") -> int:
    """An order paid by whoever earns from it: 李姐's openid. Returns the case."""
    shop.rules = eager(shop.rules)
    known = shop.openid("李姐")
    shop.tell(shop.event("customer.upserted", identities={"mall_user_id": "李姐"} | known))
    shop.tell(shop.pay(order, by=by, risk={"payer": known["openid"]}))
    shop.look()
    return shop.only_case().id


def test_a_hit_freezes_the_line_and_nothing_else(shop: Watched) -> None:
    shop.tell(shop.pay("A0", by="小王"))
    suspicious(shop)
    case = shop.only_case()
    assert (case.rule, case.held_fen, case.state) == ("self_payer", 792, "open")
    assert (shop.money("李姐"), shop.frozen("李姐")) == ((792, 0, 0), 792)
    shop.tell(shop.receive("A0"), shop.receive("A1"))
    shop.days(30)
    assert (shop.money("李姐"), shop.frozen("李姐")) == ((0, 792, 0), 792)
    with shop.sessions() as session:
        line, = commissions.explain(session, shop.people["李姐"], "A1")
    assert line.state == "held"


def test_what_is_lifted_goes_with_its_original_date(shop: Watched) -> None:
    case = suspicious(shop)
    shop.tell(shop.receive("A1"))
    due = shop.clock.now() + timedelta(days=7)
    shop.days(30)
    shop.decide(case, "released")
    assert shop.money("李姐") == (792, 0, 0)
    shop.due()
    assert (shop.money("李姐"), shop.frozen("李姐")) == ((0, 792, 0), 0)
    assert shop.rows("select effective_at from journal where kind = 'commission.released'") == [(due,)]


def test_what_is_lifted_early_waits_for_its_date(shop: Watched) -> None:
    case = suspicious(shop)
    shop.tell(shop.receive("A1"))
    shop.decide(case, "released")
    shop.days(6)
    assert shop.money("李姐") == (792, 0, 0)
    shop.days(1.01)
    assert shop.money("李姐") == (0, 792, 0)


def test_what_is_confiscated_goes_back_to_expense(shop: Watched) -> None:
    case = suspicious(shop)
    shop.tell(shop.receive("A1"))
    shop.decide(case, "confiscated")
    shop.days(30)
    assert (shop.money("李姐"), shop.frozen("李姐")) == ((0, 0, 0), 0)
    assert shop.wallet("李姐").total_earned_fen == 0
    with shop.sessions() as session:
        line, = commissions.explain(session, shop.people["李姐"], "A1")
        reasons = [one.reason for one in ledger.statement(session, shop.people["李姐"], None, 9).lines]
    assert (line.state, line.left_fen) == ("confiscated", 0)
    assert reasons == ["commission.confiscated", "commission.held", "commission.accrued"]
    shop.tell(shop.refund("A1", "R1", 9_900))
    assert shop.money("李姐") == (0, 0, 0)


def test_what_was_let_go_before_the_case_is_taken_back_or_owed(shop: Watched) -> None:
    shop.rules = eager(shop.rules)
    shop.tell(shop.pay("A1", by="小王", risk={"payer": "card-1"}), shop.receive("A1"))
    shop.days(8)
    shop.spend("李姐", 500)
    shop.tell(shop.pay("B1", by="李姐", risk={"payer": "card-1"}))
    shop.look()
    case = shop.only_case()
    assert (case.held_fen, case.released_fen) == (0, 792)
    shop.decide(case.id, "confiscated")
    assert shop.money("李姐") == (0, 0, 500)


def test_confiscated_twice_is_once_and_release_after_it_is_refused_by_the_database(shop: Watched) -> None:
    case = suspicious(shop)
    shop.decide(case, "confiscated")
    for outcome in ("confiscated", "released"):
        with pytest.raises(Conflict, match="case_decided"):
            shop.decide(case, outcome)
        with pytest.raises(Conflict, match="case_decided"), shop.sessions.begin() as session:
            service.decide(session, case, outcome, "zhou", "", shop.clock.now())
    shop.tell(shop.receive("A1"))
    attacks = (
        "update risk_case set state = 'released'", "update risk_case set state = 'open', decided_at = null,"
        " decided_by = ''", "update commission_line set confiscated_at = null",
        "update commission_line set clawed_fen = 0", "update commission_line set held_at = now()",
        "update commission_line set released_at = now()", "delete from risk_case", "truncate risk_step",
        "update risk_line set case_id = case_id", "delete from account_hold",
    )
    for attack in attacks:
        with pytest.raises(DBAPIError), shop.sessions.begin() as session:
            session.execute(text(attack))
    assert shop.rows("select count(*) from journal where kind = 'commission.confiscated'") == [(1,)]


@pytest.mark.parametrize("outcome", ["released", "confiscated"])
def test_a_case_that_two_people_did_not_decide_is_refused_by_the_database(shop: Watched, outcome: str) -> None:
    """Also with the name of somebody who approved something else, and for a merge that there was not."""
    case = suspicious(shop)
    freeze = shop.freeze("李姐")
    decided = f"state = '{outcome}', decided_at = now(), decided_by = '{shop.team['owner'].name}'"
    merged = (f"insert into risk_step (case_id, at, actor, what, facts) values"
              f" ({case}, now(), 'huitou', 'merged', jsonb_build_object('case', {freeze}))")
    for attack in (
        (f"update risk_case set {decided} where id = {case}",),
        (merged, f"update risk_case set {decided} where id = {case}"),
        ("insert into risk_case"
         " (person_id, rule, effect, severity, opened_by, opened_at, state, decided_at, decided_by)"
         f" select person_id, rule, effect, severity, opened_by, opened_at, '{outcome}', now(), 'x' from risk_case"
         f" where id = {case}",),
    ):
        with pytest.raises(DBAPIError) as refused, shop.sessions.begin() as session:
            for statement in attack:
                session.execute(text(statement))
        assert refused.value.orig.sqlstate == "HT403"
    other: service.Outcome = "released" if outcome == "confiscated" else "confiscated"
    shop.decide(case, other)
    assert [one.id for one in shop.cases(other)] == [case]


def test_two_deciders_at_once_end_a_case_once(shop: Watched) -> None:
    case = suspicious(shop)

    def end(outcome: service.Outcome) -> str:
        try:
            shop.decide(case, outcome)
        except Conflict as refusal:
            return refusal.code
        return outcome

    ends = at_once(*[partial(end, "released"), partial(end, "confiscated")] * 4)
    ended = [one for one in ends if one in ("released", "confiscated")]
    assert len(ended) == 1 and set(ends) <= {*ended, "case_decided", "approval_pending"}
    assert shop.money("李姐")[0] == (792 if ended == ["released"] else 0)


def test_a_refund_while_held_takes_from_what_is_frozen(shop: Watched) -> None:
    case = suspicious(shop)
    shop.tell(shop.refund("A1", "R1", 3_300))
    assert (shop.money("李姐"), shop.frozen("李姐")) == ((0, 0, 0), 528)
    shop.tell(shop.receive("A1"))
    shop.decide(case, "released")
    shop.days(8)
    assert shop.money("李姐") == (0, 528, 0)


def test_a_refund_of_everything_while_held_leaves_nothing_to_decide_about(shop: Watched) -> None:
    case = suspicious(shop)
    shop.tell(shop.refund("A1", "R1", 9_900))
    assert shop.frozen("李姐") == 0
    shop.decide(case, "confiscated")
    assert shop.money("李姐") == (0, 0, 0)
    assert shop.rows("select count(*) from commission_line where held_at is not null") == [(0,)]


def test_two_cases_about_one_line_hold_it_until_both_are_over(shop: Watched) -> None:
    suspicious(shop)
    freeze = shop.freeze("李姐")
    first = next(case.id for case in shop.cases() if case.id != freeze)
    shop.tell(shop.receive("A1"))
    shop.decide(first, "released")
    assert shop.frozen("李姐") == 792
    shop.decide(freeze, "released")
    shop.days(8)
    assert shop.money("李姐") == (0, 792, 0)
    assert shop.rows("select kind, count(*) from journal where kind like 'commission.%' group by 1 order by 1") == [
        ("commission.accrued", 1), ("commission.held", 1), ("commission.lifted", 1), ("commission.released", 1)]


def test_a_line_held_again_in_the_same_instant_is_booked_again(shop: Watched) -> None:
    case = suspicious(shop)
    shop.decide(case, "released")
    again = shop.freeze("李姐")
    assert shop.frozen("李姐") == 792
    shop.decide(again, "released")
    assert shop.money("李姐") == (792, 0, 0)


def test_L11_upline_frozen_at_payment(shop: Watched) -> None:
    shop.tell(shop.pay("A0", by="小王"))
    case = shop.freeze("李姐")
    shop.tell(shop.pay("A1", by="小王"), shop.pay("A2", by="新客"), shop.receive("A0"), shop.receive("A1"))
    assert (shop.money("李姐"), shop.frozen("李姐")) == ((0, 0, 0), 792 + 792 + 198)
    assert shop.money("小王") == (792, 0, 0)
    shop.days(30)
    shop.look()
    assert shop.frozen("李姐") == 792 + 792 + 198
    shop.decide(case, "released")
    shop.due()
    assert (shop.money("李姐"), shop.frozen("李姐")) == ((0, 792 + 792 + 198, 0), 0)
    dates = shop.rows("select distinct effective_at::date::text from journal where kind = 'commission.released'"
                      " and label <> 'mall/A2'")
    assert dates == [("2026-11-27",)]
    shop.tell(shop.pay("A3", by="小王"))
    assert shop.money("李姐")[0] == 792


def test_L11_confiscated_at_the_end_of_a_freeze(shop: Watched) -> None:
    case = shop.freeze("李姐")
    shop.tell(shop.pay("A1", by="小王"), shop.pay("A2", by="新客"))
    shop.decide(case, "confiscated")
    assert (shop.money("李姐"), shop.frozen("李姐")) == ((0, 0, 0), 0)
    shop.tell(shop.pay("A3", by="小王"))
    assert shop.money("李姐")[0] == 792


def test_the_frozen_withdraw_nothing_whoever_asks(shop: Watched) -> None:
    shop.tell(shop.pay("A1", by="小王"), shop.receive("A1"))
    shop.days(8)
    case = shop.freeze("李姐")
    owner = shop.people["李姐"]
    asked = Entry("payout:1:asked", "payout.asked", shop.clock.now(), "payout", 1, "",
                  (Move(person(owner, "available"), person(owner, "held"), 500),))
    with pytest.raises(DomainError, match="account_frozen"), shop.sessions.begin() as session:
        assert ledger.frozen(session, owner)
        ledger_service.post(session, [asked], shop.clock.now())
    shop.tell(shop.refund("A1", "R1", 9_900))
    assert shop.money("李姐") == (0, 0, 0)
    with pytest.raises(Conflict, match="already_frozen"):
        shop.freeze("李姐")
    shop.decide(case, "released")
    with shop.sessions() as session:
        assert not ledger.frozen(session, owner)


def test_the_database_lets_nothing_go_to_the_frozen(shop: Watched) -> None:
    shop.tell(shop.pay("A1", by="小王"), shop.receive("A1"))
    with shop.sessions.begin() as session:
        session.execute(text("insert into account_hold (person_id, cause, since) values (:who, 'case:0', :now)"),
                        {"who": shop.people["李姐"], "now": shop.clock.now()})
    shop.days(30)
    assert shop.money("李姐") == (792, 0, 0)
    with pytest.raises(DBAPIError, match="frozen"), shop.sessions.begin() as session:
        session.execute(text("update commission_line set released_at = now()"))
    with shop.sessions.begin() as session:
        assert not workflows.anything_due(session, shop.clock.now())
    shop.look()
    assert shop.frozen("李姐") == 792


def test_hold_release_and_refund_race_and_every_fen_is_somewhere(shop: Watched) -> None:
    known = shop.openid("李姐")
    shop.tell(shop.event("customer.upserted", identities={"mall_user_id": "李姐"} | known))
    orders = [f"A{n}" for n in range(6)]
    shop.tell(*(shop.pay(no, by="小王", risk={"payer": known["openid"]}) for no in orders),
              *(shop.receive(no) for no in orders))
    shop.clock.advance(8 * 86_400)
    shop.tell(*(shop.refund(no, "R1", 9_900) for no in orders[:3]), apply=False)

    def let_go() -> None:
        ledger_service.retrying(shop.sessions, lambda session: workflows.release_due(session, shop.clock.now(), 1))

    def take_back() -> None:
        workflows.apply_events(shop.sessions, shop.clock.now(), PEPPER, 1)

    at_once(*([let_go, take_back, shop.look] * 4))
    shop.work()
    shop.due()
    shop.look()
    pending, available, debt = shop.money("李姐")
    assert (pending + shop.frozen("李姐") + available - debt, debt) == (3 * 792, 0)
    assert shop.rows("select count(*) from commission_line where held_at is not null and released_at is not null"
                     ) == [(0,)]
    shop.decide(next(case.id for case in shop.cases() if case.rule == "self_payer"), "confiscated")
    for case in shop.cases():
        shop.decide(case.id, "released")
    shop.due()
    assert (shop.money("李姐"), shop.frozen("李姐")) == ((0, 0, 0), 0)


def test_freezing_while_orders_come_in_leaves_nothing_loose(shop: Watched) -> None:
    shop.tell(*(shop.pay(f"A{n}", by="小王") for n in range(12)), apply=False)
    at_once(*([lambda: workflows.apply_events(shop.sessions, shop.clock.now(), PEPPER, 2)] * 6
            + [lambda: shop.freeze("李姐")]))
    shop.work()
    shop.look()
    assert (shop.money("李姐"), shop.frozen("李姐")) == ((0, 0, 0), 12 * 792)


def test_merging_two_people_merges_their_cases_and_their_freeze(shop: Watched) -> None:
    shop.person("乙")
    shop.person("丙", invited_by="乙")
    for one, other in (("小王", "李姐"), ("丙", "乙")):
        shop.tell(*(shop.pay(f"{one}-{n}", by=one, fen=2_000) for n in range(5)))
        assert other
    shop.look()
    assert shop.rules_hit() == [("乙", "velocity"), ("李姐", "velocity")]
    shop.freeze("乙")
    with shop.sessions.begin() as session:
        session.execute(text("update risk_case set object = 'same' where rule = 'velocity'"))
    with shop.sessions.begin() as session:
        done = people.merge(session, shop.people["李姐"], shop.people["乙"], "test", shop.clock.now(),
                            workflows.MOVERS)
    assert done.conflict == ""
    shop.look()
    assert shop.rules_hit() == [("李姐", "freeze"), ("李姐", "velocity")]
    with shop.sessions() as session:
        assert ledger.frozen(session, shop.people["李姐"])
    assert (shop.money("李姐"), shop.frozen("李姐")) == ((0, 0, 0), 10 * 160)
    for case in shop.cases():
        shop.decide(case.id, "released")
    assert (shop.money("李姐"), shop.frozen("李姐")) == ((10 * 160, 0, 0), 0)


def test_the_regulators_file_says_held_and_confiscated_once(shop: Watched) -> None:
    import csv
    import io

    from domain.shared.clock import business_date
    from domain.workflows.evidence import Pseudonyms, regulator_csv

    def lines() -> list[tuple[str, str, str]]:
        today = business_date(shop.clock.now())
        raw = b"".join(regulator_csv(shop.sessions, Pseudonyms(b"k" * 32), today, today))
        return [(row["record"], row["state"], row["left_fen"])
                for row in csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""))]

    case = suspicious(shop)
    assert lines() == [("commission", "held", "792")]
    shop.decide(case, "confiscated")
    assert lines() == [("commission", "confiscated", "0")]
