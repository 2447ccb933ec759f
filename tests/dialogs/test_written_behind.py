"""A notice that is written by who had read its person before, for somebody who was merged or erased meanwhile."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.notices import service as notices
from domain.people import queries
from domain.people import service as people
from domain.workflows import MOVERS
from tests.dialogs.test_grants import person_id
from tests.dialogs.test_leaving import NAME, erasure, scan
from tests.fakes.shop import Person, Shop


def written_behind(shop: Shop, who: int, meanwhile: Callable[[Session], object], purpose: str = "money") -> None:
    """Somebody reads who ``who`` is; ``meanwhile`` is committed; then they write what they meant to tell."""
    with shop.runtime.sessions.begin() as slow:
        assert queries.survivors(slow, [who]) == {who: who}
        with shop.runtime.sessions.begin() as quick:
            meanwhile(quick)
        notices.tell(slow, notices.Notice(who, purpose, "late", "packet.back", {  # type: ignore[arg-type]
            "fen": 888, "repaid_fen": 0, "reason": NAME}), shop.clock.now())


def told(shop: Shop) -> list[tuple[int, str, str]]:
    with shop.runtime.sessions() as session:
        return [tuple(row) for row in session.execute(text(
            "select person_id, state, reason from outbox where key = 'notice:late'"))]


@pytest.fixture
def twins(shop: Shop) -> tuple[Person, Person]:
    """The older one is kept."""
    kept, gone = shop.person("李姐"), shop.person("李家大姐")
    kept.says("佣金")
    gone.says("佣金")
    with shop.runtime.sessions.begin() as session:
        session.execute(text("update person set joined_at = joined_at - interval '9 days' where id = :id"),
                        {"id": person_id(shop, kept)})
    return kept, gone


def merging(shop: Shop, twins: tuple[Person, Person]) -> Callable[[Session], object]:
    kept, gone = (person_id(shop, one) for one in twins)
    return lambda session: people.merge(session, kept, gone, "one phone", shop.clock.now(), MOVERS)


def test_who_was_merged_meanwhile_hears_it_as_who_was_kept(shop: Shop, twins: tuple[Person, Person]) -> None:
    kept, gone = twins
    written_behind(shop, person_id(shop, gone), merging(shop, twins))
    one = person_id(shop, kept)
    shop.follow_up()
    assert told(shop) == [(one, "done", "")]
    assert sum("没有收进微信零钱" in str(said) for said in kept.heard + gone.heard) == 1


def test_what_who_was_kept_had_said_no_to_is_not_told_to_the_other_half(
    shop: Shop, twins: tuple[Person, Person]
) -> None:
    kept, gone = twins
    kept.says("退订").sees("已退订")
    written_behind(shop, person_id(shop, gone), merging(shop, twins))
    shop.follow_up()
    assert told(shop) == [(person_id(shop, kept), "refused", "no_consent")]


def test_who_was_erased_meanwhile_hears_nothing_and_nothing_of_it_stays(shop: Shop) -> None:
    xia = shop.person(NAME)
    one = person_id(shop, xia)
    xia.says("注销").says("确认注销")
    shop.clock.advance(25 * 3_600)
    before = len(xia.heard)
    written_behind(shop, one, lambda _: shop.work())
    assert erasure(shop, one).state == "done"
    assert scan(shop, NAME) != [], "written behind the erasure"
    shop.wait(hours=1)
    shop.wait(hours=1)
    assert [(who, state) for who, state, _ in told(shop)] == [(one, "refused")]
    assert scan(shop, NAME, xia.openid) == []
    xia.hears_nothing_new(before)
