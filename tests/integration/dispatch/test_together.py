"""Notices that leave together end as those that leave alone do, in the order of each person, and lose nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from bot.kit.gateway import Outcome, SendResult
from domain.materials import service as materials
from domain.notices import service as notices
from domain.platform import budgets
from domain.platform.budgets import Budgets, Limits
from handlers.jobs import together
from tests.fakes.shop import Person, Shop

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
API = "message/custom/send"
KINDS = ("plain", "left", "silent", "no", "capped", "better", "twice", "late")


def tell(shop: Shop, person: Person, idem: str, purpose: notices.Purpose = "service", *, priority: int = 0,
         hours: float = 24) -> None:
    with shop.runtime.sessions.begin() as session:
        who = session.scalar(text("select person_id from identity where value = :v"), {"v": person.openid})
        assert who is not None
        notices.tell(session, notices.Notice(who, purpose, idem, "chat.late", {"said": idem}, priority=priority,
                                             expires_at=shop.clock.now() + timedelta(hours=hours)), shop.clock.now())


def ends(shop: Shop, word: str) -> dict[str, tuple[str, str, str]]:
    """What became of each notice whose key holds ``word``."""
    with shop.runtime.sessions() as session:
        rows = session.execute(text(
            "select replace(key, :word, '') as key, state, reason, coalesce(result ->> 'way', '') as way from outbox"
            " where queue = 'notice' and key like '%' || :word || '%' order by 1"), {"word": word})
        return {row.key: (row.state, row.reason, row.way) for row in rows}


def people(shop: Shop, side: str) -> dict[str, Person]:
    """One for each situation that a notice may find."""
    made = {kind: shop.person(f"{kind}{side}") for kind in KINDS}
    for kind, person in made.items():
        if kind != "silent":
            person.says("帮助")
    made["no"].says("退订")
    made["left"].happens("unsubscribe")
    tell(shop, made["capped"], f"{side}-capped-0", "marketing")
    return made


def due(shop: Shop, side: str, made: dict[str, Person]) -> None:
    for kind in ("plain", "left", "silent", "no", "twice"):
        tell(shop, made[kind], f"{side}-{kind}-1")
    tell(shop, made["twice"], f"{side}-twice-2")
    tell(shop, made["capped"], f"{side}-capped-1", "marketing")
    tell(shop, made["no"], f"{side}-no-ad-1", "marketing")
    tell(shop, made["better"], f"{side}-better-1", "marketing")
    tell(shop, made["better"], f"{side}-better-2", "marketing", priority=5)
    tell(shop, made["late"], f"{side}-late-1", hours=-1)


def test_what_is_decided_together_ends_as_what_is_decided_alone(shop: Shop) -> None:
    sides = {side: people(shop, side) for side in ("甲", "乙")}
    shop.work()
    shop.wait(minutes=5)
    due(shop, "甲", sides["甲"])
    shop.runtime.outbox.run("notice", limit=100)
    due(shop, "乙", sides["乙"])
    shop.runtime.outbox.run("notice", limit=100, threads=8)
    shop.deliver()
    assert ends(shop, "乙") == ends(shop, "甲")
    assert {state for state, *_ in ends(shop, "甲").values()} == {"done", "refused", "waiting"}
    for kind in KINDS:
        said = [[one.replace(side, "") for one in sides[side][kind].heard if isinstance(one, str) and f"{side}-" in one]
                for side in sides]
        assert said[0] == said[1], kind


def test_the_notices_of_one_person_keep_their_order(shop: Shop) -> None:
    made = [shop.person(f"客{number}").says("帮助") for number in range(6)]
    for n in range(4):
        for person in made:
            tell(shop, person, f"{person.openid}第{n}条", "answer")
    shop.runtime.outbox.run("notice", limit=10, threads=4)
    shop.deliver()
    for person in made:
        told = [said for said in person.heard if isinstance(said, str) and person.openid in said]
        assert told == sorted(told)
        assert len(told) == 4


def test_an_account_that_rests_is_looked_at_alone_and_keeps_its_rights(shop: Shop) -> None:
    made = [shop.person(f"客{number}").says("帮助") for number in range(3)]
    until = datetime.now(UTC) + timedelta(hours=1)
    with shop.runtime.sessions.begin() as session:
        session.execute(text("insert into platform_hold (app_id, api, outcome, errcode, until)"
                             " values (:app, :api, 'back_off', 45009, :until)"),
                        {"app": next(iter(shop.runtime.context.app_ids.values())), "api": API, "until": until})
    for person in made:
        tell(shop, person, f"{person.openid}-1")
    shop.runtime.outbox.run("notice", limit=10, threads=4)
    with shop.runtime.sessions() as session:
        assert session.scalars(text("select distinct message_left from send_right")).all() == [5]
        assert session.execute(text("select distinct state, reason from outbox where queue = 'notice'")).all() == [
            ("waiting", "back_off:45009")]


def test_what_cannot_be_decided_together_is_decided_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doors of the rooms are real: only the one that decides for many is out of order."""
    def broken(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(together.rights, "open_to", broken)
    made = [shop.person(f"客{number}").says("帮助") for number in range(3)]
    for person in made:
        tell(shop, person, f"{person.openid}-1")
    shop.runtime.outbox.run("notice", limit=10, threads=4)
    with shop.runtime.sessions() as session:
        assert session.scalars(text("select state from outbox where queue = 'notice'")).all() == ["done"] * 3


def rights_left(shop: Shop) -> list[int]:
    with shop.runtime.sessions() as session:
        return list(session.scalars(text("select message_left + tap_left from send_right order by 1")))


def test_notices_that_leave_together_leave_a_right_for_what_is_asked_for(shop: Shop) -> None:
    made = [shop.person(f"客{number}").says("帮助") for number in range(3)]
    for person in made:
        for n in range(9):
            tell(shop, person, f"{person.openid}第{n}条")
    shop.runtime.outbox.run("notice", limit=100, threads=4)
    shop.deliver()
    assert rights_left(shop) == [1, 1, 1]
    for person in made:
        told = [said for said in person.heard if isinstance(said, str) and person.openid in said]
        assert len(told) == 7
        tell(shop, person, f"{person.openid}答", "answer")
    shop.runtime.outbox.run("notice", limit=100, threads=4)
    assert rights_left(shop) == [0, 0, 0]


def test_notices_that_leave_together_leave_a_right_for_a_picture_that_was_promised(shop: Shop) -> None:
    made = [shop.person(f"客{number}").says("帮助") for number in range(3)]
    with shop.runtime.sessions.begin() as session:
        people = session.execute(text("select value, person_id from identity where kind = 'openid'"))
        materials.give_poster(session, dict(map(tuple, people))[made[0].openid], "demo", "", "", "test",
                              shop.clock.now())
    for person in made:
        for n in range(9):
            tell(shop, person, f"{person.openid}第{n}条")
    shop.runtime.outbox.run("notice", limit=100, threads=4)
    assert rights_left(shop) == [1, 1, 2]


def test_one_that_the_platform_refuses_pays_back_what_it_took(shop: Shop) -> None:
    made = [shop.person(f"客{number}").says("帮助") for number in range(3)]
    shop.gateway.refusals.append(SendResult(Outcome.CONFIG, 48001))
    for person in made:
        tell(shop, person, f"{person.openid}-1", "marketing")
    shop.runtime.outbox.run("notice", limit=10, threads=4)
    with shop.runtime.sessions() as session:
        found = session.execute(text("select state, reason, result ? 'sending_at' and result ->> 'sending_at' is not"
                                     " null as sending from outbox where queue = 'notice' order by state")).all()
        assert [tuple(row) for row in found] == [("done", "", True), ("done", "", True),
                                                 ("waiting", "config:48001", False)]
        left = session.scalars(text("select message_left + tap_left from send_right order by 1")).all()
        assert left == [7, 7, 8]
        assert session.scalar(text("select count(*) from notice_slot")) == 2


def test_marketing_that_leaves_together_stays_within_the_day(shop: Shop) -> None:
    limits = {**shop.runtime.context.tool(Budgets).by_api, API: Limits(per_day=10, per_minute=600, burst=100)}
    shop.runtime.context._tools = {**shop.runtime.context._tools, Budgets: Budgets(limits)}  # type: ignore[assignment]
    for number in range(12):
        person = shop.person(f"客{number}").says("帮助")
        tell(shop, person, f"{person.openid}-1", "marketing")
    shop.runtime.outbox.run("notice", limit=20, threads=4)
    with shop.runtime.sessions() as session:
        assert sorted(session.scalars(text("select reason from outbox where queue = 'notice'"))) == (
            [""] * 7 + ["budget_day"] * 5)
        assert budgets.used(session, shop.clock.now())[0].used == 7


@pytest.mark.parametrize("limits", [Limits(100, 60, 3), Limits(10, 600, 1_000), Limits(5, 60, 1), Limits(1_000, 7, 2)])
@pytest.mark.parametrize("marketing", [True, False])
def test_some_at_once_are_as_many_as_one_after_the_other(session: Session, limits: Limits, *, marketing: bool) -> None:
    at = NOON
    for wanted, pause in ((2, 0.0), (3, 0.4), (9, 7.3), (1, 0.0), (20, 3600.0), (4, 86_400.0)):
        at += timedelta(seconds=pause)
        alone = [budgets.take(session, "one", API, limits, marketing=marketing, at=at) for _ in range(wanted)]
        assert budgets.take_some(session, "many", API, limits, wanted, marketing=marketing, at=at) == alone.count(None)
    assert len({row.used for row in budgets.used(session, at)}) == 1
