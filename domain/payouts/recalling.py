"""Calling money back that is on its way: its person wishes it, an operator refuses, or the shop must. Never commits.

What the provider has is called back by its own cancel, which the jobs send (domain/payouts/driving.py): the wish stands
on the bill, so it outlives whoever wrote it. What its person confirmed meanwhile is paid, and a query says so.
"""

from datetime import datetime
from typing import Literal

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from domain.audit import approvals
from domain.audit import service as audit
from domain.audit.rules import SYSTEM
from domain.ledger import queries as ledger
from domain.ledger.models import AccountHold
from domain.payouts import rules, settling
from domain.payouts.models import OPEN, TransferBill, Withdrawal
from domain.shared import outbox
from domain.shared.errors import DomainError
from domain.shared.outbox import Effect

ACT = "withdrawal.approve"
"""The act that needs two people above the plan's limit."""

TAKEN_BACK = "taken_back"
Cause = Literal["frozen", "debt"]
"""Why the shop calls money back by itself; kept as the reason of the withdrawal (payout.cause.* of assets/copy)."""

_AT_THE_PROVIDER = or_(TransferBill.state.in_(sorted(rules.CANCELLABLE)),
                       (TransferBill.state == "made") & TransferBill.in_doubt)


def of_frozen(session: Session, person_id: int, now: datetime) -> int:
    """Call back what the provider could still pay to somebody frozen; returns how many withdrawals that was about. What
    has not left yet only waits: it does not leave to somebody frozen, and may once that is lifted."""
    if not ledger.frozen(session, person_id):
        return 0
    return _recall(session, person_id, "frozen", now)


def of_gift(session: Session, withdrawal_id: int, now: datetime) -> None:
    """Call back a red packet that carries a gift which two operators take back, as far as it still can be. Whoever
    tapped a moment earlier is paid, and a query says so."""
    withdrawal = settling.lock(session, withdrawal_id)
    if withdrawal.state not in OPEN or withdrawal.cancel_asked_at is not None:
        return
    before, withdrawal.reason = withdrawal.reason, TAKEN_BACK
    if not _call_back(session, withdrawal, now):
        withdrawal.reason = before
        return
    audit.record(session, SYSTEM, "withdrawal.recall", f"withdrawal:{withdrawal.no}", {"cause": TAKEN_BACK}, now)


def of_debtor(session: Session, person_id: int, now: datetime) -> int:
    """Call back all that has not arrived yet of somebody who owes the shop: what comes back repays the debt first."""
    if not ledger.wallet(session, person_id).debt_fen:
        return 0
    return _recall(session, person_id, "debt", now)


def frozen_with_bills(session: Session, limit: int) -> list[int]:
    """Frozen people whose money the provider could still pay, and nobody has called it back."""
    found = select(Withdrawal.person_id).join(TransferBill, TransferBill.withdrawal_id == Withdrawal.id).join(
        AccountHold, (AccountHold.person_id == Withdrawal.person_id) & AccountHold.lifted_at.is_(None)).where(
        Withdrawal.state.in_(OPEN), Withdrawal.cancel_asked_at.is_(None), _AT_THE_PROVIDER)
    return list(session.scalars(found.distinct().order_by(Withdrawal.person_id).limit(limit)))


def _recall(session: Session, person_id: int, cause: Cause, now: datetime) -> int:
    """Withdrawal, bills, balances: in the order in which everybody locks them."""
    wanted = select(Withdrawal.id).where(Withdrawal.person_id == person_id, Withdrawal.state.in_(OPEN),
                                         Withdrawal.cancel_asked_at.is_(None))
    if cause == "frozen":
        wanted = wanted.where(select(TransferBill.id).where(
            TransferBill.withdrawal_id == Withdrawal.id, _AT_THE_PROVIDER).exists())
    done = 0
    for withdrawal_id in session.scalars(wanted.order_by(Withdrawal.id)).all():
        withdrawal = settling.lock(session, withdrawal_id)
        if withdrawal.state not in OPEN or withdrawal.cancel_asked_at is not None:
            continue
        before, withdrawal.reason = withdrawal.reason, cause
        if withdrawal.state == "asked":
            end_asked(session, withdrawal, "cancelled", SYSTEM.name, now)
        elif not _call_back(session, withdrawal, now):
            withdrawal.reason = before
            continue
        audit.record(session, SYSTEM, "withdrawal.recall", f"withdrawal:{withdrawal.no}", {"cause": cause}, now)
        done += 1
    return done


def end_asked(session: Session, withdrawal: Withdrawal, state: str, by: str, now: datetime) -> None:
    """The end of a request that nobody has approved: all of it is available again."""
    waiting = approvals.open_for(session, ACT, f"withdrawal:{withdrawal.no}", lock=True)
    if waiting is not None:
        approvals.expire(session, waiting, now)
    withdrawal.decided_by, withdrawal.decided_at = by, now
    settling.give_back(session, withdrawal, withdrawal.gross_fen, f"withdrawal:{withdrawal.id}:returned", now)
    settling.close(session, withdrawal, state, now)


def call_back(session: Session, withdrawal: Withdrawal, now: datetime) -> None:
    """Bills that never left end here; what the provider has is called back by the jobs. Raises
    DomainError("payout.too_late") when everything has arrived or is arriving."""
    if not _call_back(session, withdrawal, now):
        raise DomainError("payout.too_late", no=withdrawal.no)


def _call_back(session: Session, withdrawal: Withdrawal, now: datetime) -> bool:
    bills = session.scalars(select(TransferBill).where(TransferBill.withdrawal_id == withdrawal.id)
                            .order_by(TransferBill.n).with_for_update(),
                            execution_options={"populate_existing": True}).all()
    wanted = [bill for bill in bills if bill.state == "made" or bill.state in rules.CANCELLABLE]
    if not wanted:
        return False
    withdrawal.cancel_asked_at = withdrawal.cancel_asked_at or now
    for bill in wanted:
        if bill.state == "made" and not bill.in_doubt:
            bill.state, bill.due_at, bill.state_at, bill.fault = rules.DROPPED, None, now, ""
            session.flush()
            settling.give_back(session, withdrawal, bill.share_fen, f"bill:{bill.id}:returned", now)
        else:
            bill.act, bill.due_at = "query" if bill.state == "made" else "cancel", now
    session.flush()
    settling.finish(session, withdrawal, now)
    if withdrawal.ended_at is None:
        key = f"withdrawal.drive:{withdrawal.id}:cancel"
        outbox.put(session, [Effect("slow", "withdrawal.drive", key, withdrawal.person_id,
                                    {"withdrawal_id": withdrawal.id})], now)
    return True
