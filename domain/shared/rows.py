"""Rows as PostgreSQL reads them fastest: the text of an array of a composite type (``new_order[]``, …, migration 0041).

A batch of orders is some thousand values. As one JSON document they cost the database three times as much to read, and
the driver's own arrays cost Python more than everything else about an order together. Nor does Python write them value
by value: msgspec writes all rows of a batch as JSON, a quarter of what one ``%`` a row costs, and what differs is put
right. A row of JSON is one of PostgreSQL but for its brackets; in an array, its quotes and backslashes are marked.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

NULL = msgspec.Raw()
"""Written as nothing at all, which is null in a row."""


class Written(bytes):
    """A text for PostgreSQL, in UTF-8; of whatever type the statement gives it. ``domain.shared.wire`` sends it as it
    is, and teaches the driver to: as a str it would be read and written once more."""

    __slots__ = ()



_encode = msgspec.json.encode
_lines = msgspec.json.Encoder().encode_lines
_CONTROL = re.compile(r'\\[^"\\]')
_ESCAPE = re.compile(r"\\(?:u.{4}|.)")


def maybe(value: object) -> object:
    """What may be missing, or null for None."""
    return NULL if value is None else value


def json(value: Any) -> object:
    """A JSON value, or null for None."""
    return NULL if value is None else _encode(value).decode()


class Shape:
    """One composite type; ``columns`` are its columns in their order."""

    def __init__(self, columns: str) -> None:
        self.columns = tuple(columns.split())

    def array(self, rows: Sequence[tuple[object, ...]]) -> Written | None:
        """The text of all rows; None when there are none. Their values are texts, numbers, instants, and what ``maybe``
        and ``json`` make."""
        if not rows:
            return None
        written = _lines(rows)[1:-2]  # no value holds the end of a line: JSON has a name for it
        if b"\\" in written:
            marked = ')","('.join([_marked(row) for row in written.decode().split("]\n[")]).encode()
        else:  # nearly always
            marked = written.replace(b'"', b'\\"').replace(b"]\n[", b')","(')
        return Written(b'{"(%b)"}' % marked)


def _marked(row: str) -> str:
    """A row with backslashes in it, as an element of an array. PostgreSQL knows those before quotes and backslashes,
    and none of JSON's names for what cannot be seen: that stands for itself."""
    if _CONTROL.search(row):
        row = _ESCAPE.sub(_meant, row)
    return row.replace("\\", "\\\\").replace('"', '\\"')


def _meant(found: re.Match[str]) -> str:
    name = found[0]
    return name if name in ('\\"', "\\\\") else msgspec.json.decode(f'"{name}"', type=str)
