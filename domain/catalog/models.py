"""Tables of the catalog: what the shop sells, as its systems told us."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class Product(Base):
    """One thing on sale. ``no`` is the small number people type in chat (海报 3); it never changes. ``url``: where it
    is bought, ``video_url``: where it is shown, '' when nobody told; ``domain.shared.addresses`` says what fits."""

    __tablename__ = "product"
    __table_args__ = (
        CheckConstraint("price_fen >= 0", name="price"),
        CheckConstraint("no > 0", name="no"),
        CheckConstraint("char_length(url) <= 500 and char_length(video_url) <= 500", name="addresses"),
    )

    id: Mapped[RowId]
    no: Mapped[int] = mapped_column(unique=True)
    sku: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    category: Mapped[str]
    price_fen: Mapped[int]
    image_url: Mapped[str] = mapped_column(server_default="")
    url: Mapped[str] = mapped_column(server_default="")
    video_url: Mapped[str] = mapped_column(server_default="")
    margin_bps: Mapped[int | None]
    consumption_days: Mapped[int | None]
    told_at: Mapped[datetime]
    told_by: Mapped[str]
