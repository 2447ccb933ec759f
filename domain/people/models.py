"""Tables of people: one person, many identities; and people who left."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class Person(Base):
    """Somebody, whatever they use to reach the shop. ``merged_into`` is set when two turned out to be one.

    ``merged_into`` always names the living survivor, never somebody who is merged in turn.
    """

    __tablename__ = "person"
    __table_args__ = (
        CheckConstraint("merged_into <> id", name="not_merged_into_itself"),
        Index("ix_person_merged_into", "merged_into", postgresql_where=text("merged_into is not null")),
    )

    id: Mapped[RowId]
    referral_code: Mapped[str] = mapped_column(unique=True, server_default=text("short_code(8)"))
    nickname: Mapped[str] = mapped_column(server_default="")
    avatar_url: Mapped[str] = mapped_column(server_default="")
    birthday: Mapped[date | None]
    phone_verified_at: Mapped[datetime | None]
    joined_at: Mapped[datetime]
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


class Identity(Base):
    """One name under which a channel knows a person.

    ``scope``: app_id for openid, corp_id for external_userid, else ''. A phone is stored as a keyed hash only.
    Following: ``followed_at`` set and ``unfollowed_at`` empty. ``followed_at`` stays after an unfollow.
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
    """The audit trail of merges: who was kept, who went, why, and what each room moved (``detail``)."""

    __tablename__ = "person_merge"
    __table_args__ = (Index(None, "kept_id"),)

    id: Mapped[RowId]
    kept_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    gone_id: Mapped[int] = mapped_column(ForeignKey("person.id"), unique=True)
    reason: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    merged_at: Mapped[datetime]


class PersonMergeConflict(Base):
    """Two persons that look like one and were not merged: ``conflict`` names the rule that refused.

    A human settles it (``settled_at``, ``settled_how``); an open one is recorded once.
    """

    __tablename__ = "person_merge_conflict"
    __table_args__ = (
        CheckConstraint("one_id < other_id", name="order"),
        CheckConstraint("conflict <> ''", name="conflict"),
        Index(
            "uq_person_merge_conflict_open", "one_id", "other_id", "conflict",
            unique=True, postgresql_where=text("settled_at is null"),
        ),
    )

    id: Mapped[RowId]
    one_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    other_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    conflict: Mapped[str]
    reason: Mapped[str]
    found_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    settled_how: Mapped[str] = mapped_column(server_default="")


class Erasure(Base):
    """A person whose data is to be erased. ``cause``: unfollowed (everywhere, and the grace has passed), asked (by
    themselves), operator (``actor``, with ``why``). ``state``: waiting → done → returned, or called_off.

    ``waits_for``: what put it off when it was last looked at, '' nothing; next looked at ``look_at``. ``gives_up``:
    they gave up what is left in the wallet. ``counts``: how many rows of which table were cleared.
    """

    __tablename__ = "erasure"
    __table_args__ = (
        CheckConstraint("cause in ('unfollowed', 'asked', 'operator')", name="cause"),
        CheckConstraint("state in ('waiting', 'done', 'returned', 'called_off')", name="state"),
        CheckConstraint("(state = 'waiting') = (ended_at is null)", name="ended"),
        CheckConstraint("(cause = 'operator') = (actor <> '')", name="actor"),
        Index("uq_erasure_waiting", "person_id", unique=True, postgresql_where=text("state = 'waiting'")),
        Index("ix_erasure_look", "look_at", postgresql_where=text("state = 'waiting'")),
        Index(None, "person_id", "id"),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    cause: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="waiting")
    gives_up: Mapped[bool] = mapped_column(server_default="false")
    actor: Mapped[str] = mapped_column(server_default="")
    why: Mapped[str] = mapped_column(server_default="")
    asked_at: Mapped[datetime]
    due_at: Mapped[datetime]
    look_at: Mapped[datetime]
    waits_for: Mapped[str] = mapped_column(server_default="")
    ended_at: Mapped[datetime | None]
    counts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


class ErasedIdentity(Base):
    """A name that was erased, as an HMAC: whoever returns under it is recognised. ``followed``: ever before."""

    __tablename__ = "erased_identity"
    __table_args__ = (CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name="digest"), Index(None, "person_id"))

    kind: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    followed: Mapped[bool]
    erased_at: Mapped[datetime]


class RecallPlace(Base):
    """Up to which identity newcomers were compared with those who left."""

    __tablename__ = "recall_place"
    __table_args__ = (CheckConstraint("one", name="one"),)

    one: Mapped[bool] = mapped_column(primary_key=True, server_default="true")
    upto: Mapped[int]
