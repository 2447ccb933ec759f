"""规则 as people ask it: their own rates, where they stand this month, and what selling more would bring."""

import re
from datetime import timedelta

import pytest

from domain.commissions import service as commissions
from domain.commissions.document import Phase
from domain.shared.amounts import find_fen
from domain.shared.clock import business_date
from tests.fakes.shop import Person, Shop


def publish(shop: Shop, **change: object) -> None:
    """The live plan with something else in it, live at once."""
    with shop.runtime.sessions.begin() as session:
        document = commissions.live_plan(session, shop.clock.now()).document() | change
        commissions.ensure_plan(session, document, shop.clock.now())


def test_the_rules_of_a_member_and_of_a_seller(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("规则").sees("会员", "日用食品 8%", "数码家电 3%", "其他商品 5%", "2 级客户·其他商品 2%", "7 天后可提现",
                       "满 ¥100.00 可提", "本月直推 ¥0.00", "再卖 ¥50000.00 到 8% 档", "/me/rules?t=")
    shop.person("小王", invited_by="李姐")
    shop.paid("A1", by=shop.person("小王"), fen=1_200_000)
    li.says("规则").sees("本月直推 ¥12000.00", "5% 档，约 ¥600.00", "再卖 ¥38000.00")
    shop.refunded("A1", fen=200_000)
    li.says("佣金规则").sees("本月直推 ¥10000.00")
    shop.wait(days=15)
    li.says("规则").sees("本月直推 ¥0.00")


def test_a_phase_and_a_boost_are_named_and_counted(shop: Shop) -> None:
    li = shop.person("李姐")
    today = business_date(shop.clock.now())
    phase = {"name": "启动期", "starts_on": today.isoformat(), "ends_before": (today + timedelta(days=14)).isoformat(),
             "factor_bps": 15_000}
    publish(shop, phases=[phase])
    with shop.runtime.sessions.begin() as session:
        now = shop.clock.now()
        commissions.grant_boost(session, person_id(li), 20_000, now, now + timedelta(days=90), "seed", now)
    li.says("规则").sees("启动期：佣金 ×1.5，12月4日前有效", "个人加成 ×1.2", "日用食品 14.4%（原 8%）")
    assert Phase(**phase).name == "启动期"  # type: ignore[arg-type]
    shop.person("小王", invited_by="李姐")
    shop.paid("A1", by=shop.person("小王"), fen=10_000)
    li.says("佣金").sees("待结算 ¥14.40")


def test_the_page_promises_a_member_no_milestones_before_they_are_a_promoter(shop: Shop) -> None:
    """Milestones are of those who had the role when they sold; the page says so until they have it."""
    li = shop.person("李姐")

    def page() -> str:
        li.says("规则")
        return str(shop.client.get(re.findall(r"/me/rules\?t=[\w-]+", str(li.heard[-1]))[0]).text)

    assert "卖货奖励" in page()
    assert "成为生活推荐官（完成首单即自动开通）之后的成交才有" in page()
    shop.paid("L1", by=li, fen=20_000)
    shop.received("L1")
    shop.wait(days=9)
    li.says("规则").sees("生活推荐官")
    assert "卖货奖励" in page() and "之后的成交才有" not in page()


@pytest.mark.parametrize("said", [
    "规则 再卖5000", "如果再卖 5000 元", "再卖5千能拿多少佣金", "要是我再卖五千块能赚多少"])
def test_what_selling_more_would_bring(shop: Shop, said: str) -> None:
    li = shop.person("李姐")
    li.says(said).sees("再卖 ¥5000.00", "日用食品：佣金 ¥400.00（8%）", "其他商品：佣金 ¥250.00（5%）",
                       "再多约 ¥250.00", "¥0.00 → ¥5000.00")


def test_the_estimate_is_what_the_month_would_pay(shop: Shop) -> None:
    """Crossing a step: 49 000 sold, 3 000 more, 1 000 of them at 5 % and 2 000 at 8 %."""
    li = shop.person("李姐")
    shop.person("小王", invited_by="李姐")
    shop.paid("A1", by=shop.person("小王"), fen=4_900_000)
    li.says("再卖 3000").sees("再多约 ¥210.00", "会升到 8% 档")


def test_a_question_without_an_amount_is_asked_back(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("再卖").sees("请回复金额")
    li.says("一万二").sees("再卖 ¥12000.00")
    li.says("再卖").sees("请回复金额")
    li.says("佣金").sees("我的佣金")


def test_a_plan_for_promoters_tells_members_how_to_start(shop: Shop) -> None:
    li = shop.person("李姐")
    publish(shop, earners="promoters")
    li.says("规则").sees("成为生活推荐官后开始计佣")
    li.says("再卖 5000").sees("成为生活推荐官后开始计佣")


def person_id(who: Person) -> int:
    found = who.shop.get(f"/people?openid={who.openid}&app_id={who.identity['app_id']}")["id"]
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize(("text", "fen"), [
    ("5000", 500_000), ("¥1,280.50", 128_050), ("3.5万", 3_500_000), ("一万二", 1_200_000), ("两千块", 200_000),
    ("两千五", 250_000), ("再卖3万块", 3_000_000), ("一百零五元", 10_500), ("一万零五百", 1_050_000), ("5k", 500_000),
    ("５０００", 500_000), ("卖3个500元的", 50_000), ("A1001", None), ("3单", None), ("50%", None), ("一", None),
    ("0.005", None), ("", None), ("10000000000000", None), ("0", None), ("一二三元", None), ("再卖 1e9", None),
    ("提200块5毛吧", 20_050), ("7块9毛2那单", 792), ("再卖三百块五毛", 30_050), ("5块3斤", 500),
    ("100块5毛3个", 10_050),
])
def test_amounts_in_sentences(text: str, fen: int | None) -> None:
    assert find_fen(text) == fen
