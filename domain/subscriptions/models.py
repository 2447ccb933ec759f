"""One-time permissions: a tap on "allow" is one message of one template, kept until it is spent."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class SubscriptionToken(Base):
    """One accept of one follower. It belongs to the openid, as the platform has it, so that a merge of people has
    nothing to move. ``granted_by`` is the event and template: an event that comes twice grants once."""

    __tablename__ = "subscription_token"
    __table_args__ = (
        CheckConstraint("(spent_at is null) = (effect_id is null)", name="spent"),
        CheckConstraint("(lost_at is null) = (lost_why = '')", name="lost"),
        CheckConstraint("spent_at is null or lost_at is null", name="one_end"),
        Index("ix_subscription_token_banked", "account", "openid", "template_id",
              postgresql_where=text("spent_at is null and lost_at is null")),
    )

    id: Mapped[RowId]
    account: Mapped[str]
    openid: Mapped[str]
    template_id: Mapped[str]
    granted_by: Mapped[str] = mapped_column(unique=True)
    granted_at: Mapped[datetime]
    effect_id: Mapped[int | None] = mapped_column(unique=True)
    spent_at: Mapped[datetime | None]
    lost_at: Mapped[datetime | None]
    lost_why: Mapped[str] = mapped_column(server_default="")
