"""A shop with a payment provider, and somebody with money to withdraw."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bot.kit.pay import BillView
from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.ledger import queries as ledger
from domain.ledger import service as books
from domain.ledger.rules import Entry, Move, person, platform
from domain.payouts import queries, service
from domain.payouts.queries import WithdrawalView
from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.shared.clock import FixedClock
from domain.vault import service as vault
from domain.vault.seal import Vault
from domain.workflows import withdrawing
from tests.fakes.frozen import Frozen
from tests.fakes.shop import Shop as Talking
from tests.integration.money.world import of_the_shop

PEPPER = b"a pepper of at least sixteen bytes"


@dataclass
class Till:
    """Speaks to the payouts room directly, and works through the real jobs on the fake provider."""

    shop: Talking
    owner: int = 0

    @property
    def pay(self) -> Any:
        return self.shop.pay

    def earner(self, name: str, fen: int, id_number: bool = True) -> int:
        """Somebody who consented, with name and ID number, and ``fen`` available."""
        with self.shop.runtime.sessions.begin() as session:
            now = self.shop.clock.now()
            who = people.resolve(session, [IdentityRef("openid", f"o-{name}", self.pay.app_id)], now, pepper=PEPPER)
            box = self.shop.runtime.context.tool(Vault)
            vault.keep(session, box, who, "real_name", "张三", now)
            if id_number:
                vault.keep(session, box, who, "id_number", "11010519491231002X", now)
            service.agree(session, who, "2026-11", "digest", now)
        self.owner = who
        self.earn(fen, who)
        return who

    def earn(self, fen: int, who: int = 0) -> None:
        who = who or self.owner
        with self.shop.runtime.sessions.begin() as session:
            now = self.shop.clock.now()
            number = session.execute(text("select count(*) from journal")).scalar_one()
            books.post(session, [Entry(f"test:{number}", "test.earned", now, "test", 1, "",
                                       (Move(platform("expense.bonus"), person(who, "available"), fen),))], now)

    def ask(self, fen: int, who: int = 0, review: str = "") -> WithdrawalView:
        who = who or self.owner
        with self.shop.runtime.sessions.begin() as session:
            openid = session.execute(text("select value from identity where person_id = :p and kind = 'openid'"),
                                     {"p": who}).scalar_one()
            request = service.Request(who, fen, "main", self.pay.app_id, openid, "佣金", review)
            asked = withdrawing.ask(session, request, self.shop.clock.now())
        return self.view(asked)

    def view(self, withdrawal_id: int) -> WithdrawalView:
        with self.shop.runtime.sessions() as session:
            found = queries.by_id(session, withdrawal_id)
        assert found is not None
        return found

    def latest(self, who: int = 0) -> WithdrawalView:
        with self.shop.runtime.sessions() as session:
            found = queries.latest_of(session, who or self.owner)
        assert found is not None
        return found

    def do(self, act: Any, *args: Any, **more: Any) -> Any:
        """A use case in a transaction of its own: ``act(session, *args, now)``."""
        with self.shop.runtime.sessions.begin() as session:
            return act(session, *args, self.shop.clock.now(), **more)

    def work(self, **by: float) -> None:
        """Jobs and chores; faults of the provider that a test raises end a round, as a dying worker does."""
        from bot.runtime import work

        seconds = by.get("seconds", 0) + 60 * by.get("minutes", 0) + 3_600 * by.get("hours", 0)
        self.shop.clock.advance(seconds + 86_400 * by.get("days", 0))
        for _ in range(20):
            work.answer(self.shop.runtime, "fast")
            if not work.answer(self.shop.runtime, "slow"):  # nor is there anything for the fast ones, who had done all
                break
        self.shop.gateway.sent.clear()

    def money(self, who: int = 0) -> tuple[int, int, int, int]:
        """(available, held, paid, debt) in fen."""
        with self.shop.runtime.sessions() as session:
            wallet = ledger.wallet(session, who or self.owner)
        return wallet.available_fen, wallet.withdrawing_fen, wallet.paid_fen, wallet.debt_fen

    def received(self, name: str) -> int:
        return int(self.pay.paid_to(f"o-{name}"))

    def told(self, view: BillView, source: str = "notification") -> service.Change:
        """The provider says so."""
        change: service.Change = self.do(service.bill_changed, view, source)
        return change

    def confirm_all(self) -> None:
        for number in self.pay.waiting():
            self.pay.confirms(number)

    def operator(self, name: str, role: str) -> Actor:
        with self.shop.runtime.sessions.begin() as session:
            now = self.shop.clock.now()
            found = session.execute(text("select name from operator where role = 'owner' order by id limit 1")).scalar()
            owner = audit.operator(session, found) if found else audit.add_operator(session, "店主", "owner", None, now)
            return audit.add_operator(session, name, role, owner, now)  # type: ignore[arg-type]

    def rows(self, sql: str) -> list[Any]:
        with self.shop.runtime.sessions() as session:
            return list(session.execute(text(sql)).all())

    def check(self) -> None:
        with self.shop.runtime.sessions() as session:
            report = books.check(session)
            assert (of_the_shop(report.faults), queries.check(session)) == ([], [])
            assert session.execute(text("select count(*) from balance where amount < 0")).scalar_one() == 0


@pytest.fixture
def till(tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Till]:
    """Whatever a test does, the books balance afterwards: held money is what open requests hold, and so on."""
    with new_shop.shop(tmp_path, clock) as shop:
        till = Till(shop)
        yield till
        till.check()
