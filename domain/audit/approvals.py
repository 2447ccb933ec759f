"""Acts that need two people: one asks, another decides. What an approved act does: domain/workflows/acts.py."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.audit.models import Approval
from domain.audit.rules import LIFE, TWO_PERSON_ACTS, Actor
from domain.audit.service import hand, record
from domain.shared.errors import Conflict, DomainError, NotFound

__all__ = ["Approval", "ask", "decide", "expire", "lapsed", "of", "open_for"]


def ask(
    session: Session, act: str, subject: str, payload: Mapping[str, Any], reason: str, actor: Actor, now: datetime
) -> Approval:
    """Ask a second person for ``act`` on ``subject``; whoever decides sees ``payload`` and ``reason`` as given here.

    Raises DomainError("act_unknown" | "not_permitted" | "reason_missing"), Conflict("approval_open") while one for the
    same act and subject waits.
    """
    rights = TWO_PERSON_ACTS.get(act)
    if rights is None:
        raise DomainError("act_unknown", act=act)
    if not actor.may(rights.ask):
        raise DomainError("not_permitted", act=act, role=actor.role)
    if not reason.strip():
        raise DomainError("reason_missing", act=act)
    lapsed_one = open_for(session, act, subject, lock=True)
    if lapsed_one is not None and lapsed_one.expires_at <= now:
        expire(session, lapsed_one, now)
    asked = session.execute(
        insert(Approval).values(
            act=act, subject=subject, payload=dict(payload), reason=reason.strip(), asked_by=actor.name, asked_at=now,
            expires_at=now + LIFE,
        ).on_conflict_do_nothing(index_elements=["act", "subject"], index_where=text("state = 'open'"))
        .returning(Approval.id)
    ).scalar()
    if asked is None:
        raise Conflict("approval_open", act=act, subject=subject)
    record(session, actor, "approval.ask", f"approval:{asked}", {"act": act, "subject": subject, "reason": reason}, now)
    return of(session, asked)


def decide(
    session: Session, approval_id: int, approve: bool, actor: Actor, now: datetime, note: str = ""
) -> Approval:
    """Say yes or no, once, as somebody else than who asked. Does not perform the act: call
    ``workflows.acts.decide``, which does both.

    Raises NotFound("approval_unknown"), Conflict("approval_decided" | "approval_expired"),
    DomainError("second_person" | "one_hand" | "not_permitted").
    """
    found = of(session, approval_id, lock=True)
    if found.state == "expired" or (found.state == "open" and found.expires_at <= now):
        raise Conflict("approval_expired", id=approval_id)
    if found.state != "open":
        raise Conflict("approval_decided", id=approval_id, state=found.state)
    if actor.name == found.asked_by:
        raise DomainError("second_person", id=approval_id)
    if (whose := hand(session, actor.name)) == hand(session, found.asked_by):
        raise DomainError("one_hand", id=approval_id, hand=whose, name=actor.name)
    if not actor.may(TWO_PERSON_ACTS[found.act].decide):
        raise DomainError("not_permitted", act=found.act, role=actor.role)
    found.state = "approved" if approve else "rejected"
    found.decided_by, found.decided_at, found.note = actor.name, max(now, found.asked_at), note.strip()
    facts = {"act": found.act, "subject": found.subject, "note": found.note}
    record(session, actor, f"approval.{'approve' if approve else 'reject'}", f"approval:{approval_id}", facts, now)
    return found


def lapsed(session: Session, now: datetime, limit: int) -> list[Approval]:
    """Open ones whose time is over, locked; those that somebody decides at this moment are left out."""
    wanted = select(Approval).where(Approval.state == "open", Approval.expires_at <= now).order_by(Approval.id)
    return list(session.scalars(wanted.limit(limit).with_for_update(skip_locked=True)))


def expire(session: Session, approval: Approval, now: datetime) -> None:
    """Close a lapsed one; nobody decided."""
    approval.state, approval.decided_at = "expired", now
    session.flush()


def of(session: Session, approval_id: int, *, lock: bool = False) -> Approval:
    """One approval. Raises NotFound("approval_unknown")."""
    known = 0 < approval_id < 2**63
    found = session.get(Approval, approval_id, with_for_update=lock, populate_existing=lock) if known else None
    if found is None:
        raise NotFound("approval_unknown", id=approval_id)
    return found


def open_for(session: Session, act: str, subject: str, *, lock: bool = False) -> Approval | None:
    """The one that waits for this act and subject, if any."""
    wanted = select(Approval).where(Approval.act == act, Approval.subject == subject, Approval.state == "open")
    return session.scalar(wanted.with_for_update() if lock else wanted)
