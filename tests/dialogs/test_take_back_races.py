"""取消提现 while news about that very request are being written: whoever comes second is told what is."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from bot.kit.pay import BillView
from domain.payouts import recalling, settling
from domain.shared.clock import FixedClock
from tests.dialogs.test_withdrawals import agreed, earner, held
from tests.fakes.frozen import Frozen, frozen
from tests.fakes.shop import Person, Shop
from tests.together import until_waiting


@pytest.fixture(scope="module")
def earned(new_shop: Frozen, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    """李姐 has 158.40 yuan to withdraw."""
    home = tmp_path_factory.mktemp("earned")
    with frozen(new_shop.postgres, home, lambda shop: earner(shop, "李姐", 198_000), new_shop) as shop:
        yield shop


@pytest.fixture
def shop(tmp_path: Path, earned: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with earned.shop(tmp_path, clock) as shop:
        yield shop


@pytest.fixture
def li(shop: Shop) -> Person:
    """Asked for 100 yuan, and about to say that she takes it back."""
    li = agreed(shop.people["李姐"])
    li.says("确认")
    li.says("取消提现").sees("要撤回提现 ¥100.00")
    return li


def meets(shop: Shop, li: Person, *states: str, called_back: bool = False) -> None:
    """She says 确认, and comes to wait for whoever writes what the provider says."""
    number, now = shop.pay.waiting()[0], shop.clock.now()
    with ThreadPoolExecutor(1) as pool:
        with shop.runtime.sessions.begin() as news:
            withdrawal = settling.lock(news, _request(news))
            said = pool.submit(li.says, "确认")
            assert until_waiting(shop.runtime.engine)
            assert not said.done()
            if called_back:
                recalling.call_back(news, withdrawal, now)
            for state in states:
                view = BillView(number, state, at=now)  # type: ignore[arg-type]
                assert not settling.bill_changed(news, view, "notification", now).alarming
        said.result(60)


def _request(session: Session) -> int:
    return int(session.execute(text("select id from withdrawal where ended_at is null")).scalar_one())


def ended(shop: Shop) -> tuple[str, int, int]:
    """(state, available, held) of the one request, whoever was first."""
    with shop.runtime.sessions() as session:
        state = session.execute(text("select state from withdrawal")).scalar_one()
        kinds = dict(session.execute(text(
            "select a.kind, b.amount from account a join balance b on b.account_id = a.id"
            " where a.kind in ('available', 'held') and a.owner_id = (select person_id from withdrawal)")).all())
    return state, kinds["available"], kinds["held"]


def test_paid_while_she_takes_it_back(shop: Shop, li: Person) -> None:
    meets(shop, li, "SUCCESS")
    li.sees("没有可以取消的提现")
    assert ended(shop) == ("paid", 5_840, 0) and held(shop) == []


def test_failed_while_she_takes_it_back(shop: Shop, li: Person) -> None:
    meets(shop, li, "FAIL")
    li.sees("没有可以取消的提现")
    assert ended(shop) == ("failed", 15_840, 0) and held(shop) == []


def test_on_its_way_while_she_takes_it_back(shop: Shop, li: Person) -> None:
    meets(shop, li, "TRANSFERING")
    li.sees("已经打款，不能取消")
    assert ended(shop) == ("paying", 5_840, 10_000) and held(shop) == []


def test_called_back_while_she_takes_it_back(shop: Shop, li: Person) -> None:
    """By somebody else, or by a second phone of hers: it is what she wanted, and she is told so."""
    meets(shop, li, "CANCELLED", called_back=True)
    li.sees("已取消提现", "钱已退回「可提现」")
    assert ended(shop) == ("cancelled", 15_840, 0) and held(shop) == []


def test_being_called_back_while_she_takes_it_back(shop: Shop, li: Person) -> None:
    meets(shop, li, called_back=True)
    li.sees("正在撤回")
    assert ended(shop) == ("paying", 5_840, 10_000) and held(shop) == []
