"""Fewer and cheaper round trips for the hottest transactions: what one waits for anyway travels together.

Booking one order is two short statements; beside them the driver waits for BEGIN and for COMMIT. Sent along with the
statements (libpq's pipeline), they cost no wait of their own: two trips an order instead of four. And a short statement
costs three times as much CPU on its way through SQLAlchemy as in the driver, and three times as much there as in libpq
(``domain.shared.wire``): the few that every message asks go through here. Everything else speaks to it as usual.
"""

from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from domain.shared import wire
from domain.shared.late import LateSession
from domain.shared.records import record


@record
class Closing:
    """The last statement of a transaction: it only has to be sent, and to succeed. ``sql`` in the driver's style."""

    sql: str
    values: wire.Values


def opening(session: Session, sql: str, values: wire.Values) -> Any:
    """The one value that the first statement of a transaction gives; it travels with BEGIN. Raises DBAPIError."""
    found, = together(session, (sql, values))
    return found[0][0] if found else None


def document(session: Session, sql: str, values: wire.Values) -> bytes | None:
    """As ``opening``, of JSON: the text as it came, in UTF-8."""
    driver = _ready(session)
    try:
        return wire.document(driver, (sql, values))
    except psycopg.Error as fault:
        raise _known(session, sql, fault) from fault


def close(session: Session, *closings: Closing) -> None:
    """Send the last statements and COMMIT together; the transaction is over then. Raises DBAPIError: nothing is
    committed, and the session is to be rolled back."""
    driver = _ready(session)
    try:
        wire.close(driver, *[(closing.sql, closing.values) for closing in closings])
    except psycopg.Error as fault:
        raise _known(session, closings[0].sql, fault) from fault
    if _bare(session) is None:
        session.commit()


def ending(session: Session, sql: str, values: wire.Values) -> list[Any]:
    """As ``rows``, of the last statement of a transaction, which is over then: COMMIT travels along."""
    found, = together(session, (sql, values), commit=True)
    if _bare(session) is None:
        session.commit()
    return found


def rows(session: Session, sql: str, values: wire.Values) -> list[Any]:
    """The rows of a statement by the names of their columns; ``sql`` in the driver's style. Raises DBAPIError."""
    found, = together(session, (sql, values))
    return found


def together(session: Session, *questions: wire.Question, commit: bool = False) -> list[list[Any]]:
    """The rows of several statements that travel together, and with ``commit`` the COMMIT behind them. Raises
    DBAPIError as SQLAlchemy would: OperationalError for a database that is away, and so on."""
    bare = _bare(session)
    if bare is not None and not commit and (foreseen := bare.answered(questions)) is not None:
        return foreseen
    driver = _ready(session)
    try:
        return wire.ask(driver, *questions, commit=commit)
    except psycopg.Error as fault:
        raise _known(session, questions[0][0], fault) from fault


def foreseeing(
    session: Session, questions: Sequence[wire.Question], probable: Sequence[wire.Question]
) -> list[list[Any]]:
    """The rows of each of ``questions``. What will probably be asked next travels along: whoever asks just that next,
    and nothing before, has the answers at once. Raises DBAPIError."""
    bare = _bare(session)
    if bare is None:
        return together(session, *questions)
    found = together(session, *questions, *probable)
    bare.foresee(probable, found[len(questions):])
    return found[:len(questions)]


def _bare(session: Session) -> LateSession | None:
    """A session that is not made yet, and need not be for what goes through here; None for any other."""
    return session if isinstance(session, LateSession) and not session.is_made else None


def _ready(session: Session) -> psycopg.Connection[Any]:
    """The connection, with everything sent that the session holds. What was foreseen is forgotten."""
    bare = _bare(session)
    if bare is not None:
        bare.forget()
        return bare.driver
    session.flush()
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    return connection


def _known(session: Session, sql: str, fault: psycopg.Error) -> DBAPIError:
    """The fault as SQLAlchemy would raise it; a connection that broke is given to nobody again. What was asked stays
    out of it, as the house hides parameters everywhere."""
    connection = session.connection()
    broken = connection.dialect.is_disconnect(fault, connection.connection.driver_connection, None)  # type: ignore[arg-type]
    if broken:
        connection.invalidate(fault)
    known = DBAPIError.instance(sql, None, fault, psycopg.Error, hide_parameters=True, connection_invalidated=broken,
                                dialect=connection.dialect)
    assert isinstance(known, DBAPIError)
    return known
