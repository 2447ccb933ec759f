"""A payment provider in memory that keeps WeChat Pay's promises, and breaks on command what may break.

It honours the state machine, holds the merchant's money, forgets nothing, pays a bill number at most once, closes
bills after 24 hours, and can lose answers before or after acting. ``paid_to`` is the oracle of tests: what people
really received.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from bot.kit.pay import (
    FINAL,
    BadNotification,
    Bill,
    BillView,
    FundBillNotReady,
    FundLine,
    Notification,
    PayOutcome,
    PayResult,
    PayState,
    Purpose,
)
from domain.shared.clock import Clock

SHANGHAI = ZoneInfo("Asia/Shanghai")
UNKNOWN = PayResult(PayOutcome.UNKNOWN, code="TIMEOUT")
NOT_FOUND = PayResult(PayOutcome.NOT_FOUND, code="NOT_FOUND")


@dataclass
class Kept:
    """A bill as the provider keeps it."""

    bill: Bill
    state: PayState
    made_at: datetime
    number: str
    fail_reason: str = ""
    visible_at: datetime | None = None
    changed_at: datetime | None = None


@dataclass
class FakePay:
    """Implements ``bot.kit.pay.PayGateway`` on ``clock``. Every call is counted in ``calls``.

    ``faults`` are taken one a call: 'lost before' (timed out, nothing done), 'lost after' (done, answer lost),
    'hidden' (made, answer lost, and queries say NOT_FOUND for 3 minutes), or a PayResult to answer as it is.
    ``late_bill``: fund bills are not ready yet.
    ``before`` / ``after`` are called around the act of every transfer: raise there to die in the middle.
    """

    clock: Clock
    account: str = "demo"
    app_id: str = ""
    mch_id: str = "1900000109"
    purpose: Purpose = "commission"
    funds_fen: int = 100_000_000
    single_max_fen: int = 20_000
    auto_confirm: bool = False
    late_bill: bool = False
    bills: dict[str, Kept] = field(default_factory=dict)
    faults: "deque[str | PayResult]" = field(default_factory=deque)
    calls: "Counter[str]" = field(default_factory=Counter)
    before: Callable[[Bill], None] = lambda bill: None
    after: Callable[[Bill], None] = lambda bill: None
    lines: list[FundLine] = field(default_factory=list)
    notices: list[Notification] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # What the service calls

    def transfer(self, bill: Bill) -> PayResult:
        self.calls["transfer"] += 1
        with self._lock:
            fault = self.faults.popleft() if self.faults else ""
        if isinstance(fault, PayResult):
            return fault
        if fault == "lost before":
            return UNKNOWN
        self.before(bill)
        with self._lock:
            result = self._transfer(bill)
            if fault == "hidden" and bill.out_bill_no in self.bills:
                self.bills[bill.out_bill_no].visible_at = self.clock.now() + timedelta(minutes=3)
        self.after(bill)
        return UNKNOWN if fault in ("lost after", "hidden") else result

    def query(self, out_bill_no: str) -> PayResult:
        self.calls["query"] += 1
        with self._lock:
            fault = self.faults.popleft() if self.faults else ""
            if isinstance(fault, PayResult):
                return fault
            if fault:
                return UNKNOWN
            self._close_old()
            kept = self.bills.get(out_bill_no)
            now = self.clock.now()
            if kept is None or (kept.visible_at and now < kept.visible_at) or now - kept.made_at > timedelta(days=30):
                return NOT_FOUND
            if kept.state == PayState.CANCELING:
                self._end(kept, PayState.CANCELLED)
            return PayResult(PayOutcome.ANSWERED, self._view(kept))

    def cancel(self, out_bill_no: str) -> PayResult:
        self.calls["cancel"] += 1
        with self._lock:
            kept = self.bills.get(out_bill_no)
            if kept is None:
                return NOT_FOUND
            if kept.state in FINAL:
                return PayResult(PayOutcome.REFUSED, code="STATE_ERROR", detail="the bill is final")
            kept.state = PayState.CANCELING
            return PayResult(PayOutcome.ANSWERED, replace(self._view(kept), amount_fen=0, openid=""))

    def fund_bill(self, day: date) -> list[FundLine]:
        if self.late_bill:
            raise FundBillNotReady("STATEMENT_CREATING")
        with self._lock:
            return [line for line in self.lines if line.at.astimezone(SHANGHAI).date() == day]

    def read_notification(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Tests have no wire: the body is the position of a notice in ``notices``."""
        try:
            return self.notices[int(body)]
        except (ValueError, IndexError) as error:
            raise BadNotification("not one of ours") from error

    # What the world does

    def confirms(self, out_bill_no: str) -> None:
        """The person opens the page and confirms: the money is theirs."""
        with self._lock:
            self._close_old()
            kept = self.bills[out_bill_no]
            assert kept.state == PayState.WAIT_USER_CONFIRM, kept.state
            self._succeed(kept)

    def fails(self, out_bill_no: str, reason: str = "ACCOUNT_ERROR") -> None:
        with self._lock:
            self._end(self.bills[out_bill_no], PayState.FAIL, reason)

    def tops_up(self, fen: int) -> None:
        """Money arrives on the merchant's account; bills that waited for it wait no longer once they are repeated."""
        with self._lock:
            self.funds_fen += fen

    def waiting(self) -> list[str]:
        """Numbers of the bills that wait for their person, oldest first."""
        return [number for number, kept in self.bills.items() if kept.state == PayState.WAIT_USER_CONFIRM]

    def paid_to(self, openid: str) -> int:
        """Fen that this person really received."""
        return sum(kept.bill.amount_fen for kept in self.bills.values()
                   if kept.bill.openid == openid and kept.state == PayState.SUCCESS)

    def view(self, out_bill_no: str) -> BillView:
        return self._view(self.bills[out_bill_no])

    # Inside

    def _transfer(self, bill: Bill) -> PayResult:
        self._close_old()
        if not (bill.out_bill_no.isascii() and bill.out_bill_no.isalnum() and 1 <= len(bill.out_bill_no) <= 32
                and len(bill.remark) <= 32 and 10 <= bill.amount_fen <= self.single_max_fen):
            return PayResult(PayOutcome.REFUSED, code="PARAM_ERROR")
        if bill.amount_fen >= 200_000 and not bill.user_name:
            return PayResult(PayOutcome.REFUSED, code="PARAM_ERROR", detail="a name is needed")
        kept = self.bills.get(bill.out_bill_no)
        if kept is None:
            now = self.clock.now()
            kept = self.bills[bill.out_bill_no] = Kept(bill, PayState.ACCEPTED, now, f"13300{len(self.bills):023d}")
        elif kept.bill != bill:
            return PayResult(PayOutcome.REFUSED, code="PARAM_ERROR", detail="the number was used with another body")
        if kept.state in (PayState.ACCEPTED, PayState.PROCESSING):
            self._reserve(kept)
        return PayResult(PayOutcome.ANSWERED, replace(self._view(kept), amount_fen=0, openid=""))

    def _reserve(self, kept: Kept) -> None:
        if self.funds_fen < kept.bill.amount_fen:
            kept.state = PayState.PROCESSING
            return
        self._move(kept, income=False)
        kept.state, kept.changed_at = PayState.WAIT_USER_CONFIRM, self.clock.now()
        if self.auto_confirm:
            self._succeed(kept)

    def _succeed(self, kept: Kept) -> None:
        kept.state, kept.changed_at = PayState.SUCCESS, self.clock.now()
        self._notify(kept)

    def _end(self, kept: Kept, state: PayState, reason: str = "") -> None:
        assert kept.state not in FINAL, kept.state
        if kept.state not in (PayState.ACCEPTED, PayState.PROCESSING):
            self._move(kept, income=True)
        kept.state, kept.fail_reason, kept.changed_at = state, reason, self.clock.now()
        self._notify(kept)

    def _move(self, kept: Kept, income: bool) -> None:
        self.funds_fen += kept.bill.amount_fen if income else -kept.bill.amount_fen
        self.lines.append(FundLine(
            self.clock.now(), kept.number, f"flow{len(self.lines):06d}", "商家转账", "转账退款" if income else "转账",
            income, kept.bill.amount_fen, self.funds_fen, kept.bill.out_bill_no))

    def _close_old(self) -> None:
        for kept in self.bills.values():
            if kept.state == PayState.WAIT_USER_CONFIRM and self.clock.now() - kept.made_at >= timedelta(hours=24):
                self._end(kept, PayState.FAIL, "OVERDUE_CLOSE")

    def _notify(self, kept: Kept) -> None:
        self.notices.append(Notification(f"n{len(self.notices)}", self._view(kept), self.clock.now()))

    def _view(self, kept: Kept) -> BillView:
        package = f"package-{kept.bill.out_bill_no}" if kept.state == PayState.WAIT_USER_CONFIRM else ""
        return BillView(kept.bill.out_bill_no, kept.state, kept.number, kept.bill.amount_fen, kept.bill.openid,
                        package, kept.fail_reason, kept.changed_at)
