"""What people allow and want, what rests or is switched off, and which messages count against the caps."""

from datetime import datetime, time

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class Consent(Base):
    """The latest word of a person on one purpose ('marketing', 'money', 'service', or '*' for all)."""

    __tablename__ = "consent"

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)
    given: Mapped[bool]
    source: Mapped[str]
    changed_at: Mapped[datetime]


class ConsentWord(Base):
    """Every word on consent, kept for whoever asks later. Never changed."""

    __tablename__ = "consent_word"
    __table_args__ = (Index(None, "person_id", "id"),)

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    purpose: Mapped[str]
    given: Mapped[bool]
    source: Mapped[str]
    at: Mapped[datetime]


class NoticeSlot(Base):
    """A capped message that was decided on: taken when it may leave, given back when it surely did not arrive.

    ``digest`` is of what it says, to tell the same thing only once a day.
    """

    __tablename__ = "notice_slot"
    __table_args__ = (Index(None, "person_id", "taken_at"),)

    effect_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    purpose: Mapped[str]
    digest: Mapped[str]
    taken_at: Mapped[datetime]


class NoticePreference(Base):
    """What a person asked for: ``less`` of the shop's own messages, other quiet hours, another time zone."""

    __tablename__ = "notice_preference"
    __table_args__ = (CheckConstraint("(quiet_from is null) = (quiet_until is null)", name="hours"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True, autoincrement=False)
    less: Mapped[bool] = mapped_column(server_default=text("false"))
    zone: Mapped[str] = mapped_column(server_default="Asia/Shanghai")
    quiet_from: Mapped[time | None]
    quiet_until: Mapped[time | None]
    changed_at: Mapped[datetime]


class NoticePause(Base):
    """A purpose that rests for one person until then, because the platform said that they muted us."""

    __tablename__ = "notice_pause"

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True, autoincrement=False)
    purpose: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[datetime]
    reason: Mapped[str]


class NoticeSwitch(Base):
    """A purpose that an operator has switched off for everybody."""

    __tablename__ = "notice_switch"
    __table_args__ = (CheckConstraint("purpose in ('money', 'service', 'marketing')", name="purpose"),)

    purpose: Mapped[str] = mapped_column(primary_key=True)
    stopped_at: Mapped[datetime]
    stopped_by: Mapped[str]
    why: Mapped[str]


class NoticeBroadcast(Base):
    """One message to many. Everybody up to ``cursor`` has a row in the outbox; ``last_person``: who was there at the
    start. ``segment`` '' is everybody."""

    __tablename__ = "notice_broadcast"
    __table_args__ = (
        CheckConstraint("state in ('running', 'paused', 'stopped', 'done')", name="state"),
        CheckConstraint("(ended_at is null) = (state in ('running', 'paused'))", name="ended"),
        CheckConstraint("cursor >= 0 and cursor <= last_person", name="cursor"),
    )

    id: Mapped[RowId]
    title: Mapped[str]
    said: Mapped[str]
    segment: Mapped[str] = mapped_column(server_default="")
    state: Mapped[str] = mapped_column(server_default="running")
    cursor: Mapped[int] = mapped_column(server_default="0")
    last_person: Mapped[int]
    people: Mapped[int] = mapped_column(server_default="0")
    started_at: Mapped[datetime]
    started_by: Mapped[str]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
