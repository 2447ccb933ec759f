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
    for person in (li, wang) * 2:  # the news of two months take the replies that the first one opens
        person.says("帮助")
    awake(shop, li, wang, days=2)
    for person in (li, wang):
        person.saw("天没见，一切都好吗")
    shop.paid("B1", by=wang, fen=5_980)
    awake(shop, li, wang, days=15)
    assert (count(li, "没让您满意"), count(wang, "没让您满意"), coupons(shop, "recall")) == (1, 0, 2)
    with shop.runtime.sessions() as session:
        assert session.scalars(text("select count(*) from person_tag where tag = '顾问回访'")).one() == 1


def born(shop: Shop, person: Person, day: str) -> None:
    shop.event("customer.upserted", {"identities": person.identity, "birthday": day})


def test_one_present_in_the_birthday_month_whatever_day_is_told(shop: Shop) -> None:
    shop.journeys("birthday")
    li, wang = shop.person("李姐"), shop.person("小王")
    born(shop, li, "1988-02-29")
    born(shop, wang, "1990-11-02")
    wang.says("帮助")
    awake(shop, wang, days=2)
    wang.saw("11 月是您的生日月").says("优惠券").sees("生日月礼 满39减8")
    born(shop, wang, "1990-02-02")
    shop.wait(days=71)
    li.says("帮助")
    wang.says("帮助")
    awake(shop, li, wang, days=2)
    li.saw("2 月是您的生日月")
    assert count(wang, "2 月是您的生日月") == 0, "another birthday brings no second present"
    shop.wait(days=364)
    li.says("帮助")
    awake(shop, li, days=3)
    assert (count(li, "2 月是您的生日月"), coupons(shop, "birthday_month")) == (2, 4), "each of them once a year"


def test_a_member_whose_tier_brings_a_present_gets_only_that_one(shop: Shop) -> None:
    shop.journeys("birthday")
    li = shop.person("李姐")
    born(shop, li, "1990-11-02")
    with shop.runtime.sessions.begin() as session:
        session.execute(text(
            "insert into membership (person_id, tier, benefits, cause, since)"
            " select person_id, 'gold', '{birthday_gift}', 'test', now() from identity where value = :v"),
            {"v": li.openid})
    li.says("帮助")
    awake(shop, li, days=2)
    assert coupons(shop, "birthday_month") == 0


def test_friends_count_when_they_bought_and_kept_it(shop: Shop) -> None:
    shop.journeys("friends_three", "friends_five")
    li = shop.person("李姐")
    shop.paid("L1", by=li, fen=5_980)
    shop.received("L1")
    for number in range(6):
        friend = shop.person(f"友{number}", invited_by="李姐")
        shop.paid(f"A{number}", by=friend, fen=5_980)
        if number != 1:
            shop.received(f"A{number}")
    shop.refunded("A0", fen=5_980)
    li.says("帮助")
    awake(shop, li, days=8)
    li.saw("欢迎加入「安心妈妈团」")
    assert count(li, "共创群") == 0, "one gave it back, one never got it: four stayed"
    shop.received("A1")
    awake(shop, li, days=9)
    assert (count(li, "安心妈妈团"), count(li, "核心共创群")) == (1, 1)


def test_a_promoter_who_falls_silent_is_asked_and_a_sale_ends_it(shop: Shop) -> None:
    shop.journeys("at_risk")
    li, wang = shop.person("李姐"), shop.person("小王")
    for number, sharer in enumerate((li, wang)):
        shop.paid(f"S{number}", by=sharer, fen=5_980)
        shop.received(f"S{number}")
        friend = shop.person(f"友{number}", invited_by=sharer.name)
        shop.paid(f"F{number}", by=friend, fen=59_800)
    shop.wait(days=13)
    assert ends(shop) == [] and risks(shop) == 0, "whom we know for two weeks"
    shop.wait(days=1, hours=23)
    assert risks(shop) == 2
    for sharer in (li, wang):
        sharer.says("帮助")
    shop.wait(minutes=5)
    shop.paid("F9", by=shop.people["友1"], fen=59_800)
    awake(shop, li, wang, days=9)
    assert (count(li, "难处了吗"), count(wang, "难处了吗")) == (1, 0)
    assert risks(shop) == 2, "warned once in thirty days"
    assert "goal" in ends(shop)


def risks(shop: Shop) -> int:
    with shop.runtime.sessions() as session:
        return int(session.execute(text("select count(*) from occasion where kind = 'promoter.at_risk'")).scalar_one())


def test_the_star_of_the_month_and_the_best_customers_of_the_year(shop: Shop) -> None:
    shop.journeys("star", "year_top")
    li, wang = shop.person("李姐"), shop.person("小王")
    for number, (sharer, fen) in enumerate(((li, 20_000), (wang, 30_000))):
        shop.paid(f"S{number}", by=sharer, fen=5_980)
        shop.received(f"S{number}")
        shop.paid(f"F{number}", by=shop.person(f"友{number}", invited_by=sharer.name), fen=fen)
    shop.refunded("F1", fen=15_000)
    shop.wait(days=11)
    assert count(li, "推荐之星") == 0, "returns may still change it"
    li.says("帮助")
    awake(shop, li, wang, days=4)
    li.saw("您是2026年11月的月度推荐之星")
    assert count(wang, "推荐之星") == 0
    shop.wait(days=34)
    for person in (li, wang):
        person.says("帮助")
    awake(shop, li, wang, days=2)
    li.saw("感谢您 2026 年一路相伴")
    assert (count(li, "农场行"), count(wang, "农场行"), count(li, "推荐之星")) == (1, 1, 1)
