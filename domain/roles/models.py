"""The table of roles: each grant with its cause, and its end."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class RoleGrant(Base):
    """A role somebody has for one cause until it is revoked. The effective role is the highest one granted.

    ``cause_kind``/``cause_key``: what earned it, e.g. order/4711. One grant of a kind stands at a time.
    Everybody is a member without a row.
    """

    __tablename__ = "role_grant"
    __table_args__ = (
        UniqueConstraint("person_id", "role", "cause_kind", "cause_key"),
        CheckConstraint("role in ('promoter', 'gold', 'partner')", name="role"),
        CheckConstraint("cause_kind <> '' and cause_key <> ''", name="cause"),
        CheckConstraint("(revoked_at is null) = (revoke_reason = '')", name="revoked"),
        Index("uq_role_grant_active", "person_id", "role", "cause_kind",
              unique=True, postgresql_where=text("revoked_at is null")),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    role: Mapped[str]
    cause_kind: Mapped[str]
    cause_key: Mapped[str]
    granted_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str] = mapped_column(server_default="")
