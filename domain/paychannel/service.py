"""Use cases of the payment channel's memory: keys that processes share, notifications, incidents that stop paying."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal, Protocol

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.paychannel.models import FundDay, FundLine, PayCertificate, PayIncident, PayNotification
from domain.shared.errors import DomainError, NotFound
from domain.shared.records import record

Kind = Literal["line_without_bill", "success_without_line", "amount_differs", "money_not_returned", "paid_twice",
               "bill_contradicted", "clearing_differs"]
NoticeState = Literal["applied", "refused", "quarantined"]


def keep_certificates(
    session: Session, mch_id: str, certificates: Sequence[tuple[str, str, datetime, datetime]], fetched_at: datetime
) -> None:
    """Remember (serial, PEM, valid from, valid until) of each, for every process. Real time."""
    for serial, pem, since, until in sorted(certificates):
        row = {"pem": pem, "valid_from": since, "valid_until": until, "fetched_at": fetched_at}
        session.execute(insert(PayCertificate).values(mch_id=mch_id, serial=serial, **row)
                        .on_conflict_do_update(index_elements=["mch_id", "serial"], set_=row))


def certificates(session: Session, mch_id: str, now: datetime) -> Sequence[PayCertificate]:
    """The certificates of the platform that are valid at ``now`` (real time), newest last."""
    return session.scalars(
        select(PayCertificate).order_by(PayCertificate.valid_until)
        .where(PayCertificate.mch_id == mch_id, PayCertificate.valid_until > now)).all()


def first_time(session: Session, account: str, notice_id: str, now: datetime) -> bool:
    """Count a notification; whether it is new. Of several at once one goes on, the others wait for its commit."""
    made = session.execute(
        insert(PayNotification)
        .values(account=account, id=notice_id, state="applied", received_at=now, last_at=now)
        .on_conflict_do_nothing(index_elements=["account", "id"]).returning(PayNotification.id)).scalar()
    if made is None:
        session.execute(update(PayNotification).values(times=PayNotification.times + 1, last_at=now)
                        .where(PayNotification.account == account, PayNotification.id == notice_id))
    return made is not None


def noted(session: Session, account: str, notice_id: str, state: NoticeState, out_bill_no: str = "",
          bill_state: str = "", reason: str = "") -> None:
    """What became of a notification that ``first_time`` counted."""
    session.execute(
        update(PayNotification)
        .values(state=state, out_bill_no=out_bill_no[:64], bill_state=bill_state, reason=reason[:400])
        .where(PayNotification.account == account, PayNotification.id == notice_id))


class Line(Protocol):
    """A line of a fund bill (``bot.kit.pay.FundLine``)."""

    @property
    def at(self) -> datetime: ...
    @property
    def business_no(self) -> str: ...
    @property
    def flow_no(self) -> str: ...
    @property
    def business(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def income(self) -> bool: ...
    @property
    def amount_fen(self) -> int: ...
    @property
    def balance_fen(self) -> int: ...
    @property
    def voucher_no(self) -> str: ...


def keep_lines(session: Session, account: str, day: date, lines: Sequence[Line]) -> int:
    """Store the lines of a day that are new; returns how many were. Ours are kept as they were first told."""
    rows = [{
        "account": account, "day": day, "flow_no": line.flow_no, "at": line.at, "business_no": line.business_no,
        "voucher_no": line.voucher_no, "business": line.business, "kind": line.kind, "income": line.income,
        "amount_fen": line.amount_fen, "balance_fen": line.balance_fen} for line in lines]
    if not rows:
        return 0
    kept = session.execute(insert(FundLine).on_conflict_do_nothing(index_elements=["account", "flow_no"])
                           .returning(FundLine.flow_no), rows)
    return len(kept.all())


def keep_day(session: Session, account: str, day: date, lines: Sequence[Line], incidents: int, now: datetime) -> None:
    """Note that a day was compared, and with what result."""
    facts = {
        "lines": len(lines), "income_fen": sum(line.amount_fen for line in lines if line.income),
        "outgo_fen": sum(line.amount_fen for line in lines if not line.income), "open_incidents": incidents,
        "fetched_at": now}
    session.execute(insert(FundDay).values(account=account, day=day, **facts)
                    .on_conflict_do_update(index_elements=["account", "day"], set_=facts))


def compared_days(session: Session, account: str | None, since: date) -> Sequence[FundDay]:
    """The days from ``since`` on whose fund bill was compared, oldest first; None: of every account."""
    wanted = select(FundDay).where(FundDay.day >= since).order_by(FundDay.day, FundDay.account)
    return session.scalars(wanted.where(FundDay.account == account) if account is not None else wanted).all()


@record
class Difference:
    """What an incident is about. ``subject``: a bill number, a flow number or a day. Amounts in fen, None if absent."""

    kind: Kind
    subject: str
    day: date | None = None
    ours_fen: int | None = None
    theirs_fen: int | None = None


def stop(session: Session, account: str, found: Difference, now: datetime) -> bool:
    """Open an incident, which stops paying out of ``account``; False when it is open already or was explained.

    An explained difference is still there when the day is compared again: it does not stop us twice.
    """
    same = select(PayIncident.id).where(
        PayIncident.account == account, PayIncident.kind == found.kind, PayIncident.subject == found.subject,
        PayIncident.theirs_fen.is_not_distinct_from(found.theirs_fen))
    if session.scalar(same.limit(1)) is not None:
        return False
    made = session.execute(
        insert(PayIncident)
        .values(account=account, kind=found.kind, subject=found.subject, day=found.day, ours_fen=found.ours_fen,
                theirs_fen=found.theirs_fen, opened_at=now)
        .on_conflict_do_nothing(index_elements=["account", "kind", "subject"],
                                index_where=PayIncident.closed_at.is_(None)).returning(PayIncident.id)).scalar()
    return made is not None


def stopped(session: Session, account: str) -> bool:
    """Whether nothing may be paid out of ``account`` now: an incident is open."""
    return session.scalar(select(PayIncident.id).limit(1).where(
        PayIncident.account == account, PayIncident.closed_at.is_(None))) is not None


def open_incidents(session: Session, account: str = "") -> Sequence[PayIncident]:
    """What stops paying out, oldest first; of every account when none is named."""
    wanted = select(PayIncident).where(PayIncident.closed_at.is_(None)).order_by(PayIncident.id)
    return session.scalars(wanted.where(PayIncident.account == account) if account else wanted).all()


def incident(session: Session, incident_id: int) -> PayIncident:
    """Raises NotFound."""
    found = session.get(PayIncident, incident_id)
    if found is None:
        raise NotFound("incident_unknown", id=incident_id)
    return found


def explain(session: Session, incident_id: int, explanation: str, by: str, now: datetime) -> PayIncident:
    """Close an incident with the reason that was found. Raises NotFound, DomainError("incident_closed")."""
    found = session.get(PayIncident, incident_id, with_for_update=True)
    if found is None:
        raise NotFound("incident_unknown", id=incident_id)
    if found.closed_at is not None:
        raise DomainError("incident_closed", id=incident_id)
    found.closed_at, found.closed_by, found.explanation = now, by, explanation
    return found
