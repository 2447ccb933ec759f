"""What each stage of a customer brings by itself: tastes, segments, points that run out, friends who stayed."""

import io

import pytest
import zxingcpp
from PIL import Image
from sqlalchemy import text

from domain.people import queries as people
from domain.people.rules import IdentityRef
from domain.points import service as points
from domain.points.rules import PointRules
from domain.points.service import Earning
from domain.shared.errors import DomainError
from domain.workflows.quiz import Quiz, load
from tests.dialogs.test_journeys import count
from tests.dialogs.test_shipped_journeys import awake, coupons
from tests.fakes.shop import Person, Shop


def tags(shop: Shop, who: Person, what: str = "tags") -> list[str]:
    found = shop.get(f"/people?openid={who.openid}&app_id={who.identity['app_id']}")
    return list(found[what])


def test_P17_tastes_are_told_by_those_who_bought_the_same(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("猜你喜欢").sees("过几天再来看看")
    for number, who in enumerate(("甲", "乙", "丙")):
        person = shop.person(who)
        shop.paid(f"R{number}", by=person, fen=5_980)
        shop.paid(f"M{number}", by=person, fen=6_980, sku="MILK-12")
    shop.paid("T1", by=shop.person("丁"), fen=12_800, sku="TEA-250")
    shop.paid("V1", by=shop.person("丁"), fen=19_900, sku="VIP-YEAR")
    li.says("有什么好推荐的").sees("最近有人在买")
    assert "会员卡" not in li.heard[-1], "a card is no taste"
    shop.paid("L1", by=li, fen=5_980)
    li.says("猜你喜欢").sees("买过「五常有机大米 5kg」的人也常买")
    assert "高原牧场纯牛奶" in li.heard[-1].split("也常买")[0], "milk before tea"
    shop.wait(days=31)
    shop.paid("L2", by=li, fen=5_980)
    shop.wait(days=61)
    li.says("猜你喜欢").sees("您常买的，差不多该补了")


def test_P17_each_is_a_link_to_where_it_is_bought_as_long_as_they_fit(shop: Shop) -> None:
    li = shop.person("李姐")
    goods = ("RICE-5KG", "MILK-12", "TEA-250", "SOAP-3", "GIFT-1")
    for number, sku in enumerate(goods):
        shop.paid(f"T{number}", by=shop.person("丁"), fen=9_900, sku=sku)
    mall = f"{shop.runtime.settings.public_url}/sim/goods"
    li.says("猜你喜欢").sees(f'<a href="{mall}/TEA-250">', "点名字直接购买")
    shop.event("product.upserted", {"sku": "SOAP-3", "title": "山茶手工皂", "category": "beauty", "price_fen": 4_900})
    li.says("猜你喜欢").sees("山茶手工皂　", f'<a href="{mall}/TEA-250">')
    for sku in goods:
        shop.event("product.upserted", {"sku": sku, "title": f"好物 {sku}", "category": "fmcg", "price_fen": 4_900,
                                        "url": "https://mall.example/" + "x" * 470})
    li.says("猜你喜欢").sees("好物 TEA-250", "好物 GIFT-1")
    assert "href" not in str(li.heard[-1]) and "点名字" not in str(li.heard[-1])


def test_P17_a_taste_is_mentioned_once_a_month_and_a_purchase_ends_it(shop: Shop) -> None:
    shop.journeys("you_may_like")
    li, wang = shop.person("李姐"), shop.person("小王")
    for number, who in enumerate(("甲", "乙", "丙")):
        shop.paid(f"R{number}", by=shop.person(who), fen=5_980)
        shop.paid(f"M{number}", by=shop.person(who), fen=6_980, sku="MILK-12")
    for number, person in enumerate((li, wang)):
        shop.paid(f"A{number}", by=person, fen=5_980)
        shop.received(f"A{number}")
    awake(shop, li, wang, days=4)
    shop.paid("B1", by=wang, fen=6_980, sku="MILK-12")
    awake(shop, li, wang, days=6)
    li.saw("买过「五常有机大米 5kg」的人，不少也带了")
    assert (count(li, "不少也带了"), count(wang, "不少也带了")) == (1, 0)


def test_P15_segments_are_treated_in_their_own_way(shop: Shop) -> None:
    shop.journeys("vip", "potential")
    li, wang = shop.person("李姐"), shop.person("小王")
    for number in range(2):
        shop.paid(f"W{number}", by=wang, fen=5_980)
    for number in range(8):
        shop.paid(f"L{number}", by=li, fen=29_800)
        shop.wait(hours=1)
    li.says("帮助")
    awake(shop, li, days=2)
    li.saw("您已经是我们的高价值客户")
    assert "专属服务" in tags(shop, li) and count(wang, "高价值客户") == 0
    shop.wait(days=21)
    awake(shop, li, wang, days=4)
    wang.saw("天没下单啦").says("优惠券").sees("常客券 满40减6")
    assert (coupons(shop, "wake"), count(li, "天没下单啦")) == (1, 0)
    shop.wait(days=40)
    assert "专属服务" not in tags(shop, li), "who is no high-value customer any more wears no tag of it"


def test_P19_points_that_run_out_are_told_of_once_a_week_and_never_by_the_point(shop: Shop) -> None:
    shop.journeys("points_expiring")
    li, wang = shop.person("李姐"), shop.person("小王")
    wang.says("签到")
    for day in range(14):
        with shop.runtime.sessions.begin() as session:
            who = people.find(session, IdentityRef("openid", li.openid, li.identity["app_id"]), pepper=b"")
            assert who is not None
            earning = Earning(who, 30, f"gift:{day}", shop.clock.now())
            points.earn(session, [earning], shop.runtime.context.tool(PointRules).life, shop.clock.now())
        shop.wait(days=1)
    shop.wait(days=337)
    for _ in range(16):
        li.says("帮助")
        wang.says("帮助")
        awake(shop, li, wang, days=1)
    assert 2 <= count(li, "积分将在") <= 4, "one a week, not one a day"
    assert count(wang, "积分将在") == 0, "a single point is no reason to write"
    assert count(li, "记得用掉") == 0, "the journey says it: nothing is said twice"


def test_P19_friends_who_stayed_bring_points_and_heads_bring_none(shop: Shop) -> None:
    shop.journeys("friends_points", "friends_three")
    li = shop.person("李姐")
    shop.paid("L1", by=li, fen=5_980)
    shop.received("L1")
    for number in range(4):
        friend = shop.person(f"友{number}", invited_by="李姐")
        if number:
            shop.paid(f"A{number}", by=friend, fen=5_980)
            shop.received(f"A{number}")
    li.says("帮助")
    awake(shop, li, days=9)
    li.says("积分").sees("我的积分 30", "+10 活动赠送")
    assert (count(li, "位朋友买到了"), count(li, "安心妈妈团")) == (2, 1), "the third has words of its own"
    assert "安心妈妈团" in tags(shop, li) and tags(shop, li, "benefits") == ["priority_shipping"], "the mall reads it"


def test_P16_the_tutorial_suits_the_product(shop: Shop) -> None:
    shop.journeys("care")
    li = shop.person("李姐")
    shop.paid("A1", by=li, fen=29_900, sku="PLUG-4", category="digital")
    shop.event("order.shipped", {"order_id": "A1", "channel": "mall", "shipped_at": shop.clock.now().isoformat()})
    shop.received("A1")
    awake(shop, li, days=1)
    li.saw("第一次用前先充满电")


@pytest.mark.usefixtures("drawn")
def test_P7_who_came_back_shows_it_around_with_their_own_link(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("晒单").sees("再买一单")
    for number in range(4):
        shop.paid(f"A{number}", by=li, fen=5_980)
        shop.received(f"A{number}")
    shop.wait(days=8)
    li.says("晒单").sees("正在为您生成晒单图", "家里这阵子在吃有机大米 5kg")
    picture = li.heard[-1]
    assert isinstance(picture, bytes)
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))
    assert "/r/" in found[0].text and "p=RICE-5KG" in found[0].text
    with shop.runtime.sessions() as session:
        facts = session.scalar(text("select payload from outbox where kind = 'share.picture'"))
    assert facts["deed"] == "我已完成第 3 单复购" and facts["reward"] == "获得 ¥6.00 红包", "what is final, and no more"


def test_C10_one_question_a_day_and_a_right_answer_brings_points(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    question = shop.runtime.context.tool(Quiz).of(shop.clock.now())
    assert question is not None
    li.says("问答").sees("今日问答", question.ask, "答对得 2 积分")
    li.says("哦").sees("请回复选项前的数字")
    li.says("问答")
    li.says(str(question.right)).sees("答对了", question.because)
    li.says("问答").sees("今天已经答过")
    li.says("积分").sees("我的积分 2", "+2 问答")
    wrong = next(n for n in range(1, len(question.choices) + 1) if n != question.right)
    wang.says("今日问答")
    wang.says(str(wrong)).sees("差一点", question.choices[question.right - 1])
    wang.says("问答").sees("今天已经答过")
    wang.says("积分").sees("我的积分 0")
    shop.wait(days=1)
    wang.says("问答").sees("今日问答")
    assert question.ask not in wang.heard[-1], "another one"


def test_C10_a_quiz_with_faults_is_refused_with_all_of_them() -> None:
    with pytest.raises(DomainError) as refused:
        load('points = 900\n[[question]]\nask = "?"\nchoices = ["a"]\nright = 2\nbecause = "b"')
    assert len(refused.value.facts["faults"]) == 3
