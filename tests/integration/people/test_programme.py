"""Rewards for coming back against a plain reading of the rules, whatever the order in which facts arrive."""

import os
import random
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from domain.ledger import queries as ledger
from domain.ledger import service as books
from domain.ledger.rules import Entry, Move, person, platform
from domain.memberships.rules import Cards
from domain.people import service as people
from domain.points.rules import Life
from domain.rewards import queries
from domain.rewards.programme import Benefits, Programme, load
from domain.rewards.rules import Offers
from domain.shared.errors import DomainError
from domain.workflows import programme
from domain.workflows.merging import MOVERS
from tests.integration.people.crowd import comes_back, crowd, day, order
from tests.together import in_transactions

ASSETS = Path(__file__).parents[3] / "assets"
OFFERS = Offers.load((ASSETS / "rewards.toml").read_text("utf-8"))
TOML = (ASSETS / "ladders.toml").read_text("utf-8")
RULES: Programme = load(TOML, OFFERS.by_kind)
LIFE = Life()
LATE = 200.0
"""Days after which every return window has closed."""


def count(session: Session, *buyers: int, at: float) -> None:
    programme.recount(session, buyers, RULES, OFFERS, LIFE, day(at))


def found(session: Session, person: int, at: float = LATE) -> dict[str, object]:
    """What somebody owns in the end."""
    wallet = ledger.wallet(session, person)
    member = queries.member(session, person, RULES)
    coupons = sorted(one.kind for one in queries.coupons_of(session, person, day(at))
                     if one.state in ("issued", "expired"))
    return {"fen": wallet.available_fen - wallet.debt_fen, "pending": wallet.pending_fen, "points": wallet.points,
            "tier": member.tier, "benefits": member.benefits, "coupons": coupons}


def expected(kept: list[float]) -> dict[str, object]:
    """The rules of the shipped file once more, written as one would explain them at a table."""
    days = sorted(kept)
    back = max(0, len(days) - 1)
    fen = 500 if back and days[1] - days[0] <= 30 else 0
    fen += 100 * max(0, min(back, 4) - 2) + 500 * max(0, back - 4)
    points = 5 * min(back, 2) + 10 * max(0, min(back, 4) - 2) + 20 * max(0, back - 4)
    codes = (["discount:9500", "priority_service"] if back >= 4 else []) + (["discount:9800"] if points >= 30 else [])
    codes += ["discount:9500", "dedicated_service", "birthday_gift"] if points >= 50 else []
    tier = "gold" if points >= 50 else "silver" if points >= 30 else None
    coupons = (["ladder"] if points >= 10 else []) + (["see_order"] if back >= 2 else [])
    return {"fen": fen, "pending": 0, "points": points, "tier": tier, "benefits": Benefits.of(codes).codes,
            "coupons": coupons}


@pytest.mark.parametrize("seed", range(int(os.environ.get("HUITOU_EXAMPLES", "12"))))
def test_any_life_ends_as_the_rules_say(session: Session, seed: int) -> None:
    """Orders arrive late, in any order, are returned before and after they are final, are counted at any time."""
    dice = random.Random(seed)
    (li,) = crowd(session, 1)
    lives = [(dice.uniform(0, 60), dice.random() < 0.35) for _ in range(dice.randrange(1, 9))]
    kept = [at for at, back in lives if not back]
    deeds = [("pay", n) for n in range(len(lives))]
    dice.shuffle(deeds)
    ids: dict[int, int] = {}
    now = 60.0
    while deeds:
        what, n = deeds.pop(0)
        now += dice.uniform(0, 6)
        if what == "pay":
            ids[n] = order(session, li, f"A{n}", lives[n][0])
            if lives[n][1]:
                deeds.insert(dice.randrange(len(deeds) + 1), ("return", n))
        else:
            comes_back(session, ids[n])
        if dice.random() < 0.6:
            count(session, li, at=now)
    count(session, li, at=LATE)
    assert found(session, li) == expected(kept)
    count(session, li, at=LATE + 1)
    assert found(session, li) == expected(kept), "counting again changes nothing"
    assert books.check(session).balanced


def test_nothing_is_theirs_for_good_before_the_window_closes(session: Session) -> None:
    (li,) = crowd(session, 1)
    order(session, li, "A1", 0)
    order(session, li, "A2", 1)
    count(session, li, at=1)
    assert found(session, li, 1) == {"fen": 0, "pending": 500, "points": 0, "tier": None, "benefits": (), "coupons": []}
    count(session, li, at=7.9)
    assert found(session, li, 7.9)["fen"] == 0
    assert programme.turn(session, RULES, OFFERS, LIFE, day(8.1), 10) == 2
    assert found(session, li, 8.1)["fen"] == 500
    assert programme.turn(session, RULES, OFFERS, LIFE, day(8.2), 10) == 0


def test_an_order_that_was_not_received_keeps_everything_provisional(session: Session) -> None:
    (li,) = crowd(session, 1)
    order(session, li, "A1", 0, completed=False)
    order(session, li, "A2", 1)
    count(session, li, at=LATE)
    assert (found(session, li)["fen"], found(session, li)["pending"]) == (0, 500)


def test_spent_money_becomes_a_debt_and_used_coupons_stay_used(session: Session) -> None:
    (li,) = crowd(session, 1)
    ids = [order(session, li, f"A{n}", n) for n in range(3)]
    count(session, li, at=20)
    session.execute(text("delete from programme_stale"))
    books.post(session, [Entry("spent", "test.spent", day(21), "test", 1, "", (
        Move(person(li, "available"), platform("clearing.wechat"), 500),))], day(21))
    for one in ids:
        comes_back(session, one)
    count(session, li, at=22)
    assert found(session, li)["fen"] == -500 and found(session, li)["coupons"] == []


def test_a_new_document_takes_nothing_away(session: Session) -> None:
    (li,) = crowd(session, 1)
    for n in range(3):
        order(session, li, f"A{n}", n)
    count(session, li, at=20)
    before = found(session, li)
    poorer = load(TOML.replace("amount_fen = 500", "amount_fen = 100").replace("order = 3\n", "order = 4\n"),
                  OFFERS.by_kind)
    programme.recount(session, [li], poorer, OFFERS, LIFE, day(21))
    assert found(session, li) == before


def test_who_is_frozen_waits(session: Session) -> None:
    (li,) = crowd(session, 1)
    order(session, li, "A1", 0)
    order(session, li, "A2", 1)
    session.execute(text("insert into account_hold (person_id, cause, since) values (:li, 'x', :now)"),
                    {"li": li, "now": day(1)})
    count(session, li, at=LATE)
    assert found(session, li)["pending"] == 500
    assert programme.turn(session, RULES, OFFERS, LIFE, day(LATE), 10) == 0


def test_two_who_are_one_have_one_ladder(session: Session) -> None:
    li, also = crowd(session, 2)
    for n in range(3):
        order(session, li, f"A{n}", n)
        order(session, also, f"B{n}", n + 0.5)
    count(session, li, also, at=20)
    people.merge(session, li, also, "test", day(21), movers=MOVERS)
    programme.refresh(session, RULES, OFFERS, LIFE, Cards(()), day(22), 100)
    assert found(session, li) == expected([0, 1, 2, 0.5, 1.5, 2.5])
    assert books.check(session).balanced


def test_many_counters_at_once_give_once(session: Session, engine: Engine) -> None:
    (li,) = crowd(session, 1)
    for n in range(4):
        order(session, li, f"A{n}", n)
    session.commit()
    answers = in_transactions(engine, *[lambda own: count(own, li, at=LATE) for _ in range(8)])
    assert not [one for one in answers if isinstance(one, Exception)]
    assert found(session, li) == expected([0, 1, 2, 3])


def test_the_database_refuses_a_second_opening(session: Session) -> None:
    (li,) = crowd(session, 1)
    order(session, li, "A1", 0)
    order(session, li, "A2", 1)
    count(session, li, at=2)
    names = "ladder, rung, buyer_id, person_id, what, amount, detail, title, benefits, needed, order_id, since, state"
    for bad in (f"insert into reward ({names}, changed_at) select {names}, now() from reward", "delete from reward",
                "update reward set state = 'revoked'", "update reward set amount = -1"):
        with pytest.raises(DBAPIError), session.begin_nested():
            session.execute(text(bad))


@pytest.mark.parametrize(("old", "new", "fault"), [
    ("order = 2", "order = 1", "see_order.step: order from 2"),
    ("return_days = 7", "return_days = -1", "return_days"),
    ("min_kept_fen = 1", "min_kept_fen = 0", "min_kept_fen"), ('offer = "ladder"', 'offer = "none"', "names an offer"),
    ('tier = "gold"', 'tier = "iron"', "names one of the tiers"), ("discount:9800", "discount:0", "benefit"),
    ("points = 30", "points = 5", "climb.goal"), ("sharer_fen = 1000", "sharer_fen = -1", "sharer_fen"),
    ("within_days = 30\n\n", "within_days = 0\n\n", "within_days"),
    ("amount_fen = 500", "amount_fen = 99999", "amount"),
])
def test_a_faulty_document_is_refused(old: str, new: str, fault: str) -> None:
    assert old in TOML
    with pytest.raises(DomainError) as refusal:
        load(TOML.replace(old, new, 1), OFFERS.by_kind)
    assert fault in str(refusal.value.facts["faults"])


def test_all_faults_are_said_at_once() -> None:
    broken = TOML.replace("return_days = 7", "return_days = 99").replace('offer = "ladder"', 'offer = "x"').replace(
        "discount:9800", "free_lunch")
    with pytest.raises(DomainError) as refusal:
        load(broken, OFFERS.by_kind)
    assert len(refusal.value.facts["faults"]) == 3  # type: ignore[arg-type]


def test_bought_once_and_zero_yuan_orders_open_nothing(session: Session) -> None:
    (li,) = crowd(session, 1)
    order(session, li, "A1", 0)
    order(session, li, "A2", 1, paid_fen=0)
    count(session, li, at=LATE)
    assert queries.rewards_of(session, li) == []


def test_born_on_29_february(session: Session) -> None:
    (li,) = crowd(session, 1)
    for n in range(6):
        order(session, li, f"A{n}", n)
    count(session, li, at=LATE)
    session.execute(text("update person set birthday = '1992-02-29' where id = :li"), {"li": li})
    start = day(0) + timedelta(days=80)
    given = []
    for n in range(800):
        given += [(start + timedelta(days=n)).date().isoformat()] * programme.birthdays(
            session, OFFERS, start + timedelta(days=n), 10)
    assert given == ["2027-02-28", "2028-02-29", "2029-02-28"]


