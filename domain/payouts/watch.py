"""What is watched about payments on their way: open bills by what is wrong with them. Reads only.

A bill that has ended and was contradicted is watched for as long as payouts are stopped for it.

Everything follows from the bills' own columns, so what is watched cannot disagree with the books. ``/metrics``, the
doctor and ``payouts status`` read here.
"""

from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from domain.payouts import rules
from domain.shared.records import record

Trouble = Literal["contradiction", "config", "refused", "no_money", "frozen", "blind", "overdue", "slow", "unheard"]
TROUBLES: tuple[Trouble, ...] = ("contradiction", "config", "refused", "no_money", "frozen", "blind", "overdue", "slow",
                                 "unheard")
"""The worst first. A bill counts once, for the first that holds."""

SLOW = timedelta(hours=26)
"""The provider closes what nobody confirms after 24 hours, and lags; a bill that is older should have ended."""
UNHEARD = timedelta(minutes=15)
"""A call whose end nobody knows is asked about a minute later; after this, nobody asks."""

KINDS = """
    select case when b.fault like 'config: %' then 'config' when b.fault like 'refused: %' then 'refused'
                when b.fault in ('no_money', 'frozen') then b.fault when b.fault like 'blind%' then 'blind'
                when b.fault = 'overdue' then 'overdue' when b.fault <> '' then 'contradiction'
                when coalesce(b.first_called_at, b.made_at) <= :overdue then 'overdue'
                when coalesce(b.first_called_at, b.made_at) <= :slow then 'slow'
                when b.in_doubt and b.called_at <= :unheard then 'unheard' else '' end as trouble,
           b.out_bill_no, b.state, b.fault, b.amount_fen, b.made_at, w.no, w.account
      from transfer_bill b join withdrawal w on w.id = b.withdrawal_id
     where b.state not in ('SUCCESS', 'FAIL', 'CANCELLED', 'dropped')
"""
_WATCHED = text(f"""
    select account, trouble, count(*) as bills, sum(amount_fen)::bigint as fen, min(made_at) as since,
           (array_agg(no order by made_at))[1] as no, (array_agg(fault order by made_at))[1] as fault
      from ({KINDS}) k where trouble <> '' group by account, trouble
    union all
    select w.account, 'contradiction', count(*), sum(b.amount_fen)::bigint, min(b.made_at),
           (array_agg(w.no order by b.made_at))[1], (array_agg(b.fault order by b.made_at))[1]
      from transfer_bill b join withdrawal w on w.id = b.withdrawal_id
     where b.fault <> '' and b.state in ('SUCCESS', 'FAIL', 'CANCELLED', 'dropped')
       and exists (select from payout_switch where stopped_at is not null) group by w.account
""")  # noqa: S608 - constants


@record
class Watched:
    """Bills of a merchant account with the same trouble. ``no`` is the withdrawal of the oldest, ``fault`` what is
    noted at it, ``since`` when it was made."""

    account: str
    trouble: Trouble
    bills: int
    fen: int
    since: datetime
    no: str
    fault: str


def limits(now: datetime) -> dict[str, datetime]:
    """The moments that KINDS compares with."""
    return {"overdue": now - rules.OVERDUE, "slow": now - SLOW, "unheard": now - UNHEARD}


def watched(session: Session, now: datetime) -> list[Watched]:
    """What is wrong with payments now, the worst first; [] when all is well. A few rows, whatever the history."""
    found: dict[tuple[str, str], Watched] = {}
    for row in session.execute(_WATCHED, limits(now)):
        key = (row.account, row.trouble)
        found[key] = _added(found.get(key), row)
    return sorted(found.values(), key=lambda one: (TROUBLES.index(one.trouble), one.account))


def _added(before: Watched | None, row: Row[Any]) -> Watched:
    now = Watched(row.account, row.trouble, row.bills, row.fen, row.since, row.no, row.fault)
    if before is None:
        return now
    older = min(before, now, key=lambda one: one.since)
    return Watched(now.account, now.trouble, before.bills + now.bills, before.fen + now.fen, older.since, older.no,
                   older.fault)
