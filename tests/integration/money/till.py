"""The shop of the state machine: orders, withdrawals and the provider on one database, told to the model as well.

Nothing here decides what is right: acts go through the public doors of the services, and the facts to
tests/fakes/shadow_money.py.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.kit.pay import Bill as Order
from bot.kit.pay import PayResult
from bot.runtime import demo_team
from domain.audit import service as audit
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.ledger import queries as ledger
from domain.ledger import service as books
from domain.payouts import queries, service
from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.risk.service import Outcome
from domain.shared.clock import FixedClock
from domain.vault import service as vault
from domain.vault.seal import Vault
from domain.workflows import acts, freezing
from tests.conftest import MORNING
from tests.fakes.pay import FakePay
from tests.fakes.shadow_ledger import Shadow
from tests.fakes.shadow_money import Bill, Request, ShadowMoney, Wealth, month_tax
from tests.integration.money.world import PEPPER, Shop

APP = "wx-till"
RATES = {(1, "*"): Fraction(5, 100), (1, "fmcg"): Fraction(8, 100), (1, "edge"): Fraction(37, 100),
         (2, "*"): Fraction(10, 100)}
UPLINE = {"a": ["b", "c"], "b": ["c"], "c": [], "d": ["c"]}
PLAN = {
    "name": "till", "levels": 2, "cap_bps": 5000,
    "rules": [{"level": 1, "rate_bps": 500}, {"level": 1, "category": "fmcg", "rate_bps": 800},
              {"level": 1, "category": "edge", "rate_bps": 3700}, {"level": 2, "rate_bps": 1000}],
    "ladder": {"mode": "marginal", "steps": [{"from_fen": 0, "rate_bps": 100}, {"from_fen": 100_000, "rate_bps": 300}]},
    "withdrawal": {"min_fen": 100, "id_number_above_fen": 80_000, "second_person_above_fen": 15_000, "bill_min_fen": 10,
                   "bill_max_fen": 20_000, "per_day_fen": 100_000_000, "name_from_fen": 200_000, "confirm_hours": 24},
    "tax": {"method": "per_month"},
}
CALLS = 12


class Crash(Exception):
    """The process died here."""


class Till:
    """``reached`` counts what a history went through."""

    def __init__(self, engine: Engine, reached: "Counter[str]") -> None:
        self.clock = FixedClock(MORNING)
        self.shop = Shop(engine, self.clock, plan="")
        self.pay = FakePay(self.clock, account="main", app_id=APP)
        self.model = ShadowMoney(Shadow(UPLINE, RATES, Fraction(1, 2)))
        self.reached = reached
        self.before: dict[str, Wealth] = self.model.wealth()
        with self.shop.sessions.begin() as session:
            demo_team.allow_levels(session, MORNING)
            commissions.ensure_plan(session, plans.parse(PLAN), MORNING)
            self.owner = owner = demo_team.hire(session, MORNING)["owner"]
            self.one, self.other = (audit.add_operator(session, name, "finance", owner, MORNING)
                                    for name in ("小钱", "小孙"))
        self.shop.people_bound({one: UPLINE[one][0] if UPLINE[one] else "" for one in "cbad"})
        keys = Vault(b"k" * 32)
        for name, who in self.shop.people.items():
            with self.shop.sessions.begin() as session:
                both = [IdentityRef("mall_user_id", name), IdentityRef("openid", f"o-{name}", APP)]
                people.resolve(session, both, MORNING, pepper=PEPPER)
                vault.keep(session, keys, who, "real_name", "张三", MORNING)
                vault.keep(session, keys, who, "id_number", "11010519491231002X", MORNING)
                service.agree(session, who, "2026-11", "digest", MORNING)

    def do(self, act: Callable[..., Any], *args: Any, dies: bool = False, **more: Any) -> Any:
        """``act(session, *args, now)`` in a transaction of its own; ``dies``: killed before its commit."""
        try:
            with self.shop.sessions.begin() as session:
                result = act(session, *args, self.clock.now(), **more)
                if dies:
                    self.reached["killed before commit"] += 1
                    raise Crash
        except Crash:
            return None
        return result

    def decide(self, case_id: int, outcome: Outcome) -> None:
        """By two people."""
        asked = self.do(freezing.ask_decision, case_id, outcome, "looked at", self.one)
        self.do(acts.decide, asked.id, True, self.owner)

    @property
    def opened(self) -> datetime:
        """Before this the shop had no plan."""
        return MORNING

    @staticmethod
    def request(person: str, gross: int) -> Request:
        return Request(person, gross)

    # Payments

    def drive(self, dies: str = "", calls: int = CALLS) -> int:
        """What is due at the provider, as the job does it; how many calls. It may die once: 'claimed', 'called', or
        'recorded' (before the commit)."""
        for done in range(calls):
            step = self.do(service.claim)
            if step is None:
                return done
            if dies == "claimed":
                self.reached["died before the call"] += 1
                return done
            result = self._call(step)
            self.reached[f"answer {result.outcome}"] += 1
            if dies == "called":
                self.reached["died after the call"] += 1
                return done
            pause = result.retry_at - self.clock.now() if result.retry_at else timedelta(seconds=10)
            told = service.Told(result.outcome.value, result.view, result.code, pause)
            was = self._state(step.bill_id)
            change = self.do(service.record, step, told, dies=dies == "recorded")
            if step.was_in_doubt and change and was == "made":
                self.reached["unknown, then known"] += 1
            if dies == "recorded":
                return done
        return calls

    def _state(self, bill_id: int) -> str:
        return str(self.shop.rows("select state from transfer_bill where id = :id", id=bill_id)[0][0])

    def _call(self, step: service.Step) -> PayResult:
        match step.act:
            case "query":
                return self.pay.query(step.out_bill_no)
            case "cancel":
                return self.pay.cancel(step.out_bill_no)
            case _:
                return self.pay.transfer(Order(step.out_bill_no, step.openid, step.amount_fen, step.remark))

    def notice(self, number: int) -> None:
        """The provider repeats one of its notifications, old or new."""
        view = self.pay.notices[number % len(self.pay.notices)].view
        change = self.do(service.bill_changed, view, "notification")
        assert not change.alarming, change
        self.reached[f"notice {change.what}"] += 1

    def pass_days(self, days: float) -> None:
        """Time goes by, and the clock's work is done."""
        self.clock.advance(days * 86_400)
        debts = {one: wealth.debt for one, wealth in self.model.wealth().items()}
        self.shop.due()
        self.model.time_passed(self.clock.now())
        for one, wealth in self.model.wealth().items():
            self.reached["debt repaid"] += wealth.debt < debts[one]

    def rest(self) -> None:
        """Nobody is ill and nothing is lost any more: every payment that may end ends."""
        self.pay.faults.clear()
        self.pay.tops_up(10**8)
        for _ in range(60):
            if not self.shop.rows("select 1 from transfer_bill where due_at is not null"
                                  " and withdrawal_id in (select id from withdrawal where ended_at is null)"):
                break
            self.clock.advance(7_200)
            while self.drive():
                pass
        self.learn()

    def nothing_is_open(self) -> None:
        """Everything ended, and what people received is what was paid less its tax."""
        assert not [one for one in self.model.requests.values() if one.open]
        for name, who in self.shop.people.items():
            told = self.shop.rows("select coalesce(sum(paid_gross_fen - paid_tax_fen), 0) from withdrawal"
                                  " where person_id = :who", who=who)
            assert told == [(self.pay.paid_to(f"o-{name}"),)], name

    # Comparing

    def learn(self) -> None:
        """What the service has heard of payments by now. That it is true is checked against the provider, that it is
        complete when everything has come to rest."""
        self.provider_agrees()
        rows = self.shop.rows(
            "select w.id, w.state, w.ended_at is null, b.share_fen, b.state, b.gross_fen from withdrawal w"
            " left join transfer_bill b on b.withdrawal_id = w.id order by w.id, b.n")
        for request in self.model.requests.values():
            request.bills = []
        for number, state, still_open, share, bill, gross in rows:
            request = self.model.requests[number]
            request.open = still_open
            self.reached[f"withdrawal {state}"] += 1
            if share is not None:
                ended = bill in ("SUCCESS", "FAIL", "CANCELLED", "dropped")
                request.bills.append(Bill(share, bill if ended else "open", gross))
                self.reached[f"bill {bill}"] += 1

    def provider_agrees(self) -> None:
        """What we call paid was paid, what we call failed was not, and what we dropped never left. Each bill is at the
        provider at most once: its number is the key there."""
        for number, state, amount, openid in self.shop.rows(
                "select b.out_bill_no, b.state, b.amount_fen, w.openid from transfer_bill b"
                " join withdrawal w on w.id = b.withdrawal_id"
                " where b.state in ('SUCCESS', 'FAIL', 'CANCELLED', 'dropped')"):
            kept = self.pay.bills.get(number)
            if state == "dropped":
                assert kept is None, number
            else:
                assert kept is not None and (kept.state.value, kept.bill.amount_fen, kept.bill.openid) == (
                    state, amount, openid), (number, state, kept)

    def agree(self) -> None:
        """Every wallet is what the model says, every invariant of the books holds, tax is that of the month."""
        with self.shop.sessions() as session:
            found = {name: self._wealth(session, who) for name, who in self.shop.people.items()}
            expected = self.model.wealth()
            assert found == expected, {one: (found[one], expected[one]) for one in found if found[one] != expected[one]}
            report = books.check(session)
            assert (report.faults, queries.check(session)) == ((), [])
            assert queries.switch(session).stopped_at is None, "something contradicted itself"
        for month, gross, tax in self.shop.rows(
                "select to_char(b.paid_at at time zone 'Asia/Shanghai', 'YYYY-MM'), sum(b.gross_fen), sum(b.tax_fen)"
                " from transfer_bill b join withdrawal w on w.id = b.withdrawal_id where b.state = 'SUCCESS'"
                " group by 1, w.person_id"):
            assert month_tax(int(gross)) == tax, (month, gross, tax)
            self.reached["taxed"] += tax > 0
        for one, wealth in expected.items():
            self.reached["debt made"] += wealth.debt > self.before[one].debt
            self.reached["debt while withdrawing"] += bool(wealth.debt and wealth.held)
            self.reached["refund after payout"] += bool(wealth.debt and wealth.paid)
            self.reached["frozen money"] += wealth.frozen > 0
        self.before = expected

    @staticmethod
    def _wealth(session: Session, who: int) -> Wealth:
        wallet = ledger.wallet(session, who)
        return Wealth(wallet.pending_fen, wallet.available_fen, wallet.frozen_fen, wallet.withdrawing_fen,
                      wallet.paid_fen, wallet.debt_fen)

