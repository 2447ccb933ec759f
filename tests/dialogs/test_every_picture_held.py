"""Whatever picture it is that the platform holds back: nothing is promised that cannot be kept, and it comes once.

How a held picture comes, and when it is owned up to: tests/dialogs/test_held_pictures.py.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.kit.gateway import Outcome
from domain.shared.clock import FixedClock
from tests.dialogs.test_held_pictures import refuse
from tests.dialogs.test_manners import pictures
from tests.dialogs.test_membership import FEN, buys_card
from tests.fakes.album import allowed, approve, bought
from tests.fakes.frozen import Frozen, frozen
from tests.fakes.shop import Person, Shop

PICTURES = {"换风格": ("可以先按名字选", "1. "), "晒单": ("晒单图已经记下了", "照实说就好"),
            "素材 有机大米": ("微信这会儿发不出图", "@王姐 的使用照"), "会员": ("晚点再回复「会员」", "权益："),
            "证书": ("记下了", "恢复后就给您送到")}


def _may_have_them_all(shop: Shop) -> None:
    """李姐 may ask for every picture that there is; what else she is told has been told."""
    wang = shop.person("王姐")
    bought(shop, wang)
    allowed(wang)
    approve(shop)
    li = shop.person("李姐")
    for number in range(4):
        bought(shop, li, f"R{number}")
    buys_card(shop, li, "V1")
    shop.wait(days=8)
    li.says("帮助")
    for words in PICTURES:
        li.says(words)
        li.says("取消")


@pytest.fixture(scope="module")
def riches(new_shop: Frozen, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    with frozen(new_shop.postgres, tmp_path_factory.mktemp("rich"), _may_have_them_all, new_shop) as shop:
        yield shop


@pytest.fixture
def shop(riches: Frozen, tmp_path: Path, clock: FixedClock) -> Iterator[Shop]:
    with riches.shop(tmp_path, clock) as shop:
        yield shop


@pytest.fixture
def rich(shop: Shop) -> Person:
    return shop.people["李姐"]


def test_no_picture_is_promised_while_none_can_be_sent(shop: Shop, rich: Person) -> None:
    refuse(shop, Outcome.CONFIG, 50002)
    shop.person("王姐").says("海报 2")
    for words, parts in PICTURES.items():
        before = len(rich.heard)
        rich.says(words)
        answer = str(rich.heard[before])
        assert all(part in answer for part in parts), answer
        assert not any(lie in answer for lie in ("几秒", "马上", "正在为您")), answer
        rich.says("取消")


@pytest.mark.parametrize(("words", "said"), [
    ("换风格", "再回复一次「换风格」"), ("晒单", "再回复一次「晒单」"), ("素材 有机大米", "再回复一次「素材」"),
    ("会员", "再回复一次「会员」"), ("证书", "再回复一次「证书」")])
def test_every_picture_that_never_came_is_owned_up_to(shop: Shop, rich: Person, words: str, said: str) -> None:
    refuse(shop, Outcome.QUOTA_USED, 45047)
    assert pictures(rich.says(words)) == 0
    shop.wait(hours=48)
    rich.says("谢谢").sees("一直没能发出去", said)


def test_a_card_that_ended_meanwhile_is_not_called_valid(shop: Shop, rich: Person) -> None:
    refuse(shop, Outcome.QUOTA_USED, 45047)
    rich.says("会员")
    shop.refunded("V1", fen=FEN)
    shop.wait(seconds=5)
    shop.wait(hours=48)
    before = len(rich.heard)
    rich.says("谢谢")
    assert not any("会员卡图片" in said for said in rich.heard[before:] if isinstance(said, str))


@pytest.mark.parametrize("words", ["换风格", "晒单", "素材 有机大米", "会员", "证书"])
def test_who_asks_twice_meanwhile_gets_one(shop: Shop, rich: Person, words: str) -> None:
    for _ in range(2):
        refuse(shop, Outcome.BACK_OFF, 45009, 6)
        rich.says(words)
        shop.gateway.refusals.clear()
    before = len(rich.heard)
    shop.wait(hours=7)
    assert sum(isinstance(said, bytes) for said in rich.heard[before:]) == 1
