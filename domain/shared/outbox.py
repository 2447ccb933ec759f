"""The outbox: what must happen after a commit, written in the same transaction as its cause.

A row is an effect with an idempotency key made from business facts: putting the same key again changes
nothing. Workers claim rows by lease, execute them and record what became of each. PostgreSQL owns state and
due time; the queue is only a doorbell.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from domain.shared import trips
from domain.shared.db import Base, RowId

Queue = Literal["fact", "notice", "slow"]
"""fact: something happened, subscribers react · notice: a message to a person · slow: pictures, uploads."""


WAITED_FOR = timedelta(hours=47)
"""How long a picture that somebody asked for waits when the platform lets nothing out: within the 48 hours in which
their message lets us write. After that they are told that it did not come."""


class Outbox(Base):
    """One effect. ``state``: waiting → running → done | refused (with reason) | dead (gave up, with reason)."""

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint("queue in ('fact', 'notice', 'slow')", name="queue"),
        CheckConstraint("state in ('waiting', 'running', 'done', 'refused', 'dead')", name="state"),
        CheckConstraint("state not in ('refused', 'dead') or reason <> ''", name="reason"),
        Index("ix_outbox_due", "queue", "due_at", postgresql_where=text("state in ('waiting', 'running')")),
        Index("ix_outbox_broadcast", text("(payload ->> 'broadcast')"), "state",
              postgresql_where=text("payload ? 'broadcast'")),
        Index("ix_outbox_urgent", "due_at", postgresql_where=text(
            "state in ('waiting', 'running') and queue = 'notice'"
            " and payload ->> 'purpose' in ('answer', 'money', 'service')")),
        Index(None, "person_id", "id"),
        Index("ix_outbox_no_right", "person_id",
              postgresql_where=text("state = 'waiting' and reason = 'no_right' and queue = 'notice'")),
    )

    id: Mapped[RowId]
    queue: Mapped[str]
    kind: Mapped[str]
    key: Mapped[str] = mapped_column(unique=True)
    person_id: Mapped[int | None]
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(server_default="waiting")
    reason: Mapped[str] = mapped_column(server_default="")
    attempts: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


class Effect(msgspec.Struct, frozen=True):
    """What to put: ``kind`` picks the handler, ``key`` makes it once ever, payload is JSON. (Thousands are made at
    once: a frozen dataclass takes ten times as long.)"""

    queue: Queue
    kind: str
    key: str
    person_id: int | None = None
    payload: dict[str, Any] = msgspec.field(default_factory=dict)
    delay: timedelta = timedelta(0)
    expires_at: datetime | None = None


_PUT = """
    insert into outbox (queue, kind, key, person_id, payload, created_at, due_at, expires_at)
    select queue, kind, key, person_id, payload, %s, due_at, expires_at
      from jsonb_populate_recordset(null::outbox, %s::jsonb)
        on conflict (key) do nothing
"""
"""One statement for one row or for hundreds: the journeys put a whole batch at once."""


def put(session: Session, effects: Sequence[Effect], now: datetime) -> int:
    """Write the effects whose keys are new; returns how many were. ``now`` is business time."""
    return sum(session.connection().exec_driver_sql(sql, tuple(values)).rowcount
               for sql, values in putting(session, effects, now))


def putting(session: Session, effects: Sequence[Effect], now: datetime) -> list[tuple[str, Sequence[Any]]]:
    """As ``put``: the statement, if there is anything to put, for whoever sends it along with others."""
    if not effects:
        return []
    for queue in {effect.queue for effect in effects}:
        ring(session, queue)
    rows = [
        {
            "queue": effect.queue, "kind": effect.kind, "key": effect.key, "person_id": effect.person_id,
            "payload": effect.payload, "due_at": now + effect.delay, "expires_at": effect.expires_at,
        }
        # One order for all who put, so that no two wait for each other; the ninth before the tenth.
        for effect in sorted(effects, key=lambda effect: (len(effect.key), effect.key))
    ]
    return [(_PUT, (now, msgspec.json.encode(rows).decode()))]


def withdraw(session: Session, kind: str, person_id: int, now: datetime) -> None:
    """Whoever asks again while the platform lets nothing out wants one picture, not several at once: what still waits
    of ``kind`` is refused. Call before the new one is put."""
    session.execute(text("""
        update outbox set state = 'refused', reason = 'asked_again', ended_at = :now
         where person_id = :person and kind = :kind and state = 'waiting' and result ->> 'sending_at' is null"""),
        {"person": person_id, "kind": kind, "now": now})


def noting(effect_ids: Sequence[int], **facts: object) -> trips.Closing:
    """The statement that records facts on the rows of effects."""
    return trips.Closing("update outbox set result = result || %(facts)s::jsonb where id = any (%(ids)s::bigint[])",
                         {"facts": msgspec.json.encode(facts).decode(), "ids": list(effect_ids)})


def ring(session: Session, queue: Queue) -> None:
    """Ask for this queue's bell to be rung once the session's transaction is committed (see ``rung``)."""
    session.info.setdefault("bells", set()).add(queue)


def rung(session: Session) -> frozenset[str]:
    """The bells that were asked for since the last call; for the edge that commits."""
    return frozenset(session.info.pop("bells", ()))
