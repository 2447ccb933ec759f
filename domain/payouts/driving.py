"""Bills on their way: what to call next, written down before the call, and what came of it. Never commits.

``claim`` and its commit come before every call, ``record`` and its commit after. Whoever dies in between leaves a
bill that is *in doubt*: the next call about it is a query of the same number, never another number.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from domain.ledger import queries as ledger
from domain.payouts import queries, rules, settling
from domain.payouts.models import PayoutSwitch, TransferBill, Withdrawal
from domain.payouts.rules import Act, View
from domain.payouts.settling import Change
from domain.shared.clock import SHANGHAI, business_date

LOOK_AT = 20
MORNING = time(9, 0)
"""Bills beyond a day's limit leave the next day at this hour, when their person is awake to confirm."""
STOPPED_PAUSE = timedelta(minutes=10)
EMPTY = "NOT_ENOUGH"
"""The provider's code for a merchant's account without money: nothing of ours is set wrong."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call to make. ``was_in_doubt``: an earlier call of this bill has no known end."""

    bill_id: int
    person_id: int
    act: Act
    account: str
    out_bill_no: str
    openid: str
    amount_fen: int
    remark: str
    with_name: bool
    was_in_doubt: bool


@dataclass(frozen=True, slots=True)
class Told:
    """How a call ended: ``outcome`` and ``code`` as in ``bot.kit.pay.PayResult``; ``pause`` for busy."""

    outcome: str
    view: View | None = None
    code: str = ""
    pause: timedelta = timedelta(seconds=10)


def claim(session: Session, now: datetime, withdrawal_id: int | None = None) -> Step | None:
    """The next call that is due, written down as going out now; None when nothing is. Commit before calling."""
    wanted = select(TransferBill.id, TransferBill.withdrawal_id).where(TransferBill.due_at <= now)
    if withdrawal_id is not None:
        wanted = wanted.where(TransferBill.withdrawal_id == withdrawal_id)
    for bill_id, of_withdrawal in session.execute(
            wanted.order_by(TransferBill.due_at, TransferBill.id).limit(LOOK_AT)).all():
        step = _take(session, bill_id, of_withdrawal, now)
        if step is not None:
            return step
    return None


def _take(session: Session, bill_id: int, withdrawal_id: int, now: datetime) -> Step | None:
    withdrawal = session.scalars(select(Withdrawal).where(Withdrawal.id == withdrawal_id)
                                 .with_for_update(skip_locked=True),
                                 execution_options={"populate_existing": True}).one_or_none()
    if withdrawal is None:
        return None
    bill = session.get_one(TransferBill, bill_id, with_for_update=True, populate_existing=True)
    if bill.due_at is None or bill.due_at > now:
        return None
    if bill.act == "transfer" and not _may_leave(session, withdrawal, bill, now):
        return None
    was_in_doubt = bill.in_doubt
    step = Step(bill.id, withdrawal.person_id, _act(bill), withdrawal.account, bill.out_bill_no, withdrawal.openid,
                bill.amount_fen, withdrawal.remark, bill.with_name, was_in_doubt)
    bill.due_at, bill.calls = now + rules.LEASE, bill.calls + 1
    if bill.act == "transfer":
        bill.in_doubt = bill.in_doubt or bill.state == "made"
        bill.called_at, bill.first_called_at = now, bill.first_called_at or now
        bill.act = "query"
    session.flush()
    return step


def _act(bill: TransferBill) -> Act:
    return "transfer" if bill.act == "transfer" else "cancel" if bill.act == "cancel" else "query"


def _may_leave(session: Session, withdrawal: Withdrawal, bill: TransferBill, now: datetime) -> bool:
    """Whether a bill may be sent (again) now; when not, it is put off."""
    if session.get_one(PayoutSwitch, 1, populate_existing=True).stopped_at is not None:
        bill.due_at = now + STOPPED_PAUSE
        session.flush()
        return False
    if ledger.frozen(session, withdrawal.person_id):
        bill.due_at, bill.fault = now + rules.HOUR, "frozen"
        session.flush()
        return False
    today = business_date(now)
    if bill.first_called_at is not None:
        return True
    sent = session.scalar(
        select(func.coalesce(func.sum(TransferBill.amount_fen), 0)).join(Withdrawal).where(
            Withdrawal.account == withdrawal.account, Withdrawal.openid == withdrawal.openid,
            TransferBill.first_called_at >= queries.midnight(today),
            TransferBill.state.not_in((rules.FAILED, rules.CANCELLED, rules.DROPPED)))) or 0
    limit = queries.plan_of(session, withdrawal.plan_version).withdrawal.per_day_fen
    if sent and sent + bill.amount_fen > limit:
        bill.due_at = datetime.combine(today + timedelta(days=1), MORNING, SHANGHAI)
        session.flush()
        return False
    return True


def record(session: Session, step: Step, told: Told, now: datetime) -> Change | None:
    """What came of a call. A verified answer goes through ``settling.bill_changed``; None without one."""
    if told.outcome == "answered" and told.view is not None:
        change = settling.bill_changed(session, told.view, step.act, now)
        if change.what in ("same", "older"):
            _look_again(session, step, now)
        return change
    _, bill = _locked(session, step)
    if bill.state in rules.FINAL:
        return None
    match told.outcome:
        case "not_found":
            _not_found(bill, told, now)
        case "busy":
            _as_before(bill, step)
            bill.due_at = now + told.pause
        case "config":
            _as_before(bill, step)
            bill.fault = "no_money" if told.code == EMPTY else f"config: {told.code}"[:200]
            bill.due_at = now + timedelta(minutes=10)
        case "refused":
            _refused(bill, step, told, now)
        case _:
            bill.act, bill.due_at = "query", now + timedelta(minutes=1)
    session.flush()
    return None


def _locked(session: Session, step: Step) -> tuple[Withdrawal, TransferBill]:
    """The rows of a step, in the order in which everybody locks them."""
    of_withdrawal = session.scalars(
        select(TransferBill.withdrawal_id).where(TransferBill.id == step.bill_id)).one()
    withdrawal = settling.lock(session, of_withdrawal)
    return withdrawal, session.get_one(TransferBill, step.bill_id, with_for_update=True, populate_existing=True)


def _look_again(session: Session, step: Step, now: datetime) -> None:
    """Nothing new: later again. A bill that waits for too long, for money or for its end, says so."""
    withdrawal, bill = _locked(session, step)
    if bill.state in rules.FINAL:
        return
    settling.plan_next(session, withdrawal, bill, now)
    if step.act == "cancel":
        bill.act, bill.due_at = "query", now + rules.STEPS[0]
    if bill.state in ("ACCEPTED", "PROCESSING") and now - bill.state_at >= rules.POOR:
        bill.fault = "no_money"
    _age(bill, now)
    session.flush()


def _age(bill: TransferBill, now: datetime) -> None:
    """The provider's memory begins with the first call: a bill that waited here for a month is not old there."""
    age = now - (bill.first_called_at or bill.made_at)
    if age >= rules.BLIND:
        bill.fault, bill.due_at = "blind: only the fund bill can tell", None
    elif age >= rules.OVERDUE:
        bill.fault = bill.fault or "overdue"


def _not_found(bill: TransferBill, told: Told, now: datetime) -> None:
    """Right after a call it may only be late. Later the same bill goes out again: same number, same body."""
    bill.due_at = now + timedelta(minutes=1)
    if bill.state == "made":
        settled_down = bill.called_at is None or now - bill.called_at >= rules.MADE_UP_MIND
        bill.act = "transfer" if settled_down else "query"
        bill.due_at = now if settled_down else bill.due_at
    else:
        bill.act, bill.fault = "query", f"vanished: {told.code}"[:200]
        bill.due_at = now + rules.HOUR
    _age(bill, now)


def _as_before(bill: TransferBill, step: Step) -> None:
    """The call surely had no effect."""
    bill.act = step.act
    if bill.state == "made":
        bill.in_doubt = step.was_in_doubt


def _refused(bill: TransferBill, step: Step, told: Told, now: datetime) -> None:
    """Definitely not taken. A refused cancel is looked at; a refused bill waits for an operator, who may send the same
    bill again (``service.retry``) or give the money back (``service.reject``)."""
    if step.act == "transfer" and bill.state == "made":
        _as_before(bill, step)
        bill.fault, bill.due_at = f"refused: {told.code}"[:200], None
        if bill.in_doubt:
            bill.act, bill.due_at = "query", now + rules.STEPS[0]
    else:
        bill.act, bill.due_at = "query", now + rules.STEPS[0]
