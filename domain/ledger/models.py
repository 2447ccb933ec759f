"""Tables of the ledger: accounts, journals of pair postings, guarded balances.

Only ``ledger_write`` (migration 0047) writes them; triggers refuse change, deletion and truncation.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class Account(Base):
    """Whose money of which kind. ``normal`` is the side that makes it grow; the platform's ids are below 1000."""

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint("owner_id", "kind", "currency", postgresql_nulls_not_distinct=True),
        UniqueConstraint("id", "currency"),
        Index("ix_account_key", text("coalesce(owner_id, 0)"), "kind", "currency"),
        CheckConstraint("currency in ('CNY', 'PTS')", name="currency"),
        CheckConstraint("normal in ('credit', 'debit')", name="normal"),
        CheckConstraint("(owner_id is null) = (id < 1000)", name="platform"),
    )

    id: Mapped[int] = mapped_column(Identity(start=1000), primary_key=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str]
    currency: Mapped[str]
    normal: Mapped[str]
    opened_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Journal(Base):
    """One business fact in money. ``idem`` is made of the fact, ``digest`` of what it says.

    ``effective_at`` is when it happened, ``posted_at`` when we booked it. ``source_type``/``source_id``/``label``
    name the cause: ``order``, 17, ``mall/A1001``.
    """

    __tablename__ = "journal"
    __table_args__ = (
        CheckConstraint("reverses is null or resolves is null", name="one_target"),
        Index("uq_journal_reverses", "reverses", unique=True, postgresql_where=text("reverses is not null")),
        Index("ix_journal_confiscated", "source_id", postgresql_where=text("kind = 'commission.confiscated'")),
        Index("ix_journal_source", "source_type", "source_id", postgresql_where=text("source_type <> 'order'")),
        Index("uq_journal_resolves", "resolves", unique=True, postgresql_where=text("resolves is not null")),
    )

    id: Mapped[RowId]
    idem: Mapped[str] = mapped_column(unique=True)
    digest: Mapped[str]
    kind: Mapped[str]
    effective_at: Mapped[datetime]
    posted_at: Mapped[datetime]
    source_type: Mapped[str]
    source_id: Mapped[int]
    label: Mapped[str] = mapped_column(server_default="")
    actor: Mapped[str] = mapped_column(server_default="")
    reverses: Mapped[int | None] = mapped_column(ForeignKey("journal.id"))
    resolves: Mapped[int | None] = mapped_column(ForeignKey("journal.id"))


class BooksCheck(Base):
    """Where the standing check of the books is: ``recent`` by journal ids (again from ``previous``, now at ``place``,
    until ``target``), ``full`` by invariant (``step``) and id (``place``). Times are the database's own."""

    __tablename__ = "books_check"
    __table_args__ = (CheckConstraint("kind in ('recent', 'full')", name="kind"),)

    kind: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(server_default="0")
    place: Mapped[int] = mapped_column(server_default="0")
    target: Mapped[int] = mapped_column(server_default="0")
    previous: Mapped[int] = mapped_column(server_default="0")
    since: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    ended_at: Mapped[datetime | None]


class BooksFault(Base):
    """Something that broke an invariant; open until a later look finds it whole again."""

    __tablename__ = "books_fault"
    __table_args__ = (
        Index("uq_books_fault_open", "invariant", "subject_id", unique=True,
              postgresql_where=text("cleared_at is null")),
    )

    id: Mapped[RowId]
    invariant: Mapped[str]
    subject_id: Mapped[int]
    sentence: Mapped[str]
    found_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    seen_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    cleared_at: Mapped[datetime | None]


class Posting(Base):
    """``amount`` > 0 smallest units from ``debit`` to ``credit``: a pair, so nothing can be unbalanced."""

    __tablename__ = "posting"
    __table_args__ = (
        ForeignKeyConstraint(["debit", "currency"], ["account.id", "account.currency"]),
        ForeignKeyConstraint(["credit", "currency"], ["account.id", "account.currency"]),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("debit <> credit", name="two_sides"),
        Index("ix_posting_debit", "debit", "journal_id", postgresql_where=text("debit >= 1000")),
        Index("ix_posting_credit", "credit", "journal_id", postgresql_where=text("credit >= 1000")),
    )

    journal_id: Mapped[int] = mapped_column(ForeignKey("journal.id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    debit: Mapped[int]
    credit: Mapped[int]
    currency: Mapped[str]
    amount: Mapped[int]


class Balance(Base):
    """What a person's account holds now, never under ``floor``; ``seq`` grows with every batch that touched it.

    ``ceased``: the owner was merged into somebody, and nothing is booked here any more (docs/adr/0058).
    """

    __tablename__ = "balance"
    __table_args__ = (
        CheckConstraint("amount >= floor", name="floor"), CheckConstraint("not ceased or amount = 0", name="ceased"),
    )

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    amount: Mapped[int] = mapped_column(server_default="0")
    floor: Mapped[int] = mapped_column(server_default="0")
    seq: Mapped[int] = mapped_column(server_default="0")
    ceased: Mapped[bool] = mapped_column(server_default="false")


class AccountHold(Base):
    """Somebody is frozen from ``since`` until ``lifted_at``: new commission waits, nothing is let go or paid out.

    ``cause`` names why, as in ``case:12``. The database refuses withdrawals and releases meanwhile.
    """

    __tablename__ = "account_hold"
    __table_args__ = (
        CheckConstraint("cause <> ''", name="cause"),
        CheckConstraint("lifted_at >= since", name="lifted"),
        Index("uq_account_hold_active", "person_id", unique=True, postgresql_where=text("lifted_at is null")),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    cause: Mapped[str]
    since: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
