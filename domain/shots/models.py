"""Tables of customers' own pictures: the pictures, every word of consent, and who was given which to share."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class Shot(Base):
    """One picture. ``state``: draft (its author was not asked yet) → waiting (allowed, to be looked at) → approved
    (shown around) → retired; or declined by the shop, or withdrawn: by its author, unfit, or without an answer.

    ``picture`` is a JPEG of our own making, there only while it may be of use; ``digest`` a keyed hash of what came.
    ``consent``: named or anonymous while it holds. ``why``: what ended it,
    ``said``: what an operator added to a refusal. ``thanked_at`` is set once (trigger).
    """

    __tablename__ = "shot"
    __table_args__ = (
        CheckConstraint("state in ('draft', 'waiting', 'approved', 'declined', 'withdrawn', 'retired')", name="state"),
        CheckConstraint("consent in ('', 'named', 'anonymous')", name="consent"),
        CheckConstraint("(state in ('waiting', 'approved')) = (consent <> '')", name="allowed"),
        CheckConstraint("picture is null or state in ('draft', 'waiting', 'approved')", name="kept"),
        CheckConstraint("state <> 'approved' or picture is not null and sku <> ''", name="shown"),
        CheckConstraint("char_length(said) <= 200 and (said = '' or state = 'declined')", name="said"),
        Index(None, "person_id", "id"),
        Index(None, "state", "id"),
        Index("ix_shot_shown", "sku", postgresql_where=text("state = 'approved'")),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    sku: Mapped[str] = mapped_column(server_default="")
    words: Mapped[str] = mapped_column(server_default="")
    account: Mapped[str]
    media_id: Mapped[str] = mapped_column(server_default="")
    state: Mapped[str] = mapped_column(server_default="draft")
    consent: Mapped[str] = mapped_column(server_default="")
    picture: Mapped[bytes | None]
    digest: Mapped[bytes | None]
    width: Mapped[int] = mapped_column(server_default="0")
    height: Mapped[int] = mapped_column(server_default="0")
    sent_at: Mapped[datetime]
    reviewed_at: Mapped[datetime | None]
    reviewed_by: Mapped[str] = mapped_column(server_default="")
    thanked_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    why: Mapped[str] = mapped_column(server_default="")
    said: Mapped[str] = mapped_column(server_default="")


class ShotWord(Base):
    """What an author said about a picture (named, anonymous, no, revoked), and the very words they were asked in, with
    a mark where their name stood. Never changed."""

    __tablename__ = "shot_word"
    __table_args__ = (
        CheckConstraint("word in ('named', 'anonymous', 'no', 'revoked')", name="word"),
        Index(None, "shot_id", "id"),
    )

    id: Mapped[RowId]
    shot_id: Mapped[int] = mapped_column(ForeignKey("shot.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    word: Mapped[str]
    wording: Mapped[str]
    at: Mapped[datetime]


class ShotGiven(Base):
    """Somebody was given a picture to share, so many times."""

    __tablename__ = "shot_given"
    __table_args__ = (CheckConstraint("times > 0", name="times"), Index(None, "person_id"))

    shot_id: Mapped[int] = mapped_column(ForeignKey("shot.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    times: Mapped[int] = mapped_column(server_default="1")
    first_at: Mapped[datetime]
