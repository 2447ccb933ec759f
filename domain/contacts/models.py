"""Tables of WeCom contacts: employees, the codes customers come by, who has whom, and the tags they carry there."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class StaffMember(Base):
    """An employee who has met a customer of ours, or has a code. ``userid`` in small letters."""

    __tablename__ = "staff_member"
    __table_args__ = (CheckConstraint("userid = lower(userid) and userid <> ''", name="userid"),)

    corp_id: Mapped[str] = mapped_column(primary_key=True)
    userid: Mapped[str] = mapped_column(primary_key=True)
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class ContactWay(Base):
    """A 「联系我」 code of an employee. Who comes by it arrives with ``token`` as state: brought by ``sharer_id``
    (None: nobody in particular), interested in ``sku`` ('': nothing in particular). ``config_id`` and ``url`` are the
    platform's.
    """

    __tablename__ = "contact_way"
    __table_args__ = (
        UniqueConstraint("token"),
        CheckConstraint("length(token) between 8 and 30", name="token"),
        Index(None, "sharer_id"),
    )

    id: Mapped[RowId]
    token: Mapped[str]
    corp_id: Mapped[str]
    userid: Mapped[str]
    sharer_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    sku: Mapped[str] = mapped_column(server_default="")
    config_id: Mapped[str] = mapped_column(server_default="")
    url: Mapped[str] = mapped_column(server_default="")
    made_at: Mapped[datetime]


class Contact(Base):
    """One employee and one customer.

    ``added_at`` and ``ended_at`` are the platform's dates: events in any order lead to the same end. ``half``: the
    customer can chat, but is no full friend yet. ``stint`` counts how often they became friends anew, ``arrival`` is
    what was made of the present one (None: nobody has looked yet). ``welcome``: how the welcome ended, '' not yet.
    """

    __tablename__ = "contact"
    __table_args__ = (
        UniqueConstraint("corp_id", "userid", "external_userid"),
        CheckConstraint("(ended_at is null) = (ended_by = '')", name="ended"),
        CheckConstraint("ended_by in ('', 'staff', 'customer', 'transfer')", name="ended_by"),
        CheckConstraint("stint >= 1", name="stint"),
        Index(None, "person_id"),
        Index(None, "corp_id", "external_userid"),
        Index(None, "way_id"),
    )

    id: Mapped[RowId]
    corp_id: Mapped[str]
    userid: Mapped[str]
    external_userid: Mapped[str]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    account: Mapped[str]
    way_id: Mapped[int | None] = mapped_column(ForeignKey("contact_way.id"))
    state: Mapped[str] = mapped_column(server_default="")
    stint: Mapped[int] = mapped_column(server_default="1")
    half: Mapped[bool] = mapped_column(server_default="false")
    since: Mapped[datetime]
    added_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str] = mapped_column(server_default="")
    transfer_fault: Mapped[str] = mapped_column(server_default="")
    arrival: Mapped[dict[str, Any] | None]
    welcome: Mapped[str] = mapped_column(server_default="")
    welcomed_at: Mapped[datetime | None]


class ContactTag(Base):
    """A tag that a customer should carry at an employee, or (``wanted`` False) should not, and what became of it.

    ``value``: the sharer's person, the category, or the key of one of our own tags. ``name`` as it stands in WeCom, ''
    before it was written there. ``turn`` counts how often it was wanted otherwise or anew.
    """

    __tablename__ = "contact_tag"
    __table_args__ = (
        CheckConstraint("kind in ('sharer', 'interest', 'insight')", name="kind"),
        CheckConstraint("state in ('waiting', 'done', 'refused')", name="state"),
        CheckConstraint("(state = 'refused') = (reason <> '')", name="reason"),
    )

    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(server_default="")
    wanted: Mapped[bool]
    state: Mapped[str] = mapped_column(server_default="waiting")
    turn: Mapped[int] = mapped_column(server_default="1")
    reason: Mapped[str] = mapped_column(server_default="")
    changed_at: Mapped[datetime]


class CorpTag(Base):
    """A tag of the corp that we have met or made."""

    __tablename__ = "corp_tag"

    corp_id: Mapped[str] = mapped_column(primary_key=True)
    group_name: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    tag_id: Mapped[str]
    known_at: Mapped[datetime]
