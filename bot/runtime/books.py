"""Whether the books add up and the log of acts is whole, as findings of the doctor. Reads only."""

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from bot.runtime.findings import Finding
from domain.audit import seals
from domain.audit.rules import SealKey
from domain.ledger import books

LONG_OPEN = timedelta(minutes=10)
PATIENCE = "set local statement_timeout = '60s'"


def findings(session: Session, key: SealKey) -> Iterator[Finding]:
    """The books as the standing checks left them, and the log's chain computed again."""
    state = books.state(session)
    if state.faults:
        yield Finding("books", "red", f"{len(state.faults)} faults, the first: {state.faults[0].sentence}",
                      "python -m bot ledger check; stop payouts until they are explained")
    elif state.stale:
        yield Finding("books", "yellow", "nobody has checked them for too long",
                      "check that a slow worker and the clock run; see books.recent and books.full in table chore")
    elif state.recent_at is None:
        yield Finding("books", "green", "not checked yet: the first check comes with the first slow worker")
    else:
        minutes = int((state.now - state.recent_at).total_seconds() // 60)
        yield Finding("books", "green", f"add up, checked {minutes} minutes ago")
    yield _log(session, key, state)


def _log(session: Session, key: SealKey, state: books.BooksState) -> Finding:
    session.execute(text(PATIENCE))
    report = seals.verify(session, key)
    if not report.sound:
        first = report.faults[0]
        where = f"row {first.event_id} " if first.event_id else ""
        return Finding("log of acts", "red", f"{where}{first.what}",
                       "python -m bot audit verify; keep the database as it is and ask who could write to it")
    if report.open_since and state.now - report.open_since > LONG_OPEN:
        return Finding("log of acts", "yellow", f"{report.unsealed} rows wait for their seal",
                       "check that a slow worker and the clock run")
    return Finding("log of acts", "green", f"whole, {report.sealed} rows sealed, head {report.head.event_id}:"
                                           f"{report.head.digest[:16]}…")
