"""Tables of what the platform grants and refuses us: tokens, uploaded media, pauses, rights to send.

Times of tokens, media and holds are *real* time (the platform judges them by its own clock);
times of rights are *business* time like the messages that opened them.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base


class PlatformToken(Base):
    """The access token of one app, sealed by its holder; one row is what every process shares."""

    __tablename__ = "platform_token"
    __table_args__ = (CheckConstraint("fresh_until <= expires_at", name="fresh"),)

    app_id: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[bytes]
    fresh_until: Mapped[datetime]
    expires_at: Mapped[datetime]
    forced_at: Mapped[datetime | None]
    forced_count: Mapped[int] = mapped_column(server_default="0")


class PlatformTicket(Base):
    """The ticket with which one app's pages are signed for the JS-SDK, sealed by its holder."""

    __tablename__ = "platform_ticket"
    __table_args__ = (CheckConstraint("fresh_until <= expires_at", name="fresh"),)

    app_id: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[bytes]
    fresh_until: Mapped[datetime]
    expires_at: Mapped[datetime]


class PlatformHold(Base):
    """Do not call ``api`` before ``until``; the row of api ``*`` is the breaker of the whole host."""

    __tablename__ = "platform_hold"
    __table_args__ = (CheckConstraint("failures >= 0", name="failures"),)

    app_id: Mapped[str] = mapped_column(primary_key=True)
    api: Mapped[str] = mapped_column(primary_key=True)
    outcome: Mapped[str]
    errcode: Mapped[int] = mapped_column(server_default="0")
    detail: Mapped[str] = mapped_column(server_default="")
    failures: Mapped[int] = mapped_column(server_default="0")
    until: Mapped[datetime | None]


class PlatformMedia(Base):
    """A temporary media id by the SHA-256 of the bytes behind it."""

    __tablename__ = "platform_media"
    __table_args__ = (
        CheckConstraint("length(digest) = 32", name="digest"),
        Index(None, "uploaded_at"),
    )

    app_id: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    media_id: Mapped[str]
    uploaded_at: Mapped[datetime]


class SendRight(Base):
    """How many messages we may still push to one follower, by window."""

    __tablename__ = "send_right"
    __table_args__ = (
        CheckConstraint("message_left between 0 and 5", name="message_left"),
        CheckConstraint("tap_left between 0 and 3", name="tap_left"),
        CheckConstraint("message_left = 0 or message_until is not null", name="message_until"),
        CheckConstraint("tap_left = 0 or tap_until is not null", name="tap_until"),
    )

    account: Mapped[str] = mapped_column(primary_key=True)
    openid: Mapped[str] = mapped_column(primary_key=True)
    message_left: Mapped[int] = mapped_column(BigInteger, server_default="0")
    message_until: Mapped[datetime | None]
    tap_left: Mapped[int] = mapped_column(BigInteger, server_default="0")
    tap_until: Mapped[datetime | None]


class PlatformBudget(Base):
    """What an api was used for today (Beijing), when it is open for marketing again, and the moment up to which its
    pace is used up, by the shop's clock. See ``budgets``."""

    __tablename__ = "platform_budget"
    __table_args__ = (CheckConstraint("used >= 0", name="used"),)

    app_id: Mapped[str] = mapped_column(primary_key=True)
    api: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date]
    used: Mapped[int] = mapped_column(server_default="0")
    marketing_until: Mapped[datetime | None]
    next_at: Mapped[datetime]
