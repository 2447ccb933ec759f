"""The role for coming back: recounted from business facts whenever an order of a regular buyer changes.

What comes out does not depend on the order in which facts arrived: the stored periods are always those that
``rules.repurchase_periods`` makes of all that is known. A period that later facts deny stays as an empty one.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.orm import Session

from domain.roles import certificates, rulebooks
from domain.roles.models import RoleDecision, RoleGrant
from domain.roles.rulebook import Gold, Rulebook
from domain.roles.rules import RETURNED, Ending, Period, Purchase, repurchase_periods
from domain.shared import outbox
from domain.shared.outbox import Effect
from domain.shared.records import record

BY_REPURCHASE = "repurchase"
ROLE = "gold"
RECOUNTED = "recounted"
"""Reason of a period that turned out never to have been; it has no length."""

_REGULARS = "select role_regulars(%(ids)s::bigint[])"
_REGULARS_COMING = "select role_regulars_coming(%(ids)s::bigint[], %(coming)s::bigint[])"

_PURCHASES = text("""
    select o.buyer_id, o.id, o.paid_at, o.completed_at, least(
               o.closed_at,
               case when o.paid_fen - coalesce(o.card_paid_fen, 0) < :kept then o.paid_at end,
               (select min(r.refunded_at)
                  from (select f.refunded_at, sum(f.amount_fen - coalesce((
                                   select sum(p.refund_fen) from refund_line p join order_line l using (order_id, n)
                                    where o.card_paid_fen is not null and p.order_id = f.order_id
                                      and p.refund_no = f.refund_no and l.category = 'membership'), 0))
                               over (order by f.refunded_at, f.refund_no) as back
                          from refund f where f.order_id = o.id) r
                 where o.paid_fen - coalesce(o.card_paid_fen, 0) - r.back < :kept)) as lost_at,
           o.closed_at is null and o.goods_fen >= :kept as counts
      from customer_order o where o.buyer_id = any (:ids) order by o.buyer_id, o.id
""")

# Those whose orders have outlived their return windows; what it finds is judged again, exactly, by the recount.
_RIPE = text("""
    select g.person_id from role_grant g
     where g.revoked_at is null and g.confirmed_at is null and g.cause_kind = :kind and g.granted_at <= :now
       and (select count(*) from customer_order o
             where o.buyer_id = g.person_id and o.completed_at <= :closed and o.closed_at is null
               and o.goods_fen >= :kept) > cast(g.evidence ->> 'needed' as bigint)
     order by g.id limit :limit
""")


@record
class Changed:
    """Who gained, lost, or kept for good."""

    gained: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    confirmed: tuple[int, ...] = ()


def recount(session: Session, person_ids: Collection[int], now: datetime) -> Changed:
    """Bring the role of these people in line with their orders. Safe to repeat, at any time, in any order.

    Locks everybody asked for until the transaction ends. Tells ``role.granted``, ``role.revoked`` and
    ``role.confirmed`` facts for what really changed.
    """
    regulars = lock(session, person_ids)
    if not regulars:
        return Changed()
    books = rulebooks.shelf(session)
    rules = _newest(books, now)
    if rules is None:
        return Changed()

    def needed(at: datetime) -> int | None:
        book = books.at(at)
        return book.gold.at_least if book and book.gold else None

    purchases = purchases_of(session, regulars, rules)
    endings = _endings(session, regulars)
    stored = _stored(session, regulars)
    held = _holders(session, regulars)
    book = books.at(now)
    assert book is not None
    change = _Change(now, book.version)
    for person_id in sorted(regulars):
        wanted = repurchase_periods(purchases.get(person_id, ()), endings.get(person_id, ()), needed, now)
        change.add(person_id, stored.get(person_id, ()), wanted)
    return change.apply(session, held)


def lock(session: Session, person_ids: Collection[int]) -> set[int]:
    """Hold everybody's role until the transaction ends; returns those with enough orders for one to hang on them."""
    if not person_ids:
        return set()
    found = session.connection().exec_driver_sql(_REGULARS, {"ids": sorted(person_ids)})
    return {person_id for (person_id,) in found}


def lock_coming(session: Session, known: Collection[int], coming: Sequence[int]) -> set[int]:
    """As ``lock``, before orders are booked: ``known`` buyers, and ``coming`` ones, named once for each order to be."""
    found = session.connection().exec_driver_sql(_REGULARS_COMING, {"ids": sorted(known), "coming": sorted(coming)})
    return {person_id for (person_id,) in found}


def confirm_due(session: Session, now: datetime, limit: int) -> int:
    """Recount those whose return windows have closed since; returns how many became final."""
    rules = _newest(rulebooks.shelf(session), now)
    if rules is None:
        return 0
    ripe = session.scalars(_RIPE, {
        "kind": BY_REPURCHASE, "now": now, "closed": now - timedelta(days=rules.return_days),
        "kept": rules.min_kept_fen, "limit": limit}).all()
    return len(recount(session, ripe, now).confirmed)


def purchases_of(session: Session, person_ids: Iterable[int], rules: Gold) -> dict[int, list[Purchase]]:
    """Everybody's orders as the rules see them."""
    found: dict[int, list[Purchase]] = {}
    window = timedelta(days=rules.return_days)
    rows = session.execute(_PURCHASES, {"ids": sorted(person_ids), "kept": rules.min_kept_fen})
    for buyer_id, order_id, paid_at, completed_at, lost_at, counts in rows:
        # Older orders may have been refunded before refunds were kept one by one: then they count as never bought.
        lost = paid_at if lost_at is None and not counts else lost_at and max(lost_at, paid_at)
        final = completed_at + window if completed_at is not None else None
        found.setdefault(buyer_id, []).append(Purchase(order_id, paid_at, final, lost))
    return found


def _newest(books: rulebooks.Shelf, now: datetime) -> Gold | None:
    """How orders are counted: by the live version, or by the last one before it that had the role."""
    past: list[Rulebook] = [book for since, book in books.versions if since <= now] or [
        book for _, book in books.versions[:1]]
    return next((book.gold for book in reversed(past) if book.gold is not None), None)


def _endings(session: Session, person_ids: Collection[int]) -> dict[int, list[Ending]]:
    found: dict[int, list[Ending]] = {}
    rows = session.execute(
        select(RoleDecision.person_id, RoleDecision.at, RoleDecision.reason, RoleDecision.afresh)
        .where(RoleDecision.person_id.in_(person_ids), RoleDecision.role == ROLE,
               RoleDecision.what.in_(("demoted", "revoked"))).order_by(RoleDecision.id))
    for person_id, at, reason, afresh in rows:
        found.setdefault(person_id, []).append(Ending(at, reason, afresh))
    return found


@record
class _Row:
    id: int
    key: str
    since: datetime
    until: datetime | None
    confirmed_at: datetime | None
    reason: str
    turn: int


def _stored(session: Session, person_ids: Collection[int]) -> dict[int, list[_Row]]:
    found: dict[int, list[_Row]] = {}
    rows = session.execute(
        select(RoleGrant.person_id, RoleGrant.id, RoleGrant.cause_key, RoleGrant.granted_at, RoleGrant.revoked_at,
               RoleGrant.confirmed_at, RoleGrant.revoke_reason, RoleGrant.turn)
        .where(RoleGrant.person_id.in_(person_ids), RoleGrant.role == ROLE, RoleGrant.cause_kind == BY_REPURCHASE)
        .order_by(RoleGrant.id))
    for person_id, row_id, key, since, until, confirmed_at, reason, turn in rows:
        found.setdefault(person_id, []).append(_Row(row_id, key, since, until, confirmed_at, reason, turn))
    return found


def _holders(session: Session, person_ids: Collection[int]) -> set[int]:
    return set(session.scalars(select(RoleGrant.person_id).where(
        RoleGrant.person_id.in_(person_ids), RoleGrant.role == ROLE, RoleGrant.revoked_at.is_(None))))


class _Change:
    """The rows to write for a batch of people, and what is told about them."""

    def __init__(self, now: datetime, version: int) -> None:
        self._now, self._version = now, version
        self._ids: set[int] = set()
        self._updates: list[dict[str, Any]] = []
        self._inserts: list[dict[str, Any]] = []
        self._told: dict[int, tuple[str, dict[str, Any]]] = {}
        self._confirmed: list[int] = []

    def add(self, person_id: int, stored: Sequence[_Row], wanted: Sequence[Period]) -> None:
        """Compare what is stored with what should be."""
        self._ids.add(person_id)
        by_key = {row.key: row for row in stored}
        for period in wanted:
            row = by_key.pop(str(period.key), None)
            values = {"granted_at": period.since, "revoked_at": period.until, "confirmed_at": period.confirmed_at,
                      "revoke_reason": period.reason}
            if row is None:
                self._inserts.append({**values, "person_id": person_id, "role": ROLE, "cause_kind": BY_REPURCHASE,
                                      "cause_key": str(period.key), "turn": 0, "evidence": self._evidence(period)})
                self._note(person_id, period, 0)
            elif (row.since, row.until, row.confirmed_at, row.reason) != tuple(values.values()):
                turn = row.turn + ((row.until is None) != (period.until is None))
                self._updates.append({**values, "row_id": row.id, "turn": turn})
                self._note(person_id, period, turn)
            if period.confirmed_at is not None and period.until is None and (row is None or row.confirmed_at is None):
                self._confirmed.append(person_id)
        for row in by_key.values():
            if row.until != row.since:
                self._updates.append({
                    "row_id": row.id, "granted_at": row.since, "revoked_at": row.since, "confirmed_at": None,
                    "revoke_reason": RECOUNTED, "turn": row.turn + (row.until is None)})
                if person_id not in self._told:
                    self._told[person_id] = (f"{row.key}:{row.turn + 1}", {"cause_key": row.key, "reason": RECOUNTED})

    def _evidence(self, period: Period) -> dict[str, Any]:
        return {"fact": "repurchases", "needed": period.needed, "rulebook": self._version}

    def _note(self, person_id: int, period: Period, turn: int) -> None:
        self._told[person_id] = (f"{period.key}:{turn}", {
            "cause_key": str(period.key), "reason": period.reason, "provisional": period.confirmed_at is None,
            "needed": period.needed})

    def apply(self, session: Session, held: set[int]) -> Changed:
        """Write and tell. ``held``: who had the role before, for whatever cause."""
        # First what ends, so that two periods of one cause never stand at once.
        for row in sorted(self._updates, key=lambda row: row["revoked_at"] is None):
            session.connection().execute(
                update(RoleGrant).where(RoleGrant.id == bindparam("row_id")).values(
                    {name: bindparam(f"new_{name}") for name in row if name != "row_id"}),
                {"row_id": row["row_id"]} | {f"new_{name}": value for name, value in row.items() if name != "row_id"})
        if self._inserts:
            session.execute(insert(RoleGrant), self._inserts)
        holds = _holders(session, self._ids)
        gained, lost = sorted((holds - held) & set(self._told)), sorted((held - holds) & set(self._told))
        confirmed = sorted(set(self._confirmed) & holds)
        facts = [self._fact("role.granted", one) for one in gained] + [self._fact("role.revoked", one) for one in lost]
        facts += [self._fact("role.confirmed", one) for one in confirmed]
        if lost:
            certificates.void(session, lost, ROLE, RETURNED, self._now)
        outbox.put(session, facts, self._now)
        return Changed(tuple(gained), tuple(lost), tuple(confirmed))

    def _fact(self, kind: str, person_id: int) -> Effect:
        key, facts = self._told[person_id]
        payload = {"role": ROLE, "cause_kind": BY_REPURCHASE, **facts}
        return Effect("fact", kind, f"{kind}:{person_id}:{ROLE}:{BY_REPURCHASE}:{key}", person_id, payload)


def standing(session: Session, person_ids: Iterable[int]) -> dict[int, RoleGrant]:
    """The grants for coming back that stand, by person."""
    rows = session.scalars(select(RoleGrant).where(
        RoleGrant.person_id.in_(set(person_ids)), RoleGrant.role == ROLE, RoleGrant.cause_kind == BY_REPURCHASE,
        RoleGrant.revoked_at.is_(None)), execution_options={"populate_existing": True})
    return {row.person_id: row for row in rows}
