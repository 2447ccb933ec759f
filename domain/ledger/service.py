"""Booking and checking: the only doors through which money moves. Never commits."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from domain.ledger import asking
from domain.ledger.asking import EVERYTHING
from domain.ledger.invariants import INVARIANTS
from domain.ledger.rules import Entry, Move, Purse, Side, owing, purses, written
from domain.shared import outbox
from domain.shared.errors import Conflict, DomainError
from domain.shared.late import Transactions
from domain.shared.outbox import Effect
from domain.shared.records import record

T = TypeVar("T")

_POST = text("select ledger_post(:at, cast(:journals as new_journal[]), cast(:postings as new_posting[]))")

TRY_AGAIN = ("40001", "40P01")
"""Serialisation failure and deadlock: nothing was refused, the work only has to be done again."""
MERGED = "HT410"
"""Somebody was merged away since they were read: whoever reads again finds the one who was kept."""


def post(session: Session, entries: Sequence[Entry], now: datetime) -> int:
    """Book ``entries`` in one call, all or none; returns how many were new.

    Raises DomainError("insufficient") when a balance would fall under its floor, DomainError("account_frozen") when a
    frozen person would withdraw, Conflict("journal_conflict") when a key is booked with other content. The transaction
    can go on after none of them: roll back, or use a savepoint.
    """
    if not entries:
        return 0
    journals, postings = written(entries)
    asked = {"at": now, "journals": journals, "postings": postings}
    try:
        booked = int(session.execute(_POST, asked).scalar_one())
    except DBAPIError as fault:
        raise refusal(fault) from fault
    outbox.put(session, owed(entries), now)
    return booked


def owed(entries: Sequence[Entry]) -> list[Effect]:
    """The facts ``debt.made``, once each: somebody owes the shop now. Put them where the entries are booked."""
    return [Effect("fact", "debt.made", f"debt.made:{idem}:{owner}", owner) for idem, owner in owing(entries)]


def lock(session: Session, owners: Sequence[int]) -> dict[int, Purse]:
    """Lock the spendable balances of ``owners`` in account order until the transaction ends. Whoever was merged away
    is refused by the database (``merged_meanwhile``)."""
    if not owners:
        return {}
    rows = session.execute(text("select * from ledger_lock(:owners)"), {"owners": sorted(set(owners))})
    return purses({(owner, kind): amount for owner, kind, amount in rows})


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part: every balance of ``gone`` goes over to ``kept`` in one journal, and their accounts cease. Money
    being withdrawn goes along only after it has arrived: raises DomainError("withdrawal_open") while something is held.

    Can be done again, for what was left behind before accounts could cease."""
    session.execute(text(
        "select 1 from account a join balance b on b.account_id = a.id"
        " where a.owner_id in (:kept, :gone) order by b.account_id for update of b"
    ), {"kept": kept_id, "gone": gone_id})
    held = session.execute(text(
        "select a.kind, a.currency, a.normal, b.amount from account a join balance b on b.account_id = a.id"
        " where a.owner_id = :gone and b.amount > 0 order by a.id"
    ), {"gone": gone_id}).all()
    if any(kind == "held" for kind, *_ in held):
        raise DomainError("withdrawal_open", person_id=gone_id)
    moves = [
        Move(Side(gone_id, kind), Side(kept_id, kind), amount, currency) if normal == "credit"
        else Move(Side(kept_id, kind), Side(gone_id, kind), amount, currency)
        for kind, currency, normal, amount in held
    ]
    if moves:
        post(session, [Entry(_merge_key(session, kept_id, gone_id), "people.merged", now, "merge", gone_id, "",
                             tuple(moves))], now)
    session.execute(text("update balance b set ceased = true from account a"
                         " where a.id = b.account_id and a.owner_id = :gone and not b.ceased"), {"gone": gone_id})
    return {"moves": len(moves)}


def _merge_key(session: Session, kept_id: int, gone_id: int) -> str:
    """The first journal of two people's merge, or that of what was found with ``gone`` afterwards, by its number."""
    before = session.scalar(text("select count(*) from journal where source_type = 'merge' and source_id = :gone"),
                            {"gone": gone_id})
    return f"merge:{gone_id}:{kept_id}" + (f":again:{before}" if before else "")


def refusal(fault: DBAPIError) -> Exception:
    """The domain's word for a refusal of the database; anything unknown stays what it is."""
    state = getattr(fault.orig, "sqlstate", None)
    constraint = getattr(getattr(fault.orig, "diag", None), "constraint_name", None)
    if state == "23514" and constraint == "ck_balance_floor":
        return DomainError("insufficient")
    if state == "HT423":
        return DomainError("account_frozen")
    if state == "HT409":
        return Conflict("journal_conflict", detail=str(fault.orig).splitlines()[0])
    return fault


def try_again(fault: BaseException) -> bool:
    """Whether a fault only asks for the transaction to be run once more."""
    return isinstance(fault, DBAPIError) and getattr(fault.orig, "sqlstate", None) in TRY_AGAIN


def merged_meanwhile(fault: BaseException) -> bool:
    """Whether the database refused to write for somebody who was merged away: reading again may mend it."""
    if not isinstance(fault, DBAPIError):
        return False
    if getattr(fault.orig, "sqlstate", None) == MERGED:
        return True
    return getattr(getattr(fault.orig, "diag", None), "constraint_name", None) == "ck_balance_ceased"


def retrying(factory: Transactions, work: Callable[[Session], T], attempts: int = 5) -> T:
    """Run ``work`` in a transaction of its own and commit; deadlocks, serialisation failures and people who were
    merged away meanwhile run it again."""
    for attempt in range(1, attempts + 1):
        try:
            with factory.begin() as session:
                return work(session)
        except DBAPIError as fault:
            if not (try_again(fault) or merged_meanwhile(fault)) or attempt == attempts:
                raise
        time.sleep(0.01 * 2**attempt)
    raise AssertionError("unreachable")


@record
class CheckReport:
    """What a full check found. ``entries`` counts postings; ``faults`` are sentences for the operator."""

    balanced: bool
    accounts: int
    entries: int
    checked_at: datetime
    faults: tuple[str, ...]


def check(session: Session) -> CheckReport:
    """Ask every invariant of the whole ledger: balances and postings, deals and journals, refunds and their lines, …

    Pairs balance by construction; this finds what was changed behind the functions' back.
    ``checked_at`` is the database's own time.
    """
    faults = tuple(fault.sentence for one in INVARIANTS for fault in asking.faults(session, one, EVERYTHING))
    accounts, entries, at = session.execute(
        text("select (select count(*) from account), (select count(*) from posting), clock_timestamp()")
    ).one()
    return CheckReport(not faults, accounts, entries, at, faults)
