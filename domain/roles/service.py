"""Granting and revoking roles by business facts.

The persons concerned are held in id order, so that two orders of one person never both find them new. Facts
('role.granted', 'role.revoked') go to the outbox only when the person really gains or loses the role.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.orders.models import CustomerOrder
from domain.people.queries import survivors
from domain.roles import certificates, decisions, repurchase
from domain.roles.decisions import Decision
from domain.roles.models import RoleGrant
from domain.roles.rules import Role
from domain.shared import outbox, turns
from domain.shared.errors import DomainError, NotFound
from domain.shared.outbox import Effect
from domain.shared.records import record

CARDS = func.coalesce(CustomerOrder.card_fen, 0)
OrderFact = tuple[int, int, datetime]
"""(person_id, order_id, when)"""

BY_ORDER = "order"
OPERATOR = "operator"


@record
class Cause:
    """What earned a role: ``kind`` e.g. order or operator, ``key`` e.g. the order's id, ``evidence`` in JSON."""

    kind: str
    key: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def order_completed_many(session: Session, facts: Sequence[OrderFact], now: datetime) -> list[int]:
    """Completed orders open promoter rights; returns who has just become a promoter. Safe to repeat, any order.

    An order that was returned in full in the meantime opens nothing.
    """
    alive = survivors(session, [person_id for person_id, _, _ in facts])
    returned = set(session.scalars(
        select(CustomerOrder.id).where(CustomerOrder.id.in_([order_id for _, order_id, _ in facts]),
                                       CustomerOrder.refunded_fen + CARDS >= CustomerOrder.paid_fen)
    ))
    first: dict[int, tuple[datetime, int]] = {}
    for person_id, order_id, at in facts:
        if order_id not in returned and person_id in alive:
            known = first.get(alive[person_id], (at, order_id))
            first[alive[person_id]] = min(known, (at, order_id))
    wanted = [(person_id, Cause(BY_ORDER, str(order_id)), at) for person_id, (at, order_id) in first.items()]
    return _grant(session, "promoter", wanted, now)


def order_revoked_many(session: Session, facts: Sequence[OrderFact], now: datetime) -> list[int]:
    """Returned or closed orders take promoter rights away from who has no other completed, unreturned order.

    Returns who has just lost them. A grant for another cause (an operator's) stays. Safe to repeat.
    """
    alive = survivors(session, [person_id for person_id, _, _ in facts])
    _lock(session, set(alive.values()))
    ended = [order_id for _, order_id, _ in facts]
    remaining = exists().where(
        CustomerOrder.buyer_id == RoleGrant.person_id, CustomerOrder.completed_at.is_not(None),
        CustomerOrder.closed_at.is_(None), CustomerOrder.refunded_fen + CARDS < CustomerOrder.paid_fen,
        CustomerOrder.id.not_in(ended),
    )
    last = {person_id: max(at for one, _, at in facts if alive.get(one) == person_id) for person_id in alive.values()}
    grants = session.execute(
        select(RoleGrant.id, RoleGrant.person_id).where(
            RoleGrant.person_id.in_(alive.values()), RoleGrant.cause_kind == BY_ORDER,
            RoleGrant.revoked_at.is_(None), ~remaining,
        )
    ).all()
    return _revoke(session, [(grant_id, last[person_id]) for grant_id, person_id in grants], "order_returned", now)


def grant(session: Session, person_id: int, role: Role, cause: Cause, at: datetime, now: datetime) -> bool:
    """Give somebody a role for a cause of another kind than orders; whether they did not have the role before.

    Repeating the cause changes nothing, also after it was revoked. Raises NotFound for an unknown person,
    DomainError('role.not_granted') for member.
    """
    if role == "member":
        raise DomainError("role.not_granted", role=role)
    alive = survivors(session, [person_id]).get(person_id)
    if alive is None:
        raise NotFound("person_unknown", id=person_id)
    return bool(_grant(session, role, [(alive, cause, at)], now))


def revoke(session: Session, person_id: int, role: Role, cause_kind: str, reason: str, now: datetime) -> bool:
    """Take back a role granted by a kind of cause; whether the person lost the role by it."""
    alive = survivors(session, [person_id])
    _lock(session, set(alive.values()))
    grants = session.scalars(select(RoleGrant.id).where(
        RoleGrant.person_id.in_(alive.values()), RoleGrant.role == role, RoleGrant.cause_kind == cause_kind,
        RoleGrant.revoked_at.is_(None),
    )).all()
    return bool(_revoke(session, [(grant_id, now) for grant_id in grants], reason, now))


def give(session: Session, person_id: int, role: Role, why: str, actor: Actor, now: datetime) -> bool:
    """An operator grants a role; whether the person did not have it before. Audited.

    Raises what ``grant`` raises, and DomainError('role_reason_missing') without a reason.
    """
    _reasoned(why)
    gained = grant(session, person_id, role, Cause(OPERATOR, f"{actor.name}:{now.isoformat()}", {"why": why}), now, now)
    alive = survivors(session, [person_id])[person_id]
    decisions.record(session, [
        Decision(alive, role, "granted", now, OPERATOR, actor=actor.name, evidence={"why": why})])
    audit.record(session, actor, "role.grant", f"person:{alive}", {"role": role, "why": why}, now)
    return gained


def take(session: Session, person_id: int, role: Role, why: str, actor: Actor, now: datetime) -> bool:
    """An operator takes a role, whatever gave it; whether the person had it. Audited.

    Counting begins anew: what was bought or sold before earns this role no more. (The next completed order opens
    promoter rights again; who must not earn at all is frozen instead.) Raises NotFound,
    DomainError('role_reason_missing').
    """
    _reasoned(why)
    alive = survivors(session, [person_id]).get(person_id)
    if alive is None:
        raise NotFound("person_unknown", id=person_id)
    repurchase.lock(session, [alive])
    _lock(session, {alive})
    had = bool(_holders(session, role, {alive}))
    decisions.record(session, [Decision(alive, role, "revoked", now, OPERATOR, actor=actor.name, afresh=True,
                                        evidence={"why": why})])
    grants = session.scalars(select(RoleGrant.id).where(
        RoleGrant.person_id == alive, RoleGrant.role == role, RoleGrant.revoked_at.is_(None),
        RoleGrant.cause_kind != repurchase.BY_REPURCHASE)).all()
    _revoke(session, [(grant_id, now) for grant_id in grants], OPERATOR, now)
    repurchase.recount(session, [alive], now)
    audit.record(session, actor, "role.revoke", f"person:{alive}", {"role": role, "why": why, "had": had}, now)
    return had


def _reasoned(why: str) -> None:
    if not why.strip():
        raise DomainError("role_reason_missing")


def grant_many(
    session: Session, role: Role, wanted: Sequence[tuple[int, Cause, datetime]], now: datetime
) -> list[int]:
    """Give a role to living people, each for a cause, from a moment on; returns who did not have it before."""
    return _grant(session, role, wanted, now)


def revoke_many(session: Session, grants: Sequence[tuple[int, datetime]], reason: str, now: datetime) -> list[int]:
    """End grants by id, each at a moment; returns who lost a role by it."""
    return _revoke(session, grants, reason, now)


def _lock(session: Session, person_ids: set[int]) -> None:
    turns.take(session, "roles", person_ids)


def _holders(session: Session, role: str, person_ids: set[int]) -> set[int]:
    return set(session.scalars(select(RoleGrant.person_id).where(
        RoleGrant.role == role, RoleGrant.person_id.in_(person_ids), RoleGrant.revoked_at.is_(None)
    )))


def _grant(session: Session, role: Role, wanted: Sequence[tuple[int, Cause, datetime]], now: datetime) -> list[int]:
    people = {person_id for person_id, _, _ in wanted}
    if not people:
        return []
    _lock(session, people)
    held = _holders(session, role, people)
    standing = {(person_id, kind) for person_id, kind in session.execute(
        select(RoleGrant.person_id, RoleGrant.cause_kind).where(
            RoleGrant.role == role, RoleGrant.person_id.in_(people), RoleGrant.revoked_at.is_(None))
    )}
    rows: list[dict[str, object]] = [
        {"person_id": person_id, "role": role, "cause_kind": cause.kind, "cause_key": cause.key, "granted_at": at,
         "confirmed_at": at, "evidence": dict(cause.evidence)}
        for person_id, cause, at in sorted(wanted, key=lambda w: w[0])
        if (person_id, cause.kind) not in standing
    ]
    again = insert(RoleGrant).on_conflict_do_update(
        index_elements=["person_id", "role", "cause_kind", "cause_key"],
        set_={"revoked_at": None, "revoke_reason": "", "granted_at": text("excluded.granted_at"),
              "confirmed_at": text("excluded.confirmed_at")},
        where=(RoleGrant.cause_kind == BY_ORDER) & RoleGrant.revoked_at.is_not(None),
    )
    for row in rows:
        session.execute(again, row)
    gained = sorted(_holders(session, role, people) - held)
    facts = {row["person_id"]: row for row in rows if row["person_id"] in gained}
    outbox.put(session, [_fact("role.granted", row) for row in facts.values()], now)
    return gained


def _revoke(session: Session, grants: Sequence[tuple[int, datetime]], reason: str, now: datetime) -> list[int]:
    ended = []
    for grant_id, at in grants:
        row = session.execute(
            update(RoleGrant).where(RoleGrant.id == grant_id, RoleGrant.revoked_at.is_(None))
            .values(revoked_at=func.greatest(at, RoleGrant.granted_at), revoke_reason=reason)
            .returning(RoleGrant.person_id, RoleGrant.role, RoleGrant.cause_kind, RoleGrant.cause_key,
                       RoleGrant.revoked_at),
            execution_options={"synchronize_session": False},
        ).first()
        ended += [dict(row._mapping)] if row else []
    lost = [row for row in ended if row["person_id"] not in _holders(session, row["role"], {row["person_id"]})]
    for one in lost:
        certificates.void(session, {one["person_id"]}, one["role"], reason, now)
    outbox.put(session, [_fact("role.revoked", {**one, "reason": reason}) for one in lost], now)
    return sorted({row["person_id"] for row in lost})


def _fact(kind: str, row: Mapping[str, Any]) -> Effect:
    person_id = int(str(row["person_id"]))
    key = f"{kind}:{person_id}:{row['role']}:{row['cause_kind']}:{row['cause_key']}"
    payload = {name: row[name] for name in ("role", "cause_kind", "cause_key", "reason") if name in row}
    return Effect("fact", kind, key, person_id, payload)


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """Roles' part of a merge (a people.service.Mover): of two grants of one kind the older stays, and what both bought
    is counted as one history. Orders must have moved before."""
    ends = {"kept": kept_id, "gone": gone_id, "now": now}
    session.execute(_OLDER_STAYS, ends)
    certificates.merge(session, kept_id, gone_id, now)
    moved = {table: session.connection().execute(text(statement), ends).rowcount for table, statement in _MOVES.items()}
    repurchase.recount(session, [kept_id], now)
    return {table: count for table, count in moved.items() if count}


_OLDER_STAYS = text("""
    update role_grant g set revoked_at = greatest(:now, g.granted_at), revoke_reason = 'merged'
      from role_grant k
     where g.person_id in (:kept, :gone) and k.person_id in (:kept, :gone) and k.person_id <> g.person_id
       and k.role = g.role and k.cause_kind = g.cause_kind and k.revoked_at is null and g.revoked_at is null
       and (k.granted_at, k.id) < (g.granted_at, g.id)""")

# What both have had stays with each; the survivor's is the one that counts.
_MOVES = {
    "role_grant": """
        update role_grant g set person_id = :kept where g.person_id = :gone and not exists (
            select from role_grant k where k.person_id = :kept and k.role = g.role
               and k.cause_kind = g.cause_kind and k.cause_key = g.cause_key)""",
    "role_decision": """
        update role_decision d set person_id = :kept where d.person_id = :gone and (d.month is null or not exists (
            select from role_decision k where k.person_id = :kept and k.role = d.role and k.month = d.month
               and k.what = d.what))""",
    "invitation": """
        update invitation i set person_id = :kept where i.person_id = :gone and not exists (
            select from invitation k where k.person_id = :kept)""",
    "badge": """
        update badge b set person_id = :kept where b.person_id = :gone and not exists (
            select from badge k where k.person_id = :kept and k.key = b.key and k.period = b.period)""",
}
