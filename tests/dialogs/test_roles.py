"""Roles as people live them: earned by coming back and by selling, said, kept, lost, and explained."""

import io
from urllib.parse import urlsplit

import pytest
import zxingcpp
from PIL import Image
from sqlalchemy import text

from tests.fakes.shop import Person, Shop

RICE = 9_900


def buys(shop: Shop, who: Person, *orders: str, fen: int = RICE, received: bool = True) -> None:
    """Orders a minute apart, received at once; and then whatever is due is done."""
    for order in orders:
        shop.clock.advance(60)
        shop.paid(order, by=who, fen=fen)
        if received:
            shop.received(order)
    shop.work()


def role(shop: Shop, who: Person) -> tuple[str, str]:
    found = shop.get(f"/people?openid={who.openid}&app_id={who.identity['app_id']}")
    return found["role"], found["title"]


def sells(shop: Shop, seller: Person, month: str, fen: int) -> None:
    """One order of that much by somebody whom the seller has just brought, received."""
    guest = shop.person(f"{month}月的{seller.name}的客人", invited_by=seller.name)
    shop.paid(f"{month}-{seller.name}", by=guest, fen=fen, category="other")
    shop.received(f"{month}-{seller.name}")


def test_L8_the_third_repurchase_makes_gold_provisional_then_final(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2", "A3")
    li.says("等级").sees("生活推荐官", "已复购 2 次", "再复购 1 单")
    buys(shop, li, "A4")
    li.says("在吗").saw("恭喜升级为金牌推荐官", "试用")
    assert role(shop, li) == ("gold", "金牌推荐官")
    li.says("等级").sees("金牌推荐官（试用）", "复购满 3 次", "预计 11月27日", "此前退货会取消")
    shop.wait(days=7, hours=2)
    li.says("在吗").saw("金牌推荐官已转为正式")
    li.says("怎么保级").sees("保住金牌推荐官", "不用做什么")


def test_F9_a_refund_takes_provisional_gold_back_and_the_next_order_gives_it_again(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2", "A3", "A4")
    shop.wait(hours=1)
    li.says("帮助")
    shop.refunded("A4", fen=3_300)
    assert role(shop, li)[0] == "gold", "a part of it came back: the order is still one"
    shop.wait(hours=1)
    li.says("帮助")
    shop.refunded("A4", fen=6_600, quantity=2)
    li.saw("有复购订单退货", "试用中的金牌推荐官已取消", "生活推荐官")
    assert role(shop, li) == ("promoter", "生活推荐官")
    buys(shop, li, "A5")
    assert role(shop, li)[0] == "gold"
    li.says("在吗")
    assert sum("恭喜升级为金牌推荐官" in said for said in li.heard if isinstance(said, str)) == 2


def test_confirmed_gold_stays_until_it_was_warned_and_assessed(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2", "A3", "A4")
    shop.wait(days=7, hours=2)
    shop.refunded("A4", fen=RICE, quantity=3)
    assert role(shop, li)[0] == "gold"
    li.says("等级").sees("有效复购还差 1 单", "月底评定前")
    shop.wait(days=5)
    li.says("在吗").saw("保级提醒：金牌推荐官", "还差 1 单", "12月31日前")
    li.says("怎么保级").sees("有效复购还差 1 单", "12月31日前", "调整为生活推荐官")
    shop.wait(days=29)
    assert role(shop, li)[0] == "gold"
    shop.wait(days=2)
    li.says("在吗").saw("由金牌推荐官调整为生活推荐官")
    assert role(shop, li)[0] == "promoter"


def test_F7_confirmed_gold_that_rests_on_nothing_ends_with_the_last_return(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2", "A3", "A4")
    shop.wait(days=7, hours=2)
    li.says("证书")
    page = urlsplit(scanned([one for one in li.heard if isinstance(one, bytes)][-1])).path
    assert "已失效" not in shop.client.get(page).text
    for order in ("A4", "A3"):
        shop.refunded(order, fen=RICE, quantity=3)
    assert role(shop, li)[0] == "gold", "one repurchase is left: the assessment judges"
    shop.refunded("A2", fen=RICE, quantity=3)
    li.says("你好").saw("复购订单已全部退货，金牌推荐官随之取消", "您现在是生活推荐官")
    assert role(shop, li) == ("promoter", "生活推荐官")
    assert "已失效" in shop.client.get(page).text
    li.says("等级").sees("生活推荐官", "已复购 0 次", "再复购 3 单")


def test_a_warned_gold_promoter_who_buys_again_stays(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2", "A3", "A4")
    shop.wait(days=7, hours=2)
    shop.refunded("A4", fen=RICE, quantity=3)
    shop.wait(days=5)
    buys(shop, li, "A5")
    shop.wait(days=32)
    li.says("在吗").saw("保级成功")
    assert role(shop, li)[0] == "gold"


def test_gold_earns_its_rate_from_the_moment_of_the_payment(shop: Shop) -> None:
    li = shop.person("李姐")
    xin = shop.person("新客", invited_by="李姐")
    buys(shop, li, "A1", "A2", "A3")
    shop.paid("B1", by=xin, fen=10_000)
    buys(shop, li, "A4")
    shop.wait(minutes=1)
    shop.paid("B2", by=xin, fen=10_000)
    rates = [shop.get(f"/orders/mall/{one}/commission")["lines"][0]["rate_bps"] for one in ("B1", "B2")]
    assert rates == [800, 2_500]
    shop.refunded("A4", fen=RICE, quantity=3)
    assert shop.get("/orders/mall/B2/commission")["lines"][0]["rate_bps"] == 2_500, "a struck deal stays"


def test_M1_three_months_on_target_make_a_partner_three_below_end_it(shop: Shop) -> None:
    wang = shop.person("小王")
    buys(shop, wang, "W1")
    shop.wait(days=11)                                   # 1 December
    for month, days in (("12", 31), ("01", 31), ("02", 28)):
        sells(shop, wang, month, 500_000)
        wang.says("等级").sees("合伙人", "本月 ¥5000.00，已达标")
        assert role(shop, wang)[0] == "promoter"
        shop.wait(days=days)
    wang.says("在吗").saw("恭喜成为合伙人")
    assert role(shop, wang) == ("partner", "推荐之星"), "an honour is shown before the role's title"
    wang.says("等级").sees("2027年2月评定达标", "保住合伙人", "还差 ¥5000.00", "连续 3 个月未达")
    shop.wait(days=31 + 30)                               # March is the month of promotion, April below
    assert role(shop, wang)[0] == "partner"
    shop.wait(days=31)                                    # May below: warned
    wang.says("在吗").saw("保级提醒：合伙人", "6月30日前", "¥5000.00", "调整为生活推荐官")
    wang.says("怎么保级").sees("已连续 2 个月未达标", "6月30日前达标")
    shop.wait(days=29)
    assert role(shop, wang)[0] == "partner"
    shop.wait(days=2)
    wang.says("在吗").saw("由合伙人调整为生活推荐官")
    assert role(shop, wang)[0] == "promoter"
    assert shop.get("/ledger/check")["balanced"]


def test_a_member_is_told_how_to_begin(shop: Shop) -> None:
    shop.person("新客").says("等级").sees("会员", "完成第一笔订单")
    shop.person("旧客").says("怎么当合伙人").sees("我的等级")


def test_M9_who_buys_often_and_well_is_invited_once_and_earns_more_after_a_yes(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2", "A3", fen=40_000, received=False)
    shop.wait(days=1)
    li.says("在吗").saw("诚邀您成为生活推荐官", "下了 3 单", "上浮 20%", "接受邀请")
    shop.wait(days=2)                                     # the dialogue of half an hour is long over
    assert role(shop, li)[0] == "member"
    li.says("等级").sees("您有一份生活推荐官邀请", "12月5日前")
    li.says("是").sees("没有要您确认的事")
    li.says("接受邀请").sees("欢迎加入", "2月23日前", "上浮 20%")
    assert role(shop, li) == ("promoter", "生活推荐官")
    li.says("接受邀请").sees("没有待答复的邀请")
    xin = shop.person("新客", invited_by="李姐")
    shop.paid("B1", by=xin, fen=10_000)
    assert shop.get("/orders/mall/B1/commission")["lines"][0]["rate_bps"] == 960
    shop.wait(days=40)
    buys(shop, li, "A4", "A5", "A6", fen=40_000, received=False)
    shop.wait(days=1)
    assert sum("诚邀您" in said for said in li.heard if isinstance(said, str)) == 1


def test_M9_whoever_stands_higher_is_offered_the_boost_and_no_lower_role(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2", "A3", "A4", fen=40_000)
    assert role(shop, li)[0] == "gold"
    shop.wait(days=1)
    for _ in range(3):  # so much was earned at once that some of it waits for a word
        li.says("在吗")
    li.saw("诚邀您加入种子推荐计划", "金牌推荐官身份不变", "上浮 20%")
    assert not any("诚邀您成为" in said for said in li.heard if isinstance(said, str))
    li.says("等级").sees("您有一份种子推荐计划邀请")
    li.says("接受邀请").sees("您已是金牌推荐官", "上浮 20%")
    shop.wait(minutes=5)
    assert role(shop, li)[0] == "gold"


def test_a_bare_yes_counts_for_a_day_and_a_no_is_remembered(shop: Shop) -> None:
    li, wang, zhao = shop.person("李姐"), shop.person("小王"), shop.person("小赵")
    for who in (li, wang, zhao):
        buys(shop, who, *(f"{who.name}{n}" for n in range(3)), fen=40_000, received=False)
    zhao.says("退订")
    shop.wait(days=1)
    li.says("在吗").saw("诚邀您")
    li.says("好的").sees("欢迎加入")
    wang.says("不用了").sees("已记下，不会再邀请您")
    assert (role(shop, li)[0], role(shop, wang)[0]) == ("promoter", "member")
    shop.wait(days=3)
    wang.says("接受邀请").sees("欢迎加入")
    assert not any("诚邀您" in said for said in zhao.heard if isinstance(said, str)), "who wants nothing is not asked"
    shop.wait(days=20)
    zhao.says("接受邀请").sees("没有待答复的邀请")


def test_M9_ordinary_buyers_are_not_invited_and_late_answers_are_told_so(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    buys(shop, li, "A1", "A2", "A3", fen=30_000, received=False)
    buys(shop, wang, "W1", "W2", "W3", fen=30_001, received=False)
    shop.wait(days=1)
    li.says("接受邀请").sees("没有待答复的邀请")
    wang.says("在吗").saw("诚邀您")
    shop.wait(days=15)
    wang.says("接受邀请").sees("已经过期")
    assert role(shop, wang)[0] == "member"


def test_L10_the_star_of_the_month_wears_the_title(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    buys(shop, li, "A1")
    buys(shop, wang, "W1")
    sells(shop, li, "11", 200_000)
    sells(shop, wang, "11", 150_000)
    shop.wait(days=11)
    li.says("等级").sees("称号：推荐之星", "荣誉：推荐之星 2026年11月")
    li.says("在吗").saw("2026年11月的「推荐之星」就是您")
    assert (role(shop, li), role(shop, wang)) == (("promoter", "推荐之星"), ("promoter", "生活推荐官"))
    li.says("团队").sees("推荐之星·我的团队")
    wang.says("排行").sees("🌟 2026年11月「推荐之星」：李*")
    shop.wait(days=35)
    assert role(shop, li) == ("promoter", "生活推荐官")
    li.says("等级").sees("荣誉：推荐之星 2026年11月")


def test_M11_ten_customers_who_keep_what_they_bought_make_a_golden_title(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1")
    guests = [shop.person(f"客{n}", invited_by="李姐") for n in range(10)]
    for n, guest in enumerate(guests):
        shop.paid(f"G{n}", by=guest, fen=1_000)
        shop.received(f"G{n}")
    shop.refunded("G9", fen=1_000, quantity=3)
    shop.wait(days=11)
    assert role(shop, li)[1] == "生活推荐官", "nine keep what they bought"
    shop.paid("G10", by=guests[9], fen=1_000)
    shop.received("G10")
    shop.wait(days=31)
    assert role(shop, li)[1] == "黄金推广官"


def scanned(picture: str | bytes) -> str:
    """What the QR of a picture says."""
    assert isinstance(picture, bytes)
    return zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))[0].text


@pytest.mark.usefixtures("drawn")
def test_L6_the_certificate_comes_after_the_first_order_and_anybody_can_check_it(shop: Shop) -> None:
    li = shop.person("李姐🌸")
    li.says("证书").sees("完成第一笔订单")
    buys(shop, li, "A1")
    li.says("证书").sees("正在为您制作「生活推荐官」")
    pictures = [said for said in li.heard if isinstance(said, bytes)]
    urls = [read for read in map(scanned, pictures) if "/c/" in read]
    assert len(urls) == 2 and len(set(urls)) == 1, "one by itself, one because she asked"
    url = urls[0]
    assert url.startswith(f"{shop.runtime.shop.public_url}/c/")
    path = url.removeprefix(shop.runtime.shop.public_url)
    page = shop.client.get(path)
    assert page.status_code == 200 and page.headers["Cache-Control"] == "no-store"
    assert all(part in page.text for part in ("证书有效", "生活推荐官", "2026年11月20日", "李**"))
    assert "李姐" not in page.text and li.openid not in page.text
    shop.refunded("A1", fen=RICE, quantity=3)
    page = shop.client.get(path)
    assert "证书已失效" in page.text and "失效日期" in page.text
    buys(shop, li, "A2")
    assert "证书已失效" in shop.client.get(path).text, "a new role has a new certificate"
    li.says("证书")
    assert scanned(li.heard[-1]) != url


@pytest.mark.usefixtures("drawn")
def test_a_provisional_role_has_no_certificate_yet(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2", "A3", "A4")
    shop.refunded("A1", fen=1)
    with shop.runtime.sessions.begin() as session:
        session.execute(text("update role_grant set revoked_at = granted_at, revoke_reason = 'test'"
                             " where role = 'promoter'"))
    li.says("证书").sees("金牌推荐官还在试用期")
    shop.wait(days=8)
    li.says("在吗")  # the news of eight days take the replies that this opens; the picture is asked for
    li.says("证书")
    assert "/c/" in scanned([one for one in li.heard if isinstance(one, bytes)][-1])


def test_the_check_page_gives_nothing_away(shop: Shop) -> None:
    for code in ("x", "k7Qm2xAbCdEfGhJkMnPq", "a" * 5_000, "%00", "..%2f..", "k7Qm2xAbCdEfGhJkMnP'"):
        page = shop.client.get(f"/c/{code}")
        assert page.status_code == 404 and page.headers.get("Cache-Control", "no-store") == "no-store"
    assert shop.client.post("/c/k7Qm2xAbCdEfGhJkMnPq").status_code == 405
    assert shop.client.get("/c/certificate.css").content_type.startswith("text/css")


@pytest.mark.usefixtures("drawn")
def test_L6_the_share_kit_after_the_first_order(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1")
    li.says("谢谢").saw("第一单「有机大米 5kg」已完成", "家里这阵子在吃有机大米 5kg", "/r/", "?p=RICE-5KG")
    assert sum(isinstance(said, bytes) for said in li.heard) == 1, "what was promised; others leave room for money"
    li.says("在吗")
    read = [scanned(said) for said in li.heard if isinstance(said, bytes)]
    assert len(read) == 2 and sum("/c/" in one for one in read) == 1, "the certificate, and her own poster"
    assert len({one for one in read if one in shop.gateway.scenes}) == 1
    li.poster()
