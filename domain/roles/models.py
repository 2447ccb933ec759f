"""Tables of roles: rules by version, grants as periods, decisions, invitations, honours and certificates."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class RoleRulebook(Base):
    """One version of assets/roles.toml, live from ``live_from`` until the next one is. Never changed.

    ``regular_orders``: from how many orders on somebody's repurchases matter; None when no role asks for them.
    """

    __tablename__ = "role_rulebook"
    __table_args__ = (
        CheckConstraint("version > 0", name="version"),
        CheckConstraint("regular_orders > 1", name="regular"),
    )

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    document: Mapped[dict[str, Any]]
    digest: Mapped[str]
    regular_orders: Mapped[int | None]
    live_from: Mapped[datetime]
    actor: Mapped[str] = mapped_column(server_default="")


class RoleGrant(Base):
    """A role somebody has for one cause until it is revoked. The effective role is the highest one granted.

    ``cause_kind``/``cause_key``: what earned it, e.g. order/4711. One grant of a kind stands at a time.
    ``confirmed_at`` None: provisional, a return may still undo it. ``turn`` counts how often a recount of repurchases
    opened or closed the period. Everybody is a member without a row.
    """

    __tablename__ = "role_grant"
    __table_args__ = (
        UniqueConstraint("person_id", "role", "cause_kind", "cause_key"),
        CheckConstraint("role in ('promoter', 'gold', 'partner')", name="role"),
        CheckConstraint("cause_kind <> '' and cause_key <> ''", name="cause"),
        CheckConstraint("(revoked_at is null) = (revoke_reason = '')", name="revoked"),
        CheckConstraint("revoked_at >= granted_at", name="period"),
        CheckConstraint("confirmed_at >= granted_at", name="confirmed"),
        CheckConstraint("jsonb_typeof(evidence) = 'object'", name="evidence"),
        Index("uq_role_grant_active", "person_id", "role", "cause_kind",
              unique=True, postgresql_where=text("revoked_at is null")),
        Index("ix_role_grant_provisional", "id",
              postgresql_where=text("revoked_at is null and confirmed_at is null")),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    role: Mapped[str]
    cause_kind: Mapped[str]
    cause_key: Mapped[str]
    granted_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str] = mapped_column(server_default="")
    evidence: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    turn: Mapped[int] = mapped_column(server_default="0")


class RoleDecision(Base):
    """What the monthly assessment (``month``, its first day) or an operator decided about a role. Only ever added.

    ``afresh``: what was bought or sold before does not count for this role any more.
    """

    __tablename__ = "role_decision"
    __table_args__ = (
        CheckConstraint("role in ('promoter', 'gold', 'partner')", name="role"),
        CheckConstraint("what in ('promoted', 'warned', 'calmed', 'demoted', 'granted', 'revoked')", name="what"),
        CheckConstraint("reason <> '' and actor <> ''", name="why"),
        CheckConstraint(
            "(month is not null) = (what in ('promoted', 'warned', 'calmed', 'demoted'))"
            " and date_trunc('month', month) = month", name="month",
        ),
        Index(None, "person_id", "role", "id"),
        Index("uq_role_decision_month", "person_id", "role", "month", "what", unique=True,
              postgresql_where=text("month is not null")),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    role: Mapped[str]
    what: Mapped[str]
    at: Mapped[datetime]
    month: Mapped[date | None]
    reason: Mapped[str]
    actor: Mapped[str]
    afresh: Mapped[bool] = mapped_column(server_default=text("false"))
    evidence: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


class RoleAssessment(Base):
    """The assessment of one month: everybody up to ``after_id`` was judged; ``ended_at`` when it is done."""

    __tablename__ = "role_assessment"
    __table_args__ = (
        CheckConstraint("date_trunc('month', month) = month", name="month"),
        CheckConstraint("least(after_id, judged, promoted, warned, demoted) >= 0", name="counts"),
    )

    month: Mapped[date] = mapped_column(primary_key=True)
    after_id: Mapped[int] = mapped_column(server_default="0")
    judged: Mapped[int] = mapped_column(server_default="0")
    promoted: Mapped[int] = mapped_column(server_default="0")
    warned: Mapped[int] = mapped_column(server_default="0")
    demoted: Mapped[int] = mapped_column(server_default="0")
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Invitation(Base):
    """The one invitation that somebody ever gets, and what they answered in their own ``words``."""

    __tablename__ = "invitation"
    __table_args__ = (
        CheckConstraint("state in ('open', 'accepted', 'declined')", name="state"),
        CheckConstraint("asked_at < expires_at", name="times"),
        CheckConstraint("(state = 'open') = (answered_at is null) and (state = 'open') = (words = '')",
                        name="answered"),
    )

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True, autoincrement=False)
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(server_default="open")
    answered_at: Mapped[datetime | None]
    words: Mapped[str] = mapped_column(server_default="")
    evidence: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


class Badge(Base):
    """An honour apart from roles: ``period`` is a month (``2026-11``) or '' for good; worn until ``worn_until``."""

    __tablename__ = "badge"
    __table_args__ = (
        UniqueConstraint("person_id", "key", "period"),
        CheckConstraint("key <> '' and cause <> ''", name="named"),
        CheckConstraint("worn_until > awarded_at", name="worn"),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    key: Mapped[str]
    period: Mapped[str]
    cause: Mapped[str]
    evidence: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    awarded_at: Mapped[datetime]
    worn_until: Mapped[datetime | None]


class Certificate(Base):
    """What is printed on a certificate. ``code`` opens the public check page; one is valid at a time for a subject
    (``kind`` role or badge, ``subject`` the role or the badge's key, ``period`` as the badge's)."""

    __tablename__ = "certificate"
    __table_args__ = (
        UniqueConstraint("code"),
        UniqueConstraint("number"),
        CheckConstraint("kind in ('role', 'badge')", name="kind"),
        CheckConstraint("length(code) >= 16", name="code"),
        CheckConstraint("subject <> '' and title <> '' and number <> ''", name="named"),
        CheckConstraint("(revoked_at is null) = (revoke_reason = '') and revoked_at >= issued_at", name="revoked"),
        Index("uq_certificate_valid", "person_id", "kind", "subject", "period", unique=True,
              postgresql_where=text("revoked_at is null")),
    )

    id: Mapped[RowId]
    code: Mapped[str]
    number: Mapped[str]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str]
    subject: Mapped[str]
    period: Mapped[str] = mapped_column(server_default="")
    title: Mapped[str]
    issued_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str] = mapped_column(server_default="")
