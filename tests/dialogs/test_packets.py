"""Red packets go on into WeChat change where a merchant account for gifts is there; what is not received comes back."""

import pytest

from bot.kit.pay import PayGateways
from domain.audit.rules import Actor
from domain.ledger import service as books
from domain.payouts import queries, service
from domain.people import service as people
from domain.workflows import MOVERS
from tests.dialogs.test_grants import granted, person_id
from tests.fakes.pay import FakePay
from tests.fakes.shop import Person, Shop


@pytest.fixture
def gifts(shop: Shop) -> FakePay:
    """The shop's second merchant account, for cash marketing."""
    pay = FakePay(shop.clock, "gift", shop.pay.app_id, mch_id="1900000110", purpose="gift")
    shop.runtime.context.tool(PayGateways).by_account["gift"] = pay  # type: ignore[index]
    return pay


def wallet(shop: Shop, who: Person) -> tuple[int, int, int]:
    """Available, withdrawing and paid, in fen."""
    found = shop.get(f"/people/{person_id(shop, who)}/wallet")
    assert shop.get("/ledger/check")["balanced"]
    with shop.runtime.sessions() as session:
        assert books.check(session).faults == ()
    return found["available_fen"], found["withdrawing_fen"], found["paid_fen"]


def test_a_present_is_tapped_and_in_the_change(shop: Shop, gifts: FakePay) -> None:
    li = shop.person("李姐")
    assert granted(shop, li, "red_packet", 888) == "done"
    li.saw("🧧 送您的红包 ¥8.88 到了", "/me/withdrawals/", "不会丢")
    assert wallet(shop, li) == (0, 888, 0)
    li.says("红包").sees("¥8.88　http", "收进微信零钱")
    li.says("提现").sees("现在没有可提现")
    li.says("提现进度").sees("还没有")
    page = next(said for said in reversed(li.heard) if "/me/withdrawals/" in str(said))
    shown = shop.client.get(str(page).split("¥8.88　")[1].split()[0].split("8000", 1)[1]).get_data(as_text=True)
    assert 'data-merchant="1900000110"' in shown and "红包等您领取" in shown and "收进微信零钱 ¥8.88" in shown
    (number,) = gifts.waiting()
    gifts.confirms(number)
    shop.wait(minutes=2)
    assert wallet(shop, li) == (0, 0, 888) and gifts.paid_to(li.openid) == 888
    assert shop.pay.calls["transfer"] == 0, "the account for commissions pays none"
    li.says("明细").sees("红包已收进微信零钱", "红包发往微信零钱", "+¥8.88 红包")
    li.says("为什么 8.88").sees("🧧 红包 H", "已收进您的微信零钱")
    li.says("红包").sees("没有等您领的红包", "「进度」", "「优惠券」")
    assert granted(shop, li, "red_packet", 888, key="the same cause again") == "done"
    assert gifts.paid_to(li.openid) == 888 and len(gifts.bills) == 1


def test_not_tapped_it_comes_back_and_is_withdrawn_like_income(shop: Shop, gifts: FakePay) -> None:
    li = shop.person("李姐")
    granted(shop, li, "red_packet", 888)
    shop.wait(hours=25)
    shop.wait(hours=2)
    assert wallet(shop, li) == (888, 0, 0) and gifts.paid_to(li.openid) == 0
    li.says("佣金").saw("红包 ¥8.88 没有收进微信零钱（24 小时内没有确认收款），已放回您的「可提现」")
    li.says("明细").sees("红包未领，退回可提现")
    li.says("为什么 8.88").sees("已退回「可提现」")


def second_order(shop: Shop, li: Person) -> None:
    """Her second order brings five yuan, which go on into her change."""
    for n in range(2):
        shop.paid(f"A{n}", by=li, fen=9_900)
        shop.received(f"A{n}")
    shop.wait(days=8)
    shop.wait(hours=1)


def test_a_packet_that_repaid_what_was_owed_is_not_said_to_be_there(shop: Shop, gifts: FakePay) -> None:
    li = shop.person("李姐")
    second_order(shop, li)
    assert wallet(shop, li) == (0, 500, 0)
    shop.refunded("A1", fen=9_900, quantity=3)
    shop.wait(minutes=2)
    shop.wait(minutes=2)
    li.says("你好").saw("红包 ¥5.00 没有收进微信零钱（有订单退款", "全部抵扣了退款订单的佣金")
    assert not any("放回您的「可提现」。" in str(said) for said in li.heard)
    assert wallet(shop, li) == (0, 0, 0) and gifts.paid_to(li.openid) == 0
    li.says("红包").sees("没有等您领的红包")


def test_a_packet_that_repaid_in_part_names_both_parts(shop: Shop, gifts: FakePay) -> None:
    li = shop.person("李姐")
    second_order(shop, li)
    gifts.confirms(gifts.waiting()[0])
    shop.wait(minutes=2)
    granted(shop, li, "red_packet", 888)
    shop.refunded("A1", fen=9_900, quantity=3)
    shop.wait(minutes=2)
    shop.wait(minutes=2)
    li.says("你好").saw("红包 ¥8.88", "¥5.00 抵扣了退款订单的佣金，其余 ¥3.88 放回您的「可提现」")
    assert wallet(shop, li) == (388, 0, 500)


def test_repurchase_packets_leave_together_when_they_are_final_and_invites_stay(shop: Shop, gifts: FakePay) -> None:
    li = shop.person("李姐")
    for n in range(2):
        shop.paid(f"A{n}", by=li, fen=9_900)
        shop.received(f"A{n}")
    assert gifts.bills == {}
    shop.wait(days=8)
    shop.wait(hours=1)
    with shop.runtime.sessions() as session:
        (packet,) = queries.packets_of(session, person_id(shop, li), 9)
    assert (packet.gross_fen, packet.state) == (500, "paying")
    (number,) = gifts.waiting()
    gifts.confirms(number)
    shop.wait(minutes=5)
    assert gifts.paid_to(li.openid) == 500
    shop.refunded("A1", fen=9_900, quantity=3)
    shop.wait(minutes=1)
    assert shop.get(f"/people/{person_id(shop, li)}/wallet")["debt_fen"] == 500, "asked back although it was received"


def test_what_speaks_against_it_leaves_it_in_the_wallet(shop: Shop, gifts: FakePay) -> None:
    li = shop.person("李姐")
    li.happens("unsubscribe")
    granted(shop, li, "red_packet", 888)
    assert wallet(shop, li) == (888, 0, 0), "who does not follow cannot be paid"
    wang = shop.person("小王")
    with shop.runtime.sessions.begin() as session:
        service.stop(session, "test", "lin", shop.clock.now())
    granted(shop, wang, "red_packet", 888, "stopped")
    assert wallet(shop, wang) == (888, 0, 0)
    zhao = shop.person("老赵")
    granted(shop, zhao, "red_packet", 9, "small")
    assert wallet(shop, zhao) == (9, 0, 0), "WeChat sends nothing below 0.10 yuan"
    assert gifts.bills == {}


def test_who_has_only_a_packet_gets_it_by_asking_again(shop: Shop, gifts: FakePay) -> None:
    """A gift needs no minimum: it goes out again as a packet of its own, once for each asking."""
    li = shop.person("李姐")
    granted(shop, li, "red_packet", 888)
    shop.wait(hours=27)
    li.says("红包").saw("没有收进微信零钱", "回复「红包」再领")
    li.sees("没领的红包 ¥8.88 又给您发出了")
    assert wallet(shop, li) == (0, 888, 0)
    li.says("领红包").sees("¥8.88　http")
    (number,) = gifts.waiting()
    gifts.confirms(number)
    shop.wait(minutes=2)
    assert wallet(shop, li) == (0, 0, 888) and gifts.paid_to(li.openid) == 888
    li.says("红包").sees("没有等您领的红包")
    assert len(gifts.bills) == 2 and len(gifts.waiting()) == 0


def test_too_little_to_withdraw_says_what_needs_no_minimum(shop: Shop, gifts: FakePay) -> None:
    li = shop.person("李姐")
    granted(shop, li, "red_packet", 888)
    shop.wait(hours=27)
    li.says("提现").sees("还差 ¥91.12", "其中红包 ¥8.88 不用等满", "回复「红包」")


def test_a_gift_that_could_not_leave_is_sent_when_it_can(shop: Shop, gifts: FakePay) -> None:
    li = shop.person("李姐")
    with shop.runtime.sessions.begin() as session:
        service.stop(session, "test", "lin", shop.clock.now())
    granted(shop, li, "red_packet", 888)
    li.says("红包").sees("¥8.88 红包还在「可提现」里", "不会丢")
    with shop.runtime.sessions.begin() as session:
        service.go(session, Actor("lin", "finance"), "mended", shop.clock.now())
    li.says("红包").sees("又给您发出了")
    assert wallet(shop, li) == (0, 888, 0)


def test_commission_never_leaves_as_a_gift(shop: Shop, gifts: FakePay) -> None:
    """What a return took back of a gift is no gift any more, whatever else the wallet holds."""
    li = shop.person("李姐")
    for n in range(2):
        shop.paid(f"A{n}", by=li, fen=9_900)
        shop.received(f"A{n}")
    shop.paid("B1", by=shop.person("小新", invited_by="李姐"), fen=50_000)
    shop.received("B1")
    shop.wait(days=9)
    shop.wait(hours=27)
    shop.wait(hours=2)
    available, *_ = wallet(shop, li)
    assert available > 500
    li.says("提现").sees("其中红包 ¥5.00")
    shop.refunded("A1", fen=9_900, quantity=3)
    shop.wait(minutes=1)
    li.says("红包").sees("没有等您领的红包")
    assert wallet(shop, li) == (available - 500, 0, 0) and not gifts.waiting()


def test_a_gift_of_somebody_who_became_another_is_still_one(shop: Shop, gifts: FakePay) -> None:
    wang, li = shop.person("小王"), shop.person("李姐")
    granted(shop, li, "red_packet", 888)
    shop.wait(hours=27)
    with shop.runtime.sessions.begin() as session:
        people.merge(session, person_id(shop, wang), person_id(shop, li), "test", shop.clock.now(), MOVERS)
    li.says("红包").sees("没领的红包 ¥8.88 又给您发出了")
