"""Roles by business facts: earned by completed orders, lost when none remains, told once."""

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from domain.roles import queries, service
from domain.roles.rules import Titles, highest
from domain.roles.service import Cause
from domain.shared.errors import DomainError
from domain.shared.outbox import Outbox
from tests.integration.people.crowd import comes_back, crowd, day, order
from tests.together import in_transactions

ASSETS = Path(__file__).parents[3] / "assets"


def told(session: Session) -> list[str]:
    return list(session.scalars(select(Outbox.key).where(Outbox.queue == "fact").order_by(Outbox.id)))


def test_the_first_completed_order_makes_a_promoter_once(session: Session) -> None:
    buyer, other = crowd(session, 2)
    first, second = order(session, buyer, "A1", 1), order(session, buyer, "A2", 2)
    assert service.order_completed_many(session, [(buyer, second, day(2)), (buyer, first, day(1))], day(3)) == [buyer]
    assert service.order_completed_many(session, [(buyer, first, day(1)), (buyer, second, day(2))], day(3)) == []
    assert queries.roles_of(session, [buyer, other, 99_999]) == {buyer: "promoter", other: "member", 99_999: "member"}
    assert [queries.roles_of(session, [buyer], day(n))[buyer] for n in (0, 1, 5)] == ["member", "promoter", "promoter"]
    assert told(session) == [f"role.granted:{buyer}:promoter:order:{first}"]


def test_rights_end_with_the_last_order_and_come_back_with_the_next(session: Session) -> None:
    buyer = crowd(session, 1)[0]
    first, second = order(session, buyer, "A1", 1), order(session, buyer, "A2", 2)
    service.order_completed_many(session, [(buyer, first, day(1))], day(2))
    assert service.order_revoked_many(session, [(buyer, first, day(3))], day(3)) == []
    assert queries.roles_of(session, [buyer])[buyer] == "promoter", "another completed order remains"
    for one in (first, second):
        comes_back(session, one)
    for _ in range(2):
        service.order_revoked_many(session, [(buyer, first, day(3)), (buyer, second, day(4))], day(5))
    assert queries.roles_of(session, [buyer]) == {buyer: "member"}
    assert [queries.roles_of(session, [buyer], day(n))[buyer] for n in (3.9, 4)] == ["promoter", "member"]
    assert service.order_completed_many(session, [(buyer, second, day(2))], day(6)) == [], "returned in the meantime"
    third = order(session, buyer, "A3", 7)
    assert service.order_completed_many(session, [(buyer, third, day(7))], day(8)) == [buyer]
    assert told(session) == [f"role.granted:{buyer}:promoter:order:{first}",
                             f"role.revoked:{buyer}:promoter:order:{first}",
                             f"role.granted:{buyer}:promoter:order:{third}"]


def test_other_causes_stand_beside_orders(session: Session) -> None:
    person = crowd(session, 1)[0]
    bought = order(session, person, "A1", 1)
    assert service.grant(session, person, "promoter", Cause("operator", "7"), day(0), day(0))
    assert not service.grant(session, person, "promoter", Cause("operator", "8"), day(0), day(0))
    assert service.order_completed_many(session, [(person, bought, day(1))], day(1)) == []
    assert service.grant(session, person, "gold", Cause("repurchase", "3"), day(2), day(2))
    assert queries.roles_of(session, [person]) == {person: "gold"}
    assert service.revoke(session, person, "gold", "repurchase", "returned", day(3))
    assert not service.revoke(session, person, "promoter", "operator", "mistake", day(3))
    assert queries.roles_of(session, [person]) == {person: "promoter"}, "the order still carries it"
    assert not service.grant(session, person, "gold", Cause("repurchase", "3"), day(4), day(4)), "revoked stays revoked"
    with pytest.raises(DomainError):
        service.grant(session, person, "member", Cause("operator", "7"), day(0), day(0))


def test_two_orders_of_one_person_at_once_tell_it_once(engine: Engine) -> None:
    with Session(engine) as session:
        buyer = crowd(session, 1)[0]
        orders = [order(session, buyer, f"A{n}", n) for n in range(8)]
        session.commit()
    answers = in_transactions(engine, *(
        partial(service.order_completed_many, facts=[(buyer, one, day(9))], now=day(9)) for one in orders))
    assert sorted(map(str, answers)) == sorted([str([buyer])] + ["[]"] * 7)
    with Session(engine) as session:
        assert len(told(session)) == 1


def test_titles() -> None:
    titles = Titles.load((ASSETS / "roles.toml").read_text("utf-8"))
    assert titles.of("promoter") == "生活推荐官" and titles.of(highest([])) == "会员"
    assert highest(["promoter", "partner", "gold"]) == "partner"
    for bad in ('[title]\nmember = "会员"', '[title]\nmember="a"\npromoter="b"\ngold="c"\npartner=""', ""):
        with pytest.raises(ValueError, match=r"roles\.toml"):
            Titles.load(bad)
