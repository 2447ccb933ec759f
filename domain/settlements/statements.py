"""A person's month in money, from postings alone: opening + earned - taken back - tax - paid (+ other) = closing.

To which month a booking belongs never changes: it is the month in which it happened, unless that was closed already
when it was booked; then it is the first month that was still open. So a closed month's statement stands for good, and
each closing balance is the next opening balance.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.ledger.queries import ORDER, ORDER_BEHIND
from domain.settlements.queries import State, state_of
from domain.settlements.rules import Month
from domain.shared.records import record

Part = Literal["earned", "taken_back", "tax", "paid", "other"]

# What a person owns grows with what comes in from others' accounts and shrinks with what goes out to them; what moves
# among the own ones (released, asked to be paid out) changes nothing.
_MINE = """
    with mine as (
        select p.journal_id, p.n, p.amount as fen, o.kind as other, o.owner_id as other_owner
          from account a join posting p on p.credit = a.id join account o on o.id = p.debit
         where a.owner_id = :person and a.currency = 'CNY' and p.credit >= 1000
           and o.owner_id is distinct from a.owner_id
        union all
        select p.journal_id, p.n, -p.amount, o.kind, o.owner_id
          from account a join posting p on p.debit = a.id join account o on o.id = p.credit
         where a.owner_id = :person and a.currency = 'CNY' and p.debit >= 1000
           and o.owner_id is distinct from a.owner_id
    ), dated as (
        select m.*, j.kind, j.effective_at, j.posted_at, j.source_type, j.source_id, j.label,
               greatest(shop_month(j.effective_at), (
                   select (max(c.month) + interval '1 month')::date from month_close c where c.upto_journal < j.id
               )) as month
          from mine m join journal j on j.id = m.journal_id
    )
"""

_LINES = text(_MINE + f"""
    select d.*, {ORDER} as order_label from dated d join journal j on j.id = d.journal_id {ORDER_BEHIND}
     where d.month = :month order by d.effective_at, d.journal_id, d.n
""")  # noqa: S608 - constants
_BEFORE = text(_MINE + "select coalesce(sum(fen), 0)::bigint from dated where month < :month")  # noqa: S608
_MONTHS = text(_MINE + "select distinct month from dated order by month desc limit :most")  # noqa: S608


@record
class Line:
    """One movement: ``fen`` is signed, ``reason`` the journal's kind. ``order`` is ``channel/number`` where an order
    caused it; ``label`` names the cause where it is none, or more than that: a closed month, a withdrawal, a reward
    that an order opened. ``late``: it happened in an earlier month
    that was closed already."""

    at: datetime
    booked_at: datetime
    part: Part
    reason: str
    fen: int
    order: str
    label: str
    late: bool

    @property
    def cause(self) -> str:
        """What its owner knows the cause by: the label, and the number of the order as it stands in the shop."""
        return " ".join(filter(None, (self.label, self.order.partition("/")[2])))


@record
class Statement:
    """All sums in fen; ``taken_back``, ``tax`` and ``paid`` are what went out, positive. ``other``: merged accounts,
    debts written off. ``final``: the month is closed, nothing will be added."""

    month: str
    state: State
    opening_fen: int
    earned_fen: int
    taken_back_fen: int
    tax_fen: int
    paid_fen: int
    other_fen: int
    closing_fen: int
    lines: tuple[Line, ...]

    @property
    def final(self) -> bool:
        return self.state == "closed"

    @property
    def empty(self) -> bool:
        """Nothing happened and nothing was there."""
        return not self.lines and not self.opening_fen


def statement(session: Session, person_id: int, month: Month) -> Statement:
    """Somebody's statement of ``month``; for a running one, as of now."""
    asked = {"person": person_id, "month": month.first}
    opening = session.execute(_BEFORE, asked).scalar_one()
    lines = tuple(
        Line(row.effective_at, row.posted_at, _part(row.fen, row.other, row.other_owner), row.kind, row.fen,
             row.order_label, row.label if row.source_type != "order" else "",
             Month.of(row.effective_at).first < month.first)
        for row in session.execute(_LINES, asked)
    )
    sums = {part: sum(line.fen for line in lines if line.part == part) for part in
            ("earned", "taken_back", "tax", "paid", "other")}
    return Statement(
        str(month), state_of(session, month)[0], opening, sums["earned"], -sums["taken_back"], -sums["tax"],
        -sums["paid"], sums["other"], opening + sum(line.fen for line in lines), lines,
    )


def months_of(session: Session, person_id: int, most: int = 24) -> Sequence[Month]:
    """The months in which somebody's money moved, the newest first."""
    return [Month(first) for first in session.scalars(_MONTHS, {"person": person_id, "most": most})]


def _part(fen: int, other: str, other_owner: int | None) -> Part:
    """What a movement is for its owner, by the account on the other side."""
    if other_owner is not None:
        return "other"
    if other.startswith("expense."):
        return "earned" if fen > 0 else "taken_back"
    return "tax" if other in ("tax.payable", "tax.incidental") else "paid" if other.startswith("clearing.") else "other"
