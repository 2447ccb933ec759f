"""WeChat Pay between the shop and its people, with its real rules: a number pays once, the person confirms within a day
or the money goes back, answers get lost, and the day's bill has every movement.

What people really received stands in ``receipts``: nothing there comes from the shop's tables.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from threading import Lock

from bot.kit.pay import (
    FINAL,
    BadNotification,
    Bill,
    BillView,
    FundLine,
    Notification,
    PayOutcome,
    PayResult,
    PayState,
    Purpose,
)
from domain.shared.clock import Clock, business_date
from domain.shared.records import record

LEAST_FEN, MOST_FEN = 10, 20_000
OPEN_FOR, FORGOTTEN = timedelta(hours=24), timedelta(days=30)
OVERDUE, WRONG_ACCOUNT = "OVERDUE_CLOSE", "ACCOUNT_ERROR"
LOST = PayResult(PayOutcome.UNKNOWN, code="TIMEOUT")
NOT_FOUND = PayResult(PayOutcome.NOT_FOUND, code="NOT_FOUND")
IN_WORK = frozenset({PayState.ACCEPTED, PayState.PROCESSING})


@record
class Receipt:
    """Money that somebody has."""

    at: datetime
    openid: str
    out_bill_no: str
    fen: int


@dataclass(slots=True)
class _Kept:
    bill: Bill
    made_at: datetime
    number: str
    state: PayState = PayState.ACCEPTED
    reason: str = ""
    changed_at: datetime | None = None


@dataclass
class Bank:
    """Implements ``bot.kit.pay.PayGateway``. ``lost``: share of the calls whose answer never comes back, one half of
    them before anything was done. ``notices``: what was told to the shop's door, by number."""

    clock: Clock
    luck: random.Random
    app_id: str
    account: str = "main"
    mch_id: str = "1900000109"
    purpose: Purpose = "commission"
    funds_fen: int = 50_000_000
    lost: float = 0.02
    receipts: list[Receipt] = field(default_factory=list)
    notices: list[Notification] = field(default_factory=list)
    told: int = 0
    """How many of the notices the shop was told of."""
    _bills: dict[str, _Kept] = field(default_factory=dict)
    _lines: list[FundLine] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def transfer(self, bill: Bill) -> PayResult:
        with self._lock:
            dice = self.luck.random()
            if dice < self.lost / 2:
                return LOST
            result = self._taken(bill)
            return LOST if dice < self.lost else result

    def query(self, out_bill_no: str) -> PayResult:
        with self._lock:
            self._close_old()
            kept = self._bills.get(out_bill_no)
            if kept is None or self.clock.now() - kept.made_at > FORGOTTEN:
                return NOT_FOUND
            if kept.state == PayState.CANCELING:
                self._end(kept, PayState.CANCELLED)
            return PayResult(PayOutcome.ANSWERED, self._view(kept))

    def cancel(self, out_bill_no: str) -> PayResult:
        with self._lock:
            kept = self._bills.get(out_bill_no)
            if kept is None:
                return NOT_FOUND
            if kept.state in FINAL:
                return PayResult(PayOutcome.REFUSED, code="STATE_ERROR", detail="the bill is final")
            kept.state = PayState.CANCELING
            return PayResult(PayOutcome.ANSWERED, replace(self._view(kept), amount_fen=0, openid=""))

    def fund_bill(self, day: date) -> list[FundLine]:
        with self._lock:
            self._close_old()
            return [line for line in self._lines if business_date(line.at) == day]

    def read_notification(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """The body is the number of a notice: nobody listens on the wire of a rehearsal."""
        try:
            return self.notices[int(body)]
        except (ValueError, IndexError) as error:
            raise BadNotification("not one of ours") from error

    def confirms(self, openid: str) -> int:
        """The person confirms what waits for them; how many bills that were. One in fifty has an account that cannot
        take money."""
        with self._lock:
            self._close_old()
            waiting = [kept for kept in self._bills.values()
                       if kept.bill.openid == openid and kept.state == PayState.WAIT_USER_CONFIRM]
            for kept in waiting:
                if self.luck.random() < 0.02:
                    self._end(kept, PayState.FAIL, WRONG_ACCOUNT)
                else:
                    self._paid(kept)
            return len(waiting)

    def _taken(self, bill: Bill) -> PayResult:
        self._close_old()
        if not (bill.out_bill_no.isascii() and bill.out_bill_no.isalnum() and len(bill.out_bill_no) <= 32
                and len(bill.remark) <= 32 and LEAST_FEN <= bill.amount_fen <= MOST_FEN):
            return PayResult(PayOutcome.REFUSED, code="PARAM_ERROR")
        kept = self._bills.get(bill.out_bill_no)
        if kept is None:
            kept = self._bills[bill.out_bill_no] = _Kept(bill, self.clock.now(), f"13300{len(self._bills):023d}")
        elif kept.bill != bill:
            return PayResult(PayOutcome.REFUSED, code="PARAM_ERROR", detail="the number was used with another body")
        if kept.state in IN_WORK and self.funds_fen >= bill.amount_fen:
            self._move(kept, income=False)
            kept.state, kept.changed_at = PayState.WAIT_USER_CONFIRM, self.clock.now()
        elif kept.state in IN_WORK:
            kept.state = PayState.PROCESSING
        return PayResult(PayOutcome.ANSWERED, replace(self._view(kept), amount_fen=0, openid=""))

    def _paid(self, kept: _Kept) -> None:
        kept.state, kept.changed_at = PayState.SUCCESS, self.clock.now()
        self.receipts.append(Receipt(self.clock.now(), kept.bill.openid, kept.bill.out_bill_no, kept.bill.amount_fen))
        self._note(kept)

    def _end(self, kept: _Kept, state: PayState, reason: str = "") -> None:
        if kept.state not in IN_WORK:
            self._move(kept, income=True)
        kept.state, kept.reason, kept.changed_at = state, reason, self.clock.now()
        self._note(kept)

    def _close_old(self) -> None:
        for kept in self._bills.values():
            if kept.state == PayState.WAIT_USER_CONFIRM and self.clock.now() - kept.made_at >= OPEN_FOR:
                self._end(kept, PayState.FAIL, OVERDUE)

    def _move(self, kept: _Kept, *, income: bool) -> None:
        self.funds_fen += kept.bill.amount_fen if income else -kept.bill.amount_fen
        self._lines.append(FundLine(
            self.clock.now(), kept.number, f"flow{len(self._lines):06d}", "商家转账", "转账退款" if income else "转账",
            income, kept.bill.amount_fen, self.funds_fen, kept.bill.out_bill_no))

    def _note(self, kept: _Kept) -> None:
        self.notices.append(Notification(f"n{len(self.notices)}", self._view(kept), self.clock.now()))

    def _view(self, kept: _Kept) -> BillView:
        package = f"package-{kept.bill.out_bill_no}" if kept.state == PayState.WAIT_USER_CONFIRM else ""
        return BillView(kept.bill.out_bill_no, kept.state, kept.number, kept.bill.amount_fen, kept.bill.openid, package,
                        kept.reason, kept.changed_at)
