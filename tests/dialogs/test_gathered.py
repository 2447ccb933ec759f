"""Several earnings that wait together are told as one; each is in the statement all the same."""

from sqlalchemy import text

from domain.shared.outbox import Effect, put
from tests.dialogs.test_roles import buys
from tests.fakes.shop import Shop


def told(person, word: str) -> int:
    return sum(word in said for said in person.heard if isinstance(said, str))


def test_a_night_of_orders_is_one_message_in_the_morning(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    li.says("佣金")
    shop.wait(hours=13)  # 23:00
    for n in range(4):
        shop.paid(f"A{n}", by=xin, fen=10_000)
    assert told(li, "佣金到账") == 0
    shop.wait(hours=10, minutes=15)
    li.saw("4 笔佣金到账，共 ¥32.00")
    assert told(li, "佣金到账") == 1
    li.says("明细").sees("+¥8.00")


def test_two_are_told_one_by_one(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    li.says("佣金")
    shop.wait(hours=13)
    for n in range(2):
        shop.paid(f"A{n}", by=xin, fen=10_000)
    shop.wait(hours=10, minutes=15)
    assert told(li, "佣金到账 ¥8.00") == 2


def test_points_are_no_money_in_the_statement(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("签到")
    li.says("明细").sees("还没有收益明细")


def test_rewards_that_waited_together_are_one_list(shop: Shop) -> None:
    """Nobody could write to her for days: at her next word she hears of all of them at once, each named."""
    li = shop.person("李姐")
    for n in range(6):
        buys(shop, li, f"A{n}")
    shop.wait(days=3)
    for n in range(3):
        buys(shop, li, f"B{n}")
    before = len(li.heard)
    li.says("在吗")
    lists = [said for said in li.heard[before:] if isinstance(said, str) and "复购奖励已解锁" in said]
    assert len(lists) == 1 and lists[0].count("金阶复购红包") == 4, lists  # from the sixth order on
    with shop.runtime.sessions() as session:
        gathered = session.execute(text("select count(*) from outbox where payload ->> 'key' = 'programme.unlocked'"
                                        " and state = 'refused' and reason = 'gathered'")).scalar()
    assert gathered >= 2


def test_earnings_put_before_an_upgrade_are_told_as_ever(shop: Shop) -> None:
    """What waited while the shop was upgraded tells each line of the order."""
    li, xin = shop.person("李姐"), shop.person("新客")
    li.says("佣金")
    line = {"title": "大米", "base_fen": 9_900, "rate_bps": 800, "rule": "default", "amount_fen": 792, "capped": False,
            "rule_bps": 800, "phase": "", "phase_bps": 10_000, "boost_bps": 10_000}
    with shop.runtime.sessions.begin() as session:
        earner, buyer = (session.execute(text("select person_id from identity where value = :openid"),
                                         {"openid": one.openid}).scalar_one() for one in (li, xin))
        put(session, [Effect("fact", "commission.accrued", f"commission.accrued:77:{earner}", earner, {
            "order_id": 77, "channel": "mall", "order_no": "A77", "buyer_id": buyer, "title": "大米", "lines": 2,
            "paid_fen": 19_800, "beneficiary_id": earner, "level": 1, "amount_fen": 1_584, "rate_bps": 800,
            "rule": "default", "plan_version": 1, "parts": [line, line], "paid_at": shop.clock.now().isoformat(),
            "held": False})], shop.clock.now())
    shop.wait(seconds=30)
    assert told(li, "佣金到账 ¥15.84") == told(li, "¥198.00") == 1
