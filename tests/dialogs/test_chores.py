"""Recurring work is asked for before it is begun. Through months of a shop's life nothing is missed by that: whatever
is not asked for, writes nothing when it is done all the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text

from bot.runtime import clockwork
from domain.shared import chores as board
from handlers.jobs import CHORES
from tests.dialogs.test_called_back import freeze, release
from tests.dialogs.test_withdrawals import agreed
from tests.fakes.shop import Shop

WROTE = text("select pg_current_xact_id_if_assigned() is not null")
LOCKS = {"people.recall"}
"""Lock a row to look, which counts as writing here."""


NOT_HERE = {"approvals.expire", "experiments.tend", "helpdesk.settle", "notices.broadcast", "shots.tidy", "staff.tasks"}
"""Find nothing to do in this story; see tests/integration/runtime/test_wanted.py."""
ALWAYS = {"books.full", "books.recent", "contacts.followers", "contacts.unknown", "draws.turn", "people.erase",
          "programme.birthdays", "roles.invite"}


class Watched:
    """What a chore is given. Remembers whether its transactions wrote anything."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self.wrote = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    @contextmanager
    def begin(self) -> Iterator[Any]:
        with self._context.begin() as session:
            yield session
            session.flush()
            self.wrote = self.wrote or session.execute(WROTE).scalar_one()


class Doubt:
    """Does all that is not asked for, and remembers what ever was asked for and what ever was not."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.asked, self.spared = shop, set[str](), set[str]()

    def look(self) -> None:
        with self.shop.runtime.sessions.begin() as session:
            found = set(board.wanted(session, CHORES.names(), self.shop.clock.now()))
        idle = set(CHORES.names()) - found
        for name in sorted(idle - LOCKS):
            watched = Watched(self.shop.runtime.context)
            more = CHORES.get(name).work(watched)
            assert not (watched.wrote or more), f"{name} was not asked for"
        self.asked, self.spared = self.asked | found, self.spared | idle

    def wait(self, *, looks: int = 2, **by: float) -> None:
        """Time passes; it is looked at in between, before and after the work."""
        for _ in range(looks):
            self.shop.clock.advance(sum(by[unit] * {"days": 86_400, "hours": 3_600}[unit] for unit in by) / looks)
            self.look()
            self.shop.work()
            self.look()


def test_months_in_which_nothing_is_missed(shop: Shop) -> None:
    doubt = Doubt(shop)
    doubt.look()
    shop.journeys("care", "at_risk")
    li = shop.person("李姐")
    wang, xin = shop.person("小王", invited_by="李姐"), shop.person("新客", invited_by="李姐")
    doubt.look()
    for number in range(4):
        shop.paid(f"A{number}", by=xin, fen=2_400_000)
        shop.received(f"A{number}")
        doubt.look()
    shop.paid("B1", by=wang, fen=300_000)
    li.says("人工").says("在吗")
    doubt.wait(days=1)
    shop.refunded("B1", fen=250_000)
    doubt.look()
    doubt.wait(days=17)  # December: November closes, windows end, money is let go
    shop.refunded("A1", fen=100_000)
    doubt.look()
    doubt.wait(hours=9)
    agreed(li, "提现 200").says("确认").sees("已申请提现 ¥200.00")
    doubt.look()
    freeze(shop, li)
    doubt.look()
    shop.work()
    doubt.wait(hours=2)
    release(shop)
    doubt.wait(days=2)
    wang.happens("unsubscribe")
    doubt.wait(days=40)
    doubt.wait(days=380)
    assert doubt.asked | NOT_HERE == set(CHORES.names())
    assert doubt.spared | ALWAYS == set(CHORES.names())


def test_the_clock_rings_for_chores_that_find_something_to_do(shop: Shop) -> None:
    """Half a minute: the time of those that look every few seconds, and of nothing that always runs."""
    assert "chore" not in clockwork.tick(shop.runtime)
    shop.clock.advance(30)
    assert "chore" not in clockwork.tick(shop.runtime)
    shop.paid("A1", by=shop.person("新客"), fen=9_900)
    shop.clock.advance(30)
    assert "chore" in clockwork.tick(shop.runtime)
    shop.work()
    shop.clock.advance(30)
    assert "chore" not in clockwork.tick(shop.runtime)
