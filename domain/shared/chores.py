"""When recurring work is due. PostgreSQL owns the due time and the lease; any process may do the work.

A chore is claimed for a while; whoever dies with it loses it when the lease ends. What was missed while nobody ran is
done once, not once for every time that was missed: a chore catches up by itself.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Mapped, Session, mapped_column

from domain.shared.db import Base


class Chore(Base):
    """One recurring work. ``due_at`` in business time, ``lease_until`` in the database's; ``fault`` of the last run."""

    __tablename__ = "chore"

    name: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    fault: Mapped[str] = mapped_column(server_default="")


_PLAN = text("insert into chore (name, due_at) select * from unnest(cast(:names as text[]),"
             " cast(:dues as timestamptz[])) on conflict (name) do nothing")
_CLAIM = text("""
    update chore set lease_until = clock_timestamp() + make_interval(secs => :lease), started_at = :now
     where name = (select name from chore
                    where name = any(:names) and due_at <= :now
                      and (lease_until is null or lease_until <= clock_timestamp())
                    order by due_at, name limit 1 for update skip locked)
    returning name""")
_END = text("update chore set due_at = :due, lease_until = null, ended_at = :now, fault = :fault where name = :name")
_ANY = text("select exists (select from chore where name = any(:names) and due_at <= :now"
            " and (lease_until is null or lease_until <= clock_timestamp()))")


def plan(session: Session, first_due: Mapping[str, datetime]) -> None:
    """Make sure that every chore has its row; known ones keep their time."""
    names = sorted(first_due)
    session.execute(_PLAN, {"names": names, "dues": [first_due[name] for name in names]})


def claim(session: Session, names: list[str], now: datetime, lease_seconds: int) -> str | None:
    """Take the longest overdue of ``names``; None when nothing is due."""
    name: str | None = session.execute(_CLAIM, {"names": names, "now": now, "lease": lease_seconds}).scalar()
    return name


def end(session: Session, name: str, due: datetime, now: datetime, fault: str = "") -> None:
    """Give the chore back, due again at ``due``; ``fault`` says what went wrong, '' that nothing did."""
    session.execute(_END, {"name": name, "due": due, "now": now, "fault": fault})


def anything_due(session: Session, names: list[str], now: datetime) -> bool:
    return bool(session.execute(_ANY, {"names": names, "now": now}).scalar_one())
