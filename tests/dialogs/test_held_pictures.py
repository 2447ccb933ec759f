"""A picture was asked for and the platform lets nothing out: it comes once all the same, or it is owned up to.

The way out is the fake gateway, which forgets at once what it refused; the real one: tests/integration/simulator.
"""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from bot.kit.gateway import Outcome, SendResult
from tests.dialogs.test_draw_and_mall import fated
from tests.dialogs.test_manners import pictures
from tests.fakes.shop import Person, Shop


@pytest.fixture
def li(shop: Shop) -> Person:
    """Somebody whose code for the product exists: what is refused next is the message itself."""
    li = shop.person("李姐")
    li.poster("海报 2")
    return li


def refuse(shop: Shop, outcome: Outcome, code: int, real_hours: float = 0) -> None:
    again = datetime.now(UTC) + timedelta(hours=real_hours) if real_hours else None
    shop.gateway.refusals.append(SendResult(outcome, code, retry_at=again))


def orders(shop: Shop) -> list[tuple[str, str]]:
    """State and reason of each poster that was asked for, oldest first."""
    with shop.runtime.sessions() as session:
        return [(row.state, row.reason) for row in session.execute(text(
            "select state, reason from outbox where kind = 'poster.make' order by id"))]


def test_what_the_quota_held_back_is_the_answer_when_it_is_asked_for_again(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.BACK_OFF, 45009, 6)
    assert pictures(li.says("海报 2")) == 0
    assert orders(shop)[1:] == [("waiting", "back_off:45009")]
    assert pictures(li.says("海报")) == 1
    assert orders(shop)[1:] == [("done", "")]
    shop.wait(hours=30)
    assert pictures(li) == 1, "and not once more when the quota is back"


def test_a_retry_of_the_message_that_got_the_picture_gets_the_same_picture(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.BACK_OFF, 45009, 6)
    li.says("海报 2")
    first = li.says("海报", msg_id="77").heard[-1]
    assert li.says("海报", msg_id="77").heard[-1] == first
    assert isinstance(first, bytes)
    assert len(orders(shop)) == 2


def test_what_nobody_asked_for_again_comes_by_itself_once(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.BACK_OFF, 45009, 6)
    li.says("海报 2")
    shop.wait(hours=5)
    assert pictures(li) == 0
    shop.wait(hours=2)
    assert pictures(li) == 1
    shop.wait(hours=40)
    assert pictures(li) == 1


def test_a_quota_that_is_back_at_midnight_wakes_nobody(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.BACK_OFF, 45009, 14)
    li.says("海报 2")
    shop.wait(hours=14, minutes=5)
    assert pictures(li) == 0
    shop.wait(hours=9, minutes=10)  # past half past eight, and everybody's own minute
    assert pictures(li) == 1


def test_an_apology_that_comes_at_night_wakes_nobody(shop: Shop, li: Person) -> None:
    """The quota is back at midnight, and then the platform does not want the picture after all."""
    refuse(shop, Outcome.BACK_OFF, 45009, 14)
    li.says("海报 1")
    refuse(shop, Outcome.REJECTED, 40097)
    before = len(li.heard)
    shop.wait(hours=14, minutes=5)
    assert li.heard[before:] == []
    shop.wait(hours=9, minutes=10)
    li.sees("这张海报没能生成")


def test_what_never_came_is_owned_up_to_by_day(shop: Shop, li: Person) -> None:
    shop.wait(hours=13)
    refuse(shop, Outcome.BACK_OFF, 45009, 47.5)
    li.says("海报 1")
    before = len(li.heard)
    shop.wait(hours=47, minutes=35)  # half past ten at night, two days later, in their window still
    assert orders(shop)[1:] == [("refused", "expired")]
    assert li.heard[before:] == []
    shop.wait(hours=11)  # morning, and their window is closed by now
    li.says("谢谢").sees("一直没能发出去")


def test_another_picture_is_made_anew(shop: Shop, li: Person) -> None:
    li.poster("海报 1")
    refuse(shop, Outcome.BACK_OFF, 45009, 6)
    li.says("海报 2")
    assert pictures(li.says("海报 1").saw("正在生成")) == 1
    assert [state for state, _ in orders(shop)] == ["done", "done", "waiting", "done"]


def test_while_a_person_must_act_no_seconds_are_promised(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.CONFIG, 50002)
    li.says("海报 2").sees("约 3 秒")  # nobody knew
    wang = shop.person("王姐")
    before = len(wang.heard)
    refuse(shop, Outcome.CONFIG, 50002)
    wang.says("海报 2")
    first = wang.heard[before]
    assert isinstance(first, str)
    assert "再回复一次「海报」" in first
    assert "约 3 秒" not in first
    shop.wait(minutes=6)
    assert pictures(li) == pictures(wang) == 1


def test_an_account_that_nobody_can_speak_through_keeps_the_wish(shop: Shop, li: Person) -> None:
    """40164: no token, so no upload either. There is nothing to answer with, and no apology that could arrive."""
    refuse(shop, Outcome.CONFIG, 40164)
    li.says("海报 1")
    assert orders(shop)[1:] == [("waiting", "config:40164")]
    li.says("海报").sees("记下了", "不会漏掉")
    assert len(orders(shop)) == 2
    shop.wait(minutes=6)
    assert pictures(li) == 1


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.QUOTA_USED, 45047), (Outcome.WINDOW_CLOSED, 45015)])
def test_who_had_no_right_gets_it_as_the_answer(shop: Shop, li: Person, outcome: Outcome, code: int) -> None:
    refuse(shop, outcome, code)
    assert pictures(li.says("海报 2")) == 0
    shop.wait(minutes=30)
    assert pictures(li.says("海报 2")) == 1
    assert orders(shop)[1:] == [("done", "")]


@pytest.mark.parametrize("times", [1, 2])
def test_who_just_asked_has_not_left_whatever_the_platform_says(shop: Shop, li: Person, times: int) -> None:
    """43004 right after their own word: asked once more, and once more at their next word."""
    for _ in range(times):
        refuse(shop, Outcome.UNFOLLOWED, 43004)
    assert pictures(li.says("海报 2")) == 0
    shop.wait(seconds=35)
    assert pictures(li) == (1 if times == 1 else 0)
    assert pictures(li.says("佣金")) == (0 if times == 1 else 1)
    assert orders(shop)[1:] == [("done", "")]


def test_what_never_came_is_owned_up_to_when_they_write_again(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.QUOTA_USED, 45047)
    li.says("海报 2")
    shop.wait(hours=48)
    assert orders(shop)[1:] == [("refused", "expired")]
    before = len(li.heard)
    li.says("佣金").sees("一直没能发出去", "再回复一次「海报」")
    shop.wait(hours=48)
    assert sum("一直没能发出去" in said for said in li.heard[before:] if isinstance(said, str)) == 1
    assert pictures(li.says("海报")) == 1


def test_who_asks_again_first_is_not_told_of_the_old_one(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.QUOTA_USED, 45047)
    li.says("海报 2")
    shop.wait(hours=48)
    before = len(li.heard)
    assert pictures(li.says("海报")) == 1
    assert not any("一直没能发出去" in said for said in li.heard[before:] if isinstance(said, str))


def dies_while_sending(shop: Shop) -> None:
    """What a worker leaves behind that went away between the call and its answer."""
    with shop.runtime.sessions.begin() as session:
        left = session.execute(text("""
            update outbox set result = result || '{"sending_at": "2026-11-20T02:00:00+00:00"}'
             where kind = 'poster.make' and state = 'waiting' returning id"""))
        assert len(left.all()) == 1


def test_what_may_have_come_already_is_not_the_answer_as_well(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.BACK_OFF, 45009, 6)
    li.says("海报 2")
    dies_while_sending(shop)
    assert pictures(li.says("海报 2")) == 0


def test_what_may_have_come_already_is_not_owned_up_to(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.QUOTA_USED, 45047)
    li.says("海报 2")
    dies_while_sending(shop)
    shop.wait(hours=48)
    before = len(li.heard)
    li.says("佣金").sees("佣金")
    assert not any("一直没能发出去" in said for said in li.heard[before:] if isinstance(said, str))


def test_a_prize_whose_picture_never_came_is_owned_up_to(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("抽奖")
    fated(shop, li, 4)
    refuse(shop, Outcome.QUOTA_USED, 45047)
    assert pictures(li.says("抽一次")) == 0
    li.saw("恭喜抽中")
    shop.wait(hours=48)
    li.says("谢谢").sees("中奖图片一直没能发出去", "不受影响")


def test_nobody_is_left_to_wait_for_what_the_first_refusal_holds_back(shop: Shop, li: Person) -> None:
    """The first to be refused was promised seconds: they were told what to do when nothing comes."""
    refuse(shop, Outcome.BACK_OFF, 45009, 6)
    li.says("海报 2").sees("约 3 秒", "没等到就再回复一次「海报」")
    assert pictures(li.says("海报")) == 1
