"""Paid cards on a real database: many recounts at once, two people who are one, and SQL that would cheat."""

import pytest
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from bot.runtime.bootstrap import ASSETS
from domain.audit.rules import Actor
from domain.memberships import queries, service
from domain.memberships.rules import load
from domain.orders.models import OrderLine
from domain.people import service as people
from domain.rewards.programme import BENEFITS
from domain.workflows.merging import MOVERS
from tests.integration.people.crowd import comes_back, crowd, day, order
from tests.together import in_transactions

CARDS = load((ASSETS / "membership.toml").read_text("utf-8"), BENEFITS)
LIN = Actor("lin", "owner")


def buys(session: Session, person: int, no: str, at: float, quantity: int = 1) -> int:
    made = order(session, person, no, at, paid_fen=19_900 * quantity)
    session.execute(insert(OrderLine), [{
        "order_id": made, "n": 1, "line_id": "1", "sku": "VIP-YEAR", "title": "年度会员卡", "category": "membership",
        "quantity": quantity, "paid_fen": 19_900 * quantity}])
    return made


def until(session: Session, person: int, at: float) -> float:
    """Days from the start of the world until the end of somebody's membership; 0 without one."""
    found = queries.of(session, person, day(at))
    return (found.until - day(0)).total_seconds() / 86_400 if found else 0


def test_twenty_recounts_at_once_are_one(engine: Engine) -> None:
    with Session(engine) as session:
        (li,) = crowd(session, 1)
        for n in range(3):
            buys(session, li, f"A{n}", n)
        session.commit()
    ends = in_transactions(engine, *[lambda session: service.recount(session, [li], CARDS, day(3)) for _ in range(20)])
    assert sorted(map(int, ends)) == [0] * 19 + [1]
    with Session(engine) as session:
        assert until(session, li, 4) == 3 * 365
        assert session.execute(text("select count(*) from outbox where kind = 'membership.set'")).scalar() == 1


def test_facts_in_any_order_end_the_same(session: Session) -> None:
    li, wang = crowd(session, 2)
    first = {who: buys(session, who, f"A{who}", 0) for who in (li, wang)}
    service.recount(session, [li], CARDS, day(1))
    for who in (li, wang):
        buys(session, who, f"B{who}", 100, quantity=2)
    service.recount(session, [li], CARDS, day(101))
    for made in first.values():
        comes_back(session, made, 9_950)
    service.recount(session, [li, wang], CARDS, day(102))
    assert until(session, li, 103) == until(session, wang, 103) == 182 + 730
    session.commit()


def test_two_who_are_one_keep_the_days_of_both(session: Session) -> None:
    li, wang = crowd(session, 2)
    for who in (li, wang):
        buys(session, who, f"A{who}", 0)
    service.recount(session, [li, wang], CARDS, day(1))
    session.commit()
    people.merge(session, li, wang, "operator", day(2), MOVERS)
    session.commit()
    kept = session.execute(text("select id from person where merged_into is null and id in (:a, :b)"),
                           {"a": li, "b": wang}).scalar_one()
    assert until(session, kept, 3) == 730
    service.recount(session, [kept], CARDS, day(3))
    assert until(session, kept, 3) == 730


def test_given_and_taken_by_hand(session: Session) -> None:
    (li,) = crowd(session, 1)
    buys(session, li, "A1", 0)
    service.recount(session, [li], CARDS, day(1))
    service.grant(session, li, CARDS.card[0], 30, "late parcel", LIN, day(1))
    assert until(session, li, 2) == 395
    assert service.revoke(session, li, "resold", LIN, day(5)) == 2
    assert until(session, li, 5.1) == 0
    service.recount(session, [li], CARDS, day(6))
    assert until(session, li, 6.1) == 0
    buys(session, li, "A2", 7)
    service.recount(session, [li], CARDS, day(8))
    assert until(session, li, 8) == 372
    assert [row.state for row in queries.cards_of(session, day(8), li)] == ["running", "taken", "taken"]
    session.commit()


def test_the_database_refuses_two_cards_at_once_and_changed_terms(session: Session) -> None:
    (li,) = crowd(session, 1)
    buys(session, li, "A1", 0)
    buys(session, li, "A2", 10)
    service.recount(session, [li], CARDS, day(11))
    session.commit()
    for attack in ("update member_card set starts_at = bought_at, ends_at = ends_at where cause like '%'",
                   "update member_card set days = 9999", "update member_card set benefits = '{discount:1}'",
                   "delete from member_card", "update member_card set kept_days = 366"):
        with pytest.raises(DBAPIError):
            session.execute(text(attack))
            session.commit()
        session.rollback()
