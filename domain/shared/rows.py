"""Rows as PostgreSQL reads them fastest: the text of an array of a composite type (``new_order[]``, …, migration 0041).

A batch of orders is some thousand values. As one JSON document they cost the database three times as much to read, and
the driver's own arrays cost Python more than everything else about an order together.
"""

from collections.abc import Iterable
from typing import Any

import msgspec


def escaped(text: str) -> str:
    """A text as it stands between quotes, inside a row inside an array: each of the two takes a layer off."""
    return text.replace("\\", "\\\\\\\\").replace('"', '\\"\\"')


def maybe(value: object) -> object:
    """What may be missing: a number or an instant, or null."""
    return "" if value is None else value


def json(value: Any) -> str:
    """A JSON value, or null for None."""
    return "" if value is None else f'\\"{escaped(msgspec.json.encode(value).decode())}\\"'


class Shape:
    """One composite type. ``columns`` are its columns in their order, texts (never null) in single quotes; other values
    must be written plainly by ``str``: numbers, instants, what ``maybe`` and ``json`` make."""

    def __init__(self, columns: str) -> None:
        names = columns.split()
        self.columns = tuple(name.strip("'") for name in names)
        self.texts = tuple(place for place, name in enumerate(names) if name.startswith("'"))
        self._row = '"(' + ",".join('\\"%s\\"' if name.startswith("'") else "%s" for name in names) + ')"'
        self._quotes, self._slashes = self._row.count('"'), self._row.count("\\")

    def array(self, rows: Iterable[tuple[object, ...]]) -> str | None:
        """The text of all rows; None when there are none."""
        given = list(rows)
        if not given:
            return None
        written = ",".join([self._row % row for row in given])
        # Nearly always no text holds anything to escape, and to count costs less than to look into each.
        if (written.count('"'), written.count("\\")) != (len(given) * self._quotes, len(given) * self._slashes):
            written = ",".join([self._row % self._safe(row) for row in given])
        return f"{{{written}}}"

    def _safe(self, row: tuple[object, ...]) -> tuple[object, ...]:
        values = list(row)
        for place in self.texts:
            values[place] = escaped(str(values[place]))
        return tuple(values)
