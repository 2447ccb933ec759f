"""Consent: what a person allows us to send unasked, by purpose."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base


class Consent(Base):
    """The latest word of a person on one purpose ('marketing', 'money', 'service', or '*' for all)."""

    __tablename__ = "consent"

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)
    given: Mapped[bool]
    source: Mapped[str]
    changed_at: Mapped[datetime]
