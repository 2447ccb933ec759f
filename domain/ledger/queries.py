"""Reading the ledger: a person's wallet and statement."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from domain.shared import trips, wire
from domain.shared.clock import business_date
from domain.shared.records import record

# Of several people at once; each row begins with the person.
_WALLET = """
    select a.owner_id as person, a.kind, b.amount, null::timestamptz as at
      from account a join balance b on b.account_id = a.id
     where a.owner_id = any (%(people)s::bigint[]) and a.currency in ('CNY', 'PTS')
    union all
    select me.person, 'paid', sum(p.amount)::bigint, null
      from (select id as person, id from unnest(%(people)s::bigint[]) as one (id)
            union all select merged_into, id from person where merged_into = any (%(people)s::bigint[])) me
      join account a on a.owner_id = me.id and a.kind = 'held' and a.currency = 'CNY'
      join posting p on p.debit = a.id and p.credit < 1000
     group by me.person
    union all
    (select distinct on (person) person, 'next', sum(fen)::bigint, at from (
        select c.beneficiary_id as person, c.amount_fen - c.clawed_fen as fen, c.release_at as at from commission_line c
         where c.beneficiary_id = any (%(people)s::bigint[]) and c.released_at is null and c.release_at is not null
           and c.held_at is null
        union all
        select s.person_id, s.held_fen, s.release_at from settlement s
         where s.person_id = any (%(people)s::bigint[]) and s.held_fen > 0) coming
      group by person, at order by person, at)
"""

# The order behind a journal ``j``: its own, or the one that opened a reward. A reward that was taken back may have been
# opened again, its ``turn``, by another order; the order of an earlier turn is the one whose payment it is dated on.
ORDER_BEHIND = """
      left join reward w on j.source_type = 'reward' and w.id = j.source_id
      left join lateral (
        select case when split_part(j.idem, ':', 3) = w.turn::text then w.order_id else (
            select case when count(*) = 1 then min(c.id) end
              from journal e join customer_order c on c.buyer_id = w.buyer_id and c.paid_at = e.effective_at
             where e.idem = format('reward:%s:%s:earned', w.id, split_part(j.idem, ':', 3))) end as id) opener on true
      left join customer_order b on b.id = opener.id
"""
ORDER = """case when j.source_type = 'order' then j.label else coalesce(b.channel || '/' || b.order_no, '') end"""
"""``channel/number`` of what ``ORDER_BEHIND`` found, '' for none."""

_STATEMENT = text(f"""
    select p.journal_id, p.n, p.side, p.kind, p.amount, p.other_kind, p.within, j.kind as reason, j.effective_at,
           j.posted_at, j.source_type, j.source_id, j.label, j.idem, p.currency, {ORDER} as order_label
      from (
        select p.journal_id, p.n, 'in' as side, a.kind, p.amount, o.kind as other_kind, p.currency, false as within
          from account a join posting p on p.credit = a.id join account o on o.id = p.debit
         where a.owner_id = :person and p.credit >= 1000 and p.journal_id <= :upto and (:points or a.currency = 'CNY')
           and (o.owner_id is distinct from a.owner_id)
        union all
        select p.journal_id, p.n, 'out', a.kind, p.amount, o.kind, p.currency,
               o.owner_id is not distinct from a.owner_id
          from account a join posting p on p.debit = a.id join account o on o.id = p.credit
         where a.owner_id = :person and p.debit >= 1000 and p.journal_id <= :upto and (:points or a.currency = 'CNY')
         order by journal_id desc, n desc, side limit :most
      ) p join journal j on j.id = p.journal_id {ORDER_BEHIND}
     order by p.journal_id desc, p.n desc, p.side
""")  # noqa: S608 - two constants

_FROZEN = text("select person_id from account_hold where person_id = any (:people) and lifted_at is null")

_HELD_AND_OWED = text("""
    select a.owner_id, coalesce(sum(b.amount) filter (where a.kind = 'held'), 0)::bigint as held,
           coalesce(sum(b.amount) filter (where a.kind = 'debt'), 0)::bigint as debt
      from account a join balance b on b.account_id = a.id
     where a.owner_id = any (:people) and a.currency = 'CNY' and a.kind in ('held', 'debt') group by a.owner_id""")

AT_THE_CLOSE = ("settlement.ladder", "settlement.team")
BEYOND = 2**62
"""Above every journal id."""
MOST_OF_ONE = 1_000
"""No journal moves more than this many pairs of one person (200 lines at up to 3 levels)."""


@record
class Wallet:
    """A person's money in fen. ``total_earned_fen``: all that was ever earned and not taken back, paid out or not.

    ``next_release``: the day (Shanghai) on which pending money next becomes available, and how much.
    """

    pending_fen: int
    available_fen: int
    frozen_fen: int
    withdrawing_fen: int
    paid_fen: int
    debt_fen: int
    points: int
    total_earned_fen: int
    next_release: tuple[date, int] | None


@record
class StatementLine:
    """One movement of a person's money: from account ``source`` to ``target``, in fen (points for PTS).

    ``change_fen`` is what it did to what the person owns: earned +, taken back or paid out -, moved within 0.
    ``reason`` is the journal's kind (commission.accrued, commission.released, …). ``order`` is ``channel/number`` of
    the order behind it; of a reward for coming back: of the order that opened it, the last of those that carry it.
    ``cause`` names what is behind it otherwise, or as well: ``reward:7``, ``draw:3``, ``withdrawal:W…``; '' if it is
    an order alone.
    """

    id: str
    at: datetime
    booked_at: datetime
    reason: str
    source: str
    target: str
    amount: int
    change: int
    currency: str
    order: str
    source_type: str
    source_id: int
    cause: str = ""
    month: str = ""
    """The closed month (``2026-11``) of what was booked at its close, and is dated on its last moment."""


@record
class StatementPage:
    """Lines, newest first; ``next_cursor`` asks for the rest, None at the end."""

    lines: tuple[StatementLine, ...]
    next_cursor: str | None


def wallet(session: Session, person_id: int) -> Wallet:
    """The wallet in one statement; all zeros for somebody who never had anything. What was paid to accounts that were
    merged into this one counts as paid here."""
    found, = trips.together(session, wallet_question([person_id]))
    return wallet_in(found)


def wallet_question(people: Sequence[int]) -> wire.Question:
    """What ``wallet`` asks, of several people, for whoever asks more along with it. Rows begin with the person; those
    of one go to ``wallet_in``."""
    return _WALLET, {"people": people}


def wallet_in(rows: Iterable[Any]) -> Wallet:
    """The wallet of what ``wallet_question`` found."""
    held: dict[str, int] = {}
    coming: tuple[date, int] | None = None
    for _, kind, amount, at in rows:
        if at is not None:
            coming = (business_date(at), amount)
        else:
            held[kind] = amount
    pending, available, frozen, withdrawing, paid, debt = [
        held.get(kind, 0) for kind in ("pending", "available", "frozen", "held", "paid", "debt")]
    earned = pending + available + frozen + withdrawing + paid - debt
    return Wallet(pending, available, frozen, withdrawing, paid, debt,
                  held.get("points", 0) - held.get("points_debt", 0), earned, coming)


def frozen(session: Session, person_id: int) -> bool:
    """Whether somebody is frozen: nothing is let go to them, and nothing may be paid out.

    Ask first, to say so in good words; whatever happens in between, the database refuses to hold money of a frozen
    person for a withdrawal (``post`` raises DomainError("account_frozen")).
    """
    return bool(frozen_among(session, [person_id]))


def frozen_among(session: Session, person_ids: Iterable[int]) -> set[int]:
    """Those of some people who are frozen."""
    return set(session.scalars(_FROZEN, {"people": sorted(set(person_ids))}))


def under_way(session: Session, debts: Sequence[tuple[int, int]]) -> list[int]:
    """Of each (person, fen) that is about to become a debt, how many fen lie in withdrawals that have not arrived yet
    and will repay it when they are called back. What repays an older debt, or an earlier one of ``debts``, repays none
    of these. To be asked before the debts are posted."""
    if not debts:
        return []
    free = {row.owner_id: row.held - row.debt
            for row in session.execute(_HELD_AND_OWED, {"people": sorted({one for one, _ in debts})})}
    found = []
    for one, fen in debts:
        found.append(max(0, min(fen, free.get(one, 0))))
        free[one] = free.get(one, 0) - fen
    return found


def statement(
    session: Session, person_id: int, cursor: str | None, limit: int, *, points: bool = True
) -> StatementPage:
    """Every movement of a person's money (and ``points``), newest first. ``cursor`` comes from the page before; a
    strange one starts at the top. A page ends with a whole journal, so it may hold a few lines more than ``limit``.
    """
    upto = int(cursor) if cursor and cursor.isdecimal() and len(cursor) < 19 else BEYOND
    rows = session.execute(_STATEMENT, {"person": person_id, "upto": upto, "most": limit + MOST_OF_ONE,
                                        "points": points}).all()
    lines: list[StatementLine] = []
    for row in rows:
        if len(lines) >= limit and row.journal_id != int(lines[-1].id.split(".")[0]):
            return StatementPage(tuple(lines), str(row.journal_id))
        lines.append(_line(row))
    return StatementPage(tuple(lines), None)


def _line(row: Row[Any]) -> StatementLine:
    source, target = (row.other_kind, row.kind) if row.side == "in" else (row.kind, row.other_kind)
    change = row.amount if row.side == "in" else (0 if row.within else -row.amount)
    return StatementLine(
        id=f"{row.journal_id}.{row.n}", at=row.effective_at, booked_at=row.posted_at, reason=row.reason,
        source=source, target=target, amount=row.amount, change=change, currency=row.currency,
        order=row.order_label, source_type=row.source_type, source_id=row.source_id, cause=_cause(row),
        month=row.label if row.reason in AT_THE_CLOSE else "",
    )


def _cause(row: Row[Any]) -> str:
    """What a journal came from, as its own books name it."""
    match row.source_type:
        case "order":
            return ""
        case "grant":
            return str(row.idem).removeprefix("grant:")
        case "withdrawal" | "settlement" | "service" if row.label:
            return f"{row.source_type}:{row.label}"
        case "points":
            return f"points:{row.idem}"
        case kind:
            return f"{kind}:{row.source_id}"
