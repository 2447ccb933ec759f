"""Messages that leave through the hands of an employee: tasks that wait for a tap, and whom they are for."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class StaffTask(Base):
    """One text that one employee is asked to send. ``gathering``: people may still join · ``asking``: the platform was
    asked, and what it made is not known yet · ``asked``: it waits for the tap · ``sent``, ``cancelled`` (nobody tapped
    in time, or it was withdrawn), ``dropped`` (the platform refused it). ``said`` is forgotten when it is over."""

    __tablename__ = "staff_task"
    __table_args__ = (
        CheckConstraint("purpose in ('service', 'marketing')", name="purpose"),
        CheckConstraint("state in ('gathering', 'asking', 'asked', 'sent', 'cancelled', 'dropped')", name="state"),
        CheckConstraint("(asked_at is null) = (state = 'gathering') or state in ('cancelled', 'dropped')",
                        name="asked"),
        CheckConstraint("msgid <> '' or state not in ('asked', 'sent')", name="msgid"),
        CheckConstraint("(ended_at is null) = (state in ('gathering', 'asking', 'asked'))", name="ended"),
        CheckConstraint("reason <> '' or state not in ('cancelled', 'dropped')", name="reason"),
        Index("ix_staff_task_gathering", "account", "userid", "purpose", "digest", unique=True,
              postgresql_where=text("state = 'gathering'")),
        Index("ix_staff_task_msgid", "account", "msgid", unique=True, postgresql_where=text("msgid <> ''")),
        Index("ix_staff_task_open", "account", "userid",
              postgresql_where=text("state in ('gathering', 'asking', 'asked')")),
    )

    id: Mapped[RowId]
    account: Mapped[str]
    userid: Mapped[str]
    purpose: Mapped[str]
    said: Mapped[str]
    digest: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="gathering")
    msgid: Mapped[str] = mapped_column(server_default="")
    reason: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    asked_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class StaffTaskPerson(Base):
    """One message in one task: an effect of the outbox is here at most once, so nobody gets it by two ways."""

    __tablename__ = "staff_task_person"
    __table_args__ = (
        UniqueConstraint("task_id", "external_userid"),
        CheckConstraint("state in ('waits', 'sent', 'refused')", name="state"),
        CheckConstraint("(ended_at is null) = (state = 'waits')", name="ended"),
        CheckConstraint("(reason = '') = (state <> 'refused')", name="reason"),
        Index(None, "person_id", "joined_at"),
    )

    effect_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    task_id: Mapped[int] = mapped_column(ForeignKey("staff_task.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    external_userid: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="waits")
    reason: Mapped[str] = mapped_column(server_default="")
    joined_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
