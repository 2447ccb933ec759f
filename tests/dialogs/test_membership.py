"""The paid card in chat: bought as an order, shown, reminded of, renewed, refunded, given and taken."""

from bot.runtime.demo import sim_config
from bot.simulator.shop import member_price
from tests.dialogs.test_journeys import count
from tests.dialogs.test_rules import person_id
from tests.dialogs.test_shipped_journeys import awake
from tests.fakes.shop import Person, Shop

CARD, FEN = "VIP-YEAR", 19_900


def buys_card(shop: Shop, who: Person, order: str) -> None:
    shop.event("order.paid", {
        "order_id": order, "channel": "mall", "currency": "CNY", "paid_at": shop.clock.now().isoformat(),
        "buyer": who.identity, "share_code": "", "paid_fen": FEN, "shipping_fen": 0,
        "lines": [{"line_id": "1", "sku": CARD, "title": "年度会员卡", "category": "membership", "quantity": 1,
                   "paid_fen": FEN}]})
    shop.wait(seconds=5)


def as_the_mall_sees(shop: Shop, who: Person) -> tuple[str | None, list[str]]:
    found = shop.get(f"/people/{person_id(who)}")
    return found["tier"], found["benefits"]


def test_a_card_is_bought_shown_and_saves(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("会员").sees("还不是付费会员", "年度会员卡", "¥199.00 / 365 天", "全场 92 折", "订单包邮")
    assert as_the_mall_sees(shop, li) == (None, [])
    buys_card(shop, li, "V1")
    li.saw("年度会员已开通，有效期至 2027年11月20日")
    assert as_the_mall_sees(shop, li) == (
        "annual", ["discount:9200", "birthday_gift", "free_shipping", "priority_service"])
    shop.paid("A1", by=li, fen=27_324)  # three bags of 99 yuan at 92 %
    li.says("会员").sees("年度会员　No.", "2027年11月20日（还有 365 天）", "已省 ¥31.76", "会员价约 ¥23.76",
                       "运费 ¥8.00", "续费接在到期日之后")
    shop.refunded("A1", fen=27_324)
    li.says("会员").sees("已省 ¥0.00")


def test_the_simulators_mall_has_member_prices(shop: Shop) -> None:
    li = shop.person("李姐")
    ask = sim_config(shop.runtime, lambda _: shop.clock.now()).benefits
    app_id = li.identity["app_id"]
    assert (ask(app_id, li.openid), ask(app_id, "o-nobody")) == ((), ())
    buys_card(shop, li, "V1")
    benefits = ask(app_id, li.openid)
    assert "free_shipping" in benefits
    assert [member_price(fen, benefits) for fen in (9_900, 0, 1)] == [9_108, 0, 1] and member_price(9_900, ()) == 9_900


def test_the_fee_earns_nobody_a_commission(shop: Shop) -> None:
    li = shop.person("李姐")
    xin = shop.person("新客", invited_by="李姐")
    buys_card(shop, xin, "V1")
    assert shop.get("/orders/mall/V1/commission") == {"lines": []}
    li.says("佣金").sees("待结算 ¥0.00")


def test_the_end_is_announced_three_times_and_a_renewal_ends_the_chase(shop: Shop) -> None:
    shop.journeys("membership")
    li, wang = shop.person("李姐"), shop.person("小王")
    for order, person in (("V1", li), ("V2", wang)):
        buys_card(shop, person, order)
    shop.wait(days=334)
    li.says("帮助"), wang.says("帮助")
    awake(shop, li, wang, days=2)
    assert [count(one, "还有 30 天到期（11月20日）") for one in (li, wang)] == [1, 1]
    buys_card(shop, wang, "V3")
    wang.saw("续费成功，年度会员有效期延长至 2028年11月19日")
    shop.wait(days=18)
    li.says("帮助"), wang.says("帮助")
    awake(shop, li, wang, days=16)
    assert [count(one, "还有 7 天到期") for one in (li, wang)] == [1, 0]
    assert [count(one, "已经到期") for one in (li, wang)] == [1, 0]
    li.says("会员").sees("会员已于 2027年11月20日 到期")
    assert as_the_mall_sees(shop, li) == (None, [])
    wang.says("会员").sees("2028年11月19日")
    shop.wait(days=330)
    wang.says("帮助")
    awake(shop, wang, days=5)
    assert count(wang, "还有 30 天到期（11月19日）") == 1


def test_a_refund_takes_days_in_proportion_and_the_rest_with_the_rest(shop: Shop) -> None:
    li = shop.person("李姐")
    buys_card(shop, li, "V1")
    shop.refunded("V1", fen=FEN // 2, quantity=0)
    shop.wait(seconds=5)
    li.saw("因退款，年度会员的有效期改为 2027年5月21日")
    li.says("帮助")
    shop.refunded("V1", fen=FEN - FEN // 2)
    shop.wait(seconds=5)
    li.saw("会员费已退款，年度会员随之停用")
    li.says("会员").sees("还不是付费会员")
    assert as_the_mall_sees(shop, li) == (None, [])


def pays(shop: Shop, who: Person, order: str, *parts: tuple[str, str, int]) -> None:
    """An order of (sku, category, fen) lines, received at once."""
    shop.event("order.paid", {
        "order_id": order, "channel": "mall", "currency": "CNY", "paid_at": shop.clock.now().isoformat(),
        "buyer": who.identity, "share_code": "", "paid_fen": sum(fen for _, _, fen in parts), "shipping_fen": 0,
        "lines": [{"line_id": str(n), "sku": sku, "title": sku, "category": category, "quantity": 1, "paid_fen": fen}
                  for n, (sku, category, fen) in enumerate(parts, 1)]})
    shop.received(order)
    shop.wait(seconds=5)


def progress(shop: Shop, who: Person) -> int:
    return int(shop.get(f"/people/{person_id(who)}/progress")["repurchases"])


def test_a_card_is_no_order_of_goods(shop: Shop) -> None:
    """Not a first order, no repurchase, in no volume, alone or beside goods; and so is what is left of it (ADR 37)."""
    card, rice = (CARD, "membership", FEN), ("RICE-5KG", "fmcg", 10_000)
    li = shop.person("李姐")
    xin = shop.person("新客", invited_by="李姐")
    pays(shop, xin, "V1", card)
    assert "再买一单" not in str(xin.heard)
    xin.says("等级").sees("会员\n完成第一笔订单")
    li.says("排行").sees("还没有人开单")
    li.says("团队").sees("0 单")
    pays(shop, xin, "A1", rice)
    xin.saw("再买一单")
    pays(shop, xin, "V2", card)
    assert progress(shop, xin) == 0
    pays(shop, xin, "A2", rice, card)
    assert progress(shop, xin) == 1
    li.says("佣金").sees("本月直销 ¥200.00")
    li.says("排行").sees("¥200.00")
    shop.event("order.refunded", {
        "order_id": "A2", "channel": "mall", "refund_id": "card back", "refunded_at": shop.clock.now().isoformat(),
        "lines": [{"line_id": "2", "refund_fen": FEN, "quantity": 1}]})
    shop.wait(seconds=5)
    assert progress(shop, xin) == 1
    shop.refunded("A2", fen=10_000)
    shop.wait(seconds=5)
    assert progress(shop, xin) == 0
    li.says("佣金").sees("本月直销 ¥100.00")


def test_three_cards_make_nobody_gold(shop: Shop) -> None:
    xin = shop.person("新客")
    pays(shop, xin, "A1", ("RICE-5KG", "fmcg", 10_000))
    for n in range(4):
        pays(shop, xin, f"V{n}", (CARD, "membership", FEN))
    xin.says("等级").sees("已复购 0 次")
    for n in (2, 3, 4):
        pays(shop, xin, f"A{n}", ("RICE-5KG", "fmcg", 10_000), (CARD, "membership", FEN))
    shop.refunded("A4", fen=10_000)
    xin.says("等级").sees("已复购 2 次")


def test_what_waited_for_a_word_of_theirs_is_told_as_it_is_now(shop: Shop) -> None:
    """Renewed, paid back and renewed again while nothing could be sent to them: only the last of it is true."""
    xin = shop.person("新客")
    shop.wait(days=3)
    buys_card(shop, xin, "V1")
    buys_card(shop, xin, "V2")
    buys_card(shop, xin, "V3")
    before = len(xin.heard)
    xin.says("在吗")
    told = [said for said in xin.heard[before:] if isinstance(said, str) and "年度会员" in said]
    assert len(told) == 1 and "续费成功" in told[0] and "2029年" in told[0]
