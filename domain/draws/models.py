"""Tables of draws: what was published, what was promised for each day, who takes part, and every draw."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class DrawCampaign(Base):
    """A campaign as it was published; its terms never change. ``points``: what a draw costs when nothing free is left
    (0: only free draws). Triggers of 0025 refuse draws outside its time and above its limits."""

    __tablename__ = "draw_campaign"
    __table_args__ = (
        UniqueConstraint("key"),
        CheckConstraint("opens_at < closes_at", name="times"),
        CheckConstraint("points >= 0 and daily_most > 0 and total_most >= daily_most"
                        " and daily_free between 0 and daily_most", name="limits"),
        CheckConstraint("(stopped_at is null) = (stop_reason = '')", name="stopped"),
    )

    id: Mapped[RowId]
    key: Mapped[str]
    title: Mapped[str]
    document: Mapped[dict[str, Any]]
    digest: Mapped[str]
    opens_at: Mapped[datetime]
    closes_at: Mapped[datetime]
    points: Mapped[int]
    daily_free: Mapped[int]
    daily_most: Mapped[int]
    total_most: Mapped[int]
    published_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None]
    stop_reason: Mapped[str] = mapped_column(server_default="")


class DrawPrize(Base):
    """The ``n``-th prize: ``odds_bps`` of 10,000; ``given`` never passes ``stock`` (None: as many as are drawn)."""

    __tablename__ = "draw_prize"
    __table_args__ = (
        UniqueConstraint("campaign_id", "key"),
        CheckConstraint("kind in ('coupon', 'points', 'red_packet', 'product')", name="kind"),
        CheckConstraint("worth_fen between 0 and 5000000 and amount >= 0", name="worth"),
        CheckConstraint("odds_bps between 1 and 10000", name="odds"),
        CheckConstraint("given >= 0 and stock > 0 and (stock is null or given <= stock)", name="stock"),
    )

    campaign_id: Mapped[int] = mapped_column(ForeignKey("draw_campaign.id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str]
    title: Mapped[str]
    kind: Mapped[str]
    detail: Mapped[str] = mapped_column(server_default="")
    amount: Mapped[int] = mapped_column(server_default="0")
    worth_fen: Mapped[int]
    odds_bps: Mapped[int]
    stock: Mapped[int | None]
    given: Mapped[int] = mapped_column(server_default="0")


class DrawSeed(Base):
    """A day's promise: ``commitment`` = sha256 of the seed, published before; the ``seed`` (hex) when the day is over.
    """

    __tablename__ = "draw_seed"
    __table_args__ = (
        CheckConstraint("(revealed_at is null) = (seed = '')", name="revealed"),
        CheckConstraint("seed = '' or encode(sha256(decode(seed, 'hex')), 'hex') = commitment", name="kept"),
    )

    campaign_id: Mapped[int] = mapped_column(ForeignKey("draw_campaign.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    commitment: Mapped[str]
    published_at: Mapped[datetime]
    seed: Mapped[str] = mapped_column(server_default="")
    revealed_at: Mapped[datetime | None]


class DrawEntrant(Base):
    """Somebody who takes part, under a ``code`` that says nothing about them; ``drawn`` numbers their draws."""

    __tablename__ = "draw_entrant"
    __table_args__ = (UniqueConstraint("code"), CheckConstraint("drawn >= 0", name="drawn"))

    campaign_id: Mapped[int] = mapped_column(ForeignKey("draw_campaign.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    code: Mapped[str]
    drawn: Mapped[int] = mapped_column(server_default="0")


class DrawTicket(Base):
    """A free draw that somebody was given for the fact ``cause``."""

    __tablename__ = "draw_ticket"
    __table_args__ = (
        UniqueConstraint("cause"),
        CheckConstraint("used_at >= given_at", name="used"),
        Index("ix_draw_ticket_open", "person_id", "campaign_id", "id", postgresql_where=text("used_at is null")),
    )

    id: Mapped[RowId]
    campaign_id: Mapped[int] = mapped_column(ForeignKey("draw_campaign.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    cause: Mapped[str]
    given_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Draw(Base):
    """One draw: what was rolled, and what came of it. ``key``: the request that asked for it, once ever."""

    __tablename__ = "draw"
    __table_args__ = (
        ForeignKeyConstraint(["campaign_id", "day"], ["draw_seed.campaign_id", "draw_seed.day"]),
        ForeignKeyConstraint(["campaign_id", "prize_n"], ["draw_prize.campaign_id", "draw_prize.n"]),
        UniqueConstraint("campaign_id", "code", "number"),
        UniqueConstraint("key"),
        UniqueConstraint("ticket_id"),
        CheckConstraint("roll between 0 and 9999 and number > 0", name="roll"),
        CheckConstraint("state in ('won', 'nothing', 'sold_out') and (state = 'nothing') = (prize_n is null)",
                        name="state"),
        CheckConstraint("paid_by in ('points', 'ticket', 'free', 'none') and (paid_by = 'points') = (points > 0)"
                        " and (paid_by = 'ticket') = (ticket_id is not null)"
                        " and (paid_by = 'none') = (state = 'sold_out')", name="paid"),
        Index(None, "person_id", "campaign_id", "id"),
        Index(None, "campaign_id", "day", "id"),
    )

    id: Mapped[RowId]
    campaign_id: Mapped[int]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    code: Mapped[str]
    number: Mapped[int]
    day: Mapped[date]
    key: Mapped[str]
    paid_by: Mapped[str]
    points: Mapped[int]
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("draw_ticket.id"))
    roll: Mapped[int]
    prize_n: Mapped[int | None]
    state: Mapped[str]
    at: Mapped[datetime]
