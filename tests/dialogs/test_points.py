"""签到 and 积分 in chat."""

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
    li = shop.person("李姐")
    li.says("签到")
    shop.wait(days=359)
    li.says("帮助")
    shop.wait(days=1)
    li.saw("1 积分将在")
    shop.wait(days=8)
    li.says("积分").sees("我的积分 0")
