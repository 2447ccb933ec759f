"""Tags and segments follow what people do, through the real doors, and nobody is forgotten."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from domain.insight import queries, service
from domain.insight.rules import Segmentation
from domain.people import service as people
from domain.shared.clock import FixedClock
from domain.workflows.merging import MOVERS
from tests.conftest import MORNING
from tests.fakes.frozen import Frozen
from tests.fakes.shop import Shop
from tests.integration.people.crowd import PEPPER, crowd, mall, openid, order
from tests.together import in_transactions

SHIPPED = (Path(__file__).parents[3] / "assets" / "segments.toml").read_text("utf-8")


@pytest.fixture
def shop(tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with new_shop.shop(tmp_path, clock) as shop:
        yield shop


def standing(shop: Shop, person) -> queries.Standing:
    shop.wait(seconds=6)
    with shop.runtime.sessions() as session:
        found = session.execute(text("select person_id from identity where value = :v"), {"v": person.openid}).scalar()
        return queries.of(session, found)


def tags_in_api(shop: Shop, person) -> list[str]:
    key = shop.runtime.settings.api["mall"].api_key.reveal()
    answer = shop.client.get("/api/v1/people", query_string=person.identity, headers={"Authorization": f"Bearer {key}"})
    tags: list[str] = answer.json["tags"]
    return tags


def test_tags_follow_orders_and_refunds(shop: Shop) -> None:
    xin = shop.person("新客")
    assert (standing(shop, xin).tags, standing(shop, xin).segment) == ((), "")
    shop.paid("A1", by=xin, fen=9_900)
    assert standing(shop, xin).tags == ("low_potential",)
    assert tags_in_api(shop, xin) == ["低频潜力"]
    shop.paid("A2", by=xin, fen=9_900)
    shop.paid("A3", by=xin, fen=9_900)
    assert standing(shop, xin).tags == ("frequent",)
    shop.refunded("A3", fen=9_900)
    assert standing(shop, xin).tags == ()


def test_bringing_buyers_counts_and_bringing_heads_does_not(shop: Shop) -> None:
    li = shop.person("李姐")
    friends = [shop.person(f"朋友{n}", invited_by="李姐") for n in range(3)]
    assert "social" not in standing(shop, li).tags
    for n, friend in enumerate(friends[:2]):
        shop.paid(f"B{n}", by=friend, fen=5_000)
    assert "social" in standing(shop, li).tags
    shop.refunded("B0", fen=5_000)
    assert "social" not in standing(shop, li).tags


def test_time_alone_moves_people(shop: Shop) -> None:
    xin = shop.person("新客")
    shop.paid("A1", by=xin, fen=9_900)
    assert standing(shop, xin).segment == "potential"
    for _ in range(4):
        shop.wait(days=20)
    assert standing(shop, xin).segment == "lost"


def test_changes_are_told_as_facts(shop: Shop) -> None:
    xin = shop.person("新客")
    shop.paid("A1", by=xin, fen=9_900)
    shop.wait(seconds=6)
    with shop.runtime.sessions() as session:
        told = session.execute(text("select payload ->> 'tag' from outbox where kind = 'tag.added'")).scalars().all()
        assert told == ["low_potential"]


def rules() -> Segmentation:
    from domain.insight.rules import load

    return load(SHIPPED)


def test_a_tag_put_by_hand_stays(session) -> None:
    (person,) = crowd(session, 1)
    order(session, person, "A1", 0)
    assert service.tag(session, person, "low_potential", "operator", MORNING)
    assert service.tag(session, person, "安心妈妈团", "journey", MORNING)
    assert not service.tag(session, person, "安心妈妈团", "journey", MORNING)
    order(session, person, "A2", 0)
    session.commit()
    service.refresh(session, rules(), MORNING)
    assert queries.of(session, person).tags == ("low_potential", "安心妈妈团")
    assert service.untag(session, person, "low_potential", "operator", MORNING)
    assert not service.untag(session, person, "low_potential", "operator", MORNING)


def test_workers_share_the_work_and_judge_everybody_once(session, engine) -> None:
    group = crowd(session, 60)
    for person in group:
        order(session, person, f"A{person}", 0)
    session.commit()
    counts = in_transactions(engine, *[lambda own: service.refresh(own, rules(), MORNING, 25)] * 4)
    left = service.refresh(session, rules(), MORNING)
    assert sum(counts) + left == 60
    assert queries.health(session).waiting == 0
    assert queries.tag_sizes(session) == {"low_potential": 60}


def test_a_rebuild_reaches_everybody_piece_by_piece(session) -> None:
    crowd(session, 25)
    after: int | None = 0
    pieces = 0
    while after is not None:
        after = service.rebuild(session, rules(), after, MORNING, 10)
        pieces += 1
    assert pieces == 4
    assert [(one.key, one.people) for one in queries.sizes(session)] == [("visitor", 25)]


def test_a_merge_keeps_what_was_put_by_hand_and_judges_afresh(session) -> None:
    (one,), (two,) = (people.resolve_many(session, [[ref]], MORNING, pepper=PEPPER)
                      for ref in (openid("oOne"), mall("two")))
    for number, buyer in enumerate((one, two, two)):
        order(session, buyer, f"A{number}", 0)
    service.tag(session, two, "安心妈妈团", "operator", MORNING)
    service.refresh(session, rules(), MORNING)
    (kept,) = people.resolve_many(session, [[openid("oOne"), mall("two")]], MORNING, pepper=PEPPER, movers=MOVERS)
    service.refresh(session, rules(), MORNING)
    assert queries.of(session, kept).tags == ("frequent", "安心妈妈团")
    gone = two if kept == one else one
    assert queries.of(session, gone).tags == ()
