"""Time's part in money: orders that count as received, holds that end, and when the next of both is due."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.ledger import service as ledger
from domain.ledger.queries import frozen_among
from domain.ledger.rules import Entry
from domain.orders.rules import Folded
from domain.workflows import notes
from domain.workflows.booking import Ledgered, schedule, settle, store, tell_roles
from domain.workflows.desk import Deal, Work, order_from
from domain.workflows.intake import plans_in

# One order is handled by one worker at a time: the same advisory lock as in intake_take.
_OVERDUE = text("""
    with due as materialized (
        select 'order:' || channel || '/' || order_no as subject from customer_order
         where receive_due_at <= :now order by receive_due_at limit :limit)
    select subject from due where pg_try_advisory_xact_lock(hashtextextended(subject, 0)) order by 1
""")

_RELEASABLE = text("""
    with due as materialized (
        select distinct 'order:' || o.channel || '/' || o.order_no as subject
          from (select order_id from commission_line
                 where release_at <= :now and released_at is null and held_at is null
                   and not exists (select from account_hold h
                                    where h.person_id = beneficiary_id and h.lifted_at is null)
                 order by release_at limit :limit) c
          join customer_order o on o.id = c.order_id
    )
    select subject from due
     where not exists (select from commerce_open e where e.subject = due.subject
                          and e.type in ('order.refunded', 'order.closed'))
       and pg_try_advisory_xact_lock(hashtextextended(subject, 0)) order by 1
""")

NEXT_DUE = """
    select least(
        (select min(due_at) from commerce_open where state = 'new'), (select min(due_at) from commerce_batch),
        (select min(receive_due_at) from customer_order where receive_due_at is not null),
        (select min(c.release_at) from commission_line c join customer_order o on o.id = c.order_id
          where c.released_at is null and c.release_at is not null and c.held_at is null
            and not exists (select from account_hold h where h.person_id = c.beneficiary_id and h.lifted_at is null)
            and not exists (select from commerce_open e
                             where e.subject = 'order:' || o.channel || '/' || o.order_no
                               and e.type in ('order.refunded', 'order.closed'))))
"""
_NEXT = text(NEXT_DUE)

_LOAD = text("select intake_load(:subjects)")
_OPEN = text("""
    select distinct subject from commerce_open
     where subject = any (:subjects) and type in ('order.refunded', 'order.closed')
""")


def receive_overdue(session: Session, now: datetime, limit: int) -> int:
    """Count orders as received that nobody confirmed in time; returns how many."""
    subjects = session.scalars(_OVERDUE, {"now": now, "limit": limit}).all()
    works, loaded = _works(session, subjects)
    plans = plans_in(session, loaded)
    due = [work for work in works if work.order.receive_due_at is not None and work.order.receive_due_at <= now]
    for work in due:
        work.order.completed_at = work.order.receive_due_at
        schedule(work, plans.at(work.order.paid_at))
    if due:
        settle(session, store(due, (), Ledgered(), now))
        tell_roles(session, due, {work.order.buyer_id for work in due}, now)
    return len(due)


def release_due(session: Session, now: datetime, limit: int) -> int:
    """Let go of commissions whose hold has ended: debt is repaid first, the rest becomes available.

    Orders with an open after-sale (a refund or closing in the inbox that is not settled) wait, and so does what is held
    or belongs to somebody frozen. Returns how many lines were let go.
    """
    subjects = session.scalars(_RELEASABLE, {"now": now, "limit": limit}).all()
    if not subjects:
        return 0
    # The locks are ours now; whoever held one before may have parked a refund meanwhile.
    still_open = set(session.scalars(_OPEN, {"subjects": subjects}))
    works, _ = _works(session, [subject for subject in subjects if subject not in still_open])
    due = [(work, _due_deals(work, now)) for work in works]
    purses = ledger.lock(session, [deal.beneficiary_id for _, deals in due for deal in deals])
    # Whoever freezes somebody waits for these orders: who is not frozen now stays so until we are done.
    frozen = frozen_among(session, purses)
    due = [(work, [deal for deal in deals if deal.beneficiary_id not in frozen]) for work, deals in due]
    out = Ledgered()
    count = 0
    for work, deals in due:
        for beneficiary in sorted({deal.beneficiary_id for deal in deals}):
            mine = [deal for deal in deals if deal.beneficiary_id == beneficiary]
            amount = sum(deal.left_fen for deal in mine)
            moves = purses[beneficiary].let_go(amount)
            repaid = sum(move.amount for move in moves if move.credit.kind == "debt")
            at = max(deal.release_at for deal in mine if deal.release_at)
            key = f"order:{work.order.id}:released:{beneficiary}:{mine[0].id}"
            out.entries.append(Entry(key, "commission.released", at, "order", work.order.id, work.label, tuple(moves)))
            out.facts.append(notes.released(work, beneficiary, mine[0].id, amount, repaid))
            for deal in mine:
                deal.released_at, deal.touched = now, True
            count += len(mine)
    if count:
        settle(session, store([work for work, _ in due], (), out, now))
    return count


def _due_deals(work: Work, now: datetime) -> list[Deal]:
    return [
        deal for deal in work.deals
        if deal.released_at is None and deal.held_at is None and deal.left_fen
        and deal.release_at is not None and deal.release_at <= now
    ]


def _works(session: Session, subjects: Sequence[str]) -> tuple[list[Work], dict[str, Any]]:
    if not subjects:
        return [], {}
    loaded: dict[str, Any] = session.execute(_LOAD, {"subjects": list(subjects)}).scalar_one()
    works = []
    for row in loaded["orders"]:
        order, deals = order_from(row)
        works.append(Work(Folded(order), order, deals, order.completed_at is not None, order.returned,
                          order.shipped_at is not None))
    return works, loaded


def next_due(session: Session) -> datetime | None:
    """When the next event, receipt or release is due; None when nothing is. May be in the past."""
    due: datetime | None = session.execute(_NEXT).scalar_one()
    return due


def anything_due(session: Session, now: datetime) -> bool:
    """Whether a worker would find something to do at ``now``."""
    due = next_due(session)
    return due is not None and due <= now
