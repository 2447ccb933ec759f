"""Tables of the helpdesk: who waits for a human, and what the shop's people wrote.

What customers say stays where it is kept anyway, in the inbox; only the question that opened a ticket stands here.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class Ticket(Base):
    """One person's talk with the shop; one is open at a time, and what is closed stays closed (a trigger of 0029).

    ``waits_for``: whose turn it is, since ``waits_since``. ``told_at``: when the person was last told that their words
    arrived. ``closed_why``: person (好了), shop, silence, left (erased), merged (with another of theirs).
    """

    __tablename__ = "ticket"
    __table_args__ = (
        CheckConstraint("state in ('open', 'closed')", name="state"),
        CheckConstraint("waits_for in ('shop', 'person')", name="waits_for"),
        CheckConstraint("(state = 'open') = (closed_at is null) and (state = 'open') = (closed_why = '')",
                        name="closed"),
        CheckConstraint("closed_why in ('', 'person', 'shop', 'silence', 'left', 'merged')", name="closed_why"),
        CheckConstraint("(closed_why = 'shop') = (closed_by <> '')", name="closed_by"),
        CheckConstraint("(taken_by = '') = (taken_at is null)", name="taken"),
        CheckConstraint("char_length(question) <= 500", name="question"),
        Index("uq_ticket_open", "person_id", unique=True, postgresql_where=text("state = 'open'")),
        Index("ix_ticket_waiting", "waits_for", "waits_since", postgresql_where=text("state = 'open'")),
        Index(None, "person_id", "id"),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    account: Mapped[str]
    question: Mapped[str] = mapped_column(server_default="")
    state: Mapped[str] = mapped_column(server_default="open")
    opened_at: Mapped[datetime]
    waits_for: Mapped[str] = mapped_column(server_default="shop")
    waits_since: Mapped[datetime]
    told_at: Mapped[datetime]
    taken_by: Mapped[str] = mapped_column(server_default="")
    taken_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    closed_why: Mapped[str] = mapped_column(server_default="")
    closed_by: Mapped[str] = mapped_column(server_default="")


class TicketAnswer(Base):
    """What one of the shop's people wrote. Whether it has left stands with its notice in the outbox."""

    __tablename__ = "ticket_answer"
    __table_args__ = (
        CheckConstraint("char_length(words) between 1 and 600 and actor <> ''", name="words"),
        Index(None, "ticket_id", "id"),
    )

    id: Mapped[RowId]
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"))
    actor: Mapped[str]
    words: Mapped[str]
    at: Mapped[datetime]
