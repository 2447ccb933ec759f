"""The other shipped journeys, with the clock moved: what is said and given, and what ends it at once."""

from sqlalchemy import text

from tests.dialogs.test_journeys import count
from tests.fakes.shop import Person, Shop


def shipped(shop: Shop, order: str) -> None:
    shop.event("order.shipped", {"order_id": order, "channel": "mall", "shipped_at": shop.clock.now().isoformat(),
                                 "carrier": "顺丰", "tracking_no": "SF100200"})


def ends(shop: Shop) -> list[str]:
    with shop.runtime.sessions() as session:
        return sorted(session.scalars(text("select end_reason from enrolment where state = 'ended'")))


def coupons(shop: Shop, kind: str) -> int:
    with shop.runtime.sessions() as session:
        return int(session.execute(text("select count(*) from coupon where kind = :kind"), {"kind": kind}).scalar_one())


def awake(shop: Shop, *people: Person, days: int) -> None:
    """Days pass on which people say something every day, so that they may be written to."""
    for _ in range(days):
        shop.wait(days=1)
        for person in people:
            person.says("帮助")


def test_care_from_the_parcel_to_a_week_later(shop: Shop) -> None:
    shop.journeys("care")
    li, wang = shop.person("李姐"), shop.person("小王")
    for order, person in (("A1", li), ("A2", wang)):
        shop.paid(order, by=person, fen=5_980)
        shipped(shop, order)
        person.saw("「有机大米 5kg」已经出发啦，顺丰", "SF100200")
    for order in ("A1", "A2"):
        shop.received(order)
    awake(shop, li, wang, days=1)
    for person in (li, wang):
        person.saw("「有机大米 5kg」到家了吧")
    shop.refunded("A2", fen=5_980)
    awake(shop, li, wang, days=9)
    assert (count(li, "用了一周"), count(wang, "用了一周")) == (1, 0)
    assert ends(shop) == ["finished", "returned"]


def test_the_second_order_is_helped_once_and_a_purchase_ends_it(shop: Shop) -> None:
    shop.journeys("second_order")
    li, wang, zhao = shop.person("李姐"), shop.person("小王"), shop.person("老赵")
    for number, person in enumerate((li, wang, zhao)):
        shop.paid(f"A{number}", by=person, fen=5_980)
        shop.received(f"A{number}")
    zhao.says("少发点").says("少发点")
    awake(shop, li, wang, zhao, days=2)
    shop.paid("B1", by=wang, fen=5_980)
    awake(shop, li, wang, zhao, days=2)
    li.saw("给您留了一张 5 元券").says("优惠券").sees("第二单礼 5元券")
    assert [count(one, "5 元券") for one in (li, wang, zhao)] == [1, 0, 0]
    assert coupons(shop, "second_order") == 1
    shop.wait(days=23)
    li.says("帮助")
    awake(shop, li, days=2)
    li.saw("过两天到期")
    assert ends(shop) == ["finished", "goal", "opted_out"]


def test_three_orders_in_a_month_are_thanked_for_once(shop: Shop) -> None:
    shop.journeys("regular")
    li, wang = shop.person("李姐"), shop.person("小王")
    for number in range(3):
        shop.paid(f"A{number}", by=li, fen=5_980)
        shop.paid(f"W{number}", by=wang, fen=5_980)
    li.says("帮助")
    shop.wait(minutes=1)
    shop.refunded("W2", fen=5_980)
    shop.wait(minutes=1)
    awake(shop, li, wang, days=2)
    assert (count(li, "已经来了三次"), count(wang, "已经来了三次")) == (1, 0)
    assert coupons(shop, "fourth_order") == 1


def test_who_stays_away_is_asked_back_and_a_purchase_ends_it(shop: Shop) -> None:
    shop.journeys("recall")
    li, wang = shop.person("李姐"), shop.person("小王")
    for person in (li, wang):
        for number in range(2):
            shop.paid(f"{person.name}{number}", by=person, fen=5_980)
    shop.wait(minutes=1)
    shop.wait(days=62)
    for person in (li, wang):
        person.says("帮助")
    awake(shop, li, wang, days=2)
    for person in (li, wang):
        person.saw("天没见，一切都好吗")
    shop.paid("B1", by=wang, fen=5_980)
    awake(shop, li, wang, days=15)
    assert (count(li, "没让您满意"), count(wang, "没让您满意"), coupons(shop, "recall")) == (1, 0, 2)
    with shop.runtime.sessions() as session:
        assert session.scalars(text("select count(*) from person_tag where tag = '顾问回访'")).one() == 1
