"""Tables of the vault: a key for each person, and what is sealed with it. Nothing here can be read without the masters.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class VaultKey(Base):
    """One person's own key, wrapped by the master whose fingerprint is ``master``. Destroyed (``wrapped`` is None), it
    takes everything sealed with it along; ``pseudonym`` is what remains. ``sealed_for`` is the id that seal and wrap
    are bound to: the person, or somebody who was merged into them."""

    __tablename__ = "vault_key"
    __table_args__ = (
        CheckConstraint("(wrapped is null) = (destroyed_at is not null)", name="destroyed"),
        Index("uq_vault_key_person", "person_id", unique=True, postgresql_where=text("destroyed_at is null")),
        Index("ix_vault_key_master", "master", postgresql_where=text("destroyed_at is null")),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    sealed_for: Mapped[int] = mapped_column(ForeignKey("person.id"))
    pseudonym: Mapped[str] = mapped_column(unique=True)
    master: Mapped[str]
    wrapped: Mapped[bytes | None]
    made_at: Mapped[datetime]
    destroyed_at: Mapped[datetime | None]


class VaultItem(Base):
    """One sealed value. ``masked`` is safe to show; ``digest`` (keyed) tells only whether two values are the same."""

    __tablename__ = "vault_item"
    __table_args__ = (CheckConstraint("field in ('real_name', 'id_number', 'phone')", name="field"),)

    key_id: Mapped[int] = mapped_column(ForeignKey("vault_key.id"), primary_key=True)
    field: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[bytes]
    digest: Mapped[bytes]
    masked: Mapped[str]
    kept_at: Mapped[datetime]


class KeyMark(Base):
    """A keyed mark of a key that lives outside of the database, so that a changed one is noticed."""

    __tablename__ = "key_mark"

    name: Mapped[str] = mapped_column(primary_key=True)
    mark: Mapped[str]
    since: Mapped[datetime]
