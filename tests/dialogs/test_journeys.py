"""The shipped journeys, tried by moving the clock: what people hear, when, and what stops it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from bot.kit.gateway import Outcome, SendResult
from bot.runtime import clockwork, journeys
from bot.runtime.bell import SilentBell
from domain.journeys import writing
from domain.journeys.reading import read
from domain.notices import service as notices
from tests.fakes.shop import Person, Shop


def count(person: Person, word: str) -> int:
    return sum(word in said for said in person.heard if isinstance(said, str))


@pytest.fixture
def restock(shop: Shop) -> Person:
    """Somebody who bought milk, which lasts ten days."""
    shop.journeys("restock")
    li = shop.person("李姐")
    shop.paid("A1", by=li, fen=5_980, sku="MILK-12")
    return li


def test_a_newcomer_gets_the_guide_and_the_coupon_once_more(shop: Shop) -> None:
    shop.journeys("welcome")
    li = shop.person("李姐").says("帮助")
    shop.wait(hours=23)
    assert count(li, "小指南") == 0
    shop.wait(hours=1, minutes=1)
    li.saw("小指南")
    shop.wait(days=1)
    li.says("帮助")
    shop.wait(days=1)
    li.saw("您还有 1 张优惠券没用")
    for _ in range(5):
        shop.wait(days=3)
        li.says("帮助")
    assert (count(li, "小指南"), count(li, "没用")) == (1, 1)


def test_following_again_is_not_welcomed_twice(shop: Shop) -> None:
    shop.journeys("welcome")
    li = shop.person("李姐")
    li.happens("unsubscribe")
    li.happens("subscribe")
    shop.wait(days=1)
    assert count(li, "小指南") == 0, "leaving ended the journey, and it begins only once"


def test_a_first_order_ends_the_welcome(shop: Shop) -> None:
    shop.journeys("welcome")
    li = shop.person("李姐").says("帮助")
    shop.wait(days=1)
    shop.paid("A1", by=li, fen=9_900)
    li.says("帮助")
    shop.wait(days=2)
    assert (count(li, "小指南"), count(li, "没用")) == (1, 0)


def test_two_days_before_it_runs_out_and_two_days_after(shop: Shop, restock: Person) -> None:
    shop.wait(days=7, hours=23)
    restock.says("帮助")
    assert count(restock, "快用完了") == 0
    shop.wait(hours=1, minutes=1)
    restock.saw("「高原牧场纯牛奶 12盒」差不多快用完了吧").says("优惠券").sees("回购券 95折")
    shop.wait(days=3)
    restock.says("帮助")
    shop.wait(days=1)
    restock.saw("「高原牧场纯牛奶 12盒」可能已经用完了")
    for _ in range(4):
        shop.wait(days=5)
        restock.says("帮助")
    assert (count(restock, "快用完了"), count(restock, "可能已经用完")) == (1, 1)


def test_L7_the_nudges_lead_to_where_it_is_bought(shop: Shop, restock: Person) -> None:
    page = f"{shop.runtime.settings.public_url}/sim/goods/MILK-12"
    shop.wait(days=7, hours=23)
    restock.says("帮助")
    shop.wait(hours=2)
    restock.saw(f'<a href="{page}">用券补一份</a>', "回购券")
    shop.wait(days=3)
    restock.says("帮助")
    shop.event("product.upserted", {"sku": "MILK-12", "title": "高原牧场纯牛奶 12盒", "category": "fmcg",
                                    "price_fen": 5_980, "url": "https://mall.example/milk?from=chat&x=1"})
    shop.wait(days=1)
    restock.saw('<a href="https://mall.example/milk?from=chat&x=1">马上下单，家里不断档</a>', "别等断了再买")


def test_L7_without_an_address_the_nudges_read_as_before(shop: Shop) -> None:
    shop.journeys("restock")
    li = shop.person("李姐")
    shop.event("product.upserted", {"sku": "TOFU", "title": "老豆腐", "category": "fmcg", "price_fen": 900,
                                    "consumption_days": 10})
    shop.paid("A1", by=li, fen=900, sku="TOFU")
    shop.wait(days=7, hours=23)
    li.says("帮助")
    shop.wait(hours=2)
    shop.wait(days=3)
    li.says("帮助")
    shop.wait(days=1)
    li.saw("「老豆腐」差不多快用完了", "优惠券").saw("「老豆腐」可能已经用完了，现在下单不断档；回购券还在有效期内")
    assert "href" not in str(li.heard)


def test_a_nudge_that_was_queued_before_there_were_links_still_leaves(shop: Shop) -> None:
    li = shop.person("李姐").says("帮助")
    with shop.runtime.sessions.begin() as session:
        person = session.scalar(text("select person_id from identity where value = :v"), {"v": li.openid})
        notices.tell(session, notices.Notice(person, "service", "old", "journey.restock.out", {"product": "米"}),
                     shop.clock.now())
    shop.work()
    li.saw("「米」可能已经用完了，现在下单不断档")


def test_an_edition_without_the_link_may_still_be_published(shop: Shop) -> None:
    form = writing.dump(next(one for one in journeys.shipped() if one.key == "restock"))
    for step in form["step"]:
        step.get("with", {}).pop("page", None)
    with shop.runtime.sessions.begin() as session:
        journeys.install(session, [read(form)], shop.runtime.voice, shop.clock.now(), live=True)


def test_a_purchase_ends_the_chase_and_begins_the_next(shop: Shop, restock: Person) -> None:
    shop.wait(days=8, minutes=1)
    assert count(restock, "快用完了") == 0, "nobody may write to who has been silent for so long"
    restock.says("帮助")
    shop.wait(days=1)
    shop.paid("A2", by=restock, fen=5_980, sku="MILK-12")
    shop.wait(days=3)
    restock.says("帮助")
    assert count(restock, "可能已经用完") == 0
    shop.wait(days=4, hours=23)
    restock.says("帮助")
    shop.wait(hours=2)
    restock.saw("快用完了")


def evening(shop: Shop, *keys: str) -> None:
    """The restock nudge, planned at an hour at which nobody is disturbed; under several keys if wanted."""
    form = writing.dump(next(one for one in journeys.shipped() if one.key == "restock"))
    form["step"][0]["wait"]["at"] = "22:00"
    with shop.runtime.sessions.begin() as session:
        journeys.install(session, [read(form | {"key": key, "holdout": "0%"}) for key in keys], shop.runtime.voice,
                         shop.clock.now(), live=True)


def test_3_a_purchase_cancels_the_nudge_that_already_waits_in_the_outbox(shop: Shop) -> None:
    evening(shop, "restock")
    li, wang = shop.person("李姐"), shop.person("小王")
    for number, person in enumerate((li, wang)):
        shop.paid(f"A{number}", by=person, fen=5_980, sku="MILK-12")
    shop.wait(days=8, hours=10)
    for person in (li, wang):
        person.says("帮助")
    shop.wait(hours=2, minutes=5)
    assert waiting(shop) == [("waiting", "quiet_hours")] * 2
    shop.paid("A9", by=li, fen=5_980, sku="MILK-12")
    shop.wait(hours=11)
    assert (count(li, "快用完了"), count(wang, "快用完了")) == (0, 1)
    assert sorted(waiting(shop)) == [("done", ""), ("refused", "goal")]


def waiting(shop: Shop) -> list[tuple[str, str]]:
    with shop.runtime.sessions() as session:
        return [(row.state, row.reason) for row in session.execute(text(
            "select state, reason from outbox where payload ->> 'key' = 'journey.restock.soon' order by id"))]


def test_10_three_journeys_due_in_the_same_second_speak_once(shop: Shop) -> None:
    evening(shop, "one", "two", "three")
    li = shop.person("李姐")
    shop.paid("A1", by=li, fen=5_980, sku="MILK-12")
    shop.wait(days=8, hours=10)
    li.says("帮助")
    shop.wait(hours=2, minutes=5)
    shop.wait(hours=11)
    assert count(li, "快用完了") == 1
    states = sorted(waiting(shop))
    assert [state for state, _ in states] == ["done", "refused", "refused"]
    assert {reason for _, reason in states[1:]} <= {"day_cap", "said_before"}


def test_14_a_used_up_quota_in_the_middle_holds_the_rest_and_tells_nobody_twice(shop: Shop) -> None:
    shop.journeys("restock")
    crowd = [shop.person(f"客{n}") for n in range(6)]
    for number, person in enumerate(crowd):
        shop.paid(f"A{number}", by=person, fen=5_980, sku="MILK-12")
    shop.wait(days=7, hours=20)
    for person in crowd:
        person.says("帮助")
    pause = datetime.now(UTC) + timedelta(hours=3)
    shop.gateway.refusals += [SendResult(Outcome.BACK_OFF, 45009, retry_at=pause)] * 3
    shop.wait(hours=4, minutes=1)
    assert sum(count(person, "快用完了") for person in crowd) <= 3, "the first refusal closes the day for marketing"
    shop.gateway.refusals.clear()
    shop.wait(hours=3, minutes=5)
    assert [count(person, "快用完了") for person in crowd] == [1] * 6


def test_a_journey_may_send_a_picture_and_its_guard_is_asked_too(shop: Shop) -> None:
    form = writing.dump(next(one for one in journeys.shipped() if one.key == "restock"))
    form |= {"key": "kit", "holdout": "0%"}
    form["step"] = [{"id": "w", "wait": "1h"}, {"id": "s", "say": "journey.restock.soon", "picture": "poster",
                                               "purpose": "service", "with": {"product": "{product.title}"}}]
    with shop.runtime.sessions.begin() as session:
        journeys.install(session, [read(form)], shop.runtime.voice, shop.clock.now(), live=True)
    li, wang = (shop.person(name).says("帮助") for name in ("李姐", "小王"))
    for number, person in enumerate((li, wang)):
        shop.paid(f"A{number}", by=person, fen=5_980, sku="MILK-12")
    wang.happens("unsubscribe")
    shop.wait(hours=1, minutes=1)
    assert [sum(isinstance(said, bytes) for said in person.heard) for person in (li, wang)] == [1, 0]
    assert count(li, "快用完了") == 1


class _Broken(SilentBell):
    """Nobody hears it."""

    def ring(self, bells: Iterable[str], *, for_help: bool = False) -> bool:
        return False


def test_20_without_a_bell_the_clock_does_the_work(shop: Shop) -> None:
    """The cache was flushed or is gone: nobody hears a ring, and due people are moved all the same, once."""
    shop.journeys("restock")
    li = shop.person("李姐")
    shop.paid("A1", by=li, fen=5_980, sku="MILK-12")
    shop.wait(days=7, hours=20)
    li.says("帮助")
    shop.clock.advance(4 * 3_600 + 60)
    assert clockwork.tick(shop.runtime) >= {"event"}
    assert count(li, "快用完了") == 0, "a bell that rings leaves the work to the workers"
    alone = replace(shop.runtime, bell=_Broken())
    for _ in range(3):
        clockwork.tick(alone)
    shop.deliver()
    assert count(li, "快用完了") == 1
    assert not clockwork.tick(shop.runtime) & {"event"}


def test_other_products_do_not_end_it(shop: Shop, restock: Person) -> None:
    shop.paid("B1", by=restock, fen=9_900, sku="RICE-5KG")
    shop.wait(days=7, hours=23)
    restock.says("帮助")
    shop.wait(hours=1, minutes=1)
    restock.saw("快用完了")


def test_no_more_of_it_ends_it_and_a_returned_order_too(shop: Shop, restock: Person) -> None:
    wang = shop.person("小王")
    shop.paid("B1", by=wang, fen=5_980, sku="MILK-12")
    restock.says("少发点").says("少发点")
    shop.refunded("B1", fen=5_980)
    for _ in range(9):
        shop.wait(days=1)
        restock.says("帮助")
        wang.says("帮助")
    assert count(restock, "快用完了") + count(wang, "快用完了") == 0
    with shop.runtime.sessions() as session:
        ends = sorted(session.scalars(text("select end_reason from enrolment")))
    assert ends == ["opted_out", "returned"]


def test_who_buys_every_week_is_asked_in_their_own_rhythm(shop: Shop) -> None:
    shop.journeys("restock")
    li = shop.person("李姐")
    for number in range(3):
        shop.paid(f"A{number}", by=li, fen=5_980, sku="MILK-12")
        shop.wait(days=3)
        li.says("帮助")
        shop.wait(days=1, minutes=1)
        shop.wait(days=1, hours=23, minutes=59)
    with shop.runtime.sessions() as session:
        steps = session.execute(text("select step, state from enrolment order by id")).all()
    assert [(row.step, row.state) for row in steps] == [("before", "ended"), ("before", "ended"), ("after", "open")]
    li.saw("快用完了")


def test_nothing_is_planned_for_an_order_that_was_returned_before_it_was_booked(shop: Shop) -> None:
    shop.journeys("restock")
    li = shop.person("李姐")
    now = shop.clock.now().isoformat()
    refund = {"id": "r1", "type": "order.refunded", "occurred_at": now, "data": {
        "order_id": "A1", "channel": "mall", "refund_id": "r1", "refunded_at": now,
        "lines": [{"line_id": "1", "refund_fen": 5_980, "quantity": 1}]}}
    shop.events([refund])
    for _ in range(3):
        shop.paid("A1", by=li, fen=5_980, sku="MILK-12")
    with shop.runtime.sessions() as session:
        left = session.execute(text("select (select count(*) from enrolment), (select count(*) from role_grant),"
                                    " (select count(*) from journey_event)")).one()
    assert tuple(left) == (0, 0, 0)
