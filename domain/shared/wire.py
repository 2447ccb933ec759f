"""The hottest statements straight to libpq: what the driver spends on a cursor, saved; what may travel together does.

A statement through a cursor of psycopg costs 13 µs of CPU on top of its trip, and BEGIN and COMMIT wait for trips of
their own; psycopg's pipeline would save those waits, but costs 60 µs more than they do. Here a connection keeps what a
cursor makes anew (adapters, rows by name, prepared statements), and BEGIN and COMMIT leave in the same packet as their
neighbours. ``domain.shared.trips`` is the door for everybody; faults are psycopg's own.
"""

import re
import select
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any, cast

import psycopg
from psycopg import errors
from psycopg._preparing import PrepareManager
from psycopg.adapt import AdaptersMap, Dumper, PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult
from psycopg.types.numeric import Int8

from domain.shared.rows import Written

Values = Mapping[str, Any] | Sequence[Any]
Question = tuple[str, Values]
"""A statement in the driver's style, and what it asks with."""

_BEGIN: Question = ("begin", ())
_COMMIT: Question = ("commit", ())
_HOLE = re.compile(r"%(?:\((?P<name>\w+)\)s|(?P<next>s)|(?P<percent>%))")
_LINE = "_huitou_line"
"""Where a connection holds what is kept for it. It is held there and nowhere else: it knows the connection, so that in
a book of ours, be its keys ever so weak, neither would ever go."""
# Plain numbers: an enum looks each of its members up by a function.
_ROWS, _SYNC = int(ExecStatus.TUPLES_OK), int(ExecStatus.PIPELINE_SYNC)
_GOOD = (_ROWS, int(ExecStatus.COMMAND_OK))
_IDLE, _WELL = int(TransactionStatus.IDLE), int(ConnStatus.OK)


def ask(connection: psycopg.Connection[Any], *questions: Question, commit: bool = False) -> list[list[Any]]:
    """The rows of each question, by the names of their columns. All travel together; BEGIN goes ahead of them when no
    transaction is open, COMMIT behind them with ``commit``. Raises psycopg.Error, and then the rest was not done."""
    return _line(connection).ask(questions, connection.autocommit, commit)


def document(connection: psycopg.Connection[Any], question: Question) -> bytes | None:
    """As ``ask``, of one value that is a text, in UTF-8 as it came: whoever reads JSON reads it faster from there."""
    result, = _line(connection).results([question], connection.autocommit, commit=False)
    return result.get_value(0, 0) if result.ntuples else None


def close(connection: psycopg.Connection[Any], *questions: Question) -> None:
    """As ``ask`` with ``commit``, of which nobody reads the rows."""
    _line(connection).results(questions, connection.autocommit, commit=True)


def _line(connection: psycopg.Connection[Any]) -> "_Line":
    line: _Line | None = getattr(connection, _LINE, None)
    if line is None:
        line = _Line(connection)
        setattr(connection, _LINE, line)
    return line


class _Kept(PrepareManager):
    """psycopg's own book of prepared statements, which tells when it drops all of the server's (after a rollback, which
    may have undone what they were made for): then ours are gone, too."""

    def __init__(self, known: PrepareManager) -> None:
        self.__dict__.update(known.__dict__)
        self.dropped = 0

    def clear(self) -> bool:
        drops = super().clear()
        self.dropped += drops
        return drops


def _text(one: str) -> bytes:
    return _whole(one.encode())


def _whole(text: bytes) -> bytes:
    """The same. libpq would send only what stands before a NUL. Raises psycopg.DataError."""
    if b"\0" in text:
        raise psycopg.DataError("PostgreSQL's texts cannot hold NUL")
    return text


def _instant(one: datetime) -> bytes:
    """With its zone, as all of the house's have one; psycopg's own way asks each of them, which costs twice as much,
    and a message holds six."""
    return one.isoformat().encode()


def _array(values: list[Any]) -> str:
    """A list as the server's array; its type is the one the statement gives it. psycopg looks for a type that fits all
    elements, which takes ten times as long, and makes another statement of larger numbers. An answer sends ten lists:
    here is no step for each element where all are texts or all are numbers. Raises psycopg.DataError."""
    kinds = set(map(type, values))
    if kinds == _TEXTS:
        return f"{{{_quoted(values)}}}"
    if kinds <= _NUMBERS:
        return f"{{{str(values)[1:-1]}}}".replace("None", "null")
    return f"{{{','.join(['null' if one is None else _quoted([str(one)]) for one in values])}}}"


_TEXTS, _NUMBERS = {str}, {int, bool, type(None)}

_WRITERS: dict[type, Callable[[Any], bytes] | None] = {
    str: _text, Written: _whole, datetime: _instant, int: lambda one: b"%d" % one,
    list: lambda one: _text(_array(one)), bool: lambda one: b"t" if one else b"f", type(None): None,
}
"""What the hottest statements ask with is written here; psycopg's own way looks at each value several times."""


def _quoted(texts: list[str]) -> str:
    """Texts as elements of an array. NUL, which none of them may hold, is between them until all else is marked."""
    together = "\0".join(texts)
    if together.count("\0") >= len(texts):
        raise psycopg.DataError("PostgreSQL's texts cannot hold NUL")
    together = together.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + together.replace("\0", '","') + '"'


class _WrittenDumper(Dumper):
    def dump(self, obj: Written) -> bytes:
        return _whole(obj)


class _InstantDumper(Dumper):
    oid = 1184

    def dump(self, obj: datetime) -> bytes:
        return _instant(obj)


psycopg.adapters.register_dumper(Written, _WrittenDumper)


class _Adapted:
    """What a connection knows of types, and the few that are written faster here."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.adapters = AdaptersMap(connection.adapters)
        self.adapters.register_dumper(datetime, _InstantDumper)


class _Line:
    """A connection with what can be kept from one statement to the next."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._pg = connection.pgconn
        self._encoding = connection.info.encoding
        self._transformer = Transformer(_Adapted(connection))
        self._book = connection._prepared = _Kept(connection._prepared)
        self._dropped = 0
        self._made = 0
        self._prepared: dict[tuple[str, tuple[int, ...]], bytes] = {}
        self._known: dict[tuple[str, tuple[type, ...]], tuple[bytes, list[Callable[[Any], bytes] | None]]] = {}
        self._rows: dict[str, Callable[[Iterable[Any]], Any]] = {}
        self._readable = select.poll()
        self._readable.register(self._pg.socket, select.POLLIN)
        self._either = select.poll()
        self._either.register(self._pg.socket, select.POLLIN | select.POLLOUT)

    def ask(self, questions: Sequence[Question], autocommit: bool, commit: bool) -> list[list[Any]]:
        results = self.results(questions, autocommit, commit)
        return [self._read(sql, result) for (sql, _), result in zip(questions, results, strict=True)]

    def results(self, questions: Sequence[Question], autocommit: bool, commit: bool) -> list[PGresult]:
        """The answers to the questions alone, all of them good."""
        if self._dropped != self._book.dropped:
            self._dropped = self._book.dropped
            self._prepared.clear()
            self._known.clear()
            self._rows.clear()
        begin = not autocommit and self._pg.transaction_status == _IDLE
        asked = [self._ready(sql, values) for sql, values in questions]
        if begin:
            asked.insert(0, self._ready(*_BEGIN))
        if commit:
            asked.append(self._ready(*_COMMIT))
        # Alone it waits inside libpq, without the interpreter's lock.
        results = [self._pg.exec_prepared(*asked[0])] if len(asked) == 1 else self._together(asked)
        for result in results:
            if result.status not in _GOOD:
                raise self._fault(result)
        return results[begin:len(questions) + begin]

    def _ready(self, sql: str, values: Values) -> tuple[bytes, list[Any]]:
        """The prepared statement and its parameters; prepared at the first time for each set of types."""
        in_order = _numbered(sql)[1]
        given = values if in_order is None else in_order(values)
        kinds = tuple(map(type, given))
        known = self._known.get((sql, kinds))
        if known is None:
            return self._ready_slowly(sql, given, kinds)
        name, writers = known
        return name, [None if write is None else write(one) for write, one in zip(writers, given, strict=True)]

    def _ready_slowly(self, sql: str, given: Iterable[Any], kinds: tuple[type, ...]) -> tuple[bytes, list[Any]]:
        """As psycopg has it, for other values, and at the first time."""
        # One statement for all numbers, not one for each size.
        ordered = [Int8(one) if type(one) is int else _array(one) if type(one) is list else one for one in given]
        dumped = list(self._transformer.dump_sequence(ordered, [PyFormat.TEXT] * len(ordered)))
        key = (sql, tuple(self._transformer.types or ()))
        name = self._prepared.get(key)
        if name is None:
            self._made += 1
            name = b"huitou_%d" % self._made
            self._prepare(name, _numbered(sql)[0], key[1])
            self._prepared[key] = name
        if all(kind in _WRITERS for kind in kinds):
            self._known[sql, kinds] = name, [_WRITERS[kind] for kind in kinds]
        return name, dumped

    def _prepare(self, name: bytes, sql: bytes, types: Sequence[int]) -> None:
        result = self._pg.prepare(name, sql, types)
        if result.status not in _GOOD:
            raise self._fault(result)

    def _together(self, asked: Sequence[tuple[bytes, list[Any]]]) -> list[PGresult]:
        """The results in their order; after one that failed come aborted ones."""
        pg = self._pg
        pg.enter_pipeline_mode()
        try:
            for name, values in asked:
                pg.send_query_prepared(name, values)
            pg.pipeline_sync()
            found = self._answers()
        except BaseException:
            # A job's time is up, Ctrl-C: nobody would know whose the answers are that still come.
            pg.finish()
            raise
        if pg.status == _WELL:
            pg.exit_pipeline_mode()
        return found

    def _answers(self) -> list[PGresult]:
        pg, found = self._pg, list[PGresult]()
        while pg.flush():
            self._either.poll()
            pg.consume_input()
        while True:
            while pg.is_busy():
                self._readable.poll()
                pg.consume_input()
            result = pg.get_result()
            if result is None:
                continue
            if result.status == _SYNC:
                return found
            found.append(result)

    def _read(self, sql: str, result: PGresult) -> list[Any]:
        if result.status != _ROWS:
            return []
        make = self._rows.get(sql)
        if make is None:
            columns = [(result.fname(n) or b"").decode() for n in range(result.nfields)]
            make = self._rows[sql] = _made_of(tuple(columns))
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, make)

    def _fault(self, result: PGresult) -> psycopg.Error:
        if self._pg.status != _WELL:
            return psycopg.OperationalError(self._pg.get_error_message())
        return errors.error_from_result(result, encoding=self._encoding)


@cache
def _made_of(columns: tuple[str, ...]) -> Callable[[Iterable[Any]], Any]:
    """What makes rows with these columns."""
    kind: Any = namedtuple("Row", columns, rename=True)  # type: ignore[misc]
    return cast(Callable[[Iterable[Any]], Any], kind._make)


_InOrder = Callable[[Any], tuple[Any, ...]]


@cache
def _numbered(sql: str) -> tuple[bytes, _InOrder | None]:
    """The statement with ``$1`` for its holes, and what takes their values by name in that order (None: they have no
    names)."""
    names: list[str] = []
    count = 0

    def hole(found: re.Match[str]) -> str:
        nonlocal count
        if found["percent"]:
            return "%"
        if found["next"]:
            count += 1
            return f"${count}"
        if found["name"] not in names:
            names.append(found["name"])
        return f"${names.index(found['name']) + 1}"

    written = _HOLE.sub(hole, sql)
    return written.encode(), _picking(*names) if names else None


def _picking(name: str, *others: str) -> _InOrder:
    """What takes the values of these names as a tuple."""
    return itemgetter(name, *others) if others else lambda values: (values[name],)
