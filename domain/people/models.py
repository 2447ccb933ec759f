"""Tables of people: one person, many identities."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class Person(Base):
    """Somebody, whatever they use to reach the shop. ``merged_into`` is set when two turned out to be one."""

    __tablename__ = "person"
    __table_args__ = (CheckConstraint("merged_into <> id", name="not_merged_into_itself"),)

    id: Mapped[RowId]
    referral_code: Mapped[str] = mapped_column(unique=True)
    nickname: Mapped[str] = mapped_column(server_default="")
    avatar_url: Mapped[str] = mapped_column(server_default="")
    birthday: Mapped[date | None]
    phone_verified_at: Mapped[datetime | None]
    joined_at: Mapped[datetime]
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


class Identity(Base):
    """One name under which a channel knows a person.

    ``scope``: app_id for openid, corp_id for external_userid, else ''. A phone is stored as a keyed hash only.
    """

    __tablename__ = "identity"
    __table_args__ = (
        UniqueConstraint("kind", "scope", "value"),
        CheckConstraint("kind in ('openid', 'unionid', 'external_userid', 'phone', 'mall_user_id')", name="kind"),
        CheckConstraint("value <> ''", name="value"),
        Index(None, "person_id"),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str]
    scope: Mapped[str] = mapped_column(server_default="")
    value: Mapped[str]
    seen_at: Mapped[datetime]
    followed_at: Mapped[datetime | None]
    unfollowed_at: Mapped[datetime | None]


class PersonMerge(Base):
    """The audit trail of merges: who was kept, who went, why."""

    __tablename__ = "person_merge"

    id: Mapped[RowId]
    kept_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    gone_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    merged_at: Mapped[datetime]
