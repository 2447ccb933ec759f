"""Tables of orders: what was bought, what came back, and the inbox of commerce events.

Written by one SQL function a batch (``money_apply``, migration 0041); the classes here are for reading.
What was paid never changes; the triggers of the migration see to it.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class CustomerOrder(Base):
    """One paid order of one channel. Money in fen; ``paid_fen`` is goods only, without shipping.

    ``completed_at``: when it counts as received, by confirmation or because ``receive_due_at`` passed.
    ``seller_id``: to whom the sale counts, ``leader_id``: who had brought the seller, both as of payment.
    ``signals``: keyed hashes of who paid, from which device, to which address, as far as the mall tells.
    ``card_paid_fen``: what was paid in it for membership cards, ``card_fen`` what is left of that; None without one.
    The database keeps both, and knows ``o.goods_fen``, what is left beside: a card is no purchase of goods
    (``domain.orders.rules.CARD``).
    """

    __tablename__ = "customer_order"
    __table_args__ = (
        UniqueConstraint("channel", "order_no"),
        CheckConstraint("paid_fen >= 0 and shipping_fen >= 0", name="money"),
        CheckConstraint("refunded_fen between 0 and paid_fen", name="refunded"),
        CheckConstraint("currency = 'CNY'", name="currency"),
        CheckConstraint("card_fen between 0 and card_paid_fen and card_paid_fen <= paid_fen", name="card"),
        Index("ix_customer_order_broken", "id", postgresql_where=text("refuse_row(...)")),  # keeps these rules: 0075
        Index(None, "buyer_id", "paid_at"),
        Index(None, "seller_id", "paid_at", postgresql_where=text("seller_id is not null")),
        Index(None, "leader_id", "paid_at", postgresql_where=text("leader_id is not null")),
        Index("ix_customer_order_paid_at", "paid_at", postgresql_using="brin"),
        Index(
            "ix_customer_order_receive_due", "receive_due_at", postgresql_where=text("receive_due_at is not null")
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    channel: Mapped[str]
    order_no: Mapped[str]
    source: Mapped[str]
    buyer_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    currency: Mapped[str]
    paid_fen: Mapped[int]
    shipping_fen: Mapped[int]
    refunded_fen: Mapped[int] = mapped_column(server_default="0")
    card_fen: Mapped[int | None]
    card_paid_fen: Mapped[int | None]
    region: Mapped[str] = mapped_column(server_default="")
    share_code: Mapped[str] = mapped_column(server_default="")
    digest: Mapped[str]
    paid_at: Mapped[datetime]
    shipped_at: Mapped[datetime | None]
    carrier: Mapped[str] = mapped_column(server_default="")
    tracking_no: Mapped[str] = mapped_column(server_default="")
    received_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    receive_due_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    booked_at: Mapped[datetime]
    seller_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    leader_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    signals: Mapped[dict[str, Any] | None]


class OrderNews(Base):
    """New orders that are not yet on the lists of those who look at new orders later; see ``service.spread_news``."""

    __tablename__ = "order_news"

    id: Mapped[RowId]
    order_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    told_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


class OrderLine(Base):
    """One line of an order; ``n`` counts from 1 in the order of the payment event, ``line_id`` is the shop's."""

    __tablename__ = "order_line"
    __table_args__ = (
        UniqueConstraint("order_id", "line_id"),
        CheckConstraint("paid_fen >= 0 and quantity > 0", name="money"),
        CheckConstraint(
            "refunded_fen between 0 and paid_fen and refunded_quantity between 0 and quantity", name="refunded"
        ),
        Index("ix_order_line_broken", "order_id", postgresql_where=text("refuse_row(...)")),  # keeps these rules: 0075
    )

    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    line_id: Mapped[str]
    sku: Mapped[str]
    title: Mapped[str]
    category: Mapped[str]
    quantity: Mapped[int]
    paid_fen: Mapped[int]
    refunded_fen: Mapped[int] = mapped_column(server_default="0")
    refunded_quantity: Mapped[int] = mapped_column(server_default="0")


class Refund(Base):
    """Money that went back to the buyer. Only ever added."""

    __tablename__ = "refund"
    __table_args__ = (CheckConstraint("amount_fen >= 0", name="amount"),)

    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"), primary_key=True)
    refund_no: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    amount_fen: Mapped[int]
    refunded_at: Mapped[datetime]
    booked_at: Mapped[datetime]


class RefundLine(Base):
    """A refund's part on one order line; quantity 0 means money only."""

    __tablename__ = "refund_line"
    __table_args__ = (
        ForeignKeyConstraint(["order_id", "refund_no"], ["refund.order_id", "refund.refund_no"]),
        ForeignKeyConstraint(["order_id", "n"], ["order_line.order_id", "order_line.n"]),
        CheckConstraint("refund_fen >= 0 and quantity >= 0", name="money"),
    )

    order_id: Mapped[int] = mapped_column(primary_key=True)
    refund_no: Mapped[str] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    refund_fen: Mapped[int]
    quantity: Mapped[int]


class CommerceEventRow(Base):
    """One event that a system of the shop told us.

    It is done unless it stands in ``commerce_open`` or ``commerce_batch``; ``reason`` is what was said of it then.
    ``subject`` is ``order:<channel>/<order_no>``, ``product:<sku>`` or ``customer``: one subject is handled by one
    worker at a time.
    """

    __tablename__ = "commerce_event"
    __table_args__ = (
        UniqueConstraint("source", "event_id"),
        Index("ix_commerce_event_customer", "id",
              postgresql_where=text("type = 'customer.upserted' and payload <> '{}'")),
    )

    id: Mapped[RowId]
    source: Mapped[str]
    event_id: Mapped[str]
    digest: Mapped[str]
    type: Mapped[str]
    subject: Mapped[str]
    payload: Mapped[dict[str, Any]]
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(server_default="")


class OpenEvent(Base):
    """An event that is not done, by the event's id; new payments of one batch are an ``EventBatch``.

    ``state``: new → (gone: done) | parked (waits for its order) | conflict (needs a human) | dead (gave up). Who takes
    one deletes its row, and puts one back when it is not done: the open transaction is the lease, nothing is 'running'.
    """

    __tablename__ = "commerce_open"
    __table_args__ = (
        CheckConstraint("state in ('new', 'parked', 'conflict', 'dead')", name="state"),
        CheckConstraint("reason <> '' or state = 'new'", name="reason"),
        Index("ix_commerce_open_due", "due_at", "id", postgresql_where=text("state = 'new'")),
        Index("ix_commerce_open_subject", "subject",
              postgresql_where=text("state <> 'new' or type <> 'order.paid'")),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(server_default="0")
    state: Mapped[str] = mapped_column(server_default="new")
    type: Mapped[str]
    subject: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")


class EventBatch(Base):
    """New payments that came in one batch, by their events' ids: one row until somebody takes them all."""

    __tablename__ = "commerce_batch"
    __table_args__ = (
        CheckConstraint("cardinality(events) > 0", name="events"),
        Index("ix_commerce_batch_due", "due_at", "id"),
    )

    id: Mapped[RowId]
    due_at: Mapped[datetime]
    events: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
