"""What two operators take back, as its owner sees it in chat: told once, explained, never below zero."""

from typing import Any

import pytest

from bot.runtime.demo_team import hire
from domain.audit import service as audit
from tests.dialogs.test_grants import granted, person_id
from tests.fakes.shop import Shop


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
