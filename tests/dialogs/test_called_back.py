"""Money that waits for somebody's tap is called back when they are frozen, or when they come to owe the shop."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.runtime import demo_team
from domain.people import queries as people
from domain.people.rules import IdentityRef
from domain.risk import queries as risk
from domain.shared.clock import FixedClock
from domain.workflows import acts, freezing
from tests.dialogs.test_withdrawals import agreed, earner, held, page_of
from tests.fakes.frozen import Frozen, frozen
from tests.fakes.shop import Person, Shop


@pytest.fixture(scope="module")
def earned(new_shop: Frozen, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    """李姐 has 312.00 yuan to withdraw: 8 % of 3,900 yuan that a friend paid."""
    home = tmp_path_factory.mktemp("called_back")
    with frozen(new_shop.postgres, home, lambda shop: earner(shop, "李姐", 390_000), new_shop) as shop:
        yield shop


@pytest.fixture
def shop(tmp_path: Path, earned: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with earned.shop(tmp_path, clock) as shop:
        yield shop


@pytest.fixture
def li(shop: Shop) -> Person:
    return shop.people["李姐"]


def freeze(shop: Shop, who: Person) -> None:
    """One operator asks, another agrees."""
    with shop.runtime.sessions.begin() as session:
        now = shop.clock.now()
        team = demo_team.hire(session, now)
        ref = IdentityRef("openid", who.openid, who.identity["app_id"])
        person_id = people.find(session, ref, pepper=b"")
        assert person_id is not None
        asked = freezing.ask_freeze(session, person_id, "举报", team["finance"], now)
        acts.decide(session, asked.id, True, team["owner"], now)


def release(shop: Shop) -> None:
    with shop.runtime.sessions.begin() as session:
        now = shop.clock.now()
        team = demo_team.hire(session, now)
        case, = risk.cases(session, now)
        asked = freezing.ask_decision(session, case.id, "released", "看过了", team["finance"], now)
        acts.decide(session, asked.id, True, team["owner"], now)
    shop.work()


def test_a_freeze_calls_back_what_waits_for_a_tap(shop: Shop, li: Person) -> None:
    agreed(li, "提现 300").says("确认")
    path = page_of(shop, li)
    first, second = shop.pay.waiting()
    freeze(shop, li)
    li.says("提现进度").sees("正在撤回", "账户正在核查")
    assert "待您确认收款" not in str(li.heard[-1])
    assert shop.pay.waiting() == [], "WeChat was told before they could tap"
    page = shop.client.get(path).text
    assert ("data-package" in page, "正在撤回" in page, "等您确认" in page) == (False, True, False)
    shop.wait(minutes=2)
    li.saw("提现 ¥300.00 已取消", "核查通过后可以重新提现")
    li.says("佣金").sees("可提现 ¥312.00")
    li.says("提现进度").sees("已退回", "核查")
    li.says("提现 300").sees("正在复核")
    assert (shop.pay.calls["cancel"], shop.pay.paid_to(li.openid), held(shop)) == (2, 0, [])
    release(shop)
    li.says("提现 300").sees("请核对")
    li.says("确认").sees("已申请提现")
    again = shop.pay.waiting()
    assert len(again) == 2 and not {first, second} & set(again), "the old numbers are never paid"
    for number in again:
        shop.pay.confirms(number)
    shop.wait(minutes=1)
    li.saw("提现到账 ¥300.00")
    assert (shop.pay.paid_to(li.openid), held(shop)) == (30_000, [])


def test_what_was_tapped_before_the_freeze_stays_paid(shop: Shop, li: Person) -> None:
    agreed(li, "提现 300").says("确认")
    first, _ = shop.pay.waiting()
    shop.pay.confirms(first)
    freeze(shop, li)
    shop.work()
    shop.wait(minutes=3)
    li.saw("提现部分到账 ¥200.00", "¥100.00 已退回", "原因：账户正在核查")
    li.says("提现进度").sees("其余 ¥100.00 已退回「可提现」（账户正在核查")
    li.says("佣金").sees("可提现 ¥112.00", "已提现 ¥200.00")
    assert (shop.pay.paid_to(li.openid), held(shop)) == (20_000, [])


def test_an_offer_to_confirm_that_waits_for_a_word_is_not_made_any_more(shop: Shop, li: Person) -> None:
    """The notice could not leave yet; after the freeze it would ask for what cannot be done."""
    agreed(li, "提现 300")
    shop.clock.advance(60)
    with shop.runtime.sessions.begin() as session:
        from domain.notices import service as notices

        who = people.find(session, IdentityRef("openid", li.openid, li.identity["app_id"]), pepper=b"")
        assert who is not None
        one = notices.Notice(who, "money", "withdrawal.confirm:0", "payout.told.confirm",
                             {"no": "W-NONE", "fen": 1, "bills": 1, "page": "x", "later_fen": 0, "later": 0})
        notices.tell(session, one, shop.clock.now())
        assert notices.overtake(session, who, ["payout.told.confirm"], shop.clock.now()) == 1
        assert notices.overtake(session, who, ["payout.told.confirm"], shop.clock.now()) == 0
    shop.work()
    assert not any("W-NONE" in str(said) for said in li.heard)


def test_a_claw_back_takes_what_waits_for_a_tap_before_it_makes_a_debt(shop: Shop, li: Person) -> None:
    """Everything that was earned goes back while 300 of it lie in unconfirmed bills: that is not paid any more."""
    agreed(li, "提现 300").says("确认")
    shop.refunded("A-李姐", fen=390_000, quantity=3)
    li.saw("扣回 ¥312.00", "其中 ¥300.00 正在提现中、还没到账")
    assert not any("此前已提现" in str(said) for said in li.heard), "nothing was"
    li.says("提现进度").sees("正在撤回", "有订单退款")
    assert shop.pay.waiting() == []
    shop.wait(minutes=2)
    li.saw("提现 ¥300.00 已取消，钱已退回（单号", "其中 ¥300.00 抵扣了退款订单的佣金")
    li.says("佣金").sees("可提现 ¥0.00")
    assert "待抵扣" not in str(li.heard[-1])
    li.says("提现进度").sees("¥300.00 已退回（有订单退款", "¥300.00 抵扣了退款订单的佣金")
    assert (shop.pay.paid_to(li.openid), held(shop)) == (0, [])


def test_what_was_paid_and_what_was_under_way_are_told_apart(shop: Shop, li: Person) -> None:
    agreed(li, "提现 300").says("确认")
    shop.pay.confirms(shop.pay.waiting()[0])
    shop.wait(minutes=1)
    shop.refunded("A-李姐", fen=390_000, quantity=3)
    li.saw("其中 ¥100.00 正在提现中", "其中 ¥200.00 此前已提现")
    shop.wait(minutes=2)
    li.saw("提现部分到账 ¥200.00", "其余 ¥100.00 已退回。", "原因：有订单退款", "其中 ¥100.00 抵扣了退款订单的佣金")
    li.says("提现进度").sees("有订单退款", "其中 ¥100.00 抵扣了退款订单的佣金")
    page = shop.client.get(page_of(shop, li)).text
    assert ("抵扣退款订单的佣金" in page, "退回「可提现」" in page) == (True, False)
    li.says("佣金").sees("待抵扣 ¥200.00")
    assert held(shop) == []


def test_a_claw_back_that_is_covered_calls_nothing_back(shop: Shop, li: Person) -> None:
    agreed(li, "提现 200").says("确认")
    shop.refunded("A-李姐", fen=130_000)
    number, = shop.pay.waiting()
    shop.pay.confirms(number)
    shop.wait(minutes=1)
    li.saw("提现到账 ¥200.00")
    li.says("佣金").sees("可提现 ¥8.00")
    assert (shop.pay.calls["cancel"], held(shop)) == (0, [])
