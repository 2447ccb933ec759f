"""What news about a bill does to the money. ``bill_changed`` is the one door for answers, notifications and the fund
bill; whoever comes twice, late or crosswise changes nothing. Never commits.
"""

from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.ledger import service as ledger
from domain.ledger.rules import Entry, Move, Purse, person, platform
from domain.payouts import queries, rules, tax
from domain.payouts.models import PayoutSwitch, TransferBill, Withdrawal
from domain.payouts.rules import View, word_of
from domain.shared import outbox
from domain.shared.clock import business_date
from domain.shared.outbox import Effect
from domain.shared.records import record


@record
class Change:
    """What news did. ``moved``: the bill is further on; ``paid``/``returned``: money was booked; ``same``/``older``:
    nothing new. ``unknown`` (no such bill) and ``contradiction`` (other amount, other person, an end after another
    end) book nothing and need a human; a contradiction has stopped payouts."""

    what: Literal["moved", "paid", "returned", "same", "older", "unknown", "contradiction"]
    out_bill_no: str
    withdrawal_no: str = ""
    detail: str = ""

    @property
    def alarming(self) -> bool:
        return self.what in ("unknown", "contradiction")


def bill_changed(session: Session, view: View, source: str, now: datetime) -> Change:
    """Take in what the provider says about a bill. ``source``: transfer, query, cancel, notification or fund_bill.

    Locks the withdrawal, then the bill. State, journal and the facts for the person are written together.
    """
    found = session.execute(select(TransferBill.id, TransferBill.withdrawal_id)
                            .where(TransferBill.out_bill_no == view.out_bill_no)).first()
    if found is None:
        return Change("unknown", view.out_bill_no)
    withdrawal = lock(session, found.withdrawal_id)
    bill = session.get_one(TransferBill, found.id, with_for_update=True, populate_existing=True)
    doubt = _contradiction(withdrawal, bill, view)
    if doubt:
        bill.fault = f"{source}: {doubt}"
        stop(session, f"bill {bill.out_bill_no}: {doubt}", "huitou", now)
        session.flush()
        return Change("contradiction", bill.out_bill_no, withdrawal.no, doubt)
    if view.state == bill.state:
        _note(bill, view)
        session.flush()
        return Change("same", bill.out_bill_no, withdrawal.no)
    if rules.RANK[view.state] <= rules.RANK[bill.state]:
        return Change("older", bill.out_bill_no, withdrawal.no)
    return Change(_move(session, withdrawal, bill, view, now), bill.out_bill_no, withdrawal.no)


def _contradiction(withdrawal: Withdrawal, bill: TransferBill, view: View) -> str:
    if view.state not in rules.RANK:
        return f"state {view.state[:40]} is not known"
    if view.amount_fen and view.amount_fen != bill.amount_fen:
        return f"{view.amount_fen} fen instead of {bill.amount_fen}"
    if view.openid and view.openid != withdrawal.openid:
        return "another person"
    if view.transfer_bill_no and bill.transfer_bill_no and view.transfer_bill_no != bill.transfer_bill_no:
        return "another bill of the provider"
    if bill.state in rules.FINAL and view.state in rules.FINAL and view.state != bill.state:
        return f"{view.state} after {bill.state}"
    if bill.state == rules.DROPPED:
        return f"{view.state} though it was never to be paid"
    return ""


def _note(bill: TransferBill, view: View) -> None:
    bill.transfer_bill_no = view.transfer_bill_no or bill.transfer_bill_no
    if view.state == "WAIT_USER_CONFIRM":
        bill.package_info = view.package_info or bill.package_info


def _move(
    session: Session, withdrawal: Withdrawal, bill: TransferBill, view: View, now: datetime
) -> Literal["moved", "paid", "returned"]:
    bill.transfer_bill_no = view.transfer_bill_no or bill.transfer_bill_no
    bill.state_at, bill.fault, bill.in_doubt = now, "", False
    bill.package_info = view.package_info if view.state == "WAIT_USER_CONFIRM" else ""
    bill.fail_reason = view.fail_reason
    if view.state == rules.CANCELLED and withdrawal.cancel_asked_at is None:
        bill.fail_reason = bill.fail_reason or rules.OVERDUE_CLOSE  # called back by us because nobody confirmed
    if withdrawal.state == "approved":
        withdrawal.state = "paying"
    if view.state not in rules.FINAL:
        bill.state = view.state
        plan_next(session, withdrawal, bill, now)
        session.flush()
        if view.state == "WAIT_USER_CONFIRM" and withdrawal.cancel_asked_at is None:
            key = f"withdrawal.confirm:{withdrawal.id}:bill:{bill.n}"
            outbox.put(session, [Effect("fact", f"{word_of(withdrawal.kind)}.confirm", key, withdrawal.person_id,
                                        {"withdrawal_id": withdrawal.id})], now)
        return "moved"
    bill.due_at = None
    if view.state == rules.PAID:
        _pay(session, withdrawal, bill, rules.paid_when(view.at, withdrawal.asked_at, now), now)
    else:
        bill.state = view.state
        session.flush()
        give_back(session, withdrawal, bill.share_fen, f"bill:{bill.id}:returned", now)
    finish(session, withdrawal, now)
    return "paid" if view.state == rules.PAID else "returned"


def plan_next(session: Session, withdrawal: Withdrawal, bill: TransferBill, now: datetime) -> None:
    """When which call follows about a bill that the provider knows."""
    hours = queries.plan_of(session, withdrawal.plan_version).withdrawal.confirm_hours
    act, pause = rules.after(bill.state, now - bill.state_at, cancel=withdrawal.cancel_asked_at is not None,
                             confirm_hours=hours)
    bill.act, bill.due_at = act, now + pause


def _pay(session: Session, withdrawal: Withdrawal, bill: TransferBill, paid_at: datetime, now: datetime) -> None:
    """The person has the money. Tax is fixed now, by the day of payment; what was reserved too much goes back, what
    is missing is taken from what they have, and becomes a debt beyond that."""
    owner = withdrawal.person_id
    purse = ledger.lock(session, [owner])[owner]
    gross = _gross(session, withdrawal, bill, paid_at)
    tax_fen = gross - bill.amount_fen
    moves = [*_add_to_held(purse, max(gross - bill.share_fen, 0)),
             Move(person(owner, "held"), platform("clearing.wechat"), bill.amount_fen)]
    if tax_fen:
        moves.append(Move(person(owner, "held"), platform(rules.TAX_ACCOUNTS[withdrawal.kind]), tax_fen))
    moves += _out_of_held(purse, max(bill.share_fen - gross, 0))
    bill.state, bill.paid_at, bill.gross_fen, bill.tax_fen = rules.PAID, paid_at, gross, tax_fen
    session.flush()
    entry = Entry(f"bill:{bill.id}:paid", f"{word_of(withdrawal.kind)}.paid", paid_at, "withdrawal", withdrawal.id,
                  withdrawal.no, tuple(moves))
    ledger.post(session, [entry], now)


def _gross(session: Session, withdrawal: Withdrawal, bill: TransferBill, paid_at: datetime) -> int:
    """What a bill is, tax included. A gift is taxed by itself, at the rate that was reserved."""
    if withdrawal.kind == rules.RED_PACKET:
        return bill.share_fen
    table, basis = queries.taxed(session, withdrawal.person_id, withdrawal.tax_method, business_date(paid_at))
    return tax.gross_of(lambda fen: tax.due(table, basis, fen), bill.amount_fen, bill.share_fen)


def _add_to_held(purse: Purse, amount: int) -> list[Move]:
    have = min(amount, purse.available)
    purse.available -= have
    held = person(purse.owner_id, "held")
    return [Move(person(purse.owner_id, kind), held, fen)  # type: ignore[arg-type]
            for kind, fen in (("available", have), ("debt", amount - have)) if fen]


def _out_of_held(purse: Purse, amount: int) -> list[Move]:
    """Money comes back: a debt is repaid first, as with everything that becomes available."""
    repaid = min(amount, purse.debt)
    purse.debt -= repaid
    held = person(purse.owner_id, "held")
    return [Move(held, person(purse.owner_id, kind), fen)  # type: ignore[arg-type]
            for kind, fen in (("debt", repaid), ("available", amount - repaid)) if fen]


def give_back(session: Session, withdrawal: Withdrawal, amount: int, idem: str, now: datetime) -> None:
    """Held money that is not paid out is the person's again."""
    purse = ledger.lock(session, [withdrawal.person_id])[withdrawal.person_id]
    entry = Entry(idem, f"{word_of(withdrawal.kind)}.returned", now, "withdrawal", withdrawal.id, withdrawal.no,
                  tuple(_out_of_held(purse, amount)))
    ledger.post(session, [entry], now)


def finish(session: Session, withdrawal: Withdrawal, now: datetime) -> None:
    """End the withdrawal when its last bill has ended, and say so once."""
    bills = session.scalars(select(TransferBill).where(TransferBill.withdrawal_id == withdrawal.id)
                            .order_by(TransferBill.n)).all()
    end = rules.ended([bill.state for bill in bills], [bill.fail_reason for bill in bills],
                      withdrawal.cancel_asked_at is not None)
    if end is None:
        return
    paid = [bill for bill in bills if bill.state == rules.PAID]
    withdrawal.paid_gross_fen = sum(bill.gross_fen for bill in paid)
    withdrawal.paid_tax_fen = sum(bill.tax_fen for bill in paid)
    withdrawal.reason = withdrawal.reason or next((bill.fail_reason for bill in bills if bill.fail_reason), "")
    close(session, withdrawal, end, now)


def close(session: Session, withdrawal: Withdrawal, state: str, now: datetime) -> None:
    """The end of a withdrawal, and the fact that tells the person."""
    withdrawal.state, withdrawal.ended_at = state, now
    session.flush()
    outbox.put(session, [Effect("fact", f"{word_of(withdrawal.kind)}.{state}", f"withdrawal.ended:{withdrawal.id}",
                                withdrawal.person_id, {"withdrawal_id": withdrawal.id})], now)


def lock(session: Session, withdrawal_id: int) -> Withdrawal:
    """The withdrawal, locked until the transaction ends: everything about one of them happens one after the other."""
    return session.get_one(Withdrawal, withdrawal_id, with_for_update=True, populate_existing=True)


def stop(session: Session, reason: str, by: str, now: datetime) -> bool:
    """No money leaves until ``go``; False when it was stopped already. Looking goes on."""
    row = session.get_one(PayoutSwitch, 1, with_for_update=True, populate_existing=True)
    if row.stopped_at is not None:
        return False
    row.stopped_at, row.reason, row.changed_by = now, reason, by
    session.flush()
    return True
