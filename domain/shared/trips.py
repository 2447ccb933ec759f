"""Fewer and cheaper round trips for the hottest transactions: what one waits for anyway travels together.

Booking one order is two short statements; beside them the driver waits for BEGIN and for COMMIT. Sent along with the
statements (libpq's pipeline), they cost no wait of their own: two trips an order instead of four. And a short statement
costs three times as much CPU on its way through SQLAlchemy as in the driver: the few that every message asks go through
``rows`` (answering 佣金 takes 0.55 of the CPU then). Everything else speaks to it through SQLAlchemy as usual.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Closing:
    """The last statement of a transaction: it only has to be sent, and to succeed. ``sql`` in the driver's style."""

    sql: str
    values: Mapping[str, Any]


def opening(session: Session, sql: str, values: Mapping[str, Any]) -> Any:
    """The one value that the first statement of a transaction gives; it travels with BEGIN. Raises DBAPIError."""
    connection = _driver(session)
    try:
        with connection.pipeline():
            answer = connection.execute(sql.encode(), values, prepare=True)
        row = answer.fetchone()
    except psycopg.Error as fault:
        raise _as_always(sql, fault, connection) from fault
    return row[0] if row else None


def close(session: Session, closing: Closing) -> None:
    """Send the last statement and COMMIT together; the transaction is over then. Raises DBAPIError: nothing is
    committed, and the session is to be rolled back."""
    connection = _driver(session)
    try:
        with connection.pipeline():
            connection.execute(closing.sql.encode(), closing.values, prepare=True)
            connection.commit()
    except psycopg.Error as fault:
        raise _as_always(closing.sql, fault, connection) from fault
    session.commit()


def rows(session: Session, sql: str, values: Mapping[str, Any] | Sequence[Any]) -> list[Any]:
    """The rows of a statement by the names of their columns; ``sql`` in the driver's style. Raises DBAPIError."""
    session.flush()
    try:
        with _driver(session).cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(sql.encode(), values, prepare=True).fetchall()
    except psycopg.Error as fault:
        raise _known(session, sql, fault) from fault


def _driver(session: Session) -> psycopg.Connection[Any]:
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    return connection


def _known(session: Session, sql: str, fault: psycopg.Error) -> DBAPIError:
    """The fault as SQLAlchemy would raise it; a connection that broke is given to nobody again."""
    connection = session.connection()
    broken = connection.dialect.is_disconnect(fault, connection.connection.driver_connection, None)  # type: ignore[arg-type]
    if broken:
        connection.invalidate(fault)
    known = DBAPIError.instance(sql, None, fault, psycopg.Error, hide_parameters=True, connection_invalidated=broken,
                                dialect=connection.dialect)
    assert isinstance(known, DBAPIError)
    return known


def _as_always(sql: str, fault: psycopg.Error, connection: psycopg.Connection[Any]) -> DBAPIError:
    """The fault as SQLAlchemy raises it: OperationalError for a database that is away, and so on. What was asked stays
    out of it, as the house hides parameters everywhere."""
    told = DBAPIError.instance(sql, None, fault, psycopg.Error, hide_parameters=True,
                               connection_invalidated=connection.closed)
    assert isinstance(told, DBAPIError)
    return told
