"""Red packets: a gift that was booked into the wallet goes on into WeChat change, once, or stays where it is.

It is a withdrawal that nobody asked for (``kind`` red_packet): the same hold, the same bill number made before the
first call, the same door for news, the same watch and reconciliation. Its person must tap to receive it; what is not
received comes back into the wallet. Never commits.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import SYSTEM
from domain.commissions import service as commissions
from domain.commissions.document import Withdrawal as Terms
from domain.ledger import service as ledger
from domain.ledger.rules import Entry, Move, Purse, person
from domain.payouts import rules, settling
from domain.payouts.models import TransferBill, Withdrawal
from domain.payouts.service import NUMBER_LENGTH
from domain.shared import outbox
from domain.shared.errors import DomainError
from domain.shared.ids import short_code
from domain.shared.money import share
from domain.shared.outbox import Effect
from domain.shared.records import record

_REACHED = text("""
    select coalesce(sum(p.amount), 0)::bigint from journal j join posting p on p.journal_id = j.id
      join account c on c.id = p.credit and c.kind = 'available' where j.idem = any (:idems)""")


@record
class Packet:
    """``fen`` of a gift for somebody, tax included. ``cause`` names the gift. ``account`` is the merchant account for
    gifts that pays to ``openid`` of ``app_id``; ``remark`` (at most 32 characters) is what they read in WeChat."""

    person_id: int
    cause: str
    fen: int
    account: str
    app_id: str
    openid: str
    remark: str


def reached(session: Session, idems: Sequence[str]) -> int:
    """How much of gifts, by the keys of their journals, became available: what repaid a debt is spent."""
    return int(session.execute(_REACHED, {"idems": list(idems)}).scalar_one())


def has_left(session: Session, cause: str) -> bool:
    """Whether a packet was made for this cause, whatever became of it."""
    return session.scalar(select(Withdrawal.id).where(Withdrawal.cause == cause)) is not None


def send(session: Session, packet: Packet, tax_bps: int, now: datetime) -> int | None:
    """Hold the gift and make its bill, to leave once this is committed; its id, None when this cause has left before.

    Raises DomainError("packet.small" | "packet.large" | "packet.debt" | "packet.spent"): then it stays in the wallet.
    """
    purse = ledger.lock(session, [packet.person_id]).get(packet.person_id) or Purse(packet.person_id)
    if has_left(session, packet.cause):
        return None
    plan = commissions.live_plan(session, now)
    tax_fen = share(packet.fen, tax_bps)
    _check(packet, packet.fen - tax_fen, purse, plan.withdrawal)
    made = session.execute(
        insert(Withdrawal).values(
            no=f"H{short_code(9)}", kind=rules.RED_PACKET, cause=packet.cause, person_id=packet.person_id,
            account=packet.account, app_id=packet.app_id, openid=packet.openid, remark=packet.remark[:32],
            gross_fen=packet.fen, tax_fen=tax_fen, tax_method="incidental", plan_version=plan.version,
            two_people=False, asked_at=now,
        ).on_conflict_do_nothing(index_elements=["cause"], index_where=text("cause <> ''")).returning(Withdrawal.id)
    ).scalar()
    if made is None:
        return None
    withdrawal = settling.lock(session, made)
    hold = Move(person(packet.person_id, "available"), person(packet.person_id, "held"), packet.fen)
    ledger.post(session, [Entry(f"withdrawal:{made}:asked", "packet.sent", now, "withdrawal", made, withdrawal.no,
                                (hold,))], now)
    session.add(TransferBill(
        withdrawal_id=made, n=1, out_bill_no=f"HT{short_code(NUMBER_LENGTH)}", amount_fen=packet.fen - tax_fen,
        share_fen=packet.fen, with_name=False, made_at=now, state_at=now, due_at=now))
    withdrawal.state, withdrawal.decided_by, withdrawal.decided_at = "approved", SYSTEM.name, now
    session.flush()
    audit.record(session, SYSTEM, "packet.send", f"withdrawal:{withdrawal.no}",
                 {"gross_fen": packet.fen, "tax_fen": tax_fen, "cause": packet.cause}, now)
    outbox.put(session, [Effect("slow", "withdrawal.drive", f"withdrawal.drive:{made}", packet.person_id,
                                {"withdrawal_id": made})], now)
    return int(made)


def _check(packet: Packet, net_fen: int, purse: Purse, terms: Terms) -> None:
    if net_fen < terms.bill_min_fen:
        raise DomainError("packet.small", smallest_fen=terms.bill_min_fen)
    # One bill, without the real name, and no sum that two people would have to look at.
    if net_fen > terms.bill_max_fen or net_fen >= terms.name_from_fen or packet.fen > terms.second_person_above_fen:
        raise DomainError("packet.large", largest_fen=terms.bill_max_fen)
    if purse.debt:
        raise DomainError("packet.debt", debt_fen=purse.debt)
    if purse.available < packet.fen:
        raise DomainError("packet.spent", available_fen=purse.available)
