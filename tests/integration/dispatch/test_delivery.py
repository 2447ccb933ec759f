"""The way out: every answer of the platform has one remedy, and a killed worker tells nobody twice."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from bot.kit.gateway import Outcome, SendResult
from domain.notices import service as notices
from tests.fakes.shop import Person, Shop


@pytest.fixture
def li(shop: Shop) -> Person:
    return shop.person("李姐").says("帮助")


def tell(shop: Shop, person: Person, idem: str, purpose: notices.Purpose = "service") -> None:
    with shop.runtime.sessions.begin() as session:
        person_id = session.scalar(text("select person_id from identity where value = :v"), {"v": person.openid})
        assert person_id is not None
        notices.tell(session, notices.Notice(person_id, purpose, idem, "chat.late", {"said": idem}), shop.clock.now())


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
    refuse(shop, Outcome.UNFOLLOWED, 43004)
    tell(shop, li, "通知甲")
    shop.work()
    tell(shop, li, "通知乙")
    shop.work()
    assert (row(shop, "通知甲"), row(shop, "通知乙")) == (("refused", "unfollowed"), ("refused", "unfollowed"))


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
    assert texts(li, "ad-") == 3
    with shop.runtime.sessions() as session:
        refused = session.execute(text("select reason, count(*) from outbox where state = 'refused' group by reason"))
        reasons = {row.reason: row.count for row in refused}
    assert reasons == {"day_cap": 4, "week_cap": 14}


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
