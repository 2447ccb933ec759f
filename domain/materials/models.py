"""What people share: the scene codes behind referral QRs, each person's last choice of poster, and videos."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base
from domain.shots.models import Shot


class Scene(Base):
    """A parametric QR of the platform. ``token`` is all that the QR carries: random, never a person's id.

    ``url`` is '' until the platform has made the code. ``shot_id``: the customer's picture that stands beside it.
    """

    __tablename__ = "scene"
    __table_args__ = (
        Index("ix_scene_sharer_id_account_sku", "sharer_id", "account", "sku", "expires_at"),
        Index("ix_scene_shot_id", "shot_id", postgresql_where=text("shot_id is not null")),
    )

    token: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str]
    sharer_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    sku: Mapped[str]
    url: Mapped[str] = mapped_column(server_default="")
    shot_id: Mapped[int | None] = mapped_column(ForeignKey(Shot.id))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class PosterChoice(Base):
    """The product and style somebody had last: a plain 海报 makes that one again."""

    __tablename__ = "poster_choice"

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    sku: Mapped[str]
    style: Mapped[str]
    chosen_at: Mapped[datetime]


class ShareVideo(Base):
    """A video that an operator gave for share kits: of one product, or of the whole shop (sku '')."""

    __tablename__ = "share_video"
    __table_args__ = (CheckConstraint("url ~ '^https?://' and char_length(url) <= 500", name="url"),)

    sku: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str]
    set_at: Mapped[datetime]
    set_by: Mapped[str]
