"""Our bills against what the provider says by itself: its notifications, and its fund bill of each day. Never commits.

Where the two differ, an incident is written and nothing more is paid, until somebody found out why and a second person
agrees (``explained``). After a restore of an older backup, payments that we no longer know of come back this way, as
lines without a bill, and not as new payments.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from domain.audit import approvals
from domain.audit import service as audit
from domain.audit.rules import SYSTEM, Actor
from domain.paychannel import service as channel
from domain.paychannel.models import FundLine
from domain.paychannel.service import Difference, Line
from domain.payouts import rules, service, settling
from domain.payouts.models import TransferBill, Withdrawal
from domain.payouts.queries import midnight
from domain.payouts.rules import View
from domain.payouts.settling import Change
from domain.shared.clock import SHANGHAI, business_date
from domain.shared.errors import DomainError
from domain.shared.records import record

ACT = "pay.explain"
"""The act by which two people close an incident."""
READY = time(10, 0)
"""From this hour in Shanghai the fund bill of the day before should be there."""
KEPT = timedelta(days=85)
"""The provider gives fund bills of the last three months."""
TRANSFER = "转账"
"""What the provider calls a transfer in the columns 'business' and 'kind'; other movements are not ours to judge."""


def notified(session: Session, account: str, notice_id: str, view: View, now: datetime) -> Change | None:
    """Take in a verified notification, once; None when it came before. What does not fit stops paying out."""
    if not channel.first_time(session, account, notice_id, now):
        return None
    change = settling.bill_changed(session, view, "notification", now)
    if change.alarming:
        channel.noted(session, account, notice_id, "refused", view.out_bill_no, view.state,
                      change.detail or change.what)
        halt(session, account, [Difference("bill_contradicted", view.out_bill_no[:64], theirs_fen=view.amount_fen)],
             now)
    else:
        channel.noted(session, account, notice_id, "applied", view.out_bill_no, view.state)
    return change


def halt(session: Session, account: str, found: Iterable[Difference], now: datetime) -> int:
    """Open an incident for each difference that is new, and let no money leave while there is one. Returns how many."""
    opened = [one for one in found if channel.stop(session, account, one, now)]
    if opened:
        first = opened[0]
        settling.stop(session, f"{account}: {first.kind} {first.subject}", SYSTEM.name, now)
        for one in opened:
            detail = {"account": account, "kind": one.kind, "ours_fen": one.ours_fen, "theirs_fen": one.theirs_fen,
                      "day": one.day.isoformat() if one.day else ""}
            audit.record(session, SYSTEM, "payouts.stop", f"pay:{one.subject}", detail, now)
    return len(opened)


@record
class DayReport:
    """A day compared: sums of the fund bill, what differs, and how many of those are new incidents."""

    account: str
    day: date
    lines: int
    income_fen: int
    outgo_fen: int
    differences: tuple[Difference, ...]
    opened: int


def due_days(session: Session, account: str, now: datetime) -> list[date]:
    """Days whose fund bill should be there and was not compared yet, oldest first, since our first bill."""
    local = now.astimezone(SHANGHAI)
    last = local.date() - timedelta(days=1 if local.time() >= READY else 2)
    first_bill = session.scalar(select(func.min(TransferBill.first_called_at)).join(Withdrawal)
                                .where(Withdrawal.account == account))
    if first_bill is None:
        return []
    first = max(business_date(first_bill), last - KEPT)
    done = {one.day for one in channel.compared_days(session, account, first)}
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if day not in done]


def compare(session: Session, account: str, day: date, lines: Sequence[Line], now: datetime) -> DayReport:
    """Compare the fund bill of a day with our bills. Repeating it opens nothing twice."""
    channel.keep_lines(session, account, day, lines)
    found = tuple(_differences(session, account, day, lines))
    opened = halt(session, account, found, now)
    channel.keep_day(session, account, day, lines, len(found), now)
    return DayReport(account, day, len(lines), sum(line.amount_fen for line in lines if line.income),
                     sum(line.amount_fen for line in lines if not line.income), found, opened)


def _differences(session: Session, account: str, day: date, lines: Sequence[Line]) -> Iterator[Difference]:
    transfers = [line for line in lines if TRANSFER in line.business or TRANSFER in line.kind]
    named = {line.voucher_no for line in lines if line.voucher_no}
    theirs = {line.business_no for line in lines if line.business_no}
    bills = _bills(session, account, day, named, theirs)
    known = {bill.out_bill_no for bill in bills} | {bill.transfer_bill_no for bill in bills if bill.transfer_bill_no}
    for line in transfers:
        if line.voucher_no not in known and line.business_no not in known:
            yield Difference("line_without_bill", line.flow_no[:64], day, None, line.amount_fen)
    moved = _moved(session, account, bills, day)
    for bill in bills:
        found = judge(bill, moved[bill.out_bill_no], day)
        if found is not None:
            yield found
    yield from _clearing(session, day)


def _bills(session: Session, account: str, day: date, named: set[str], theirs: set[str]) -> Sequence[TransferBill]:
    """Our bills that the day speaks of: by number in its lines, or ended on it or on the day before."""
    since, until = midnight(day - timedelta(days=1)), midnight(day + timedelta(days=1))
    return session.scalars(
        select(TransferBill).join(Withdrawal).where(Withdrawal.account == account).where(
            TransferBill.out_bill_no.in_(sorted(named)) | TransferBill.transfer_bill_no.in_(sorted(theirs))
            | ((TransferBill.paid_at >= midnight(day)) & (TransferBill.paid_at < until))
            | ((TransferBill.state_at >= since) & (TransferBill.state_at < until)
               & TransferBill.state.in_((rules.FAILED, rules.CANCELLED))))
        .order_by(TransferBill.id)).all()


@dataclass(slots=True)
class Moved:
    """What the fund bills up to a day say of one bill: out of the account, and back."""

    outgo_fen: int = 0
    income_fen: int = 0
    at: datetime | None = None

    @property
    def net_fen(self) -> int:
        return self.outgo_fen - self.income_fen


def _moved(session: Session, account: str, bills: Sequence[TransferBill], upto: date) -> dict[str, Moved]:
    by_theirs = {bill.transfer_bill_no: bill.out_bill_no for bill in bills if bill.transfer_bill_no}
    numbers = [bill.out_bill_no for bill in bills]
    found: dict[str, Moved] = defaultdict(Moved)
    for line in session.scalars(
            select(FundLine).where(FundLine.account == account, FundLine.day <= upto).where(
                FundLine.voucher_no.in_(numbers) | FundLine.business_no.in_(sorted(by_theirs)))
            .order_by(FundLine.at)):
        number = line.voucher_no if line.voucher_no in numbers else by_theirs[line.business_no]
        moved = found[number]
        moved.at = line.at
        if line.income:
            moved.income_fen += line.amount_fen
        else:
            moved.outgo_fen += line.amount_fen
    return found


def judge(bill: TransferBill, moved: Moved, day: date) -> Difference | None:
    """Whether what moved until the end of ``day`` is what the state of a bill says; the difference, or None."""
    subject, net, amount = bill.out_bill_no, moved.net_fen, bill.amount_fen
    end = midnight(day + timedelta(days=1))
    if bill.state == rules.PAID and bill.paid_at is not None and bill.paid_at < end:
        if net == amount:
            return None
        kind: channel.Kind = ("success_without_line" if net == 0 else
                              "paid_twice" if net >= 2 * amount else "amount_differs")
        return Difference(kind, subject, day, amount, net)
    if bill.state == rules.DROPPED:
        return Difference("bill_contradicted", subject, day, 0, moved.outgo_fen) if moved.outgo_fen else None
    if bill.state in (rules.FAILED, rules.CANCELLED) and bill.state_at < midnight(day):
        return Difference("money_not_returned", subject, day, 0, net) if net else None
    return None if net in (0, amount) else Difference("amount_differs", subject, day, amount, net)


def _clearing(session: Session, day: date) -> Iterator[Difference]:
    """What the day's bills paid must be what the journal cleared."""
    row = session.execute(_CLEARED, {"since": midnight(day), "until": midnight(day + timedelta(days=1))}).one()
    if row.bills != row.journal:
        yield Difference("clearing_differs", day.isoformat(), day, int(row.journal), int(row.bills))


_CLEARED = text("""
    select (select coalesce(sum(amount_fen), 0)::bigint from transfer_bill
             where state = 'SUCCESS' and paid_at >= :since and paid_at < :until) as bills,
           (select coalesce(sum(p.amount), 0)::bigint from journal j join posting p on p.journal_id = j.id
              join account c on c.id = p.credit and c.kind = 'clearing.wechat'
             where j.kind in ('withdrawal.paid', 'packet.paid') and j.effective_at >= :since
               and j.effective_at < :until) as journal
""")


@record
class _Seen:
    """What the fund bill says about a bill that queries no longer find."""

    out_bill_no: str
    state: str
    at: datetime | None
    amount_fen: int = 0
    transfer_bill_no: str = ""
    openid: str = ""
    package_info: str = ""
    fail_reason: str = ""


def settle_blind(session: Session, account: str, now: datetime) -> int:
    """Bills that the provider forgot before we knew their end: money that left and stayed away was paid.

    Only once every day that is due was compared. Returns how many were settled.
    """
    blind = session.scalars(
        select(TransferBill).join(Withdrawal).where(
            Withdrawal.account == account, TransferBill.fault.startswith("blind"),
            TransferBill.made_at <= now - rules.BLIND)).all()
    if not blind or due_days(session, account, now):
        return 0
    moved = _moved(session, account, blind, business_date(now))
    known = [bill for bill in blind if moved[bill.out_bill_no].net_fen in (0, bill.amount_fen)]
    for bill in known:
        seen = moved[bill.out_bill_no]
        state = rules.PAID if seen.net_fen else rules.FAILED
        reason = "" if seen.net_fen else "FUND_BILL"
        settling.bill_changed(session, _Seen(bill.out_bill_no, state, seen.at, seen.net_fen, fail_reason=reason),
                              "fund_bill", now)
    return len(known)


def explain(session: Session, incident_id: int, why: str, actor: Actor, now: datetime) -> approvals.Approval:
    """Say what an incident was, and ask a second person to agree. Raises NotFound, DomainError and Conflict as
    ``approvals.ask`` does, DomainError("incident_closed" | "reason_too_short")."""
    found = channel.incident(session, incident_id)
    if found.closed_at is not None:
        raise DomainError("incident_closed", id=incident_id)
    if not 4 <= len(why.strip()) <= 500:
        raise DomainError("reason_too_short", act=ACT)
    payload = {"incident_id": found.id, "account": found.account, "kind": found.kind, "subject": found.subject,
               "ours_fen": found.ours_fen, "theirs_fen": found.theirs_fen}
    return approvals.ask(session, ACT, f"incident:{found.id}", payload, why, actor, now)


def explained(session: Session, incident_id: int, why: str, by: Actor, now: datetime) -> bool:
    """Close an incident whose explanation two people agree on. With the last one, money may leave again; True then."""
    channel.explain(session, incident_id, why, by.name, now)
    session.flush()
    audit.record(session, by, "pay.explained", f"incident:{incident_id}", {"why": why}, now)
    if channel.open_incidents(session):
        return False
    return service.go(session, by, why, now)
