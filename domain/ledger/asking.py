"""How invariants of the books are asked: of everything, of a range of ids, of some ids; one or several at once.

What they say stands in ``domain.ledger.invariants``.
"""

from collections.abc import Callable, Sequence
from dataclasses import field, replace
from functools import lru_cache
from operator import itemgetter
from typing import Any, Literal

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from domain.shared.records import record

Subject = Literal[
    "account", "journal", "order", "person", "settlement", "milestone", "service", "withdrawal", "reward", "grant",
    "lot", "seller", "operator", "role", "decision", "boost", "plan",
]
"""What an invariant speaks about; the ids of its scope and of its faults are ids of these. A seller is a person of whom
all sales are looked at. From the seller on, they are looked at at night only."""

FEW = 100
"""Faults that one statement reports: enough to see what happened."""


@record
class Scope:
    """Which subjects: all, ids from ``low`` to ``high``, or ``ids``. ``mark`` tells the parameters of one scope from
    those of another in the same statement."""

    low: int | None = None
    high: int | None = None
    ids: Sequence[int] | None = None
    mark: str = field(default="", compare=False)

    def where(self, column: str) -> str:
        if self.ids is not None:
            return f"{column} = any(cast(:ids{self.mark} as bigint[]))"
        return f"{column} between :low{self.mark} and :high{self.mark}" if self.low is not None else "true"

    def values(self) -> dict[str, Any]:
        if self.ids is not None:
            return {f"ids{self.mark}": list(self.ids)}
        return {f"low{self.mark}": self.low, f"high{self.mark}": self.high} if self.low is not None else {}


EVERYTHING = Scope()


@record
class Invariant:
    """``sql`` gives the statement of a scope: rows (id, sentence) of what breaks it."""

    name: str
    subject: Subject
    sql: Callable[[Scope], str]


@record
class Fault:
    """Something that breaks ``invariant``; ``id`` is that of its subject."""

    invariant: str
    id: int
    sentence: str


def faults(session: Session, invariant: Invariant, scope: Scope) -> list[Fault]:
    """What breaks one invariant, at most FEW."""
    return faults_of(session, [(invariant, scope)])


def faults_of(session: Session, asked: Sequence[tuple[Invariant, Scope]]) -> list[Fault]:
    """What breaks some invariants, each within its scope, in one statement; at most FEW of each, in their order. Scopes
    are to be pieces: what all of them need stays in memory together."""
    if not asked:
        return []
    marked = [(one, replace(scope, mark=f"_{n}")) for n, (one, scope) in enumerate(asked)]
    values = {name: value for _, scope in marked for name, value in scope.values().items()}
    rows = session.execute(_statement(tuple((one, _shape(scope)) for one, scope in asked)), values | {"few": FEW})
    return [Fault(asked[n][0].name, id, sentence) for n, id, sentence in sorted(rows, key=itemgetter(0))]


def _shape(scope: Scope) -> Scope:
    """All scopes that lead to the same statement are one here."""
    return Scope(ids=()) if scope.ids is not None else EVERYTHING if scope.low is None else Scope(low=0, high=0)


@lru_cache(maxsize=100)
def _statement(asked: tuple[tuple[Invariant, Scope], ...]) -> TextClause:
    return text(" union all ".join(
        f"(select {n} as n, f.* from ({one.sql(replace(shape, mark=f'_{n}'))} limit :few) f (id, sentence))"  # noqa: S608
        for n, (one, shape) in enumerate(asked)))
