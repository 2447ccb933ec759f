"""The fund bill against our bills: every way in which the two may differ, and those in which they may not."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.orm import Session

from bot.runtime import embedded
from domain.paychannel import service as channel
from domain.paychannel.service import Difference
from domain.payouts import queries, reconcile
from domain.payouts.reconcile import Moved, judge
from domain.shared.clock import SHANGHAI, FixedClock
from tests.dialogs.test_withdrawals import earner, held
from tests.fakes.frozen import Frozen, frozen
from tests.fakes.shop import Person, Shop

DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=SHANGHAI)


def bill(state: str, **more: Any) -> Any:
    facts = {"out_bill_no": "HT1", "amount_fen": 100, "state": state, "paid_at": None, "state_at": NOON}
    return SimpleNamespace(**(facts | more))


@pytest.mark.parametrize(("state", "more", "outgo", "income", "kind"), [
    ("SUCCESS", {"paid_at": NOON}, 100, 0, None), ("SUCCESS", {"paid_at": NOON}, 0, 0, "success_without_line"),
    ("SUCCESS", {"paid_at": NOON}, 100, 100, "success_without_line"), ("SUCCESS", {"paid_at": NOON}, 99, 0,
                                                                       "amount_differs"),
    ("SUCCESS", {"paid_at": NOON}, 200, 0, "paid_twice"), ("SUCCESS", {"paid_at": NOON}, 200, 100, None),
    ("SUCCESS", {"paid_at": NOON + timedelta(days=1)}, 100, 0, None),
    ("SUCCESS", {"paid_at": NOON + timedelta(days=1)}, 0, 0, None),
    ("FAIL", {}, 100, 0, None), ("FAIL", {"state_at": NOON - timedelta(days=1)}, 100, 0, "money_not_returned"),
    ("CANCELLED", {"state_at": NOON - timedelta(days=1)}, 100, 100, None), ("FAIL", {}, 50, 0, "amount_differs"),
    ("WAIT_USER_CONFIRM", {}, 100, 0, None), ("PROCESSING", {}, 0, 0, None), ("made", {}, 100, 0, None),
    ("made", {}, 200, 0, "amount_differs"), ("dropped", {}, 100, 0, "bill_contradicted"), ("dropped", {}, 0, 0, None),
])
def test_what_moved_must_be_what_the_state_says(
    state: str, more: dict[str, Any], outgo: int, income: int, kind: str | None
) -> None:
    found = judge(bill(state, **more), Moved(outgo, income), DAY)
    assert (found.kind if found else None) == kind


def _withdraws(shop: Shop) -> None:
    li = earner(shop, "李姐", 198_000)
    for said in ("提现 150", "同意", "张三丰", "确认"):
        li.says(said)


@pytest.fixture(scope="module")
def withdrawn(new_shop: Frozen, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    """The story of ``li``, told once."""
    with frozen(new_shop.postgres, tmp_path_factory.mktemp("withdrawn"), _withdraws, new_shop) as shop:
        yield shop


@pytest.fixture
def shop(withdrawn: Frozen, tmp_path: Path, clock: FixedClock) -> Iterator[Shop]:
    with withdrawn.shop(tmp_path, clock) as shop:
        yield shop


@pytest.fixture
def li(shop: Shop) -> Person:
    """She has 150 yuan on their way, of 158.40."""
    return shop.people["李姐"]


def open_kinds(shop: Shop) -> list[str]:
    with shop.runtime.sessions() as session:
        return [one.kind for one in channel.open_incidents(session, "main")]


def compared(shop: Shop) -> list[tuple[date, int]]:
    with shop.runtime.sessions() as session:
        return [(one.day, one.open_incidents) for one in channel.compared_days(session, "main", date(2026, 1, 1))]


def test_days_are_compared_in_order_after_ten_once_and_when_the_bill_is_there(shop: Shop, li: Person) -> None:
    """Nobody confirms: the money comes back a day later, which is no incident. Nor is a fee."""
    made = shop.clock.now().astimezone(SHANGHAI).date()
    with shop.runtime.sessions.begin() as session:
        nine = datetime.combine(made + timedelta(days=3), datetime.min.time(), SHANGHAI) + timedelta(hours=9)
        assert reconcile.due_days(session, "main", nine) == [made, made + timedelta(days=1)]
        assert reconcile.due_days(session, "main", nine + timedelta(hours=1))[-1] == made + timedelta(days=2)
        assert reconcile.due_days(session, "other", nine) == []
    shop.pay.lines.append(replace(shop.pay.lines[0], flow_no="F-fee", business="交易", kind="扣除交易手续费",
                                  voucher_no="ORDER1", business_no="4200001"))

    shop.pay.late_bill = True
    shop.wait(hours=24)
    shop.pay.late_bill = False
    assert compared(shop) == []
    shop.wait(minutes=21)
    assert compared(shop) == [(made, 0)]
    shop.wait(hours=48)
    assert compared(shop) == [(made + timedelta(days=n), 0) for n in range(3)] and not open_kinds(shop)
    li.says("佣金").sees("可提现 ¥158.40")


def test_a_paid_bill_without_its_line_stops_paying_until_two_people_know_why(shop: Shop, li: Person) -> None:
    shop.pay.confirms(shop.pay.waiting()[0])
    shop.wait(minutes=1)
    li.saw("提现到账 ¥150.00")
    shop.pay.lines.clear()
    shop.wait(hours=24)
    assert open_kinds(shop) == ["success_without_line"]
    with shop.runtime.sessions() as session:
        (incident,) = channel.open_incidents(session)
        sentence = shop.runtime.voice.render("pay.incident.success_without_line", one=incident)
        assert "¥150.00" in sentence and "商户平台" in sentence
        assert queries.switch(session).reason.startswith("main: success_without_line")
    shop.wait(hours=24)
    assert open_kinds(shop) == ["success_without_line"], "told once"


def test_a_bill_that_nobody_can_ask_about_any_more_is_settled_by_the_fund_bill(shop: Shop, li: Person) -> None:
    (number,) = shop.pay.waiting()
    shop.pay.confirms(number)
    shop.pay.bills[number].made_at -= timedelta(days=40)
    shop.wait(days=30)
    shop.wait(hours=25)
    shop.wait(hours=1)
    li.says("佣金").sees("已提现 ¥150.00")
    assert not open_kinds(shop) and held(shop) == []


def test_what_was_explained_does_not_come_again_but_something_else_does(session: Session, clock: FixedClock) -> None:
    found, now = Difference("amount_differs", "HT1", DAY, 100, 99), clock.now()
    assert channel.stop(session, "main", found, now) and not channel.stop(session, "main", found, now)
    (incident,) = channel.open_incidents(session)
    channel.explain(session, incident.id, "a fee of one fen", "zhou", now)
    session.flush()
    assert not channel.stop(session, "main", found, now)
    assert channel.stop(session, "main", replace(found, theirs_fen=98), now)


def opened(before: Shop, home: Path, database_url: str) -> Shop:
    """The same people meet the shop again, on this database."""
    shop = Shop.open(home, database_url, before.clock)
    shop.numbers = before.numbers
    shop.people = {name: Person(shop, name, one.openid) for name, one in before.people.items()}
    shop.pay.bills.update(before.pay.bills)  # the provider forgets nothing
    shop.pay.lines.extend(before.pay.lines)
    return shop


def test_L29_yesterdays_backup_meets_a_payment_it_does_not_know(
    tmp_path: Path, postgres: embedded.Server, own_database: str, clock: FixedClock
) -> None:
    """The database of before the request is put back; the provider has paid since. Nothing more leaves until people
    know why, and the money is not paid a second time by itself."""
    shop = Shop.open(tmp_path, own_database, clock)
    earner(shop, "李姐", 198_000)
    shop.close()
    name = str(make_url(own_database).database)
    backup = f"{name}_backup"
    admin = create_engine(postgres.url.replace("/huitou?", "/postgres?"), isolation_level="AUTOCOMMIT")
    with admin.connect() as db:
        db.execute(text(f"create database {backup} template {name}"))
    try:
        shop = opened(shop, tmp_path, own_database)
        li = shop.person("李姐")
        for said in ("提现 150", "同意", "张三丰", "确认"):
            li.says(said)
        shop.pay.confirms(shop.pay.waiting()[0])
        shop.wait(minutes=1)
        li.saw("提现到账 ¥150.00")
        shop.close()

        restored = opened(shop, tmp_path, own_database.replace(f"/{name}?", f"/{backup}?"))
        try:
            li = restored.person("李姐")
            li.says("佣金").sees("可提现 ¥158.40")
            for said in ("提现 100", "同意", "张三丰", "确认"):
                li.says(said)
            before = len(restored.pay.bills)
            restored.wait(hours=24)
            assert "line_without_bill" in open_kinds(restored)
            with restored.runtime.sessions() as session:
                assert "line_without_bill" in queries.switch(session).reason
            li.says("取消提现")
            li.says("确认")
            restored.wait(hours=25)
            for said in ("提现 100", "确认"):
                li.says(said)
            restored.wait(hours=1)
            assert len(restored.pay.bills) == before, "stopped: nothing more is handed to the provider"
        finally:
            restored.close()
    finally:
        with admin.connect() as db:
            db.execute(text(f"drop database {backup} with (force)"))
        admin.dispose()
