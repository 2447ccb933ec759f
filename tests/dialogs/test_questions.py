"""What newcomers and sharers ask before they believe, join or wait: answered from the plan as it is, with no promise
that nobody made."""

import re

import pytest

from bot.kit.pay import PayGateways
from tests.dialogs.test_rules import publish
from tests.fakes.shop import Shop

BINDING = {"mode": "first_touch", "valid_days": 30, "protect_days": 15, "renew_on_purchase": True}
WITHDRAWAL = {"min_fen": 5_000, "second_person_above_fen": 90_000, "id_number_above_fen": 70_000, "confirm_hours": 12}


@pytest.mark.parametrize("said", [
    "提现多久到账", "提現幾天到賬", "佣金啥时候能提", "怎么提现", "多久到账", "提现到银行卡可以吗"])
def test_how_a_withdrawal_goes_is_said_as_it_is_configured(shop: Shop, said: str) -> None:
    publish(shop, withdrawal=WITHDRAWAL, release={"hold_days": 9})
    shop.person("李姐").says(said).sees(
        "确认收货 9 天后", "满 ¥50.00 可提", "超过 ¥700.00 还要身份证号", "超过 ¥900.00", "12 小时内点「确认收款」",
        "个税按当月全部提现合并计算", "没有固定时长", "「提现」")


def test_where_nothing_can_be_paid_out_no_way_is_told(shop: Shop) -> None:
    shop.runtime.dispatcher.tools[PayGateways] = PayGateways({})  # type: ignore[index]
    shop.person("李姐").says("提现多久到账").sees("暂未开通提现")


def test_who_waits_for_money_is_told_where_to_look(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    shop.paid("A1", by=xin, fen=200_000)
    shop.received("A1")
    shop.wait(days=8)
    for said in ("提现 150", "同意", "张三丰", "确认"):
        li.says(said)
    li.says("提现多久到账").sees("您有一笔 ¥150.00 正在办理", "「提现进度」")
    li.says("提现多久了").sees("提现 ¥150.00", "已申请")


def test_who_wants_to_join_hears_that_it_costs_nothing(shop: Shop) -> None:
    li = shop.person("李姐")
    for said in ("怎么加入", "要交钱吗", "怎么成为推广员"):
        li.says(said).sees("不收钱", "您现在（会员）就可以推荐", "「海报」", "完成首单后，会成为生活推荐官",
                           "不按拉来几个人")
    publish(shop, earners="promoters")
    li.says("怎么拉人").sees("完成首单（确认收货）就自动成为生活推荐官")
    shop.paid("L1", by=li, fen=9_900)
    shop.received("L1")
    li.says("怎么加入").sees("您现在（生活推荐官）就可以推荐")
    assert "会成为" not in str(li.heard[-1])


def test_whose_customer_somebody_is_follows_the_shops_own_rule(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("绑定多久").sees("30 天有效，有效期内扫别人的码也换不走", "再从头算 30 天")
    li.says("规则").sees("客户归属 30 天，下单续期")
    publish(shop, binding=BINDING | {"mode": "last_touch", "renew_on_purchase": False})
    li.says("客户会不会被抢走").sees("前 15 天受保护，之后再扫别人的码就归别人")
    li.says("规则").sees("客户归属 30 天。")
    publish(shop, binding=BINDING | {"mode": "last_touch", "protect_days": 0})
    li.says("绑定多久").sees("30 天有效。再扫别人的码就归别人。")
    publish(shop, binding=BINDING | {"mode": "permanent"})
    answer = str(li.says("能换推荐人吗").sees("一直归谁，不会过期").heard[-1])
    assert "30 天" not in answer
    li.says("规则").sees("客户归属长期有效。")
    page, = re.findall(r"/me/rules\?t=[\w-]+", str(li.heard[-1]))
    assert "客户归属长期有效；" in shop.client.get(page).text
    publish(shop, binding=BINDING | {"mode": "last_touch"})
    assert "客户归属 30 天，下单后重新计算；其间没有改扫别人的码" in shop.client.get(page).text


@pytest.mark.parametrize("said", ["退款了佣金还算吗", "客人退货了我的钱会扣吗", "朋友退款怎么办"])
def test_what_a_refund_takes_is_said_and_opens_no_ticket(shop: Shop, said: str) -> None:
    shop.person("李姐").says(said).sees("按退掉的比例扣回", "待抵扣", "「人工」")
