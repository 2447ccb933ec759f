"""Asking for money, deciding about it, taking a request back. Never commits.

``bill_changed`` (domain/payouts/settling.py) is the one door for news about a payment; ``claim`` and ``record``
(domain/payouts/driving.py) frame every call to the provider.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.audit import approvals
from domain.audit import service as audit
from domain.audit.rules import SYSTEM, Actor, Role
from domain.commissions import service as commissions
from domain.commissions.document import Withdrawal as Terms
from domain.ledger import service as ledger
from domain.ledger.rules import Entry, Move, person
from domain.paychannel import service as channel
from domain.payouts import queries, recalling, rules, settling, tax
from domain.payouts.driving import Step, Told, claim, record
from domain.payouts.models import OPEN, Payee, PayoutSwitch, TransferBill, Withdrawal
from domain.payouts.recalling import ACT
from domain.payouts.settling import Change, bill_changed, stop
from domain.people.models import Identity
from domain.shared import outbox
from domain.shared.clock import business_date
from domain.shared.errors import DomainError, NotFound
from domain.shared.ids import short_code
from domain.shared.outbox import Effect
from domain.vault import queries as vault

__all__ = [
    "ACT", "Change", "Request", "Step", "Told", "agree", "approve", "ask", "bill_changed", "cancel", "claim", "go",
    "halt", "move", "propose", "record", "reject", "retry", "stop",
]

_MAY_DECIDE: frozenset[Role] = frozenset({"owner", "finance"})
_HOLDS = text("state in ('asked', 'approved', 'paying') and kind = 'withdrawal'")
NUMBER_LENGTH = 24
"""Random characters of a bill number (139 bits). Random, not counted: a database restored from a backup counts again,
and the provider would take the second payment for the first."""


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for. ``account`` is the merchant account that pays to ``openid`` of ``app_id``; ``remark``
    (at most 32 characters) is what they will read in WeChat; ``review`` says why a person must look first."""

    person_id: int
    gross_fen: int
    account: str
    app_id: str
    openid: str
    remark: str
    review: str = ""


def agree(session: Session, person_id: int, version: str, digest: str, now: datetime) -> None:
    """The person agrees that tax is withheld; ``version`` and ``digest`` name the text they read."""
    facts = {"consent_version": version, "consent_digest": digest, "consented_at": now}
    session.execute(insert(Payee).values(person_id=person_id, **facts)
                    .on_conflict_do_update(index_elements=["person_id"], set_=facts))


def ask(session: Session, request: Request, now: datetime) -> int:
    """Hold the money and open a request; small and clear ones are approved at once. Returns its id.

    Raises DomainError("payout.no_consent" | "payout.no_name" | "payout.no_id_number" | "payout.debt" |
    "payout.below_minimum" | "payout.not_enough" | "payout.open" | "payout.too_small" | "payout.account_changed").
    """
    payee = session.get(Payee, request.person_id, with_for_update=True, populate_existing=True)
    if payee is None:
        raise DomainError("payout.no_consent")
    plan = commissions.live_plan(session, now)
    _check(session, request, plan.withdrawal)
    quote = queries.quote(session, request.person_id, request.gross_fen, now)
    asked = session.execute(
        insert(Withdrawal).values(
            no=f"W{short_code(9)}", person_id=request.person_id, account=request.account, app_id=request.app_id,
            openid=request.openid, remark=request.remark[:32], gross_fen=request.gross_fen, tax_fen=quote.tax_fen,
            tax_method=plan.tax.method, plan_version=plan.version, two_people=quote.second_person,
            review=request.review, asked_at=now,
        ).on_conflict_do_nothing(index_elements=["person_id"], index_where=_HOLDS)
        .returning(Withdrawal.id)
    ).scalar()
    if asked is None:
        raise DomainError("payout.open")
    withdrawal = settling.lock(session, asked)
    hold = Move(person(request.person_id, "available"), person(request.person_id, "held"), request.gross_fen)
    ledger.post(session, [Entry(f"withdrawal:{asked}:asked", "withdrawal.asked", now, "withdrawal", asked,
                                withdrawal.no, (hold,))], now)
    if not withdrawal.two_people and not withdrawal.review:
        approve(session, asked, SYSTEM, now)
    return asked


def _check(session: Session, request: Request, terms: Terms) -> None:
    held = vault.held(session, request.person_id)
    if "real_name" not in held:
        raise DomainError("payout.no_name")
    if request.gross_fen > terms.id_number_above_fen and "id_number" not in held:
        raise DomainError("payout.no_id_number")
    purse = ledger.lock(session, [request.person_id])[request.person_id]
    if queries.open_of(session, request.person_id) is not None:
        raise DomainError("payout.open")
    if purse.debt:
        raise DomainError("payout.debt", debt_fen=purse.debt)
    if request.gross_fen < terms.min_fen:
        raise DomainError("payout.below_minimum", min_fen=terms.min_fen)
    if request.gross_fen > purse.available:
        raise DomainError("payout.not_enough", available_fen=purse.available)


def propose(session: Session, withdrawal_id: int, actor: Actor, reason: str, now: datetime) -> approvals.Approval:
    """Ask a second person to approve a large request. Raises what ``approvals.ask`` raises, and
    DomainError("payout.not_asked")."""
    withdrawal = _asked(session, withdrawal_id)
    payload = {"withdrawal_id": withdrawal.id, "gross_fen": withdrawal.gross_fen, "tax_fen": withdrawal.tax_fen,
               "review": withdrawal.review}
    return approvals.ask(session, ACT, f"withdrawal:{withdrawal.no}", payload, reason, actor, now)


def approve(session: Session, withdrawal_id: int, actor: Actor, now: datetime, proposed_by: str = "") -> None:
    """Reserve the tax, make the bills with their numbers, and let them go once this is committed.

    Raises DomainError("payout.not_asked" | "payout.second_person" | "not_permitted" | "payout.account_changed" |
    "payout.too_small"). ``proposed_by``: the first of the two people that a large sum needs.
    """
    withdrawal = _asked(session, withdrawal_id)
    automatic = actor == SYSTEM
    if withdrawal.two_people and proposed_by in ("", actor.name):
        raise DomainError("payout.second_person", no=withdrawal.no)
    if (automatic and withdrawal.review) or not (automatic or actor.role in _MAY_DECIDE):
        raise DomainError("not_permitted", act=ACT)
    holder = session.scalar(select(Identity.person_id).where(
        Identity.kind == "openid", Identity.scope == withdrawal.app_id, Identity.value == withdrawal.openid))
    if holder != withdrawal.person_id:
        raise DomainError("payout.account_changed", no=withdrawal.no)
    _make_bills(session, withdrawal, now)
    withdrawal.state, withdrawal.decided_by, withdrawal.decided_at = "approved", actor.name, now
    withdrawal.proposed_by = proposed_by
    session.flush()
    detail = {"gross_fen": withdrawal.gross_fen, "tax_fen": withdrawal.tax_fen, "proposed_by": proposed_by}
    audit.record(session, actor, ACT, f"withdrawal:{withdrawal.no}", detail, now)
    facts = [Effect("slow", "withdrawal.drive", f"withdrawal.drive:{withdrawal.id}", withdrawal.person_id,
                    {"withdrawal_id": withdrawal.id})]
    if not automatic:
        facts.append(Effect("fact", "withdrawal.approved", f"withdrawal.approved:{withdrawal.id}",
                            withdrawal.person_id, {"withdrawal_id": withdrawal.id}))
    outbox.put(session, facts, now)


def _make_bills(session: Session, withdrawal: Withdrawal, now: datetime) -> None:
    """Each bill gets its share of what is held: what it pays and the tax that is reserved for it."""
    terms = queries.plan_of(session, withdrawal.plan_version).withdrawal
    table, basis = queries.taxed(session, withdrawal.person_id, withdrawal.tax_method, business_date(now))
    withdrawal.tax_fen = tax.due(table, basis, withdrawal.gross_fen)
    amounts = rules.split(withdrawal.gross_fen - withdrawal.tax_fen, terms.bill_min_fen, terms.bill_max_fen)
    left = withdrawal.gross_fen
    for n, amount in enumerate(amounts, 1):
        share = left
        if n < len(amounts):
            share = tax.gross_of(lambda fen, known=basis: tax.due(table, known, fen), amount, amount)  # type: ignore[misc]
            taken = basis.withheld_fen + share - amount
            basis = tax.Basis(basis.gross_fen + share, taken, basis.months)
            left -= share
        session.add(TransferBill(
            withdrawal_id=withdrawal.id, n=n, out_bill_no=f"HT{short_code(NUMBER_LENGTH)}", amount_fen=amount,
            share_fen=share, with_name=amount >= terms.name_from_fen, made_at=now, state_at=now, due_at=now,
        ))
    session.flush()


def reject(session: Session, withdrawal_id: int, actor: Actor, reason: str, now: datetime) -> str:
    """Refuse a request that waits, or call back one that is under way; returns the state that it is in now.

    Raises DomainError("reason_missing" | "not_permitted" | "payout.ended" | "payout.too_late").
    """
    if not reason.strip():
        raise DomainError("reason_missing", act="withdrawal.reject")
    if not actor.may(_MAY_DECIDE):
        raise DomainError("not_permitted", act="withdrawal.reject")
    withdrawal = _known(session, withdrawal_id)
    if withdrawal.state not in OPEN:
        raise DomainError("payout.ended", state=withdrawal.state)
    withdrawal.reason = reason.strip()
    if withdrawal.state == "asked":
        recalling.end_asked(session, withdrawal, "rejected", actor.name, now)
    else:
        recalling.call_back(session, withdrawal, now)
    audit.record(session, actor, "withdrawal.reject", f"withdrawal:{withdrawal.no}", {"reason": reason.strip()}, now)
    return withdrawal.state


def cancel(session: Session, person_id: int, now: datetime) -> str:
    """The person takes the request back; returns the state that it is in now: 'cancelled', or still open while the
    provider is asked to call back what it has. Raises DomainError("payout.none_open" | "payout.too_late")."""
    current = queries.open_of(session, person_id)
    if current is None:
        raise DomainError("payout.none_open")
    withdrawal = settling.lock(session, current.id)
    if withdrawal.state == "asked":
        recalling.end_asked(session, withdrawal, "cancelled", "", now)
    elif withdrawal.state in OPEN:
        recalling.call_back(session, withdrawal, now)
    elif withdrawal.state != "cancelled":  # it ended while we waited for its row
        raise DomainError("payout.none_open")
    return withdrawal.state


def retry(session: Session, withdrawal_id: int, actor: Actor, now: datetime) -> int:
    """Do what is due about the open bills at once: the same numbers, the same bodies. Returns how many bills.

    Raises DomainError("payout.ended" | "payout.not_approved").
    """
    withdrawal = _known(session, withdrawal_id)
    if withdrawal.state not in OPEN:
        raise DomainError("payout.ended", state=withdrawal.state)
    if withdrawal.state == "asked":
        raise DomainError("payout.not_approved", no=withdrawal.no)
    done = session.execute(
        update(TransferBill).where(TransferBill.withdrawal_id == withdrawal.id,
                                   TransferBill.state.not_in(sorted(rules.FINAL)))
        .values(due_at=now, fault="").returning(TransferBill.id), execution_options={"synchronize_session": False},
    ).all()
    audit.record(session, actor, "withdrawal.retry", f"withdrawal:{withdrawal.no}", {"bills": len(done)}, now)
    return len(done)


def halt(session: Session, actor: Actor, reason: str, now: datetime) -> bool:
    """An operator stops all payments; False when they were stopped already. Raises DomainError("reason_missing" |
    "not_permitted")."""
    if not reason.strip():
        raise DomainError("reason_missing", act="payouts.stop")
    if not actor.may(_MAY_DECIDE):
        raise DomainError("not_permitted", act="payouts.stop")
    done = stop(session, reason.strip(), actor.name, now)
    audit.record(session, actor, "payouts.stop", "payouts", {"reason": reason.strip(), "new": done}, now)
    return done


def go(session: Session, actor: Actor, reason: str, now: datetime) -> bool:
    """Let money leave again; False when it was not stopped. What waited is due at once.

    Raises DomainError("not_permitted"), DomainError("incidents_open") while something is not explained.
    """
    if not actor.may(_MAY_DECIDE):
        raise DomainError("not_permitted", act="payouts.go")
    if channel.open_incidents(session):
        raise DomainError("incidents_open")
    row = session.get_one(PayoutSwitch, 1, with_for_update=True, populate_existing=True)
    if row.stopped_at is None:
        return False
    before = row.reason
    row.stopped_at, row.reason, row.changed_by = None, "", actor.name
    session.execute(update(TransferBill).where(TransferBill.act == "transfer", TransferBill.due_at.is_not(None))
                    .values(due_at=now), execution_options={"synchronize_session": False})
    session.flush()
    audit.record(session, actor, "payouts.go", "payouts", {"reason": reason, "was": before}, now)
    return True


def _known(session: Session, withdrawal_id: int) -> Withdrawal:
    found = session.get(Withdrawal, withdrawal_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound("payout.unknown")
    return found


def _asked(session: Session, withdrawal_id: int) -> Withdrawal:
    withdrawal = _known(session, withdrawal_id)
    if withdrawal.state != "asked":
        raise DomainError("payout.not_asked", state=withdrawal.state)
    return withdrawal


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """Payouts' part of a merge (a people.service.Mover): requests follow, so that a month is taxed as one person's.
    Raises DomainError("withdrawal_open") while one of the younger is open."""
    ids = {"kept": kept_id, "gone": gone_id}
    if session.scalar(select(Withdrawal.id).where(Withdrawal.person_id == gone_id, Withdrawal.state.in_(OPEN))):
        raise DomainError("withdrawal_open", person_id=gone_id)
    session.flush()
    session.execute(text("update payee set person_id = :kept where person_id = :gone and not exists ("
                         "select from payee where person_id = :kept)"), ids)
    session.execute(text("delete from payee where person_id = :gone"), ids)
    moved = session.execute(text("update withdrawal set person_id = :kept where person_id = :gone returning id"), ids)
    session.expire_all()
    return {"withdrawal": len(moved.all())}
