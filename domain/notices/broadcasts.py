"""One message to many, as marketing: put in pieces while there is room, resumed where it stopped, nobody twice.

Who gets it is decided by the cursor, one row of the outbox each with the person in its key; whether it may leave is
judged for each of them when it does. So a day that is used up, a killed worker or a pause lose nothing and repeat
nothing: the pieces that were put wait, and the next piece begins after the last person of the one before.
"""

from datetime import datetime, timedelta
from typing import Any

from msgspec import structs
from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor, Role
from domain.notices import service as notices
from domain.shared import outbox
from domain.shared.errors import DomainError, NotFound
from domain.shared.records import record
from domain.shared.wording import Wording

TEXT = "notices.broadcast"
PIECE = 1_000
MOST_WAITING = 3_000
"""While so many of them wait for their turn, no more are put."""
LONGEST = 500
"""Characters of a message, so that it fits one customer message with its last line."""
LIFE = timedelta(days=3)
ROLES: frozenset[Role] = frozenset({"owner", "operator"})
ASK_AGAIN = timedelta(minutes=15)
"""How long a message of a paused broadcast waits before it is asked again."""


@record
class Broadcast:
    """How far it is: ``people`` have a row, of which ``sent``, ``waiting`` and ``refused`` (by reason)."""

    id: int
    title: str
    segment: str
    state: str
    people: int
    sent: int
    waiting: int
    refused: dict[str, int]
    started_at: datetime
    started_by: str
    expires_at: datetime


def start(session: Session, title: str, said: str, segment: str, wording: Wording, actor: Actor, now: datetime) -> int:
    """Begin one; returns its number. ``segment`` '' is everybody who follows.

    Raises DomainError("not_permitted" | "broadcast.empty" | "broadcast.long" | "broadcast.words" | "broadcast.nobody").
    """
    said = said.strip()
    _permitted(actor, "broadcast.start")
    if not said or not title.strip():
        raise DomainError("broadcast.empty")
    if len(said) > LONGEST:
        raise DomainError("broadcast.long", most=LONGEST)
    if hits := wording.find(said):
        raise DomainError("broadcast.words", words="\u3001".join(sorted({hit.word for hit in hits})))
    last = session.execute(text("select max(id) from person")).scalar()
    if last is None:
        raise DomainError("broadcast.nobody")
    number = session.execute(text("""
        insert into notice_broadcast (title, said, segment, last_person, started_at, started_by, expires_at)
        values (:title, :said, :segment, :last, :now, :by, :expires) returning id"""), {
        "title": title.strip(), "said": said, "segment": segment, "last": last, "now": now, "by": actor.name,
        "expires": now + LIFE}).scalar_one()
    audit.record(session, actor, "broadcast.start", f"broadcast:{number}", {"title": title, "segment": segment}, now)
    return int(number)


_NEXT = text("""
    select id, said, segment, cursor, last_person, expires_at from notice_broadcast
     where state = 'running' order by id limit 1 for update skip locked""")

_PEOPLE = text("""
    select distinct i.person_id as id from identity i
     where i.kind = any (:kinds) and i.followed_at is not null and i.unfollowed_at is null
       and i.person_id > :after and i.person_id <= :last
       and (:segment = '' or exists (select from person_insight s
                                      where s.person_id = i.person_id and s.segment = :segment))
     order by 1 limit :limit""")

_WAITING = text("""
    select count(*) from (select from outbox where queue = 'notice' and state in ('waiting', 'running')
                             and due_at <= :now and payload ? 'broadcast'
                             and payload ->> 'broadcast' is not null limit :most) few""")


def step(session: Session, now: datetime, piece: int = PIECE, *, staff: bool = False) -> bool:
    """Put the next piece of the oldest broadcast that runs, if there is room; whether there may be more to do.

    ``staff``: also for who follows no account, but has an employee who may be asked to say it.
    """
    row = session.execute(_NEXT).first()
    if row is None:
        return False
    if row.expires_at <= now:
        return _end(session, row.id, "done", row.cursor, 0, now)
    if session.execute(_WAITING, {"now": now, "most": MOST_WAITING}).scalar_one() >= MOST_WAITING:
        return False
    kinds = ["openid", "external_userid"] if staff else ["openid"]
    people = session.execute(_PEOPLE, {"after": row.cursor, "last": row.last_person, "segment": row.segment,
                                       "limit": piece, "kinds": kinds}).scalars().all()
    effects = [_effect(row.id, person, row.said, row.expires_at, now) for person in people]
    put = outbox.put(session, effects, now)
    if len(people) < piece:
        return _end(session, row.id, "done", row.last_person, put, now)
    session.execute(text("update notice_broadcast set cursor = :cursor, people = people + :put where id = :id"),
                    {"id": row.id, "cursor": people[-1], "put": put})
    return True


def _effect(number: int, person_id: int, said: str, expires_at: datetime, now: datetime) -> outbox.Effect:
    notice = notices.Notice(person_id, "marketing", f"broadcast:{number}:{person_id}", TEXT, {"said": said},
                            expires_at=expires_at)
    made = notices.effect(notice, now)
    return structs.replace(made, payload=made.payload | {"broadcast": number})


def _end(session: Session, number: int, state: str, cursor: int, put: int, now: datetime) -> bool:
    session.execute(text("""
        update notice_broadcast set state = :state, cursor = :cursor, people = people + :put, ended_at = :now
         where id = :id"""), {"id": number, "state": state, "cursor": cursor, "put": put, "now": now})
    return True


def objection(session: Session, number: int) -> str:
    """Why a message of the broadcast may not leave: paused, stopped or ''."""
    state = session.execute(text("select state from notice_broadcast where id = :id"), {"id": number}).scalar()
    return state if state in ("paused", "stopped") else ""


def turn(session: Session, number: int, state: str, actor: Actor, now: datetime) -> None:
    """Pause it, let it go on (``running``), or stop it for good: what waits then never leaves.

    Raises NotFound("broadcast_unknown"), DomainError("not_permitted" | "broadcast.over").
    """
    _permitted(actor, f"broadcast.{state}")
    row = session.execute(text("select state, cursor, last_person from notice_broadcast where id = :id for update"),
                          {"id": number}).first()
    if row is None:
        raise NotFound("broadcast_unknown", number=number)
    if row.state == "stopped" or (row.state == "done" and state != "stopped"):
        raise DomainError("broadcast.over")
    session.execute(text("update notice_broadcast set state = :state, ended_at = :ended where id = :id"), {
        "id": number, "state": state, "ended": now if state == "stopped" else None})
    if state != "paused":
        session.execute(text("update outbox set due_at = :now where state = 'waiting' and payload ? 'broadcast'"
                             " and payload ->> 'broadcast' = :number and due_at > :now and reason = 'paused'"),
                        {"number": str(number), "now": now})
    audit.record(session, actor, f"broadcast.{state}", f"broadcast:{number}", {}, now)


def _permitted(actor: Actor, act: str) -> None:
    if not actor.may(ROLES):
        raise DomainError("not_permitted", act=act)


def all_of(session: Session, limit: int) -> list[Broadcast]:
    """The newest first."""
    found = []
    for row in session.execute(text("select * from notice_broadcast order by id desc limit :limit"), {"limit": limit}):
        ends = session.execute(text("""
            select state, reason, count(*) as number from outbox
             where payload ? 'broadcast' and payload ->> 'broadcast' = :id group by 1, 2"""), {"id": str(row.id)}).all()
        refused: dict[str, Any] = {}
        for one in ends:
            if one.state in ("refused", "dead"):
                refused[one.reason] = refused.get(one.reason, 0) + one.number
        found.append(Broadcast(
            row.id, row.title, row.segment, row.state, row.people,
            sum(one.number for one in ends if one.state == "done"),
            sum(one.number for one in ends if one.state in ("waiting", "running")), refused,
            row.started_at, row.started_by, row.expires_at))
    return found
