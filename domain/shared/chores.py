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
     where name in (select name from chore
                     where name = any(:names) and due_at <= :now
                       and (lease_until is null or lease_until <= clock_timestamp())
                     order by name for update skip locked)
    returning name""")
_END = text("""
    update chore c set due_at = e.due, lease_until = null, ended_at = :now, fault = e.fault
      from unnest(cast(:names as text[]), cast(:dues as timestamptz[]), cast(:faults as text[])) as e (name, due, fault)
     where c.name = e.name""")
_HASTEN = text("insert into chore (name, due_at) values (:name, :now)"
               " on conflict (name) do update set due_at = least(chore.due_at, excluded.due_at)")
_ANY = text("select exists (select from chore where name = any(:names) and due_at <= :now"
            " and (lease_until is null or lease_until <= clock_timestamp()))")


def plan(session: Session, first_due: Mapping[str, datetime]) -> None:
    """Make sure that every chore has its row; known ones keep their time."""
    names = sorted(first_due)
    session.execute(_PLAN, {"names": names, "dues": [first_due[name] for name in names]})


def claim(session: Session, names: list[str], now: datetime, lease_seconds: int) -> list[str]:
    """Take those of ``names`` that are due and that nobody has; in the order of their names."""
    return sorted(session.scalars(_CLAIM, {"names": names, "now": now, "lease": lease_seconds}))


def end(session: Session, ended: Mapping[str, tuple[datetime, str]], now: datetime) -> None:
    """Give chores back: when each is due again, and what went wrong ('' when nothing did)."""
    session.execute(_END, {"names": list(ended), "dues": [due for due, _ in ended.values()],
                           "faults": [fault for _, fault in ended.values()], "now": now})


def hasten(session: Session, name: str, now: datetime) -> None:
    """Let a chore be due now, if it is not anyway. One that nobody ever planned is planned."""
    session.execute(_HASTEN, {"name": name, "now": now})


def anything_due(session: Session, names: list[str], now: datetime) -> bool:
    return bool(session.execute(_ANY, {"names": names, "now": now}).scalar_one())
