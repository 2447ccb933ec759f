"""Tables of experiments: documents, periods of weights, and the arm that each person was shown first."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base


class ExperimentRow(Base):
    """One experiment. Its document never changes; an experiment that ended does not start again."""

    __tablename__ = "experiment"
    __table_args__ = (
        CheckConstraint("state in ('draft', 'running', 'stopped', 'adopted')", name="state"),
        CheckConstraint("(state = 'draft') = (started_at is null)", name="started"),
        CheckConstraint("(state in ('stopped', 'adopted')) = (ended_at is not null)", name="ended"),
        CheckConstraint("(state = 'adopted') = (winner <> '')", name="winner"),
    )

    key: Mapped[str] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any]]
    digest: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="draft")
    winner: Mapped[str] = mapped_column(server_default="")
    reason: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class Period(Base):
    """The weights from a moment on. Adding one moves nobody who was exposed before."""

    __tablename__ = "experiment_period"

    experiment: Mapped[str] = mapped_column(ForeignKey("experiment.key"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    weights: Mapped[dict[str, Any]]
    from_at: Mapped[datetime]


class Exposure(Base):
    """What a person was shown first, and when. ``uniform``: drawn without a bandit's preference."""

    __tablename__ = "exposure"
    __table_args__ = (
        ForeignKeyConstraint(["experiment", "period"], ["experiment_period.experiment", "experiment_period.n"]),
        Index(None, "person_id"),
    )

    experiment: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True, autoincrement=False)
    arm: Mapped[str]
    period: Mapped[int]
    uniform: Mapped[bool] = mapped_column(server_default=text("false"))
    exposed_at: Mapped[datetime]
