"""When recurring work is due. PostgreSQL owns the due time and the lease; any process may do the work.

A chore is claimed for a while; whoever dies with it loses it at once when PostgreSQL sees the connection end that the
claim names, else when the lease ends. What was missed while nobody ran is
done once, not once for every time that was missed: a chore catches up by itself.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from domain.shared.db import Base


class Chore(Base):
    """One recurring work. ``due_at`` in business time, ``lease_until`` in the database's; ``fault`` of the last run.

    ``lease_by``: the database process that serves whoever has it; None when that is not known.
    """

    __tablename__ = "chore"

    name: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    lease_by: Mapped[int | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    fault: Mapped[str] = mapped_column(server_default="")


_PLAN = text("insert into chore (name, due_at) select * from unnest(cast(:names as text[]),"
             " cast(:dues as timestamptz[])) on conflict (name) do nothing")
# A number that another connection has by now only keeps the lease for its time: nothing runs twice by mistake.
_FREE = """(lease_until is null or lease_until <= clock_timestamp()
            or lease_by is not null and not exists (select from pg_stat_activity a where a.pid = lease_by))"""
_CLAIM = text(f"""
    update chore set lease_until = clock_timestamp() + make_interval(secs => :lease), lease_by = :by, started_at = :now
     where name in (select name from chore
                     where name = any(:names) and due_at <= :now and {_FREE}
                     order by name for update skip locked)
    returning name""")  # noqa: S608 - a constant
_END = text("""
    update chore c set due_at = e.due, lease_until = null, lease_by = null, ended_at = :now, fault = e.fault
      from unnest(cast(:names as text[]), cast(:dues as timestamptz[]), cast(:faults as text[])) as e (name, due, fault)
     where c.name = e.name and c.lease_by is not distinct from :by""")
_HASTEN = text("insert into chore (name, due_at) values (:name, :now)"
               " on conflict (name) do update set due_at = least(chore.due_at, excluded.due_at)")
# Locked: what is hastened while it is asked for is due again as soon as it has been put off.
_DUE = text(f"""select name from chore where name = any(:names) and due_at <= :now and {_FREE}
                 order by name for update skip locked""")  # noqa: S608 - a constant
_WANTED = text("select chores_wanted(:names, :now)")
_REST = text("""
    update chore c
       set due_at = r.due, lease_until = null, lease_by = null, started_at = :now, ended_at = :now, fault = ''
      from unnest(cast(:names as text[]), cast(:dues as timestamptz[])) as r (name, due) where c.name = r.name""")


def plan(session: Session, first_due: Mapping[str, datetime]) -> None:
    """Make sure that every chore has its row; known ones keep their time."""
    names = sorted(first_due)
    session.execute(_PLAN, {"names": names, "dues": [first_due[name] for name in names]})


def claim(
    session: Session, names: list[str], now: datetime, lease_seconds: int, by: int | None = None
) -> list[str]:
    """Take those of ``names`` that are due and that nobody has; in the order of their names.

    ``by``: pg_backend_pid() of a connection that stays open until they are given back.
    """
    return sorted(session.scalars(_CLAIM, {"names": names, "now": now, "lease": lease_seconds, "by": by}))


def end(
    session: Session, ended: Mapping[str, tuple[datetime, str]], now: datetime, by: int | None = None
) -> None:
    """Give chores back: when each is due again, and what went wrong ('' when nothing did). One that somebody else has
    by now is theirs."""
    session.execute(_END, {"names": list(ended), "dues": [due for due, _ in ended.values()],
                           "faults": [fault for _, fault in ended.values()], "now": now, "by": by})


def hasten(session: Session, name: str, now: datetime) -> None:
    """Let a chore be due now, if it is not anyway. One that nobody ever planned is planned."""
    session.execute(_HASTEN, {"name": name, "now": now})


def last_run(session: Session, name: str) -> datetime | None:
    """When a chore last ended, in business time; None when it never did."""
    return session.scalar(select(Chore.ended_at).where(Chore.name == name))


def due(session: Session, names: list[str], now: datetime) -> list[str]:
    """Those of ``names`` whose time has come and that nobody has, locked; in the order of their names."""
    return list(session.scalars(_DUE, {"names": names, "now": now}))


def wanted(session: Session, names: Collection[str], now: datetime) -> list[str]:
    """Those of ``names`` that find something to do, in their order: one question instead of all of theirs. Never leaves
    out one that does; may name one that does not. Which those are stands in the database's function."""
    if not names:
        return []
    found: list[str] = session.execute(_WANTED, {"names": sorted(names), "now": now}).scalar_one()
    return found


def rest(session: Session, next_due: Mapping[str, datetime], now: datetime) -> None:
    """Put off chores that were locked by ``due`` and are not ``wanted``: as if each had run and found nothing."""
    session.execute(_REST, {"names": list(next_due), "dues": list(next_due.values()), "now": now})
