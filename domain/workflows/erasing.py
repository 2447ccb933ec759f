"""Erasing personal data where other rooms have a word: not while money is on its way to the person."""

from datetime import datetime

from sqlalchemy.orm import Session

from domain.audit.rules import Actor
from domain.payouts import queries
from domain.shared.errors import DomainError
from domain.vault import service as vault


def erase(session: Session, person_id: int, actor: Actor, reason: str, now: datetime) -> str:
    """Destroy the key of a person's data; returns the pseudonym that remains, '' when nothing was kept.

    What was declared before stays in the exported files and the ledger, under the person's number. Raises
    DomainError("reason_missing" | "not_permitted"), DomainError("payout.erase_open") while a withdrawal is open.
    """
    if not actor.may(frozenset({"finance", "reviewer"})) and actor.role != "system":
        raise DomainError("not_permitted", act="vault.erase")
    current = queries.on_its_way(session, person_id)
    if current is not None:
        raise DomainError("payout.erase_open", no=current.no)
    return vault.erase(session, person_id, actor, reason, now)
