"""How much may leave: the day, marketing's share, the pace; and that what people wait for goes first."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from domain.audit.rules import Actor
from domain.notices import broadcasts
from domain.notices import service as notices
from domain.notices.rules import Purpose
from domain.platform import budgets
from domain.platform.budgets import Budgets, Limits
from domain.shared.errors import DomainError
from domain.shared.wording import Wording
from tests.fakes.shop import Person, Shop

APP, API = "wx1", "message/custom/send"
NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
WIDE = Limits(per_day=10, per_minute=600, burst=1_000)
BOSS = Actor("lin", "owner")


def take(session: Session, limits: Limits = WIDE, *, marketing: bool = False, at: datetime = NOON) -> str:
    refused = budgets.take(session, APP, API, limits, marketing=marketing, at=at)
    return refused.why if refused else ""


def test_marketing_leaves_three_tenths_of_the_day(session: Session) -> None:
    assert [take(session, marketing=True) for _ in range(8)] == [""] * 7 + ["day"]
    assert [take(session) for _ in range(4)] == [""] * 3 + ["day"]
    assert budgets.used(session, NOON)[0].used == 10
    refused = budgets.take(session, APP, API, WIDE, marketing=True, at=NOON)
    assert refused == budgets.Refused("day", timedelta(hours=12)), "midnight is Beijing's"
    assert take(session, marketing=True, at=NOON + timedelta(hours=12)) == ""


def test_the_platforms_own_word_closes_marketing_until_midnight(session: Session) -> None:
    budgets.close_marketing(session, APP, API, NOON, NOON + timedelta(hours=12))
    assert (take(session, marketing=True), take(session)) == ("closed", "")
    assert budgets.used(session, NOON)[0].marketing_until == NOON + timedelta(hours=12)
    assert take(session, marketing=True, at=NOON + timedelta(hours=12)) == ""


def test_the_pace_allows_a_burst_and_then_one_by_one(session: Session) -> None:
    slow = Limits(per_day=100, per_minute=60, burst=3)
    assert [take(session, slow) for _ in range(5)] == [""] * 4 + ["pace"]
    refused = budgets.take(session, APP, API, slow, marketing=False, at=NOON)
    assert refused is not None
    assert refused.wait <= timedelta(seconds=1)
    assert [take(session, slow, at=NOON + timedelta(seconds=1)) for _ in range(2)] == ["", "pace"]


def test_fifty_threads_take_no_more_than_there_is(engine: Engine) -> None:
    def one(_: int) -> str:
        with Session(engine) as session, session.begin():
            return take(session, marketing=True)

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(one, range(50))).count("") == 7


@pytest.mark.parametrize("wrong", ["per_day = 1", "per_day = 0\nper_minute = 1\nburst = 1",
                                   "per_day = 1\nper_minute = 1\nburst = 1\nreserve_percent = 101",
                                   "per_day = 1.5\nper_minute = 1\nburst = 1", "speed = 3"])
def test_limits_that_make_no_sense_are_named(wrong: str) -> None:
    with pytest.raises(ValueError, match="custom"):
        Budgets.load(f'[api.custom]\n{wrong}')


# What is claimed first.


def tell(shop: Shop, person: Person, purpose: Purpose, idem: str) -> None:
    with shop.runtime.sessions.begin() as session:
        who = session.scalar(text("select person_id from identity where value = :v"), {"v": person.openid})
        assert who is not None
        notices.tell(session, notices.Notice(who, purpose, idem, "chat.late", {"said": idem}), shop.clock.now())


def claimed(shop: Shop, limit: int) -> list[str]:
    """Who would be served next: the order of a claim, undone."""
    from bot.runtime import outbox

    with shop.runtime.sessions() as session:
        rows = outbox._claim(session, "notice", shop.clock.now(), limit)
        session.rollback()
    return [row.payload["purpose"] for row in rows]


def test_what_people_wait_for_is_claimed_before_what_the_shop_wants(shop: Shop) -> None:
    li = shop.person("李姐").says("帮助")
    for number in range(3):
        tell(shop, li, "marketing", f"ad-{number}")
    for purpose in ("money", "service"):
        tell(shop, li, purpose, purpose)  # type: ignore[arg-type]
    assert set(claimed(shop, 2)) == {"money", "service"}
    assert sorted(claimed(shop, 9)) == ["marketing"] * 3 + ["money", "service"]


def test_marketing_is_not_claimed_while_others_are_five_minutes_late(shop: Shop) -> None:
    li = shop.person("李姐").says("帮助")
    for purpose in ("service", "marketing"):
        tell(shop, li, purpose, purpose)  # type: ignore[arg-type]
    shop.clock.advance(300)
    assert claimed(shop, 9) == ["service", "marketing"]
    shop.clock.advance(1)
    assert claimed(shop, 9) == ["service"]


def test_only_answers_and_money_are_claimed_when_those_are_half_an_hour_late(shop: Shop) -> None:
    li = shop.person("李姐").says("帮助")
    for purpose in ("service", "marketing", "money"):
        tell(shop, li, purpose, purpose)  # type: ignore[arg-type]
    shop.clock.advance(1_801)
    assert claimed(shop, 9) == ["money"]


# One message to many.


def begin(shop: Shop, said: str = "今年的新米到了", actor: Actor = BOSS) -> int:
    with shop.runtime.sessions.begin() as session:
        return broadcasts.start(session, "新米", said, "", shop.runtime.context.tool(Wording), actor, shop.clock.now())


def got(shop: Shop, said: str = "今年的新米到了") -> list[int]:
    shop.deliver()
    return [sum(said in str(one) for one in person.heard) for person in shop.people.values()]


def test_everybody_who_follows_gets_it_once(shop: Shop) -> None:
    for number in range(5):
        shop.person(f"客{number}").says("帮助")
    gone = shop.person("走了").says("帮助")
    gone.happens("unsubscribe")
    number = begin(shop)
    for _ in range(3):
        shop.wait(seconds=11)
    assert got(shop) == [1] * 5 + [0]
    with shop.runtime.sessions() as session:
        found = broadcasts.all_of(session, 5)[0]
    assert (found.id, found.state, found.people, found.sent, found.waiting) == (number, "done", 5, 5, 0)


def test_a_pause_holds_and_a_stop_ends(shop: Shop) -> None:
    for number in range(5):
        shop.person(f"客{number}").says("帮助")
    number, now = begin(shop), shop.clock.now()
    with shop.runtime.sessions.begin() as session:
        broadcasts.step(session, now, 2)
        broadcasts.turn(session, number, "paused", BOSS, now)
    shop.wait(minutes=2)
    assert sum(got(shop)) == 0
    with shop.runtime.sessions.begin() as session:
        broadcasts.turn(session, number, "running", BOSS, shop.clock.now())
        broadcasts.step(session, shop.clock.now(), 2)
        broadcasts.turn(session, number, "stopped", BOSS, shop.clock.now())
    shop.wait(hours=1)
    assert sum(got(shop)) == 0
    with shop.runtime.sessions.begin() as session:
        assert broadcasts.all_of(session, 1)[0].refused == {"stopped": 4}
        with pytest.raises(DomainError, match=r"broadcast\.over"):
            broadcasts.turn(session, number, "running", BOSS, shop.clock.now())


@pytest.mark.parametrize(("said", "actor", "why"), [
    (" ", BOSS, "broadcast.empty"), ("长" * 501, BOSS, "broadcast.long"), ("全国第一的大米", BOSS, "broadcast.words"),
    ("新米到了", Actor("wu", "reviewer"), "not_permitted")])
def test_what_must_not_be_said_is_refused(shop: Shop, said: str, actor: Actor, why: str) -> None:
    shop.person("李姐")
    with pytest.raises(DomainError, match=why):
        begin(shop, said, actor)
