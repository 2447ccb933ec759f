"""The way out: every answer of the platform has one remedy, and a killed worker tells nobody twice."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from bot.kit.gateway import Outcome, SendResult
from domain.audit.rules import Actor
from domain.notices import service as notices
from tests.fakes.shop import Person, Shop


@pytest.fixture
def li(shop: Shop) -> Person:
    return shop.person("李姐").says("帮助")


def tell(shop: Shop, person: Person, idem: str, purpose: notices.Purpose = "service", *, said: str = "",
         priority: int = 0, days: int = 0) -> None:
    with shop.runtime.sessions.begin() as session:
        person_id = session.scalar(text("select person_id from identity where value = :v"), {"v": person.openid})
        assert person_id is not None
        until = shop.clock.now() + timedelta(days=days) if days else None
        notice = notices.Notice(person_id, purpose, idem, "chat.late", {"said": said or idem}, expires_at=until,
                                priority=priority)
        notices.tell(session, notice, shop.clock.now())


def row(shop: Shop, idem: str) -> tuple[str, str]:
    with shop.runtime.sessions() as session:
        found = session.execute(text("select state, reason from outbox where key = :k"), {"k": f"notice:{idem}"}).one()
        return found.state, found.reason


def texts(person: Person, word: str) -> int:
    return sum(word in said for said in person.heard if isinstance(said, str))


def refuse(shop: Shop, outcome: Outcome, code: int, retry_at: datetime | None = None) -> None:
    shop.gateway.refusals.append(SendResult(outcome, code, retry_at=retry_at))


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.WINDOW_CLOSED, 45015), (Outcome.QUOTA_USED, 45047)])
def test_without_a_window_it_waits_for_the_next_contact(shop: Shop, li: Person, outcome: Outcome, code: int) -> None:
    refuse(shop, outcome, code)
    tell(shop, li, "通知甲")
    shop.work()
    assert row(shop, "通知甲") == ("waiting", "no_right")
    shop.wait(hours=5)
    assert texts(li, "通知甲") == 0
    li.says("帮助")
    assert row(shop, "通知甲") == ("done", "")
    assert texts(li, "通知甲") == 1


def test_somebody_who_left_is_refused_and_hears_nothing_more(shop: Shop, li: Person) -> None:
    shop.wait(minutes=11)
    refuse(shop, Outcome.UNFOLLOWED, 43004)
    tell(shop, li, "通知甲")
    shop.work()
    tell(shop, li, "通知乙")
    shop.work()
    assert (row(shop, "通知甲"), row(shop, "通知乙")) == (("refused", "unfollowed"), ("refused", "unfollowed"))


def follows(shop: Shop, person: Person) -> bool:
    with shop.runtime.sessions() as session:
        return bool(session.scalar(text("select unfollowed_at is null from identity where value = :v"),
                                   {"v": person.openid}))


def test_who_just_wrote_is_there_whatever_the_platform_says_once(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.UNFOLLOWED, 43004)
    tell(shop, li, "通知甲")
    shop.work()
    assert (texts(li, "通知甲"), follows(shop, li)) == (0, True)
    shop.wait(seconds=35)
    assert (row(shop, "通知甲"), texts(li, "通知甲"), follows(shop, li)) == (("done", ""), 1, True)


def test_who_just_wrote_and_is_refused_again_is_answered_at_the_next_word(shop: Shop, li: Person) -> None:
    for _ in range(2):
        refuse(shop, Outcome.UNFOLLOWED, 43004)
    tell(shop, li, "通知甲")
    shop.work()
    assert row(shop, "通知甲") == ("waiting", "back_off:43004")
    shop.wait(seconds=35)
    assert (row(shop, "通知甲"), texts(li, "通知甲"), follows(shop, li)) == (("waiting", "no_right"), 0, True)
    shop.wait(hours=1)
    assert row(shop, "通知甲") == ("waiting", "no_right")
    li.says("帮助")
    assert (row(shop, "通知甲"), texts(li, "通知甲"), follows(shop, li)) == (("done", ""), 1, True)


def test_a_pause_that_the_platform_asks_for_is_kept(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.BACK_OFF, 45009, datetime.now(UTC) + timedelta(hours=2))
    tell(shop, li, "通知甲")
    shop.work()
    assert row(shop, "通知甲") == ("waiting", "back_off:45009")
    shop.wait(hours=1)
    assert texts(li, "通知甲") == 0
    shop.wait(hours=1.1)
    assert (row(shop, "通知甲"), texts(li, "通知甲")) == (("done", ""), 1)


def test_a_fault_of_the_account_waits_for_somebody_to_mend_it(shop: Shop, li: Person) -> None:
    for _ in range(8):
        refuse(shop, Outcome.CONFIG, 40164)
    tell(shop, li, "通知甲")
    shop.work()
    assert row(shop, "通知甲") == ("waiting", "config:40164")
    shop.wait(hours=1)
    shop.gateway.refusals.clear()
    shop.wait(minutes=6)
    assert (row(shop, "通知甲"), texts(li, "通知甲")) == (("done", ""), 1), "trying again cost neither tries nor rights"


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.MUTED, 48002), (Outcome.REJECTED, 45002)])
def test_what_will_never_work_is_refused_with_its_code(shop: Shop, li: Person, outcome: Outcome, code: int) -> None:
    refuse(shop, outcome, code)
    tell(shop, li, "通知甲")
    shop.work()
    assert row(shop, "通知甲") == ("refused", f"{outcome.value}:{code}")


def test_an_unknown_end_counts_as_sent_and_is_never_repeated(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.UNKNOWN, 0)
    tell(shop, li, "通知甲")
    shop.work()
    shop.wait(hours=2)
    with shop.runtime.sessions() as session:
        maybe = session.scalar(text("select result ->> 'maybe_sent' from outbox where key = 'notice:通知甲'"))
    assert (row(shop, "通知甲"), maybe, texts(li, "通知甲")) == (("done", "maybe_sent"), "true", 0)


def test_the_same_business_fact_is_told_once(shop: Shop, li: Person) -> None:
    for _ in range(3):
        tell(shop, li, "通知甲")
    shop.work()
    assert texts(li, "通知甲") == 1


def test_what_is_too_old_is_refused(shop: Shop, li: Person) -> None:
    shop.wait(days=3)
    tell(shop, li, "通知甲")
    shop.work()
    assert row(shop, "通知甲") == ("waiting", "no_right")
    shop.wait(days=8)
    li.says("帮助")
    assert (row(shop, "通知甲"), texts(li, "通知甲")) == (("refused", "expired"), 0)


def test_marketing_is_capped_by_day_and_week(shop: Shop, li: Person) -> None:
    for day in range(7):
        for number in range(3):
            tell(shop, li, f"ad-{day}-{number}", "marketing")
        shop.work()
        shop.wait(days=1)
        li.says("帮助")
        assert texts(li, "ad-") <= 1 + day
    assert texts(li, "ad-") == 3
    with shop.runtime.sessions() as session:
        refused = session.execute(text("select reason, count(*) from outbox where state = 'refused' group by reason"))
        reasons = {row.reason: row.count for row in refused}
    assert sum(reasons.values()) == 21 - 3
    assert set(reasons) <= {"expired", "day_cap", "week_cap"}
    assert reasons["week_cap"] >= 10


def test_the_most_important_of_a_quarter_of_an_hour_leaves(shop: Shop, li: Person) -> None:
    for idem, priority in (("ad-low", 1), ("ad-high", 9), ("ad-middle", 5)):
        tell(shop, li, idem, "marketing", priority=priority)
    shop.work()
    assert texts(li, "ad-") == texts(li, "ad-high") == 1
    for _ in range(4):
        shop.wait(minutes=16)
    assert texts(li, "ad-") == 1
    assert {row(shop, idem)[1] for idem in ("ad-low", "ad-middle")} == {"day_cap"}


def test_what_is_held_by_a_cap_leaves_the_next_morning_if_it_is_still_worth_it(shop: Shop, li: Person) -> None:
    for idem in ("ad-1", "ad-2"):
        tell(shop, li, idem, "marketing", days=3)
    shop.work()
    assert texts(li, "ad-") == 1
    shop.wait(hours=23, minutes=30)
    li.says("帮助")
    assert texts(li, "ad-") == 2


def test_the_same_is_not_said_twice_a_day(shop: Shop, li: Person) -> None:
    for idem in ("ad-1", "ad-2"):
        tell(shop, li, idem, "marketing", said="ad-same")
        shop.work()
    assert row(shop, "ad-2") == ("refused", "said_before")


def test_a_slot_comes_back_when_nothing_arrived(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.REJECTED, 47003)
    tell(shop, li, "ad-1", "marketing")
    shop.work()
    assert row(shop, "ad-1") == ("refused", "rejected:47003")
    tell(shop, li, "ad-2", "marketing")
    shop.work()
    assert texts(li, "ad-2") == 1


def test_whoever_muted_us_is_left_alone(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.MUTED, 48002)
    tell(shop, li, "ad-1", "marketing")
    shop.work()
    shop.wait(days=2)
    li.says("帮助")
    tell(shop, li, "ad-2", "marketing")
    shop.work()
    assert row(shop, "ad-2") == ("refused", "muted")
    shop.wait(days=29)
    li.says("帮助")
    tell(shop, li, "ad-3", "marketing")
    shop.work()
    assert texts(li, "ad-3") == 1


def test_less_means_half_as_many(shop: Shop, li: Person) -> None:
    li.says("少发点")
    for day in range(7):
        tell(shop, li, f"ad-{day}", "marketing")
        shop.work()
        shop.wait(days=1)
        li.says("帮助")
    assert texts(li, "ad-") == 1
    li.says("少发点").sees("不再发活动消息")
    shop.wait(days=30)
    li.says("帮助")
    tell(shop, li, "ad-x", "marketing")
    shop.work()
    assert row(shop, "ad-x") == ("refused", "no_consent")


def test_switched_off_holds_for_everybody_until_it_is_on_again(shop: Shop, li: Person) -> None:
    now, boss = shop.clock.now(), Actor("lin", "owner")
    with shop.runtime.sessions.begin() as session:
        assert notices.switch_off(session, "service", boss, "wrong price", now)
        assert not notices.switch_off(session, "service", boss, "again", now)
    tell(shop, li, "通知甲")
    shop.work()
    assert row(shop, "通知甲") == ("waiting", "switched_off")
    with shop.runtime.sessions.begin() as session:
        notices.switch_on(session, "service", boss, now)
    shop.work()
    assert texts(li, "通知甲") == 1


def test_three_workers_send_one_of_many(shop: Shop, li: Person) -> None:
    """Caps are counted under a lock: three workers that look at once cannot all find room."""
    for number in range(9):
        tell(shop, li, f"ad-{number}", "marketing")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: shop.runtime.outbox.run("notice", limit=3), range(3)))
    shop.deliver()
    assert texts(li, "ad-") <= 1


def test_every_word_on_consent_is_kept(shop: Shop, li: Person) -> None:
    for word in ("退订", "恢复", "退订"):
        li.says(word)
    with shop.runtime.sessions() as session:
        words = session.execute(text("select purpose, given from consent_word order by id")).all()
    assert [tuple(word) for word in words] == [("*", False), ("*", True), ("*", False)]


def test_a_text_that_is_gone_fails_and_dies_with_its_reason(shop: Shop, li: Person) -> None:
    with shop.runtime.sessions.begin() as session:
        person_id = session.scalar(text("select person_id from identity where value = :v"), {"v": li.openid})
        assert person_id is not None
        notices.tell(session, notices.Notice(person_id, "service", "通知甲", "no.such.text", {}), shop.clock.now())
    shop.work()
    for _ in range(6):
        shop.wait(minutes=2)
    state, reason = row(shop, "通知甲")
    assert state == "dead"
    assert "no text for no.such.text" in reason


def test_a_failed_poster_is_apologised_for(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.CONFIG, 48001)
    li.says("海报")
    li.saw("这张海报没能生成")
