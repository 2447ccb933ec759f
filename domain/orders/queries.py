"""Reading orders and what is stuck in the inbox of events."""

from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from domain.orders.models import CommerceEventRow, CustomerOrder, OpenEvent, OrderLine
from domain.shared.records import record

State = Literal["paid", "shipped", "completed", "refunded", "closed"]


@record
class OrderView:
    """An order as its buyer sees it. Money in fen; ``title`` is that of the first of ``lines`` lines."""

    id: int
    channel: str
    order_no: str
    title: str
    lines: int
    paid_fen: int
    refunded_fen: int
    state: State
    paid_at: datetime
    carrier: str
    tracking_no: str


@record
class StuckEvent:
    """An event that waits for its order, contradicts what is booked, or gave up."""

    id: int
    source: str
    event_id: str
    type: str
    subject: str
    state: str
    reason: str
    attempts: int
    received_at: datetime


def first_category(session: Session, person_id: int) -> str:
    """The category of what a person bought first and kept, received or not; '' without any or where the shop gave none.
    """
    found = session.scalar(
        select(OrderLine.category).join(CustomerOrder, CustomerOrder.id == OrderLine.order_id)
        .where(CustomerOrder.buyer_id == person_id, CustomerOrder.closed_at.is_(None),
               OrderLine.refunded_fen < OrderLine.paid_fen)
        .order_by(CustomerOrder.paid_at, CustomerOrder.id, OrderLine.n).limit(1))
    return found or ""


def last_product(session: Session, person_id: int) -> tuple[str, str, str] | None:
    """(sku, category, title) of what somebody bought last and kept; None when there is nothing."""
    row = session.execute(
        select(OrderLine.sku, OrderLine.category, OrderLine.title)
        .join(CustomerOrder, CustomerOrder.id == OrderLine.order_id)
        .where(CustomerOrder.buyer_id == person_id, CustomerOrder.closed_at.is_(None),
               OrderLine.refunded_fen < OrderLine.paid_fen)
        .order_by(CustomerOrder.paid_at.desc(), CustomerOrder.id.desc(), OrderLine.n).limit(1)).first()
    return (row.sku, row.category, row.title) if row else None


def recent_products(session: Session, person_id: int, limit: int) -> list[tuple[str, str]]:
    """(sku, title) of what somebody bought and kept, each product once, the latest first."""
    latest = (
        select(OrderLine.sku, OrderLine.title, CustomerOrder.paid_at, CustomerOrder.id, OrderLine.n)
        .join(CustomerOrder, CustomerOrder.id == OrderLine.order_id)
        .where(CustomerOrder.buyer_id == person_id, CustomerOrder.closed_at.is_(None),
               OrderLine.refunded_fen < OrderLine.paid_fen)
        .order_by(CustomerOrder.paid_at.desc(), CustomerOrder.id.desc(), OrderLine.n).limit(limit * 10))
    found: dict[str, str] = {}
    for row in session.execute(latest):
        found.setdefault(row.sku, row.title)
    return list(found.items())[:limit]


def of_buyer(session: Session, person_id: int, limit: int, order_no: str = "") -> list[OrderView]:
    """A person's orders, newest first; where a number is asked for (letters in either case), only the order that has it
    and those that travel under it."""
    wanted = [or_(func.lower(CustomerOrder.order_no) == order_no.lower(),
                  func.lower(CustomerOrder.tracking_no) == order_no.lower())] if order_no else []
    orders = session.scalars(
        select(CustomerOrder).where(CustomerOrder.buyer_id == person_id, *wanted)
        .order_by(CustomerOrder.paid_at.desc(), CustomerOrder.id.desc()).limit(limit),
        execution_options={"populate_existing": True},
    ).all()
    titles: dict[int, list[str]] = {}
    named = select(OrderLine.order_id, OrderLine.title).where(OrderLine.order_id.in_([order.id for order in orders]))
    for order_id, title in session.execute(named.order_by(OrderLine.order_id, OrderLine.n)):
        titles.setdefault(order_id, []).append(title)
    return [
        OrderView(one.id, one.channel, one.order_no, titles[one.id][0], len(titles[one.id]), one.paid_fen,
                  one.refunded_fen, _state(one), one.paid_at, one.carrier, one.tracking_no)
        for one in orders
    ]


def _state(order: CustomerOrder) -> State:
    if order.closed_at is not None:
        return "closed"
    if order.paid_fen and order.refunded_fen == order.paid_fen:
        return "refunded"
    if order.completed_at is not None:
        return "completed"
    return "shipped" if order.shipped_at is not None else "paid"


def stuck(session: Session, limit: int, waiting_since: datetime | None = None) -> list[StuckEvent]:
    """Events that need a human: conflicts and dead ones, and those parked since before ``waiting_since``."""
    wrong: ColumnElement[bool] = OpenEvent.state.in_(("conflict", "dead"))
    if waiting_since is not None:
        wrong |= (OpenEvent.state == "parked") & (CommerceEventRow.received_at < waiting_since)
    return [
        StuckEvent(row.id, row.source, row.event_id, row.type, row.subject, one.state, one.reason, one.attempts,
                   row.received_at)
        for one, row in session.execute(
            select(OpenEvent, CommerceEventRow).join(CommerceEventRow, CommerceEventRow.id == OpenEvent.id)
            .where(wrong).order_by(OpenEvent.id).limit(limit), execution_options={"populate_existing": True})
    ]
