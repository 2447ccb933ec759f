"""The nasty cases of journeys that a customer would notice, by their numbers in docs/NASTY.md."""

import threading
from datetime import UTC, timedelta

from sqlalchemy import text

from domain.insight import service as insight
from domain.insight.rules import Segmentation
from domain.ledger import service as ledger
from domain.notices import service as notices
from domain.points import queries as points
from tests.dialogs.test_journey_edges import id_of
from tests.dialogs.test_journeys import count, evening, waiting
from tests.dialogs.test_roles import buys, role
from tests.dialogs.test_shipped_journeys import awake, born, coupons, ends
from tests.fakes.shop import Person, Shop


def test_2_a_payment_told_three_times_after_its_refund_leaves_nothing_behind(shop: Shop) -> None:
    """No run, no points, no role, no reward, no commission: whatever order the news come in."""
    shop.journeys("restock", "care", "second_order")
    sharer, li = shop.person("张姐"), None
    buys(shop, sharer, "S0")
    li = shop.person("李姐", invited_by="张姐")
    shop.wait(minutes=1)
    before = traces(shop)
    at = shop.clock.now().isoformat()
    refund = {"id": "r1", "type": "order.refunded", "occurred_at": at, "data": {
        "order_id": "A1", "channel": "mall", "refund_id": "r1", "refunded_at": at,
        "lines": [{"line_id": "1", "refund_fen": 5_980, "quantity": 3}]}}
    shop.events([refund])
    for number in range(3):
        shop.paid("A1", by=li, fen=5_980, sku="MILK-12")
        if number == 1:
            shop.events([refund])
    shop.received("A1")
    shop.wait(minutes=1)
    assert traces(shop) == before
    with shop.runtime.sessions() as session:
        assert ledger.check(session).balanced
        assert points.of(session, id_of(shop, li), shop.clock.now()).active == 0


def traces(shop: Shop) -> tuple[int, ...]:
    """What a purchase leaves: runs of journeys, roles, rewards, points, and money that somebody still has of it."""
    with shop.runtime.sessions() as session:
        return tuple(session.execute(text("""
            select (select count(*) from enrolment), (select count(*) from role_grant where revoked_at is null),
                   (select count(*) from reward where state <> 'revoked'),
                   (select coalesce(sum(amount - reversed), 0)::int from point_lot),
                   (select coalesce(sum(amount_fen - clawed_fen), 0)::int from commission_line)""")).one())


def test_3_who_bought_gets_no_nudge_and_it_counts_against_no_cap(shop: Shop) -> None:
    """The purchase comes while the nudge waits for the morning: no slot is used, and another offer may still leave."""
    evening(shop, "restock")
    li = shop.person("李姐")
    shop.paid("A1", by=li, fen=5_980, sku="MILK-12")
    shop.wait(days=8, hours=10)
    li.says("帮助")
    shop.wait(hours=2, minutes=5)
    shop.paid("A2", by=li, fen=5_980, sku="MILK-12")
    shop.wait(hours=11)
    assert waiting(shop) == [("refused", "goal")]
    with shop.runtime.sessions() as session:
        assert session.execute(text("select count(*) from notice_slot")).scalar() == 0
    with shop.runtime.sessions.begin() as session:
        notices.tell(session, notices.Notice(id_of(shop, li), "marketing", "t1", "journey.restock.out",
                                             {"product": "茶"}), shop.clock.now())
    shop.work()
    assert count(li, "「茶」可能已经用完了") == 1


def test_8_whoever_travels_is_left_alone_in_the_night_of_where_they_are(shop: Shop) -> None:
    """Held until 08:30 in Shanghai; by then one is in London, where it is half past midnight, and waits for theirs."""
    evening(shop, "restock")
    li, wang = shop.person("李姐"), shop.person("小王")
    for person in (li, wang):
        shop.paid(f"A{person.name}", by=person, fen=5_980, sku="MILK-12")
    shop.wait(days=8, hours=10)
    for person in (li, wang):
        person.says("帮助")
    shop.wait(hours=2, minutes=5)
    assert waiting(shop) == [("waiting", "quiet_hours")] * 2
    with shop.runtime.sessions.begin() as session:
        session.execute(text("insert into notice_preference (person_id, zone, changed_at) values (:p, :zone, :now)"),
                        {"p": id_of(shop, li), "zone": "Europe/London", "now": shop.clock.now()})
    shop.wait(hours=11)
    assert (count(li, "快用完了"), count(wang, "快用完了")) == (0, 1)
    shop.wait(hours=8)
    local = shop.clock.now().astimezone(UTC)
    assert local.hour in (8, 9, 10) and count(li, "快用完了") == 1


def test_9_birthdays_of_every_kind_bring_one_present_a_year(shop: Shop) -> None:
    """Of 29 February in a year without one; of an unknown year; told in the midst of the month; told anew to get more.

    A lunar birthday is the day of this calendar that the shop system makes of it, told anew each year.
    """
    shop.journeys("birthday")
    leap, yearless, late, greedy = (shop.person(name) for name in ("闰姐", "无年", "迟到", "贪心"))
    shop.wait(days=73)                                          # 1 February 2027
    born(shop, leap, "1988-02-29")
    born(shop, yearless, "1900-02-10")
    born(shop, greedy, "1990-02-03")
    everybody = (leap, yearless, late, greedy)
    for person in everybody:
        person.says("帮助")
    awake(shop, *everybody, days=2)
    born(shop, late, "1979-02-03")                              # today
    for month in (3, 2):
        born(shop, greedy, f"1990-{month:02d}-04")
    awake(shop, *everybody, days=2)
    assert [count(person, "2 月是您的生日月") for person in everybody] == [1, 1, 1, 1]
    shop.wait(days=27)                                          # March: the greedy one has one more month of birth
    born(shop, greedy, "1990-03-20")
    greedy.says("帮助")
    awake(shop, greedy, days=2)
    assert count(greedy, "生日月") == 1 and coupons(shop, "birthday_month") == 4


def test_10_of_three_in_the_same_second_on_three_workers_the_most_important_leaves(shop: Shop) -> None:
    li = shop.person("李姐").says("帮助")
    person_id, now = id_of(shop, li), shop.clock.now()
    with shop.runtime.sessions.begin() as session:
        for rank, product in ((1, "米"), (9, "茶"), (5, "奶")):
            notices.tell(session, notices.Notice(person_id, "marketing", f"t{rank}", "journey.restock.soon",
                                                 {"product": product}, expires_at=now + timedelta(hours=6),
                                                 priority=rank), now)
    together = threading.Barrier(3)

    def worker() -> None:
        together.wait()
        shop.runtime.outbox.run("notice", limit=1)

    for _ in range(2):
        workers = [threading.Thread(target=worker) for _ in range(3)]
        for one in workers:
            one.start()
        for one in workers:
            one.join()
        shop.wait(minutes=20)
    shop.wait(hours=7)
    assert [said for said in li.heard if isinstance(said, str) and "快用完了" in said] == [
        said for said in li.heard if isinstance(said, str) and "「茶」" in said]
    assert count(li, "快用完了") == 1
    assert sorted(waiting(shop)) == [("done", ""), ("refused", "day_cap"), ("refused", "day_cap")]


def test_11_the_shops_own_pictures_use_the_rights_and_only_a_message_brings_new_ones(shop: Shop) -> None:
    """Five in 48 hours are used up by posters that she asked for; the sixth, a parcel's, waits, also over the hours,
    until she writes again; then it comes."""
    shop.journeys("care")
    li = shop.person("李姐")
    shop.wait(minutes=2)                                        # the follow's own minute is over
    li.says("海报 1")
    for number in range(4):
        asked(shop, li, number)
    assert sum(isinstance(said, bytes) for said in li.heard) == 5
    shop.paid("A1", by=li, fen=5_980)
    shop.event("order.shipped", {"order_id": "A1", "channel": "mall", "shipped_at": shop.clock.now().isoformat(),
                                 "carrier": "顺丰", "tracking_no": "SF1"})
    for _ in range(3):
        shop.wait(hours=10)
        assert count(li, "已经出发啦") == 0, "time brings no right back"
    assert state(shop, "journey.care.shipped") == ("waiting", "no_right", 0)
    li.says("在吗")
    assert count(li, "已经出发啦") == 1


def asked(shop: Shop, person: Person, number: int) -> None:
    """One more picture for the same message: what a poster job would send."""
    with shop.runtime.sessions() as session:
        payload = session.execute(text("select payload from outbox where kind = 'poster.make' order by id")).scalar()
    from domain.shared.outbox import Effect, put

    with shop.runtime.sessions.begin() as session:
        put(session, [Effect("slow", "poster.make", f"again:{number}", id_of(shop, person), payload,
                             expires_at=shop.clock.now() + timedelta(minutes=10))], shop.clock.now())
    shop.work()


def state(shop: Shop, key: str) -> tuple[str, str, int]:
    with shop.runtime.sessions() as session:
        row = session.execute(text("select state, reason, attempts from outbox where payload ->> 'key' = :key"),
                              {"key": key}).one()
    return row.state, row.reason, row.attempts


def test_12_news_for_a_follower_that_are_70_seconds_late_wait_for_the_next_contact(shop: Shop) -> None:
    """The minute of the follow is gone: nothing is tried, nothing loops, and it comes when they next say something."""
    li = shop.person("李姐")
    with shop.runtime.sessions.begin() as session:
        notices.tell(session, notices.Notice(id_of(shop, li), "service", "hello", "journey.care.greeting",
                                             {"title": "米"}), shop.clock.now())
    calls = len(shop.gateway.sent)
    shop.wait(seconds=70)
    for _ in range(5):
        shop.wait(minutes=1)
    assert len(shop.gateway.sent) == calls and count(li, "用了一周") == 0
    assert state(shop, "journey.care.greeting") == ("waiting", "no_right", 0)
    li.says("你好呀")
    assert count(li, "用了一周") == 1


def test_15_a_refund_of_the_purchase_that_made_gold_after_everything_was_withdrawn(shop: Shop) -> None:
    """A part goes back: gold stays, for something of each order was kept, and whoever earned from it owes the part.
    All goes back: the rest is owed too, gold is warned and not taken at once, and nobody is paid below nothing."""
    wang = shop.person("小王")
    buys(shop, wang, "W1", "W2", "W3", "W4")
    assert role(shop, wang)[0] == "gold"
    li = shop.person("李姐", invited_by="小王")
    buys(shop, li, "A1", "A2", "A3", "A4", fen=40_000)
    shop.wait(days=8)
    wallet = shop.get(f"/people/{id_of(shop, wang)}/wallet")
    assert wallet["available_fen"] == 45_600 and role(shop, li)[0] == "gold", "25 % of four orders, and red packets"
    wang.says("提现 456").says("同意").says("张三丰").says("确认")
    while bills := shop.pay.waiting():                          # 200 yuan each
        shop.pay.confirms(bills[0])
        shop.wait(minutes=1)
    assert shop.pay.paid_to(wang.openid) == 45_600
    shop.refunded("A4", fen=10_000, quantity=0)
    wallet = shop.get(f"/people/{id_of(shop, wang)}/wallet")
    assert (wallet["available_fen"], wallet["debt_fen"]) == (0, 2_500) and role(shop, li)[0] == "gold"
    shop.refunded("A4", fen=30_000, quantity=3)
    wallet = shop.get(f"/people/{id_of(shop, wang)}/wallet")
    assert (wallet["available_fen"], wallet["debt_fen"]) == (0, 10_000) and role(shop, li)[0] == "gold"
    wang.says("提现").sees("¥100.00 待抵扣")
    assert shop.pay.paid_to(wang.openid) == 45_600 and shop.get("/ledger/check")["balanced"]
    for days in (5, 29, 4):
        shop.wait(days=days)
    assert role(shop, li)[0] == "promoter", "warned, a month of grace, then assessed"


def test_18_a_segment_that_flaps_within_a_minute_moves_nobody(shop: Shop) -> None:
    """Out of the segment and in again, as a rebuild may see it: told twice, no exit and no second entry."""
    shop.journeys("recall")
    li = shop.person("李姐")
    for number in range(2):
        shop.paid(f"L{number}", by=li, fen=5_980)
    shop.wait(minutes=1)
    shop.wait(days=62)
    for _ in range(2):  # the news of two months take the replies that the first one opens
        li.says("帮助")
    awake(shop, li, days=2)
    assert (runs(shop), count(li, "天没见")) == (1, 1)
    with shop.runtime.sessions.begin() as session:
        session.execute(text("update person_insight set segment = 'loyal'"))
        insight.rebuild(session, shop.runtime.context.tool(Segmentation), 0, shop.clock.now())
    shop.wait(minutes=1)
    with shop.runtime.sessions() as session:
        told = session.execute(text("select payload ->> 'was' from outbox where kind = 'segment.changed' order by id"))
        assert [row[0] for row in told][-1] == "loyal"
    awake(shop, li, days=2)
    assert (runs(shop), ends(shop), count(li, "天没见")) == (1, [], 1)


def runs(shop: Shop) -> int:
    with shop.runtime.sessions() as session:
        return int(session.execute(text("select count(*) from enrolment")).scalar_one())


INSIDE = ("你们能不能别发了，太多了", "我上次说过退订了呀", "朋友让我回退订试试")


def test_an_opt_out_inside_a_sentence_is_asked_about_and_not_guessed(shop: Shop) -> None:
    """Nothing is taken from a sentence: it is asked back, the number of the question is a clear word and ends the
    journey at once; whoever says anything else is left as they were, and hears the next message."""
    shop.journeys("restock")
    everybody = [shop.person(name) for name in ("李姐", "小王", "老赵")]
    for number, (person, words) in enumerate(zip(everybody, INSIDE, strict=True)):
        shop.paid(f"A{number}", by=person, fen=5_980, sku="MILK-12")
        person.says(words).sees("您是不是想", "1. 退订")
        assert len(person.heard[person.acted_at:]) == 1, "one question, and nothing else is said or done"
    assert refused(shop) == []
    yes, no, _ = everybody
    yes.says("1").sees("已退订")
    no.says("帮助").sees("能为您做这些")
    assert refused(shop) == [("*", yes.openid)], "who was asked and did not say yes refused nothing"
    assert ends_of(shop) == {yes.openid: "opted_out"}, "at once, in mid-run"
    for days in (6, 1, 1, 1):
        shop.wait(days=days)
        for person in everybody:
            person.says("订单")
    assert [count(person, "快用完了") for person in everybody] == [0, 1, 1]


def refused(shop: Shop) -> list[tuple[str, str]]:
    with shop.runtime.sessions() as session:
        rows = session.execute(text("select c.purpose, i.value from consent c join identity i"
                                    " on i.person_id = c.person_id and i.kind = 'openid' where not c.given"))
        return [tuple(row) for row in rows]


def ends_of(shop: Shop) -> dict[str, str]:
    with shop.runtime.sessions() as session:
        rows = session.execute(text("select i.value, e.end_reason from enrolment e join identity i"
                                    " on i.person_id = e.person_id and i.kind = 'openid' where e.state = 'ended'"))
        return {row[0]: row[1] for row in rows}
