"""Tables of journeys: editions that never change, people inside, every step they took, and the events they heard.

Who may be inside twice, what an edition may become and that visits are only ever added is refused by the database
itself (migration 0016).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Text

from domain.shared.db import Base, RowId


class JourneyRow(Base):
    """A journey by its key. ``version`` is the edition that new runs take, ``listens`` the events that it may care
    about.

    ``state``: draft → live ⇄ paused; draining: nobody new enters; archived: nobody is inside.
    """

    __tablename__ = "journey"
    __table_args__ = (
        CheckConstraint("state in ('draft', 'live', 'paused', 'draining', 'archived')", name="state"),
        CheckConstraint("state = 'draft' or version is not null", name="version"),
        ForeignKeyConstraint(["id", "version"], ["journey_version.journey_id", "journey_version.n"],
                             name="fk_journey_version", use_alter=True, deferrable=True, initially="DEFERRED"),
    )

    id: Mapped[RowId]
    key: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str] = mapped_column(server_default="draft")
    version: Mapped[int | None]
    listens: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    changed_at: Mapped[datetime]
    changed_by: Mapped[str]


class JourneyVersion(Base):
    """One edition: the canonical JSON of the document. Only ever added; the same document is one edition."""

    __tablename__ = "journey_version"
    __table_args__ = (UniqueConstraint("journey_id", "checksum"), CheckConstraint("n > 0", name="n"))

    journey_id: Mapped[int] = mapped_column(ForeignKey("journey.id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    doc: Mapped[dict[str, Any]]
    checksum: Mapped[str]
    published_at: Mapped[datetime]
    published_by: Mapped[str]


class JourneyMove(Base):
    """Where people at a step of an older edition go at their next claim; ``to_step`` '' ends their run."""

    __tablename__ = "journey_move"
    __table_args__ = (
        ForeignKeyConstraint(["journey_id", "from_version"], ["journey_version.journey_id", "journey_version.n"]),
        ForeignKeyConstraint(["journey_id", "to_version"], ["journey_version.journey_id", "journey_version.n"]),
        CheckConstraint("from_version <> to_version", name="versions"),
    )

    journey_id: Mapped[int] = mapped_column(primary_key=True)
    from_version: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    to_version: Mapped[int]
    to_step: Mapped[str]


class Enrolment(Base):
    """One run of one person. While it is inside (open, held, parked) nobody else has its run key.

    ``holdout``: never treated; while ``held``, its goal is watched until ``due_at``. ``parked``: failed too often,
    waits for an operator; ``fault`` says why. ``goal_until``: a goal still counts until then (empty: there is none, or
    it came).
    """

    __tablename__ = "enrolment"
    __table_args__ = (
        UniqueConstraint("person_id", "journey_id", "run_key", "run_no", name="uq_enrolment_run"),
        Index("uq_enrolment_inside", "person_id", "journey_id", "run_key", unique=True,
              postgresql_where=text("state in ('open', 'held', 'parked')")),
        CheckConstraint("state in ('open', 'held', 'parked', 'ended')", name="state"),
        CheckConstraint("(state = 'ended') = (ended_at is not null) and (state = 'ended') = (end_reason <> '')",
                        name="ended"),
        CheckConstraint("state <> 'parked' or fault <> ''", name="parked"),
        CheckConstraint("octet_length(ctx::text) <= 4096", name="ctx"),
        ForeignKeyConstraint(["journey_id", "version"], ["journey_version.journey_id", "journey_version.n"],
                             name="fk_enrolment_version"),
    )

    id: Mapped[RowId]
    journey_id: Mapped[int]
    version: Mapped[int]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    run_no: Mapped[int]
    visit_no: Mapped[int] = mapped_column(server_default="0")
    attempts: Mapped[int] = mapped_column(server_default="0")
    depth: Mapped[int] = mapped_column(server_default="0")
    entered_at: Mapped[datetime]
    anchor_at: Mapped[datetime]
    since_at: Mapped[datetime]
    planned_at: Mapped[datetime]
    due_at: Mapped[datetime]
    goal_until: Mapped[datetime | None]
    converted_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    begun: Mapped[bool] = mapped_column(server_default=text("false"))
    holdout: Mapped[bool] = mapped_column(server_default=text("false"))
    state: Mapped[str]
    step: Mapped[str]
    run_key: Mapped[str]
    event_key: Mapped[str]
    end_reason: Mapped[str] = mapped_column(server_default="")
    fault: Mapped[str] = mapped_column(server_default="")
    ctx: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


class EnrolmentDue(Base):
    """When a run that is open or held is due: the same moment as in its row, kept beside it by triggers (migration
    0039) so that a step changes no index of ``enrolment``.
    """

    __tablename__ = "enrolment_due"

    journey_id: Mapped[int] = mapped_column(primary_key=True)
    due_at: Mapped[datetime] = mapped_column(primary_key=True)
    enrolment_id: Mapped[int] = mapped_column(primary_key=True)


class StepVisit(Base):
    """One step that somebody passed. Only ever added; the source of audit and figures.

    There is no foreign key: rows are written by one statement from the enrolments it updates, and a check would cost
    more than the row.
    """

    __tablename__ = "step_visit"

    enrolment_id: Mapped[int] = mapped_column(primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[str]
    outcome: Mapped[str]
    reason: Mapped[str]
    arm: Mapped[str]
    planned_at: Mapped[datetime]
    at: Mapped[datetime]


class JourneyEvent(Base):
    """One event on its way to the journeys; ``key`` makes it once ever. The row lock is the lease.

    ``state``: new → done | dead (failed five times, ``fault`` says why).
    """

    __tablename__ = "journey_event"
    __table_args__ = (
        CheckConstraint("state in ('new', 'done', 'dead')", name="state"),
        CheckConstraint("state <> 'dead' or fault <> ''", name="fault"),
        Index("ix_journey_event_new", "due_at", "id", postgresql_where=text("state = 'new'")),
        Index("ix_journey_event_person", "person_id", postgresql_where=text("state = 'new'")),
        Index("ix_journey_event_done", "heard_at", postgresql_where=text("state = 'done'")),
    )

    id: Mapped[RowId]
    kind: Mapped[str]
    key: Mapped[str] = mapped_column(unique=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime]
    heard_at: Mapped[datetime]
    due_at: Mapped[datetime]
    depth: Mapped[int] = mapped_column(server_default="0")
    attempts: Mapped[int] = mapped_column(server_default="0")
    state: Mapped[str] = mapped_column(server_default="new")
    fault: Mapped[str] = mapped_column(server_default="")
    data: Mapped[dict[str, Any]]


class Occasion(Base):
    """Something that the calendar brought somebody and that was told to the journeys: once for its key, ever."""

    __tablename__ = "occasion"
    __table_args__ = (
        CheckConstraint("kind <> '' and key <> ''", name="names"),
        Index(None, "kind", "key"),
    )

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
