"""Invitations to promote the shop: one a person, ever; nothing happens without a yes, and a no is remembered."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.people.queries import survivors
from domain.roles.models import Invitation
from domain.roles.rulebook import Seed
from domain.shared import outbox
from domain.shared.outbox import Effect
from domain.shared.records import record

State = Literal["open", "accepted", "declined"]

ANSWERED_BY_A_BARE_YES = timedelta(days=1)
"""So long after it was sent, a yes or no without further words means the invitation."""


@record
class InvitationView:
    """An invitation as of a time. ``evidence``: what it was made for, and what was offered."""

    person_id: int
    asked_at: datetime
    expires_at: datetime
    state: State
    evidence: Mapping[str, Any]


def invite(
    session: Session, found: Sequence[tuple[int, Mapping[str, Any]]], rules: Seed, now: datetime
) -> list[int]:
    """Invite these people (id, evidence); returns who was never invited before. Tells ``invitation.asked`` facts."""
    invited: list[int] = []
    for person_id, evidence in sorted(found, key=lambda one: one[0]):
        row = insert(Invitation).values(
            person_id=person_id, asked_at=now, expires_at=now + timedelta(days=rules.answer_days),
            evidence=dict(evidence)).on_conflict_do_nothing().returning(Invitation.person_id)
        invited += session.scalars(row).all()
    outbox.put(session, [Effect("fact", "invitation.asked", f"invitation.asked:{one}", one) for one in invited], now)
    return invited


def of(session: Session, person_id: int) -> InvitationView | None:
    """A person's one invitation, however old."""
    alive = survivors(session, [person_id]).get(person_id)
    row = session.scalar(select(Invitation).where(Invitation.person_id == alive),
                         execution_options={"populate_existing": True})
    if row is None:
        return None
    return InvitationView(row.person_id, row.asked_at, row.expires_at, cast(State, row.state), row.evidence)


def listed(session: Session, state: State | None = None, limit: int = 200) -> list[InvitationView]:
    """The newest first; with ``state`` only those."""
    rows = session.scalars(
        select(Invitation).where(*([Invitation.state == state] if state else []))
        .order_by(Invitation.asked_at.desc(), Invitation.person_id).limit(limit),
        execution_options={"populate_existing": True})
    return [InvitationView(row.person_id, row.asked_at, row.expires_at, cast(State, row.state), row.evidence)
            for row in rows]


def waiting(session: Session, person_id: int, now: datetime) -> InvitationView | None:
    """The invitation that can still be accepted: open, or declined by somebody who may think again."""
    found = of(session, person_id)
    return found if found is not None and found.state != "accepted" and now < found.expires_at else None


def answer(session: Session, person_id: int, state: Literal["accepted", "declined"], words: str, now: datetime) -> bool:
    """Record what was said, in the person's own words; False when there is nothing to answer. A yes stays a yes."""
    alive = survivors(session, [person_id]).get(person_id)
    done = session.execute(
        update(Invitation)
        .where(Invitation.person_id == alive, Invitation.state.in_(("open", "declined")), Invitation.state != state,
               Invitation.expires_at > now)
        .values(state=state, answered_at=now, words=words[:200] or state)
        .returning(Invitation.person_id), execution_options={"synchronize_session": False})
    return done.first() is not None
