"""What two operators take back, as its owner sees it in chat: told once, explained, never below zero."""

from typing import Any

import pytest

from bot.kit.pay import PayGateways
from bot.runtime.demo_team import hire
from domain.audit import service as audit
from domain.people import service as people
from domain.workflows import MOVERS
from tests.dialogs.test_grants import granted, person_id
from tests.dialogs.test_packets import second_order, wallet
from tests.fakes.pay import FakePay
from tests.fakes.shop import Person, Shop


class Desk:
    """Two operators at the shop's operator API."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        with shop.runtime.sessions.begin() as session:
            team = hire(session, shop.clock.now())
            self.keys = {role: audit.new_key(session, one.name, one, shop.clock.now()) for role, one in team.items()}

    def bearer(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[role]}"}

    def get(self, path: str) -> Any:
        answer = self.shop.client.get(f"/api/v1/ops{path}", headers=self.bearer("owner"))
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def post(self, role: str, path: str, expect: int, **body: Any) -> Any:
        answer = self.shop.client.post(f"/api/v1/ops{path}", json=body,
                                       headers=self.bearer(role))
        assert answer.status_code == expect, answer.text
        return answer.get_json()

    def take_back(self, path: str, expect: int = 201, **more: Any) -> Any:
        """Asked for by the owner; what was answered."""
        return self.post("owner", f"{path}/take-back", expect, reason="发重了", **more)

    def approve(self, asked: Any, expect: int = 200) -> Any:
        done = self.post("finance", f"/approvals/{asked['id']}/approve", expect)
        self.shop.work()
        return done


@pytest.fixture
def desk(shop: Shop) -> Desk:
    return Desk(shop)


def test_points_given_twice_are_told_of_once(shop: Shop, desk: Desk) -> None:
    li = shop.person("李姐")
    granted(shop, li, "points", 30)
    who = person_id(shop, li)
    (lot,) = desk.get(f"/points/people/{who}")["lots"]
    desk.approve(desk.take_back(f"/points/lots/{lot['id']}", points=20))
    li.saw("有 20 积分是我们误发给您的", "现有 10 积分", "回复「人工」")
    assert not any("用掉" in str(said) for said in li.heard)
    li.says("积分").sees("我的积分 10", "-20 误发收回")
    shop.wait(hours=12)
    assert sum("误发给您的" in str(said) for said in li.heard) == 1


def test_points_that_were_spent_are_owed(shop: Shop, desk: Desk) -> None:
    li = shop.person("李姐")
    granted(shop, li, "points", 100)
    li.says("兑换").sees("积分商城")
    li.says("1")
    li.says("确认")
    who = person_id(shop, li)
    before = desk.get(f"/points/people/{who}")
    assert before["active"] < 100
    desk.approve(desk.take_back(f"/points/lots/{before['lots'][0]['id']}"))
    li.saw("有 100 积分是我们误发给您的", f"其中 {100 - before['active']} 您已经用掉", "现有 0 积分")
    li.says("积分").sees("我的积分 0", f"待抵扣 {100 - before['active']}（扣回时已经用掉")


@pytest.fixture
def change(shop: Shop) -> FakePay:
    """The shop's second merchant account, for cash marketing."""
    pay = FakePay(shop.clock, "gift", shop.pay.app_id, mch_id="1900000110", purpose="gift")
    shop.runtime.context.tool(PayGateways).by_account["gift"] = pay  # type: ignore[index]
    return pay


def given(shop: Shop, desk: Desk, who: Person) -> list[tuple[str, int, str]]:
    """(path, fen, state) of somebody's red packets, the newest first."""
    found = desk.get(f"/rewards/people/{person_id(shop, who)}/gifts")["gifts"]
    return [(f"/rewards/gifts/{one['id']}", one["fen"], one["state"]) for one in found]


def heard(who: Person, words: str) -> int:
    return sum(words in str(said) for said in who.heard)


def test_a_packet_that_waits_for_a_tap_is_called_back_first(shop: Shop, desk: Desk, change: FakePay) -> None:
    li = shop.person("李姐")
    granted(shop, li, "red_packet", 888)
    ((path, fen, state),) = given(shop, desk, li)
    assert (fen, state, wallet(shop, li)) == (888, "sent", (0, 888, 0))
    asked = desk.take_back(path)
    assert asked["payload"]["fen"] == 888 and wallet(shop, li) == (0, 888, 0)
    desk.approve(asked)
    shop.wait(minutes=2)
    assert given(shop, desk, li) == [(path, 888, "taken")] and wallet(shop, li) == (0, 0, 0)
    assert len(change.bills) == 1 and change.waiting() == [] and change.paid_to(li.openid) == 0
    li.says("你好").saw("红包 ¥8.88 是我们误发给您的，现在收回了", "回复「人工」")
    assert (heard(li, "误发给您的"), heard(li, "没有收进微信零钱"), heard(li, "领走")) == (1, 0, 0)
    li.says("明细").sees("-¥8.88 误发红包收回")
    li.says("为什么 8.88").sees("收回：这个红包是误发的")
    li.says("红包").sees("没有等您领的红包")
    desk.take_back(path, 409)
    granted(shop, li, "red_packet", 888, key="the same cause again")
    assert wallet(shop, li) == (0, 0, 0), "what was taken back is not given again for the same cause"


def test_who_tapped_a_moment_earlier_keeps_it(shop: Shop, desk: Desk, change: FakePay) -> None:
    li = shop.person("李姐")
    granted(shop, li, "red_packet", 888)
    ((path, _, _),) = given(shop, desk, li)
    asked = desk.take_back(path)
    change.confirms(*change.waiting())
    desk.approve(asked)
    shop.wait(minutes=2)
    assert wallet(shop, li) == (0, 0, 888) and given(shop, desk, li) == [(path, 888, "received")]
    assert heard(li, "误发给您的") == 0
    assert desk.take_back(path, 409)["error"]["code"] == "gift_received"


@pytest.mark.parametrize("tapped", ["before", "meanwhile"])
def test_what_was_received_is_owed_where_two_operators_say_so(
    shop: Shop, desk: Desk, change: FakePay, tapped: str
) -> None:
    li = shop.person("李姐")
    granted(shop, li, "red_packet", 888)
    ((path, _, _),) = given(shop, desk, li)
    if tapped == "before":
        change.confirms(*change.waiting())
        shop.wait(minutes=2)
    asked = desk.take_back(path, owe=True)
    if tapped == "meanwhile":
        change.confirms(*change.waiting())
    desk.approve(asked)
    shop.wait(minutes=2)
    assert given(shop, desk, li) == [(path, 888, "taken")] and change.paid_to(li.openid) == 888
    assert shop.get(f"/people/{person_id(shop, li)}/wallet")["debt_fen"] == 888
    li.says("你好").saw("红包 ¥8.88 是我们误发给您的", "其中 ¥8.88 您已经领走或用掉", "不用您转账")
    granted(shop, li, "red_packet", 1_000, "later")
    assert wallet(shop, li)[:2] == (0, 112), "later gifts repay it first"


def test_one_of_two_in_a_packet_leaves_the_other(shop: Shop, desk: Desk, change: FakePay) -> None:
    """Two that became final together left as one; the mistake is called back, the rest leaves again by itself, once."""
    li = shop.person("李姐")
    for n in range(4):
        shop.paid(f"A{n}", by=li, fen=9_900)
        shop.received(f"A{n}")
    shop.wait(days=8)
    shop.wait(hours=1)
    found = given(shop, desk, li)
    assert [state for _, _, state in found] == ["sent"] * len(found) and len(found) > 1 and len(change.bills) == 1
    whole = sum(fen for _, fen, _ in found)
    path, fen, _ = found[0]
    desk.approve(desk.take_back(path))
    shop.wait(minutes=2)
    assert wallet(shop, li) == (0, whole - fen, 0), "it is on its way again"
    rest = f"¥{(whole - fen) // 100}.{(whole - fen) % 100:02}"
    li.says("你好").saw("是我们误发给您的", f"其余 {rest} 还是您的")
    assert (heard(li, "没有收进微信零钱"), len(change.bills), len(change.waiting())) == (0, 2, 1)
    assert [state for _, _, state in given(shop, desk, li)] == ["taken"] + ["sent"] * (len(found) - 1)
    change.confirms(*change.waiting())
    shop.wait(minutes=2)
    assert wallet(shop, li) == (0, 0, whole - fen) and change.paid_to(li.openid) == whole - fen
    assert {state for _, _, state in given(shop, desk, li)} == {"taken", "received"}


def test_what_is_left_of_a_packet_is_taken_back_after_it_left_again(
    shop: Shop, desk: Desk, change: FakePay
) -> None:
    li = shop.person("李姐")
    for n in range(4):
        shop.paid(f"A{n}", by=li, fen=9_900)
        shop.received(f"A{n}")
    shop.wait(days=8)
    shop.wait(hours=1)
    for path, _, _ in given(shop, desk, li):
        desk.approve(desk.take_back(path))
        shop.wait(minutes=2)
    assert wallet(shop, li) == (0, 0, 0) and change.waiting() == []
    assert {state for _, _, state in given(shop, desk, li)} == {"taken"}


def test_a_refund_of_its_order_takes_it_once(shop: Shop, desk: Desk, change: FakePay) -> None:
    li = shop.person("李姐")
    second_order(shop, li)
    ((path, fen, state),) = given(shop, desk, li)
    assert (fen, state) == (500, "sent")
    desk.approve(desk.take_back(path))
    shop.wait(minutes=2)
    shop.refunded("A1", fen=9_900, quantity=3)
    shop.wait(minutes=2)
    assert wallet(shop, li) == (0, 0, 0) and shop.get(f"/people/{person_id(shop, li)}/wallet")["debt_fen"] == 0
    for n in (7, 8):
        shop.paid(f"A{n}", by=li, fen=9_900)
        shop.received(f"A{n}")
    shop.wait(days=8)
    assert path in [one for one, _, _ in given(shop, desk, li)], "orders do not open it again"
    assert [state for one, _, state in given(shop, desk, li) if one == path] == ["taken"]


def test_a_refund_that_was_first_leaves_nothing_to_take(shop: Shop, desk: Desk, change: FakePay) -> None:
    li = shop.person("李姐")
    second_order(shop, li)
    ((path, _, _),) = given(shop, desk, li)
    asked = desk.take_back(path, owe=True)
    shop.refunded("A1", fen=9_900, quantity=3)
    shop.wait(minutes=2)
    assert desk.approve(asked, 409)["error"]["code"] == "gift_returned"
    shop.wait(minutes=2)
    assert wallet(shop, li) == (0, 0, 0) and given(shop, desk, li) == [(path, 500, "returned")]
    assert heard(li, "误发给您的") == 0


def test_what_waits_for_its_return_window_is_struck(shop: Shop, desk: Desk) -> None:
    li = shop.person("李姐")
    for n in range(2):
        shop.paid(f"A{n}", by=li, fen=9_900)
        shop.received(f"A{n}")
    shop.wait(minutes=1)
    ((path, _, state),) = given(shop, desk, li)
    assert state == "waiting" and shop.get(f"/people/{person_id(shop, li)}/wallet")["pending_fen"] == 500
    desk.approve(desk.take_back(path))
    found = shop.get(f"/people/{person_id(shop, li)}/wallet")
    assert (found["pending_fen"], found["available_fen"], found["debt_fen"]) == (0, 0, 0)
    li.says("你好").saw("红包 ¥5.00 是我们误发给您的")
    li.says("为什么 5").sees("已扣回 ¥5.00，是误发的")
    shop.wait(days=9)
    assert wallet(shop, li) == (0, 0, 0)


def test_what_stays_in_the_wallet_is_taken_from_there(shop: Shop, desk: Desk) -> None:
    """Without a merchant account for gifts."""
    li = shop.person("李姐")
    granted(shop, li, "red_packet", 500)
    ((path, _, state),) = given(shop, desk, li)
    assert (state, wallet(shop, li)) == ("wallet", (500, 0, 0))
    desk.approve(desk.take_back(path))
    assert (given(shop, desk, li), wallet(shop, li)) == ([(path, 500, "taken")], (0, 0, 0))


def test_what_repaid_a_debt_is_left_unless_the_debt_may_come_back(shop: Shop, desk: Desk, change: FakePay) -> None:
    li = shop.person("李姐")
    granted(shop, li, "red_packet", 888)
    change.confirms(*change.waiting())
    shop.wait(minutes=2)
    desk.approve(desk.take_back(given(shop, desk, li)[0][0], owe=True))
    granted(shop, li, "red_packet", 300, "b")
    path, fen, state = given(shop, desk, li)[0]
    assert (fen, state, wallet(shop, li)[0]) == (300, "wallet", 0)
    asked = desk.take_back(path)
    refused = desk.approve(asked, 409)["error"]
    assert refused["code"] == "gift_spent" and "--owe" in refused["message"]
    desk.post("finance", f"/approvals/{asked['id']}/reject", 200)
    desk.approve(desk.take_back(path, owe=True))
    assert shop.get(f"/people/{person_id(shop, li)}/wallet")["debt_fen"] == 888
    li.says("你好").saw("红包 ¥3.00 是我们误发给您的", "其中 ¥3.00 您已经领走或用掉")


def test_what_she_sent_herself_again_is_called_back_too(shop: Shop, desk: Desk, change: FakePay) -> None:
    li = shop.person("李姐")
    granted(shop, li, "red_packet", 888)
    shop.wait(hours=27)
    li.says("红包").sees("又给您发出了")
    ((path, _, state),) = given(shop, desk, li)
    assert (state, wallet(shop, li)) == ("wallet", (0, 888, 0))
    desk.approve(desk.take_back(path))
    shop.wait(minutes=2)
    assert (given(shop, desk, li), wallet(shop, li)) == ([(path, 888, "taken")], (0, 0, 0))
    assert change.paid_to(li.openid) == 0 and change.waiting() == []


def test_a_merge_keeps_the_one_that_was_no_mistake(shop: Shop, desk: Desk) -> None:
    """Two persons had one each, two operators took back one of them, and then they are one person."""
    li, wang = shop.person("李姐"), shop.person("小王")
    for n in range(2):
        for who, name in ((li, "A"), (wang, "B")):
            shop.paid(f"{name}{n}", by=who, fen=9_900)
            shop.received(f"{name}{n}")
    shop.wait(days=9)
    desk.approve(desk.take_back(given(shop, desk, li)[0][0]))
    assert (wallet(shop, li)[0], wallet(shop, wang)[0]) == (0, 500)
    with shop.runtime.sessions.begin() as session:
        people.merge(session, person_id(shop, li), person_id(shop, wang), "test", shop.clock.now(), MOVERS)
    shop.wait(minutes=5)
    assert sorted(state for _, fen, state in given(shop, desk, li) if fen == 500) == ["taken", "wallet"]
    found = shop.get(f"/people/{person_id(shop, li)}/wallet")
    assert found["available_fen"] >= 500 and found["debt_fen"] == 0
