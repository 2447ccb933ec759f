"""The journeys of the house as the engine needs them: states from the database each time, editions read once a process.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.journeys.document import Journey
from domain.journeys.reading import read
from domain.journeys.runs import Edition
from domain.shared.records import record

_SHELF = text("""
    select j.id, j.key, j.state, j.version, j.listens,
           (select jsonb_agg(jsonb_build_array(m.from_version, m.step, m.to_version, m.to_step))
              from journey_move m where m.journey_id = j.id) as moves
      from journey j where j.state not in ('draft', 'archived') order by j.id
""")
_DOC = text("select doc from journey_version where journey_id = :journey and n = :n")


@record
class Placed:
    """A journey as it stands: ``version`` is what new runs take."""

    id: int
    key: str
    state: str
    version: int
    listens: frozenset[str]


@record
class Shelf:
    """All journeys that are neither drafts nor archived, at one moment."""

    journeys: Mapping[int, Placed]
    moves: Mapping[tuple[int, int, str], tuple[int, str]]

    def listening(self, kinds: Iterable[str]) -> list[Placed]:
        """Those that care about any of these events."""
        wanted = frozenset(kinds)
        return [one for one in self.journeys.values() if one.listens & wanted]


@dataclass
class Library:
    """Editions by journey and version. They never change, so a process may keep them for ever."""

    _editions: dict[tuple[int, int], Edition] = field(default_factory=dict)

    def shelf(self, session: Session) -> Shelf:
        """How the journeys stand now."""
        rows = session.execute(_SHELF).all()
        journeys = {row.id: Placed(row.id, row.key, row.state, row.version, frozenset(row.listens)) for row in rows}
        moves = {(row.id, version, step): (to_version, to_step)
                 for row in rows for version, step, to_version, to_step in row.moves or ()}
        return Shelf(journeys, moves)

    def edition(self, session: Session, journey_id: int, version: int) -> Edition:
        """One edition. Raises LookupError when there is none."""
        key = journey_id, version
        if key not in self._editions:
            doc = session.execute(_DOC, {"journey": journey_id, "n": version}).scalar()
            if doc is None:
                raise LookupError(f"journey {journey_id} has no version {version}")
            self._editions[key] = Edition.of(journey_of(doc), journey_id, version)
        return self._editions[key]


def journey_of(doc: dict[str, object]) -> Journey:
    """A stored document. It was checked when it was published; what has changed meaning since is refused here."""
    return read(doc)
