"""Tables of referrals: every touch, and who is bound to whom and for how long."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId

_ACTIVE = text("ended_at is null")


class Touch(Base):
    """Somebody met a sharer's poster or link, whether or not that bound them. Anonymous without ``visitor_id``."""

    __tablename__ = "touch"
    __table_args__ = (UniqueConstraint("visitor_id", "sharer_id", "at", "source"), Index(None, "sharer_id", "at"))

    id: Mapped[RowId]
    visitor_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    sharer_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    source: Mapped[str]
    scene: Mapped[str] = mapped_column(server_default="")
    at: Mapped[datetime]


class Referral(Base):
    """An edge: ``referee`` belongs to ``referrer`` from ``bound_at`` until ``valid_until`` or ``ended_at``.

    At most one edge a referee is not ended; those edges form a forest, which a trigger of the database
    guards also under concurrency (docs/adr/0008). ``valid_until`` NULL: for ever. ``first_until`` is what the
    binding itself gave, before purchases renewed it.
    """

    __tablename__ = "referral"
    __table_args__ = (
        CheckConstraint("referee_id <> referrer_id", name="not_self"),
        CheckConstraint("ended_at >= bound_at and valid_until >= first_until", name="times"),
        CheckConstraint("(ended_at is null) = (end_reason = '')", name="ended"),
        Index("uq_referral_referee_id_active", "referee_id", unique=True, postgresql_where=_ACTIVE),
        Index(None, "referee_id", "bound_at", "id"),
        Index(None, "referrer_id", "bound_at"),
        Index("ix_referral_referrer_id_active", "referrer_id", postgresql_where=_ACTIVE),
    )

    id: Mapped[RowId]
    referee_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    referrer_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    source: Mapped[str]
    bound_at: Mapped[datetime]
    first_until: Mapped[datetime | None]
    valid_until: Mapped[datetime | None]
    protected_until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str] = mapped_column(server_default="")


class ReferralRenewal(Base):
    """A purchase of the referee while the edge stood. Kept, so that late purchases give the same end as early ones."""

    __tablename__ = "referral_renewal"

    referral_id: Mapped[int] = mapped_column(ForeignKey("referral.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
