"""Tables of the points mall: what points buy, and what was taken."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class MallItem(Base):
    """Something for points. ``taken`` never passes ``stock`` (None: no end); ``most``: so many for one customer."""

    __tablename__ = "mall_item"
    __table_args__ = (
        CheckConstraint("kind in ('coupon', 'product', 'ticket')", name="kind"),
        CheckConstraint("points > 0 and amount > 0 and worth_fen >= 0 and most > 0", name="numbers"),
        CheckConstraint("taken >= 0 and (stock is null or taken <= stock)", name="stock"),
    )

    key: Mapped[str] = mapped_column(primary_key=True)
    n: Mapped[int]
    title: Mapped[str]
    points: Mapped[int]
    kind: Mapped[str]
    detail: Mapped[str] = mapped_column(server_default="")
    amount: Mapped[int] = mapped_column(server_default="1")
    worth_fen: Mapped[int] = mapped_column(server_default="0")
    stock: Mapped[int | None]
    taken: Mapped[int] = mapped_column(server_default="0")
    most: Mapped[int | None]
    listed: Mapped[bool] = mapped_column(server_default=text("true"))


class MallExchange(Base):
    """Points given for an item, as it was then. ``key``: the request, once ever. A cancelled one gave them back."""

    __tablename__ = "mall_exchange"
    __table_args__ = (
        UniqueConstraint("key"),
        CheckConstraint("points > 0", name="points"),
        CheckConstraint("(cancelled_at is null) = (reason = '')", name="cancelled"),
        Index(None, "person_id", "id"),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    item_key: Mapped[str] = mapped_column(ForeignKey("mall_item.key"))
    key: Mapped[str]
    title: Mapped[str]
    kind: Mapped[str]
    points: Mapped[int]
    at: Mapped[datetime]
    cancelled_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(server_default="")
