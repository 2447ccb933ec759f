"""What an operator still has to hand over: asked for once a fact, sent or called off. Never commits.

Facts for subscribers (queue ``fact``): ``fulfilment.sent`` {title, note}.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.shared.errors import DomainError, NotFound
from domain.shared.outbox import Effect, put
from domain.shared.records import record


@record
class FulfilmentView:
    """``last_order``: channel/order_no of the person's newest order: where the shop knows their address from."""

    id: int
    person_id: int
    nickname: str
    cause: str
    title: str
    worth_fen: int
    asked_at: datetime
    state: str
    ended_at: datetime | None
    note: str
    actor: str
    last_order: str


_COLUMNS = """
    select f.id, f.person_id, p.nickname, f.cause, f.title, f.worth_fen, f.asked_at, f.state, f.ended_at, f.note,
           f.actor, coalesce((select o.channel || '/' || o.order_no from customer_order o where o.buyer_id = f.person_id
                      order by o.paid_at desc limit 1), '') as last_order
      from fulfilment f join person p on p.id = f.person_id"""
_LIST = text(f"{_COLUMNS} where (cast(:state as text) is null or f.state = :state) order by f.id desc limit :limit")
_ONE = text(f"{_COLUMNS} where f.id = :id")
_OF = text(f"{_COLUMNS} where f.cause = any(:causes)")


def ask(session: Session, person_id: int, cause: str, title: str, worth_fen: int, now: datetime) -> None:
    """Somebody has ``title`` coming for ``cause``; once."""
    session.execute(text("""
        insert into fulfilment (person_id, cause, title, worth_fen, asked_at)
        values (:person, :cause, :title, :worth, :now)
            on conflict (cause) do nothing"""),
        {"person": person_id, "cause": cause, "title": title, "worth": worth_fen, "now": now})


def send(session: Session, fulfilment_id: int, note: str, actor: Actor, now: datetime) -> FulfilmentView:
    """It has left. ``note``: carrier and number, or how it was handed over.

    Raises NotFound("fulfilment_unknown"), DomainError("fulfilment_ended").
    """
    found = _end(session, fulfilment_id, "sent", note, actor, now)
    put(session, [Effect("fact", "fulfilment.sent", f"fulfilment.sent:{found.id}", found.person_id,
                         {"title": found.title, "note": found.note})], now)
    return found


def call_off(session: Session, fulfilment_id: int, reason: str, actor: Actor, now: datetime) -> FulfilmentView:
    """It will not be sent. What was given for it goes back: domain/workflows/exchanging.py.

    Raises NotFound("fulfilment_unknown"), DomainError("fulfilment_ended" | "reason_missing").
    """
    if not reason.strip():
        raise DomainError("reason_missing")
    return _end(session, fulfilment_id, "cancelled", reason, actor, now)


def _end(session: Session, fulfilment_id: int, state: str, note: str, actor: Actor, now: datetime) -> FulfilmentView:
    done = session.execute(text("""
        update fulfilment set state = :state, ended_at = :now, note = :note, actor = :actor
         where id = :id and state = 'waiting' returning id"""),
        {"id": fulfilment_id, "state": state, "now": now, "note": note.strip()[:500], "actor": actor.name}).first()
    found = one(session, fulfilment_id)
    if done is None:
        raise DomainError("fulfilment_ended", id=fulfilment_id, state=found.state)
    audit.record(session, actor, f"fulfilment.{state}", f"person:{found.person_id}",
                 {"fulfilment": found.id, "cause": found.cause}, now)
    return found


def one(session: Session, fulfilment_id: int) -> FulfilmentView:
    """Raises NotFound("fulfilment_unknown")."""
    row = session.execute(_ONE, {"id": fulfilment_id}).first()
    if row is None:
        raise NotFound("fulfilment_unknown", id=fulfilment_id)
    return FulfilmentView(**row._mapping)


def listed(session: Session, state: str | None = "waiting", limit: int = 200) -> list[FulfilmentView]:
    """The newest first; ``state`` None: whatever became of them."""
    return [FulfilmentView(**row._mapping) for row in session.execute(_LIST, {"state": state, "limit": limit})]


def of(session: Session, causes: list[str]) -> dict[str, FulfilmentView]:
    """By cause."""
    return {row.cause: FulfilmentView(**row._mapping) for row in session.execute(_OF, {"causes": causes})}


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part."""
    moved = session.execute(text("update fulfilment set person_id = :kept where person_id = :gone returning id"),
                            {"kept": kept_id, "gone": gone_id}).all()
    return {"fulfilment": len(moved)} if moved else {}
