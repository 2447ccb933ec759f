"""Reading payouts: what somebody may take out, what became of it, what an operator must look at, what was taxed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select, text
from sqlalchemy.orm import Session

from domain.commissions import service as commissions
from domain.commissions.document import Plan
from domain.commissions.models import CommissionPlan
from domain.ledger import invariants
from domain.ledger import queries as ledger
from domain.payouts import rules, tax
from domain.payouts.models import OPEN, Payee, PayoutSwitch, TaxTable, TransferBill, Withdrawal
from domain.payouts.tax import Basis, Table, TaxBook
from domain.shared.clock import SHANGHAI, business_date
from domain.shared.records import record
from domain.vault import queries as vault


@dataclass(frozen=True, slots=True)
class BillView:
    """One payment of a withdrawal; ``package_info`` opens its confirmation page, '' when there is none to open."""

    id: int
    n: int
    out_bill_no: str
    state: str
    amount_fen: int
    fail_reason: str
    fault: str
    package_info: str
    transfer_bill_no: str
    made_at: datetime
    due_at: datetime | None
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class WithdrawalView:
    """A withdrawal as people see it. Until it has ended, tax and net are what is expected."""

    id: int
    no: str
    kind: str
    person_id: int
    account: str
    app_id: str
    state: str
    gross_fen: int
    tax_fen: int
    reason: str
    review: str
    two_people: bool
    proposed_by: str
    decided_by: str
    asked_at: datetime
    decided_at: datetime | None
    ended_at: datetime | None
    cancelling: bool
    paid_gross_fen: int
    paid_tax_fen: int
    bills: tuple[BillView, ...]

    @property
    def net_fen(self) -> int:
        return self.gross_fen - self.tax_fen

    @property
    def paid_net_fen(self) -> int:
        """What has arrived so far, bill by bill."""
        return sum(bill.amount_fen for bill in self.bills if bill.state == rules.PAID)

    @property
    def waiting_fen(self) -> int:
        """What waits for the person to confirm in WeChat."""
        return sum(bill.amount_fen for bill in self.bills if bill.state == "WAIT_USER_CONFIRM")

    @property
    def confirmable_fen(self) -> int:
        """What the person is asked to confirm: nothing of what is being called back."""
        return 0 if self.cancelling else self.waiting_fen


@record
class Offer:
    """What somebody may take out now. ``refusal``: '' or nothing, debt, too_little, open, closed (payouts stopped is
    no refusal: the request waits). ``missing_fen`` is what the minimum still needs."""

    refusal: str
    available_fen: int
    min_fen: int
    missing_fen: int
    debt_fen: int
    open: WithdrawalView | None
    consent_version: str
    held: dict[str, str]
    id_number_above_fen: int


@record
class Quote:
    """What a sum would bring if it were paid today. ``bills``: how often the person confirms, over ``days`` days."""

    gross_fen: int
    tax_fen: int
    net_fen: int
    bills: int
    days: int
    second_person: bool


def offer(session: Session, person_id: int, now: datetime) -> Offer:
    """Whether and how much ``person_id`` may take out. Raises DomainError("no_plan")."""
    terms = commissions.live_plan(session, now).withdrawal
    wallet = ledger.wallet(session, person_id)
    current = open_of(session, person_id)
    payee = session.get(Payee, person_id)
    missing = max(0, terms.min_fen - wallet.available_fen)
    if current is not None:
        refusal = "open"
    elif wallet.debt_fen:
        refusal = "debt"
    elif not wallet.available_fen:
        refusal = "nothing"
    else:
        refusal = "too_little" if missing else ""
    return Offer(refusal, wallet.available_fen, terms.min_fen, missing, wallet.debt_fen, current,
                 payee.consent_version if payee else "", vault.held(session, person_id), terms.id_number_above_fen)


def quote(session: Session, person_id: int, gross_fen: int, now: datetime) -> Quote:
    """The tax on a sum paid today, and how it would be split. Raises DomainError("payout.too_small")."""
    plan = commissions.live_plan(session, now)
    terms = plan.withdrawal
    table, basis = taxed(session, person_id, plan.tax.method, business_date(now))
    tax_fen = tax.due(table, basis, gross_fen)
    bills = rules.split(gross_fen - tax_fen, terms.bill_min_fen, terms.bill_max_fen)
    days = -(-sum(bills) // terms.per_day_fen)
    return Quote(gross_fen, tax_fen, gross_fen - tax_fen, len(bills), days, gross_fen > terms.second_person_above_fen)


def taxed(session: Session, person_id: int, method: str, day: date) -> tuple[Table | None, Basis]:
    """The table that counts on ``day`` (of payment) and what the person was paid before in its month or year."""
    book = TaxBook(tuple((row.method, row.since, tax.read(row.method, row.document)) for row in session.scalars(
        select(TaxTable).where(TaxTable.method == method).order_by(TaxTable.since))))
    first = date(day.year, 1, 1)
    month = func.extract("month", func.timezone("Asia/Shanghai", TransferBill.paid_at))
    rows = session.execute(
        select(month, func.sum(TransferBill.gross_fen), func.sum(TransferBill.tax_fen))
        .join(Withdrawal, Withdrawal.id == TransferBill.withdrawal_id)
        .where(Withdrawal.person_id == person_id, Withdrawal.kind == rules.WITHDRAWAL,
               TransferBill.state == rules.PAID,
               TransferBill.paid_at >= midnight(first), TransferBill.paid_at < midnight(date(day.year + 1, 1, 1)))
        .group_by(month)
    )
    months = {int(number): (int(gross), int(withheld)) for number, gross, withheld in rows}
    return book.at(method, day), tax.basis_of(method, months, day.month)


def midnight(day: date) -> datetime:
    """When a business day begins."""
    return datetime.combine(day, time(0), SHANGHAI)


def plan_of(session: Session, version: int) -> Plan:
    """A published plan by its version."""
    row = session.execute(
        select(CommissionPlan.version, CommissionPlan.live_from, CommissionPlan.digest)
        .where(CommissionPlan.version == version)).one()
    return commissions.plan_book(session, [(row.version, row.live_from, row.digest)]).versions[0][1]


def open_of(session: Session, person_id: int) -> WithdrawalView | None:
    """The request that holds money of this person now; a red packet is none."""
    return _one(session, Withdrawal.person_id == person_id, Withdrawal.state.in_(OPEN),
                Withdrawal.kind == rules.WITHDRAWAL)


def on_its_way(session: Session, person_id: int) -> WithdrawalView | None:
    """Anything of this person that has not ended: a request or a red packet."""
    return _one(session, Withdrawal.person_id == person_id, Withdrawal.state.in_(OPEN))


def packets_of(session: Session, person_id: int, limit: int) -> list[WithdrawalView]:
    """Red packets that have not ended, newest first."""
    rows = select(Withdrawal).where(Withdrawal.person_id == person_id, Withdrawal.kind == rules.RED_PACKET,
                                    Withdrawal.ended_at.is_(None)).order_by(Withdrawal.id.desc()).limit(limit)
    return _views(session, session.scalars(rows, execution_options={"populate_existing": True}).all())


def latest_of(session: Session, person_id: int) -> WithdrawalView | None:
    """The newest request of a person, whatever became of it."""
    return _one(session, Withdrawal.person_id == person_id, Withdrawal.kind == rules.WITHDRAWAL)


def of_person(session: Session, person_id: int, limit: int) -> list[WithdrawalView]:
    """The requests of a person and the red packets that left for their change, newest first."""
    rows = select(Withdrawal).where(Withdrawal.person_id == person_id).order_by(Withdrawal.id.desc()).limit(limit)
    return _views(session, session.scalars(rows, execution_options={"populate_existing": True}).all())


def by_no(session: Session, no: str) -> WithdrawalView | None:
    return _one(session, Withdrawal.no == no)


def by_id(session: Session, withdrawal_id: int) -> WithdrawalView | None:
    return _one(session, Withdrawal.id == withdrawal_id)


def repaid(session: Session, withdrawal_id: int) -> int:
    """How much of a withdrawal came back and repaid a debt at once, in fen."""
    return int(session.execute(_REPAID, {"withdrawal": withdrawal_id}).scalar_one())


_REPAID = text("""
    select coalesce(sum(p.amount), 0)::bigint from journal j join posting p on p.journal_id = j.id
      join account held on held.id = p.debit and held.kind = 'held'
      join account debt on debt.id = p.credit and debt.kind = 'debt'
     where j.source_type = 'withdrawal' and j.source_id = :withdrawal""")


def listed(session: Session, states: Sequence[str] = (), limit: int = 100, before: int = 0) -> list[WithdrawalView]:
    """Newest first; ``before`` is the id that a page ended with."""
    wanted = select(Withdrawal).order_by(Withdrawal.id.desc()).limit(limit)
    if states:
        wanted = wanted.where(Withdrawal.state.in_(states))
    if before:
        wanted = wanted.where(Withdrawal.id < before)
    return _views(session, session.scalars(wanted, execution_options={"populate_existing": True}).all())


def _one(session: Session, *which: ColumnElement[bool]) -> WithdrawalView | None:
    row = session.scalars(select(Withdrawal).where(*which).order_by(Withdrawal.id.desc()).limit(1),
                          execution_options={"populate_existing": True}).first()
    return _views(session, [row])[0] if row else None


def _views(session: Session, rows: Sequence[Withdrawal]) -> list[WithdrawalView]:
    bills: dict[int, list[BillView]] = {row.id: [] for row in rows}
    for bill in session.scalars(
            select(TransferBill).where(TransferBill.withdrawal_id.in_(bills)).order_by(TransferBill.n),
            execution_options={"populate_existing": True}):
        names = BillView.__slots__
        bills[bill.withdrawal_id].append(BillView(**{name: getattr(bill, name) for name in names}))
    plain = [name for name in WithdrawalView.__slots__ if name not in ("bills", "cancelling")]
    return [WithdrawalView(**{name: getattr(row, name) for name in plain}, bills=tuple(bills[row.id]),
                           cancelling=row.cancel_asked_at is not None and row.ended_at is None) for row in rows]


@record
class Switch:
    """``stopped_at`` None: money may leave."""

    stopped_at: datetime | None
    reason: str
    changed_by: str


def switch(session: Session) -> Switch:
    row = session.get_one(PayoutSwitch, 1, populate_existing=True)
    return Switch(row.stopped_at, row.reason, row.changed_by)


@record
class Withheld:
    """What one person was paid in a month, and what was withheld of it. Name and ID number: the vault."""

    person_id: int
    payments: int
    gross_fen: int
    tax_fen: int
    first_paid_at: datetime
    last_paid_at: datetime

    @property
    def net_fen(self) -> int:
        return self.gross_fen - self.tax_fen


def withheld(session: Session, month: date, kind: str = rules.WITHDRAWAL) -> list[Withheld]:
    """Everybody who was paid in the Shanghai month of ``month``, by the time of payment: for labour, or gifts."""
    first, following = rules.month_bounds(month)
    rows = session.execute(
        select(Withdrawal.person_id, func.count(), func.sum(TransferBill.gross_fen), func.sum(TransferBill.tax_fen),
               func.min(TransferBill.paid_at), func.max(TransferBill.paid_at))
        .join(Withdrawal, Withdrawal.id == TransferBill.withdrawal_id)
        .where(Withdrawal.kind == kind, TransferBill.paid_at >= midnight(first),
               TransferBill.paid_at < midnight(following))
        .group_by(Withdrawal.person_id).order_by(Withdrawal.person_id)
    )
    return [Withheld(person, count, int(gross), int(taken), began, ended)
            for person, count, gross, taken, began, ended in rows if began and ended]


def troubles(session: Session, now: datetime) -> list[Row[Any]]:
    """Bills that need a human (no, out_bill_no, state, fault, made_at): open ones, and, as long as payouts are stopped,
    those that were contradicted after their end."""
    return list(session.execute(_TROUBLES, {"overdue": now - rules.OVERDUE}))


_TROUBLES = text("""
    select w.no, b.out_bill_no, b.state, case when b.fault <> '' then b.fault else 'overdue' end as fault, b.made_at
      from transfer_bill b join withdrawal w on w.id = b.withdrawal_id
     where case when b.state in ('SUCCESS', 'FAIL', 'CANCELLED', 'dropped')
                then b.fault <> '' and exists (select from payout_switch where stopped_at is not null)
                else b.fault <> '' or b.made_at <= :overdue end
     order by b.made_at limit 100
""")

def check(session: Session) -> list[str]:
    """Sentences about what does not fit: held money and open requests, paid bills and journals, bills and requests.
    The same invariants of the ledger that are watched all the time."""
    return invariants.sentences(session, "held", "bills", "leaks", "shares")
