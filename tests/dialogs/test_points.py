"""签到 and 积分 in chat."""

from tests.dialogs.test_grants import granted
from tests.fakes.shop import Shop


def test_a_week_of_check_ins(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("签到").sees("+1 积分", "已连续 1 天", "再连续 6 天")
    li.says("签到").sees("已经签到过")
    for _ in range(5):
        shop.wait(days=1)
        li.says("签到")
    shop.wait(days=1)
    li.says("签到").sees("+6 积分", "含连续奖励 5", "已连续 7 天", "现有 12 积分")
    li.says("积分").sees("我的积分 12", "+6 签到")


def test_a_missed_day_is_bridged_once_a_month(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("签到")
    shop.wait(days=2)
    li.says("签到").sees("已连续 2 天", "补签卡")
    shop.wait(days=2)
    li.says("签到").sees("已连续 1 天")


def test_points_that_run_out_are_told_of_before(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    li.says("签到")
    wang.says("签到")
    assert granted(shop, li, "points", 59) == "done"
    shop.wait(days=359)
    for one in (li, wang):
        one.says("帮助")
    shop.wait(days=1)
    li.saw("60 积分将在")
    assert not any("积分将在" in str(said) for said in wang.heard), "a single point is no reason to write"
    shop.wait(days=8)
    li.says("积分").sees("我的积分 0")
