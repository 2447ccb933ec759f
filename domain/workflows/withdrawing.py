"""Withdrawals where they meet other rooms: what risk says before money leaves, and approvals by two people."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from domain.audit.approvals import Approval
from domain.audit.rules import SYSTEM, Actor
from domain.ledger import queries as ledger
from domain.payouts import queries, service
from domain.payouts.service import Request
from domain.shared.errors import DomainError, NotFound

FROZEN = "frozen"
"""What a check answers for somebody who may not be paid at all."""

Check = Callable[[Session, int, datetime], str]
"""``check(session, person_id, now)``: '' all clear, FROZEN, or a few words why a person must look first."""


def _frozen_money(session: Session, person_id: int, now: datetime) -> str:
    """Something of theirs is under review: nothing leaves by itself meanwhile."""
    return "frozen_money" if ledger.wallet(session, person_id).frozen_fen else ""


def _frozen_account(session: Session, person_id: int, now: datetime) -> str:
    return FROZEN if ledger.frozen(session, person_id) else ""


CHECKS: list[Check] = [_frozen_account, _frozen_money]
"""Asked before every withdrawal. Rooms that know of reasons add theirs."""


def word_of_caution(session: Session, person_id: int, now: datetime) -> str:
    """What the checks say together: FROZEN before any reason to look, '' when all is clear."""
    words = [word for check in CHECKS if (word := check(session, person_id, now))]
    return FROZEN if FROZEN in words else "; ".join(words)


def ask(session: Session, request: Request, now: datetime) -> int:
    """As ``payouts.service.ask``, after the checks. Raises DomainError("payout.frozen") as well."""
    word = word_of_caution(session, request.person_id, now)
    if word == FROZEN:
        raise DomainError("payout.frozen")
    reviewed = replace(request, review="; ".join(part for part in (request.review, word) if part))
    with session.begin_nested():  # a refusal leaves nothing behind, and the dialogue can go on
        return service.ask(session, reviewed, now)


def cancel(session: Session, person_id: int, now: datetime) -> str:
    """As ``payouts.service.cancel``; a refusal leaves nothing behind."""
    with session.begin_nested():
        return service.cancel(session, person_id, now)


def approve(session: Session, no: str, actor: Actor, reason: str, now: datetime) -> Approval | None:
    """An operator approves a request: at once, or, above the plan's limit, by asking a second person (then the open
    approval is returned). Raises NotFound("payout.unknown") and what the payouts room refuses."""
    found = queries.by_no(session, no)
    if found is None:
        raise NotFound("payout.unknown", no=no)
    if word_of_caution(session, found.person_id, now) == FROZEN:
        raise DomainError("payout.frozen")
    if found.two_people:
        return service.propose(session, found.id, actor, reason, now)
    service.approve(session, found.id, actor, now)
    return None


def approved(session: Session, approval: Approval, actor: Actor, now: datetime) -> None:
    """A second person agreed."""
    found = queries.by_id(session, int(approval.payload["withdrawal_id"]))
    if found is None:
        raise NotFound("payout.unknown")
    if word_of_caution(session, found.person_id, now) == FROZEN:
        raise DomainError("payout.frozen")
    service.approve(session, found.id, actor, now, proposed_by=approval.asked_by)


def declined(session: Session, approval: Approval, actor: Actor, now: datetime) -> None:
    """A second person's no is the end of the request. Nobody's answer is not: it can be asked again."""
    if actor != SYSTEM:
        service.reject(session, int(approval.payload["withdrawal_id"]), actor, approval.note or approval.act, now)
