"""为什么: every movement of somebody's money, explained by where it came from.

What is asked (an amount, an order number, a month, nothing) is looked up among the person's own postings; each journal
names its source, and the source explains itself.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from domain.commissions import queries as commissions
from domain.commissions.queries import LineView, masked
from domain.payouts import queries as payouts
from domain.payouts.queries import WithdrawalView
from domain.rewards.cash import TAKEN
from domain.risk import queries as risk
from domain.risk.queries import Doubt
from domain.settlements import why
from domain.settlements.rules import Month
from domain.settlements.why import MilestoneWhy, MonthWhy, ServiceWhy
from domain.shared.records import record

MOST = 4
"""Things beside commissions that one answer explains: it must fit one message."""


@record
class RewardWhy:
    """A red packet that orders opened: by the ``needed``-th kept order (within ``within_days`` of the first) of the
    person (``friend`` is '') or of somebody they brought (masked)."""

    title: str
    amount_fen: int
    friend: str
    order_no: str
    needed: int
    within_days: int | None
    state: Literal["provisional", "final", "revoked"]
    final_at: datetime | None
    reason: str


@record
class GiftWhy:
    """Money that was given at ``at``, or ``taken`` back then. ``title``: for what, '' when it was not noted."""

    title: str
    amount_fen: int
    at: datetime
    taken: bool = False


@record
class MergeWhy:
    """Another account of the same person was joined to this one."""

    at: datetime


Part = MonthWhy | MilestoneWhy | ServiceWhy | RewardWhy | GiftWhy | WithdrawalView | MergeWhy


@record
class Explained:
    """Commission lines, ``doubts`` about them by line, and everything else. ``month``: that was asked for, or ''."""

    lines: tuple[LineView, ...] = ()
    doubts: dict[int, Doubt] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    month: str = ""

    def __bool__(self) -> bool:
        return bool(self.lines or self.parts)


_MINE = """
    with mine as (
        select p.journal_id, p.amount, 'in' as side, o.kind as other
          from account a join posting p on p.credit = a.id join account o on o.id = p.debit
         where a.owner_id = :person and a.currency = 'CNY' and p.credit >= 1000
        union all
        select p.journal_id, p.amount, 'out', o.kind
          from account a join posting p on p.debit = a.id join account o on o.id = p.credit
         where a.owner_id = :person and a.currency = 'CNY' and p.debit >= 1000
    )
"""

# An amount may be that of one movement, or what a journal moved in all.
_OF_AMOUNT = text(_MINE + """
    select j.kind, j.source_type, j.source_id, j.effective_at, j.label, max(m.amount) as fen
      from mine m join journal j on j.id = m.journal_id group by j.id
    having bool_or(m.amount = :fen) or sum(m.amount) filter (where m.side = 'in') = :fen
        or sum(m.amount) filter (where m.side = 'out') = :fen
     order by j.id desc limit 20
""")  # noqa: S608 - two constants

_NEWEST = text(_MINE + """
    select j.kind, j.source_type, j.source_id, j.effective_at, j.label, m.amount as fen
      from mine m join journal j on j.id = m.journal_id where m.other like 'expense.%' order by j.id desc limit 1
""")  # noqa: S608 - two constants

_IN_MONTH = text(_MINE + """
    select distinct on (j.source_type, j.source_id) j.kind, j.source_type, j.source_id, j.effective_at, j.label,
           m.amount as fen
      from mine m join journal j on j.id = m.journal_id
     where m.other like 'expense.%' and j.source_type not in ('order', 'settlement')
       and j.effective_at >= :since and j.effective_at < :until order by j.source_type, j.source_id, j.id limit 20
""")  # noqa: S608 - two constants

_SETTLED = text("""
    select month, kind from settlement where person_id = :person group by month, kind
    having sum(change_fen) = :fen or bool_or(target_fen = :fen) order by month desc limit 4
""")


def explain(session: Session, person_id: int, needle: str, now: datetime) -> Explained:
    """What ``person_id`` asks about: an order number, an amount (``7.92``, ``-25``), a month (``11月``), or '' for the
    newest money of any kind. Empty when nothing of theirs fits."""
    wanted = unicodedata.normalize("NFKC", needle).strip()
    if not wanted:
        return _newest(session, person_id)
    fen = commissions.fen_of(wanted)
    lines = commissions.explain(session, person_id, wanted)
    if fen is None and not lines:
        month = Month.heard(wanted, now)
        return _in_month(session, person_id, month) if month else Explained()
    if fen is None or any(line.order_no.lower() == wanted.lower() for line in lines):
        return _explained(session, lines, ())
    settled = [(Month(row.month), row.kind) for row in session.execute(_SETTLED, {"person": person_id, "fen": fen})]
    rows = session.execute(_OF_AMOUNT, {"person": person_id, "fen": fen}).all()
    if not lines:
        lines = _lines_of(session, person_id, rows)
    return _explained(session, lines, _parts(session, person_id, rows, settled))


def _newest(session: Session, person_id: int) -> Explained:
    row = session.execute(_NEWEST, {"person": person_id}).first()
    if row is None or row.source_type == "order":
        return _explained(session, commissions.explain(session, person_id, ""), ())
    return _explained(session, [], _parts(session, person_id, [row], []))


def _in_month(session: Session, person_id: int, month: Month) -> Explained:
    asked = {"person": person_id, "since": month.starts_at, "until": month.ends_at}
    rows = session.execute(_IN_MONTH, asked).all()
    parts: list[Part] = [*why.months(session, person_id, month)]
    parts += _parts(session, person_id, rows, [])
    return Explained(parts=tuple(parts[:MOST + 1]), month=str(month))


def _explained(session: Session, lines: list[LineView], parts: Iterable[Part]) -> Explained:
    return Explained(tuple(lines), risk.doubts(session, [line.id for line in lines]), tuple(parts))


def _lines_of(session: Session, person_id: int, rows: Iterable[Row[Any]]) -> list[LineView]:
    """The commission lines of the newest order among journals."""
    label = next((row.label for row in rows if row.source_type == "order"), "")
    return commissions.explain(session, person_id, label.partition("/")[2]) if label else []


def _parts(
    session: Session, person_id: int, rows: Iterable[Row[Any]], settled: list[tuple[Month, str]]
) -> list[Part]:
    """Each source once, the newest first, at most MOST."""
    found: list[Part] = []
    seen: set[tuple[object, ...]] = set()
    for month, kind in settled:
        _once(found, seen, ("settlement", month, kind), _of_month(session, person_id, month, kind))
    for row in rows:
        key: tuple[object, ...] = (row.source_type, row.source_id)
        if row.source_type == "settlement":
            month, kind = why.month_of_settlement(session, row.source_id)
            key = ("settlement", month, kind)
        if key not in seen and len(found) < MOST:
            parts = _of_month(session, person_id, month, kind) if key[0] == "settlement" else _part(session, row)
            _once(found, seen, key, parts)
    return found[:MOST]


def _once(found: list[Part], seen: set[tuple[object, ...]], key: tuple[object, ...], parts: Iterable[Part]) -> None:
    if key not in seen:
        seen.add(key)
        found += parts


def _of_month(session: Session, person_id: int, month: Month, kind: str) -> list[Part]:
    return [one for one in why.months(session, person_id, month) if one.kind == kind]


def _part(session: Session, row: Row[Any]) -> list[Part]:
    match row.source_type:
        case "milestone":
            return [why.milestone(session, row.source_id)]
        case "service":
            return [why.service_act(session, row.source_id)]
        case "reward":
            return [_reward(session, row.source_id)]
        case "grant":
            return [GiftWhy(row.label, row.fen, row.effective_at, row.kind == TAKEN)]
        case "merge":
            return [MergeWhy(row.effective_at)]
        case "withdrawal":
            view = payouts.by_id(session, row.source_id)
            return [view] if view else []
        case _:
            return []


_REWARD = text("""
    select r.*, p.nickname, o.order_no from reward r join person p on p.id = r.buyer_id
      join customer_order o on o.id = r.order_id where r.id = :id
""")


def _reward(session: Session, reward_id: int) -> RewardWhy:
    row = session.execute(_REWARD, {"id": reward_id}).one()
    friend = "" if row.buyer_id == row.person_id else masked(row.nickname)
    return RewardWhy(row.title, row.amount, friend, row.order_no, row.needed, row.within_days, row.state, row.final_at,
                     row.reason)
