"""The ledger of rights to send: refreshed to the maximum, used one by one, never more than granted."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from domain.platform import service as platform
from domain.platform.models import SendRight
from domain.platform.service import Left, Right, Trigger
from tests.conftest import MORNING
from tests.together import numbered

WHO = ("main", "o1")
HOURS_48, MINUTE = timedelta(hours=48), timedelta(minutes=1)
JUST_BEFORE = timedelta(microseconds=-1)


def take_all(session: Session, count: int) -> list[str]:
    taken = [platform.take(session, *WHO, MORNING) for _ in range(count)]
    return [right.window if right else "" for right in taken]


def test_nobody_has_a_right_before_they_act(session: Session) -> None:
    assert platform.take(session, *WHO, MORNING) is None
    assert platform.left(session, *WHO, MORNING) == Left(0, 0)


def test_a_message_allows_five_in_48_hours(session: Session) -> None:
    platform.grant(session, *WHO, "message", MORNING)
    assert platform.left(session, *WHO, MORNING + HOURS_48 + JUST_BEFORE) == Left(message=5)
    assert platform.left(session, *WHO, MORNING + HOURS_48) == Left()
    assert platform.take(session, *WHO, MORNING + HOURS_48) is None
    assert take_all(session, 6) == ["message"] * 5 + [""]


@pytest.mark.parametrize("trigger", ["follow", "scan", "menu"])
def test_a_tap_allows_three_in_a_minute(session: Session, trigger: Trigger) -> None:
    platform.grant(session, *WHO, trigger, MORNING)
    assert platform.left(session, *WHO, MORNING + MINUTE + JUST_BEFORE) == Left(tap=3)
    assert platform.left(session, *WHO, MORNING + MINUTE) == Left()
    assert take_all(session, 4) == ["tap"] * 3 + [""]


def test_the_window_that_dies_first_is_used_first(session: Session) -> None:
    platform.grant(session, *WHO, "message", MORNING)
    platform.grant(session, *WHO, "menu", MORNING)
    assert platform.left(session, *WHO, MORNING).total == 8
    assert take_all(session, 9) == ["tap"] * 3 + ["message"] * 5 + [""]


def test_an_expired_tap_window_leaves_the_message_window(session: Session) -> None:
    platform.grant(session, *WHO, "message", MORNING)
    platform.grant(session, *WHO, "menu", MORNING)
    right = platform.take(session, *WHO, MORNING + MINUTE)
    assert right == Right("message", MORNING + HOURS_48)


def test_a_second_trigger_refreshes_and_does_not_add(session: Session) -> None:
    platform.grant(session, *WHO, "message", MORNING)
    take_all(session, 2)
    later = MORNING + timedelta(hours=1)
    platform.grant(session, *WHO, "message", later)
    assert platform.left(session, *WHO, later) == Left(message=5)
    assert platform.left(session, *WHO, MORNING + HOURS_48) == Left(message=5)


def test_an_older_message_handled_late_gives_nothing(session: Session) -> None:
    platform.grant(session, *WHO, "message", MORNING)
    take_all(session, 5)
    platform.grant(session, *WHO, "message", MORNING - timedelta(minutes=1))
    assert platform.left(session, *WHO, MORNING) == Left()


def test_a_right_can_be_given_back(session: Session) -> None:
    platform.grant(session, *WHO, "message", MORNING)
    right = platform.take(session, *WHO, MORNING)
    assert right
    platform.give_back(session, *WHO, right)
    platform.give_back(session, *WHO, right)
    assert platform.left(session, *WHO, MORNING) == Left(message=5)


def test_a_right_of_a_window_that_is_gone_is_not_given_back(session: Session) -> None:
    platform.grant(session, *WHO, "message", MORNING)
    right = platform.take(session, *WHO, MORNING)
    assert right
    platform.close(session, *WHO)
    platform.give_back(session, *WHO, right)
    assert platform.left(session, *WHO, MORNING) == Left()
    later = MORNING + timedelta(hours=1)
    platform.grant(session, *WHO, "message", later)
    platform.take(session, *WHO, later)
    platform.give_back(session, *WHO, right)
    assert platform.left(session, *WHO, later) == Left(message=4)


def test_closing_takes_every_right_and_forgets_the_person(session: Session) -> None:
    platform.grant(session, *WHO, "message", MORNING)
    platform.grant(session, *WHO, "follow", MORNING)
    platform.close(session, *WHO)
    assert take_all(session, 1) == [""]
    assert session.scalar(select(func.count()).select_from(SendRight)) == 0


def test_accounts_and_people_do_not_share(session: Session) -> None:
    platform.grant(session, *WHO, "message", MORNING)
    platform.grant(session, "main", "o2", "menu", MORNING)
    assert platform.left(session, "other", "o1", MORNING) == Left()
    assert platform.left(session, "main", "o2", MORNING) == Left(tap=3)


def test_fifty_threads_take_five_rights_exactly(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        platform.grant(session, *WHO, "message", MORNING)

    def take(_: int) -> Right | None:
        with Session(engine) as session, session.begin():
            return platform.take(session, *WHO, MORNING)

    taken = numbered(50, take)
    assert [right for right in taken if right] == [Right("message", MORNING + HOURS_48)] * 5


def test_fifty_threads_on_two_windows_take_eight(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        platform.grant(session, *WHO, "message", MORNING)
        platform.grant(session, *WHO, "scan", MORNING)

    def take(_: int) -> str:
        with Session(engine) as session, session.begin():
            right = platform.take(session, *WHO, MORNING)
            return right.window if right else "none"

    taken = numbered(50, take)
    assert {window: taken.count(window) for window in ("tap", "message", "none")} == {
        "tap": 3,
        "message": 5,
        "none": 42,
    }


def test_the_sweep_takes_only_what_is_over(session: Session) -> None:
    old, recent = MORNING - timedelta(hours=61), MORNING - timedelta(hours=59)
    platform.grant(session, *WHO, "message", MORNING)
    platform.grant(session, "main", "o2", "menu", MORNING - MINUTE)
    platform.grant(session, "main", "o3", "message", MORNING - HOURS_48)
    platform.grant(session, "main", "o3", "menu", MORNING)
    platform.keep_media(session, "wx1", b"a" * 32, "old", old)
    platform.keep_media(session, "wx1", b"b" * 32, "recent", recent)
    assert platform.sweep(session, MORNING, MORNING - timedelta(hours=60)) == 2
    assert platform.left(session, *WHO, MORNING) == Left(message=5)
    assert platform.left(session, "main", "o3", MORNING) == Left(tap=3)
    assert platform.media_of(session, "wx1", b"b" * 32, old) == "recent"
