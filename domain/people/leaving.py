"""People who leave: whose data is to be erased and when, and by which names they would be recognised. Never commits.

What is erased where, and what puts it off, is domain/workflows/leaving.py.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.shared.records import record
from domain.shared.seal import Seal

Cause = Literal["unfollowed", "asked", "operator"]
State = Literal["waiting", "done", "returned", "called_off"]

LOOK_AGAIN = timedelta(days=1)


@record
class Memory:
    """Recognises erased names. Its keys live outside of the database; who loses them forgets everybody who left.

    ``former``: the seal of the previous key, under which names may have been kept.
    """

    seal: Seal = field(repr=False)
    former: Seal | None = field(default=None, repr=False)

    def digest(self, kind: str, scope: str, value: str) -> str:
        """HMAC-SHA-256 of a stored identity, in hex."""
        return _digest(self.seal, kind, scope, value)

    def digests(self, kind: str, scope: str, value: str) -> list[str]:
        """Every digest under which it may be known."""
        return [_digest(seal, kind, scope, value) for seal in (self.seal, self.former) if seal is not None]


def _digest(seal: Seal, kind: str, scope: str, value: str) -> str:
    return seal("erased identity", f"{kind}\n{scope}\n{value}")


@record
class ErasureView:
    """One erasure. ``waits_for``: '' or why it was put off; ``counts``: rows cleared, by table."""

    id: int
    person_id: int
    cause: Cause
    state: State
    gives_up: bool
    actor: str
    why: str
    asked_at: datetime
    due_at: datetime
    look_at: datetime
    waits_for: str
    ended_at: datetime | None
    counts: dict[str, Any]


@record
class Name:
    """A stored identity."""

    id: int
    person_id: int
    kind: str
    scope: str
    value: str
    followed: bool


_COLUMNS = "id, person_id, cause, state, gives_up, actor, why, asked_at, due_at, look_at, waits_for, ended_at, counts"


def plan(
    session: Session, person_id: int, cause: Cause, due_at: datetime, now: datetime, *, actor: str = "", why: str = "",
    gives_up: bool = False,
) -> ErasureView:
    """Note that somebody is to be erased from ``due_at`` on. Who waits already is due at the earlier time, and gives up
    what they gave up in either."""
    row = session.execute(text(f"""
        insert into erasure as e (person_id, cause, actor, why, gives_up, asked_at, due_at, look_at)
        values (:person, :cause, :actor, :why, :gives_up, :now, :due, :due)
            on conflict (person_id) where state = 'waiting' do update
           set cause = case when e.cause = 'unfollowed' then excluded.cause else e.cause end,
               actor = case when e.cause = 'unfollowed' then excluded.actor else e.actor end,
               why = case when e.cause = 'unfollowed' then excluded.why else e.why end,
               due_at = least(e.due_at, excluded.due_at), look_at = least(e.look_at, excluded.look_at),
               gives_up = e.gives_up or excluded.gives_up
        returning {_COLUMNS}
    """), {"person": person_id, "cause": cause, "actor": actor, "why": why, "gives_up": gives_up, "now": now,  # noqa: S608
           "due": due_at}).one()
    return ErasureView(*row)


def call_off(session: Session, person_id: int, now: datetime, *, causes: Sequence[Cause]) -> bool:
    """End a waiting erasure that has one of ``causes``; whether there was one."""
    done = session.execute(text("""
        update erasure set state = 'called_off', ended_at = :now
         where person_id = :person and state = 'waiting' and cause = any (:causes) returning id
    """), {"person": person_id, "now": now, "causes": list(causes)}).first()
    return done is not None


_GONE = text("""
    select i.person_id, max(i.unfollowed_at) as left_at from identity i
     where i.unfollowed_at <= :before
       and not exists (select from identity o where o.person_id = i.person_id and o.followed_at is not null
                          and (o.unfollowed_at is null or o.unfollowed_at > :before))
       and not exists (select from erasure e where e.person_id = i.person_id
                          and (e.state = 'waiting' or e.asked_at >= i.unfollowed_at))
     group by i.person_id order by 1 limit :limit
""")


def plan_gone(session: Session, grace: timedelta, now: datetime, limit: int) -> int:
    """Note everybody who has followed nothing for ``grace``; returns how many."""
    rows = session.execute(_GONE, {"before": now - grace, "limit": limit}).all()
    for row in rows:
        plan(session, row.person_id, "unfollowed", row.left_at + grace, now)
    return len(rows)


def due(session: Session, now: datetime, limit: int, person_id: int | None = None) -> list[ErasureView]:
    """Waiting erasures to be looked at now (of one person, or all), locked; the longest due first."""
    rows = session.execute(text(f"""
        select {_COLUMNS} from erasure where state = 'waiting' and look_at <= :now
           and (cast(:person as bigint) is null or person_id = :person)
         order by look_at, id limit :limit for update skip locked
    """), {"now": now, "limit": limit, "person": person_id})  # noqa: S608
    return [ErasureView(*row) for row in rows]


def put_off(session: Session, erasure_id: int, reason: str, now: datetime) -> None:
    """Not now, because of ``reason``; tomorrow again."""
    session.execute(text("update erasure set waits_for = :reason, look_at = :next where id = :id"),
                    {"id": erasure_id, "reason": reason, "next": now + LOOK_AGAIN})


def done(session: Session, erasure_id: int, counts: dict[str, int], now: datetime) -> None:
    """It is erased. ``why`` may name the person, so it goes as well."""
    session.execute(text("""
        update erasure set state = 'done', ended_at = :now, waits_for = '', why = '',
               counts = cast(:counts as jsonb) where id = :id
    """), {"id": erasure_id, "now": now, "counts": json.dumps(counts)})


def erasures(session: Session, state: str = "", limit: int = 100, person_id: int | None = None) -> list[ErasureView]:
    """Erasures, the newest first; of one state, of one person, or all."""
    rows = session.execute(text(f"""
        select {_COLUMNS} from erasure where (:state = '' or state = :state)
           and (cast(:person as bigint) is null or person_id = :person) order by id desc limit :limit
    """), {"state": state, "person": person_id, "limit": limit})  # noqa: S608
    return [ErasureView(*row) for row in rows]


def names(session: Session, person_ids: Iterable[int]) -> list[Name]:
    """Every identity of some people."""
    rows = session.execute(text("""
        select id, person_id, kind, scope, value, followed_at is not null from identity
         where person_id = any (:people) order by id
    """), {"people": list(person_ids)})
    return [Name(*row) for row in rows]


def forget_names(session: Session, memory: Memory, person_id: int, found: Sequence[Name], now: datetime) -> int:
    """Replace identities by what recognises them. Returns how many were."""
    if not found:
        return 0
    session.execute(text("""
        insert into erased_identity (kind, scope, digest, person_id, followed, erased_at)
        values (:kind, :scope, :digest, :person, :followed, :now)
            on conflict (kind, scope, digest) do update
           set person_id = excluded.person_id, followed = erased_identity.followed or excluded.followed,
               erased_at = excluded.erased_at
    """), [{"kind": one.kind, "scope": one.scope, "digest": memory.digest(one.kind, one.scope, one.value),
            "person": person_id, "followed": one.followed, "now": now} for one in found])
    session.execute(text("delete from identity where id = any (:ids)"), {"ids": [one.id for one in found]})
    return len(found)


@record
class Returned:
    """``newcomer_id`` is whoever left as ``person_id``."""

    newcomer_id: int
    person_id: int
    identity_id: int
    followed: bool
    erased_at: datetime


def recognised(session: Session, memory: Memory, found: Sequence[Name]) -> list[Returned]:
    """Those of some identities that belonged to somebody who left."""
    if not found:
        return []
    digests = {digest: one for one in found for digest in memory.digests(one.kind, one.scope, one.value)}
    rows = session.execute(text("""
        select e.digest, coalesce(p.merged_into, p.id) as person_id, e.followed, e.erased_at
          from erased_identity e join person p on p.id = e.person_id where e.digest = any (:digests)
    """), {"digests": list(digests)})
    return [Returned(digests[row.digest].person_id, row.person_id, digests[row.digest].id, row.followed, row.erased_at)
            for row in rows if digests[row.digest].person_id != row.person_id]


def came_back(session: Session, one: Returned, now: datetime) -> None:
    """Their name is theirs again: a following of before counts, so that nothing is given twice."""
    if one.followed:
        session.execute(text("""
            update identity set followed_at = :erased, unfollowed_at = :erased
             where id = :id and followed_at is null
        """), {"id": one.identity_id, "erased": one.erased_at})
    session.execute(text("update erasure set state = 'returned', ended_at = :now where person_id = :id"
                         " and state = 'done'"), {"id": one.person_id, "now": now})


OVERLAP = 500
"""Identities are compared again by that many numbers: a lower one may be committed after a higher."""


def take_newcomers(session: Session, limit: int) -> list[Name]:
    """The next identities that were not compared yet; [] when nobody has left, or all are."""
    upto = session.scalar(text("select upto from recall_place for update"))
    if upto is None:
        session.execute(text("insert into recall_place (upto) values (0) on conflict do nothing"))
        upto = 0
    anybody = session.scalar(text("select exists (select from erased_identity)"))
    top = session.scalar(text("select coalesce(max(id), 0) from identity")) or 0
    if not anybody or top <= upto:
        session.execute(text("update recall_place set upto = :top where upto <> :top"), {"top": top})
        return []
    rows = session.execute(text("""
        select id, person_id, kind, scope, value, followed_at is not null from identity
         where id > :after order by id limit :limit
    """), {"after": max(0, upto - OVERLAP), "limit": limit + OVERLAP}).all()
    session.execute(text("update recall_place set upto = :upto"),
                    {"upto": max((row[0] for row in rows), default=top)})
    return [Name(*row) for row in rows]


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part: what recognises ``gone`` recognises ``kept``. A waiting erasure of one half ends: the other half
    is somebody who is here."""
    ends = {"kept": kept_id, "gone": gone_id, "now": now}
    session.execute(text("update erasure set state = 'called_off', ended_at = :now"
                         " where person_id in (:kept, :gone) and state = 'waiting'"), ends)
    session.execute(text("update erasure set person_id = :kept where person_id = :gone"), ends)
    moved = session.execute(text("update erased_identity set person_id = :kept where person_id = :gone returning kind"),
                            ends).all()
    return {"erased_identity": len(moved)} if moved else {}
