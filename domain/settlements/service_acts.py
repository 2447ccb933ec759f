"""Pay for service: an operator records what somebody did, the plan of that day says what it is worth."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.ledger import service as ledger
from domain.ledger.rules import Entry, Move, Purse, person, platform
from domain.people.queries import survivors
from domain.settlements.rules import Month
from domain.settlements.service import plans_of
from domain.shared import outbox, turns
from domain.shared.errors import Conflict, DomainError, NotFound
from domain.shared.outbox import Effect

EXPENSE = "expense.service"


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One recorded act. ``reference`` is the shop's own: a ticket, a group activity."""

    id: int
    person_id: int
    item: str
    reference: str
    happened_at: datetime
    amount_fen: int
    operator: str
    recorded_at: datetime
    released_at: datetime | None
    revoked_at: datetime | None
    revoke_reason: str


_COLUMNS = """id, person_id, item, reference, happened_at, amount_fen, operator, recorded_at, released_at, revoked_at,
              revoke_reason"""


def record(
    session: Session, person_id: int, item: str, reference: str, happened_at: datetime, actor: Actor, now: datetime
) -> ServiceView:
    """Pay somebody for an act of service, pending for the plan's hold. The same act again gets the same answer.

    Raises NotFound("person_unknown"), DomainError("service_unknown") for an item that the plan does not pay,
    DomainError("service_time") for a time to come, DomainError("service_cap") when the month's number is used up, and
    Conflict("service_known") when ``reference`` is recorded for somebody else.
    """
    alive = survivors(session, [person_id]).get(person_id)
    if alive is None:
        raise NotFound("person_unknown", id=person_id)
    if happened_at > now:
        raise DomainError("service_time")
    turns.take(session, "service", [alive])
    known = session.execute(text(f"select {_COLUMNS} from service_act where item = :item and reference = :reference"),  # noqa: S608
                            {"item": item, "reference": reference}).first()
    if known is not None:
        if known.person_id != alive:
            raise Conflict("service_known", reference=reference)
        return ServiceView(*known)
    plan = plans_of(session).at(happened_at)
    paid = next((one for one in plan.service if one.key == item), None)
    if paid is None or not reference:
        raise DomainError("service_unknown", item=item)
    month = Month.of(happened_at)
    if _count(session, alive, item, month) >= paid.per_month:
        raise DomainError("service_cap", item=paid.title, month=str(month), most=paid.per_month)
    row = session.execute(text(f"""
        insert into service_act (person_id, item, reference, month, happened_at, amount_fen, plan_version, operator,
                                 recorded_at, release_at)
        values (:person, :item, :reference, :month, :at, :fen, :version, :operator, :now, :due) returning {_COLUMNS}
    """), {  # noqa: S608
        "person": alive, "item": item, "reference": reference, "month": month.first, "at": happened_at,
        "fen": paid.fen, "version": plan.version, "operator": actor.name, "now": now, "due": now + plan.release.hold,
    }).one()
    _book(session, row, paid.title, actor, now)
    return ServiceView(*row)


def _book(session: Session, row: Row[Any], title: str, actor: Actor, now: datetime) -> None:
    ledger.post(session, [Entry(
        f"service:{row.item}:{row.reference}", "service.earned", row.happened_at, "service", row.id, row.reference,
        (Move(platform(EXPENSE), person(row.person_id, "pending"), row.amount_fen),), actor=actor.name,
    )], now)
    audit.record(session, actor, "service.record", f"person:{row.person_id}",
                 {"item": row.item, "reference": row.reference, "amount_fen": row.amount_fen}, now)
    payload = {"title": title, "amount_fen": row.amount_fen, "reference": row.reference}
    outbox.put(session, [Effect("fact", "service.earned", f"service.earned:{row.id}", row.person_id, payload)], now)


def _count(session: Session, person_id: int, item: str, month: Month) -> int:
    found: int = session.execute(text("""
        select count(*) from service_act
         where person_id = :person and month = :month and item = :item and revoked_at is null
    """), {"person": person_id, "month": month.first, "item": item}).scalar_one()
    return found


def revoke(session: Session, act_id: int, reason: str, actor: Actor, now: datetime) -> ServiceView:
    """Take back what was recorded by mistake: from pending, or from available and then debt when it was let go.

    Raises NotFound("service_act_unknown"), DomainError("service_revoked"), DomainError("reason_missing").
    """
    if not reason.strip():
        raise DomainError("reason_missing")
    row = session.execute(text(f"select {_COLUMNS} from service_act where id = :id for update"), {"id": act_id}).first()  # noqa: S608
    if row is None:
        raise NotFound("service_act_unknown", id=act_id)
    if row.revoked_at is not None:
        raise DomainError("service_revoked", id=act_id)
    expense = platform(EXPENSE)
    if row.released_at is None:
        moves: tuple[Move, ...] = (Move(person(row.person_id, "pending"), expense, row.amount_fen),)
    else:
        purse = ledger.lock(session, [row.person_id])[row.person_id]
        moves = tuple(purse.take_back(row.amount_fen, expense))
    ledger.post(session, [Entry(f"service:{row.id}:revoked", "service.revoked", now, "service", row.id, row.reference,
                                moves, actor=actor.name)], now)
    audit.record(session, actor, "service.revoke", f"person:{row.person_id}",
                 {"act": act_id, "reason": reason, "amount_fen": row.amount_fen}, now)
    done = session.execute(text(f"""
        update service_act set revoked_at = :now, revoke_reason = :reason where id = :id returning {_COLUMNS}
    """), {"id": act_id, "now": now, "reason": reason.strip()[:500]}).one()  # noqa: S608
    return ServiceView(*done)


def release_due(session: Session, now: datetime, limit: int) -> int:
    """Let go of service pay whose hold is over; who is frozen waits. Returns how many acts were."""
    due = session.execute(text("""
        select id, person_id, reference, amount_fen, release_at from service_act s
         where released_at is null and revoked_at is null and release_at <= :now
           and not exists (select from account_hold h where h.person_id = s.person_id and h.lifted_at is null)
         order by release_at, id limit :limit for update skip locked
    """), {"now": now, "limit": limit}).all()
    purses = ledger.lock(session, [row.person_id for row in due])
    ledger.post(session, [_released(row, purses[row.person_id]) for row in due], now)
    session.execute(text("update service_act set released_at = :now where id = any(:ids)"),
                    {"now": now, "ids": [row.id for row in due]})
    return len(due)


def _released(row: Row[Any], purse: Purse) -> Entry:
    return Entry(f"service:{row.id}:released", "service.released", row.release_at, "service", row.id, row.reference,
                 tuple(purse.let_go(row.amount_fen)))


def acts(session: Session, person_id: int | None = None, limit: int = 100) -> list[ServiceView]:
    """Recorded acts, the newest first, of everybody or of one person."""
    rows = session.execute(text(f"""
        select {_COLUMNS} from service_act where cast(:person as bigint) is null or person_id = :person
         order by id desc limit :limit
    """), {"person": person_id, "limit": limit})  # noqa: S608
    return [ServiceView(*row) for row in rows]
