"""Several earnings that wait together are told as one; each is in the statement all the same."""

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
