"""抽奖 and 兑换 in chat: told before anything is spent, once for a message, and told again by the operator's acts."""

import io
import re
from itertools import count

from PIL import Image
from sqlalchemy import text

from domain.audit.rules import Actor
from domain.draws import queries
from domain.draws.rules import Seeds, roll, won
from domain.fulfilment import service as fulfilment
from domain.memberships import service as memberships
from domain.memberships.rules import Cards
from domain.points import service as points
from domain.points.rules import Life
from domain.points.service import Earning
from domain.shared.clock import business_date
from domain.workflows import exchanging
from tests.dialogs.test_rules import person_id
from tests.fakes.shop import Person, Shop

LIN = Actor("lin", "owner")


def give(shop: Shop, who: Person, amount: int) -> None:
    now = shop.clock.now()
    with shop.runtime.sessions.begin() as session:
        points.earn(session, [Earning(person_id(who), amount, f"gift:{amount}", now)], Life(), now)
        points.activate(session, now, person_id=person_id(who))


def fated(shop: Shop, who: Person, *outcomes: int | None) -> None:
    """Let somebody take part under a code whose draws of today come out so: places of prizes, None for nothing."""
    now = shop.clock.now()
    with shop.runtime.sessions.begin() as session:
        campaign = queries.current(session, now)
        assert campaign
        seed = shop.runtime.context.tool(Seeds).of(campaign.key, business_date(now))
        code = next(str(i) for i in count() if all(
            won(campaign.prizes, roll(seed, campaign.key, str(i), n)) == end for n, end in enumerate(outcomes, 1)))
        session.execute(text("insert into draw_entrant (campaign_id, person_id, code) values (:c, :p, :code)"),
                        {"c": campaign.id, "p": person_id(who), "code": code})


def rolls(shop: Shop) -> list[int]:
    with shop.runtime.sessions() as session:
        return list(session.scalars(text("select roll from draw order by id")))


def test_a_draw_is_shown_before_it_is_made(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("抽奖").sees("丰收抽奖", "四季有机礼盒　0.2%　剩 10", "谢谢参与　50%", "每天最多 5 次", "免费 1",
                      "今日承诺", "回复「抽一次」（这次免费）", "/me/draw?t=")
    fated(shop, li, None, None, 5, None, 4)
    assert rolls(shop) == []
    li.says("抽一次", msg_id="77001").sees("这次没有中", "抽奖号", "结果数", "积分不够再抽一次了（现有 0）")
    li.says("抽一次", msg_id="77001")
    assert len(rolls(shop)) == 1
    li.says("抽").sees("积分不够：需要 10")
    give(shop, li, 40)
    li.says("抽奖").sees("现有 40 积分", "回复「抽一次」（用 10 积分）")
    li.says("不要").sees("没有抽，积分一分未动")
    assert len(rolls(shop)) == 1
    li.says("抽一次").sees("免费 0", "用 10 积分")  # outside the dialogue points are never spent unasked
    li.says("抽一次").sees("这次没有中", "今天还能抽 3 次")
    li.says("抽一次").sees("恭喜抽中「20积分」", "现有 40 积分")
    li.says("再抽一次").sees("这次没有中")
    li.says("抽").sees("恭喜抽中「满30减3券」", "回复「优惠券」")
    li.says("优惠券").sees("抽奖礼 满30减3")
    li.says("抽奖").sees("今天的次数用完啦")
    li.says("抽一次").sees("今天的用完啦")
    assert len(rolls(shop)) == 5


def test_goods_wait_for_the_shop_and_what_is_gone_costs_nothing(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    give(shop, wang, 20)
    fated(shop, li, 1)
    fated(shop, wang, None, 1)
    with shop.runtime.sessions.begin() as session:
        session.execute(text("update draw_prize set given = stock - 1 where n = 1"))
    li.says("抽一次").sees("恭喜抽中「四季有机礼盒」", "最近一笔订单的地址")
    wang.says("抽一次").says("抽").sees("抽到「四季有机礼盒」，可惜已经发完", "不扣积分", "现有 20")
    with shop.runtime.sessions() as session:
        assert [row.title for row in fulfilment.listed(session)] == ["四季有机礼盒"]


def test_the_promise_of_the_day_is_kept_the_day_after(shop: Shop) -> None:
    li = shop.person("李姐")
    said = str(li.says("抽奖").heard[-1])
    promised = re.search(r"今日承诺 ([0-9a-f]{16})", said)
    assert promised
    li.says("抽一次")
    shop.wait(days=1)
    with shop.runtime.sessions() as session:
        campaign = queries.current(session, shop.clock.now())
        assert campaign
        shown = next(one for one in queries.promises(session, campaign.id, shop.clock.now()) if one.draws)
    assert shown.seed and shown.commitment.startswith(promised[1])


def test_points_buy_what_was_confirmed_and_come_back_when_it_is_called_off(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("兑换").sees("现有 0 积分", "1. 5元无门槛券　50 积分", "3. 有机棉帆布袋　80 积分", "/me/mall?t=")
    li.says("兑换 3").sees("积分不够：需要 80，现有 0")
    give(shop, li, 140)
    li.says("兑换").says("3").sees("有机棉帆布袋", "140 → 60", "回复「确认」兑换")
    li.says("好吧").sees("没有兑换，积分一分未动")
    li.says("兑换 帆布袋").says("确认", msg_id="88001").sees("已兑换「有机棉帆布袋」，用了 80 积分，还有 60")
    li.says("确认", msg_id="88001")
    li.says("兑换 3").sees("每人最多 1 份")
    li.says("兑换 1").says("确认").sees("已兑换「5元无门槛券」", "还有 10")
    li.says("优惠券").sees("积分兑换 5元券", "（无门槛）").sees("（满 ¥50.00 可用）")
    li.says("兑换 2").says("确认").sees("回复「抽奖」马上用")
    li.says("抽奖").sees("抽奖券 1")
    li.says("积分").sees("-80 积分兑换", "-50 兑换优惠券", "我的积分 2")
    with shop.runtime.sessions.begin() as session:
        (waiting,) = fulfilment.listed(session)
        exchanging.call_off(session, waiting.id, "缺货", Life(), LIN, shop.clock.now())
    shop.work()
    li.saw("「有机棉帆布袋」这次没能寄出（缺货）。80 积分已原路退回")
    li.says("积分").sees("我的积分 82", "+80 退回")
    li.says("兑换 3").says("确认")
    with shop.runtime.sessions.begin() as session:
        fulfilment.send(session, fulfilment.listed(session)[0].id, "顺丰 SF1002003", LIN, shop.clock.now())
    shop.work()
    li.saw("「有机棉帆布袋」已经寄出：顺丰 SF1002003")


def test_nothing_is_lost_when_no_draw_is_open(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("抽奖")
    with shop.runtime.sessions.begin() as session:
        from domain.draws import service

        service.stop(session, "harvest", "over", LIN, shop.clock.now())
    li.says("抽一次").sees("现在没有进行中的抽奖")
    li.says("抽奖").sees("现在没有进行中的抽奖")


def page(shop: Shop, who: Person, word: str, name: str) -> str:
    said = str(who.says(word).heard[-1])
    link = re.search(rf"/me/{name}\?t=[\w-]+", said)
    assert link
    answer = shop.client.get(link[0])
    assert answer.status_code == 200
    return answer.text


def test_the_pages_say_what_chat_says_and_prove_it(shop: Shop) -> None:
    li = shop.person("李姐")
    fated(shop, li, 4, None)
    li.says("抽一次").sees("恭喜抽中")
    before = page(shop, li, "抽奖", "draw")
    for part in ("丰收抽奖", "四季有机礼盒", "0.2%", "价值 ¥268.00", "满30减3券", "次日公布", "我的抽奖",
                 "10000 &gt;&gt; 256"):
        assert part in before, part
    shop.wait(days=1)
    with shop.runtime.sessions() as session:
        seed = session.scalars(text("select seed from draw_seed where seed <> ''")).one()
    after = page(shop, li, "抽奖", "draw")
    assert seed in after and seed not in before
    (day,) = re.findall(r"/me/draw/(2026-11-20\?t=[\w-]+)", after)
    shown = shop.client.get(f"/me/draw/{day}")
    assert shown.status_code == 200 and "11月20日的全部抽奖" in shown.text and "满30减3券" in shown.text
    assert shop.client.get(f"/me/draw/{day.replace('-20', '-21')}").status_code == 404
    head, line = shop.client.get(f"/me/draw/{day}&as=csv").text.split("\r\n")
    assert head == "code,number,roll,prize,at" and line.split(",")[1] == "1" and line.split(",")[3] == "4"
    give(shop, li, 140)
    li.says("兑换 3").says("确认")
    shown = page(shop, li, "兑换", "mall")
    for part in ("60 积分", "有机棉帆布袋", "已兑满", "待寄出", "-80"):
        assert part in shown, part


def test_a_win_and_a_card_come_as_pictures(shop: Shop) -> None:
    li = shop.person("李姐")
    fated(shop, li, 4)
    li.says("抽一次")
    assert [Image.open(io.BytesIO(one)).size for one in li.heard if isinstance(one, bytes)] == [(900, 600)]
    li.says("抽奖")
    with shop.runtime.sessions.begin() as session:
        cards = shop.runtime.context.tool(Cards)
        memberships.grant(session, person_id(li), cards.card[0], 30, "test", LIN, shop.clock.now())
    li.says("会员").sees("年度会员", "还有 30 天")
    pictures = [Image.open(io.BytesIO(one)).size for one in li.heard if isinstance(one, bytes)]
    assert pictures == [(900, 600), (1080, 680)]


def test_a_kept_order_brings_a_free_draw(shop: Shop) -> None:
    shop.journeys("draw_ticket")
    li, wang = shop.person("李姐"), shop.person("小王")
    for order, who in (("A1", li), ("A2", wang)):
        shop.paid(order, by=who, fen=5_980)
        shop.received(order)
    shop.wait(days=3)
    shop.refunded("A2", fen=5_980, quantity=3)
    shop.wait(days=5)
    li.says("抽奖").sees("抽奖券 1")
    wang.says("抽奖").sees("抽奖券 0")


def test_the_people_of_the_demo_can_try_it_at_once(shop: Shop) -> None:
    with shop.runtime.sessions() as session:
        given = session.scalars(text("select remaining from point_lot where cause like 'gift:%'")).all()
    assert given == [120, 120, 120]
