"""The inbox: every message that a platform sent, once, with the reply it got; and where dialogues stand."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class InboxMessage(Base):
    """One message. ``state``: running (only inside its transaction) → done | failed → … → dead; or quarantined."""

    __tablename__ = "inbox_message"
    __table_args__ = (
        UniqueConstraint("account", "dedupe_key"),
        CheckConstraint("state in ('running', 'done', 'failed', 'dead', 'quarantined')", name="state"),
        Index("ix_inbox_message_failed", "due_at", postgresql_where=text("state = 'failed'")),
        Index(None, "person_id", "id"),
    )

    id: Mapped[RowId]
    account: Mapped[str]
    dedupe_key: Mapped[str]
    person_id: Mapped[int | None]
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(server_default="running")
    reply: Mapped[dict[str, Any] | None]
    error: Mapped[str] = mapped_column(server_default="")
    attempts: Mapped[int] = mapped_column(server_default="1")
    received_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    handled_at: Mapped[datetime | None]


class Conversation(Base):
    """Where a person stands in a dialogue with one account."""

    __tablename__ = "conversation"

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    memory: Mapped[dict[str, Any]]
    expires_at: Mapped[datetime]


class NonceSeen(Base):
    """Nonces of plain mode, whose signature does not cover the body: one nonce, one body. Pruned after minutes."""

    __tablename__ = "nonce_seen"

    account: Mapped[str] = mapped_column(primary_key=True)
    replay_key: Mapped[str] = mapped_column(primary_key=True)
    body_digest: Mapped[str]
    seen_at: Mapped[datetime]
